"""The surfaces, one module each; a new one is its module and its name here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module

from fuzz.surface import Surface

__all__ = ["SURFACES", "share_of"]

_MODULES = ("configs", "gguf", "safetensors", "cases", "benches", "logs", "prices", "cards", "traces", "requests", "arguments", "queries")

SURFACES: Mapping[str, Surface] = {name: import_module(f"fuzz.surfaces.{name}").SURFACE for name in _MODULES}


def share_of(surface: Surface, inputs: int, among: Collection[str] | None = None) -> int:
    """The inputs that one surface gets of those for all, or for some."""
    whole = sum(each.weight for each in SURFACES.values() if not among or each.name in among)
    return -(-inputs * surface.weight // whole)
