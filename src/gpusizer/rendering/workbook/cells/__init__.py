"""Cells that calculate."""
