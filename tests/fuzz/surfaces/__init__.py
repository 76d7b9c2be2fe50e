"""The surfaces, one module each; a new one is its module and its name here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from fuzz.surface import Surface

__all__ = ["SURFACES"]

_MODULES = ("configs", "gguf", "safetensors", "cases", "benches", "prices", "cards", "traces", "requests", "arguments", "queries")

SURFACES: Mapping[str, Surface] = {name: import_module(f"fuzz.surfaces.{name}").SURFACE for name in _MODULES}
