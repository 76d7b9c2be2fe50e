"""Sheets that people read."""
