"""One module for each kind of mixer; each registers its reader."""
