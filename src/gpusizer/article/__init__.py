"""The article's figures, by its own method, to the byte."""
