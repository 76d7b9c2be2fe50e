"""One module for each kind of feed-forward block; each registers its reader."""
