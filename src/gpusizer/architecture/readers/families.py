"""More rows of what classes imply, in the words that ``implied.py`` explains: families beyond those of the counted models there."""

from __future__ import annotations

from typing import Any

__all__ = ["FAMILIES"]

FAMILIES: dict[str, dict[str, Any]] = {}
