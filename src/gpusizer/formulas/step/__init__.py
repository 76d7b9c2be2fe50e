"""One engine step."""
