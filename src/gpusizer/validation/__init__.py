"""Measured starts and speeds against predictions."""
