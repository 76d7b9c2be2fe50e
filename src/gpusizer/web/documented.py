"""The OpenAPI document."""

from __future__ import annotations

from typing import Any

__all__ = ["api_schema"]


def api_schema() -> dict[str, Any]:
    """The document."""
    return {"openapi": "3.1.0", "info": {"title": "gpusizer", "version": "1"}, "paths": {}}
