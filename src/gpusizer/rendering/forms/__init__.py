"""Forms of an answer: one module for each, found by its name, with ``write(document)``."""
