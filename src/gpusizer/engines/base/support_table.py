"""The table of what runs where: rows with sources from ``support.toml`` of an engine's folder, and which of them speaks for a case.

A row says for which devices it holds (maker, id, compute capability, what the device lacks), for which versions, and of what it speaks:

============  =======================================================================================================
``device``    the engine on the device at all
``weights``   families of number formats of the weights ("fp8", "mxfp4", "int8" ...)
``cache``     number formats of the KV cache, alone or with a kind of attention
``attention`` kinds of mixers ("latent", "sparse-latent", "compressed" ...)
``layout``    a parallel size above a limit, alone or with a kind of attention
============  =======================================================================================================

``answer`` is "yes"; "plugin" (by a package of its own); "build" (not in released builds); "patched" (in builds that somebody patched alone);
"partial" or "unknown" (nobody says): all of these are said, not refused; "no". The first row that matches speaks.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from gpusizer.architecture.storage.formats import plain_dtype
from gpusizer.engines import declaration
from gpusizer.engines.base.types import Layout
from gpusizer.errors import UnknownIdError
from gpusizer.facts.types import Accelerator

__all__ = ["ANSWERS", "KINDS", "Conversion", "Row", "conversion", "rows_of", "sources_of"]

KINDS = ("device", "weights", "cache", "attention", "layout")
ANSWERS = ("yes", "plugin", "build", "partial", "patched", "unknown", "no")
_FILE = "support.toml"

# The usual tools where no row names another: a plain copy by dequantising, a small one by calibrating.
_PLAIN = ("Transformers", ("huggingface/transformers: docs/source/en/quantization/finegrained_fp8.md (dequantize=True)",))
_QUANTISED = ("LLM Compressor", ("vllm-project/llm-compressor: README.md (W8A8 INT8, FP8, W4A16, NVFP4)",))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; an empty field holds for everything.

    Parameters
    ----------
    answer : str
        One of :data:`ANSWERS`.
    sources : tuple of str
        Where it is said.
    vendor, ids, target : tuple of str
        Makers; patterns of ids of the catalogue; beginnings of what says which kernels a chip runs ("gfx942").
    lacks : str
        A number format that the device does not compute.
    capability_from, capability_below : float
        CUDA compute capability; rows with one hold for CUDA devices alone.
    version_from, version_below : tuple of int
        Versions of the engine.
    formats : tuple of str
        Of weights or cache.
    attention : tuple of str
        Kinds of mixers.
    above : mapping
        Largest legal size by the name of a parallelism, for a layout.
    instead : tuple of str
        What runs there, the best first: formats, or engines.
    package : str
        The package that makes it run, for "plugin".
    """

    answer: str
    sources: tuple[str, ...]
    vendor: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    lacks: str = ""
    capability_from: float = 0.0
    capability_below: float = 0.0
    version_from: tuple[int, ...] = ()
    version_below: tuple[int, ...] = ()
    formats: tuple[str, ...] = ()
    attention: tuple[str, ...] = ()
    above: tuple[tuple[str, int], ...] = ()
    instead: tuple[str, ...] = ()
    package: str = ""

    def on(self, accelerator: Accelerator, version: tuple[int, ...]) -> bool:
        """Whether it holds for a device and a version."""
        capability = accelerator.capability if accelerator.vendor == "NVIDIA" else 0.0
        return (
            (not self.vendor or accelerator.vendor in self.vendor)
            and (not self.ids or any(fnmatchcase(accelerator.id, each) for each in self.ids))
            and (not self.target or (accelerator.compute_capability or "").startswith(self.target))
            and (not self.lacks or self.lacks not in accelerator.peak_flops)
            and (not self.capability_from or capability >= self.capability_from)
            and (not self.capability_below or 0 < capability < self.capability_below)
            and version >= self.version_from
            and (not self.version_below or version < self.version_below)
        )

    def exceeded(self, layout: Layout) -> tuple[str, int] | None:
        """The parallelism that is above its limit, with its size."""
        return next(((name, getattr(layout, name)) for name, most in self.above if getattr(layout, name) > most), None)


@dataclass(frozen=True, slots=True)
class Conversion:
    """How weights are turned into a format that a device runs.

    Parameters
    ----------
    to : str
        The precision as ``--precision`` takes it.
    name : str
        What people call it there ("W8A8").
    tool : str
        The tool that does it.
    quantization : str
        What the engine must be told to load it; empty where the files say so.
    sources : tuple of str
        Where it is said.
    vendor, ids : tuple of str
        Devices for which it holds.
    """

    to: str
    name: str
    tool: str
    sources: tuple[str, ...]
    quantization: str = ""
    vendor: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


def rows_of(engine_id: str, kind: str) -> tuple[Row, ...]:
    """The rows of an engine that speak of a kind of thing, in the order of its file.

    >>> {row.answer for row in rows_of("vllm", "attention")} <= set(ANSWERS), rows_of("transformers", "weights")
    (True, ())
    """
    return _table(engine_id)[0].get(kind, ())


def conversion(engine_id: str, accelerator: Accelerator, to: str) -> Conversion:
    """How weights become a format on a device: by the tool that the table names, else by the usual one for the format."""
    named = next((each for each in _table(engine_id)[1] if each.to == to and _holds(each, accelerator)), None)
    return named or Conversion(to, to.upper(), *(_PLAIN if plain_dtype(to) else _QUANTISED))


def sources_of(engine_id: str) -> tuple[str, ...]:
    """Every source that the table of an engine names, each once."""
    rows, conversions = _table(engine_id)
    found = [source for kind in rows.values() for row in kind for source in row.sources]
    return tuple(dict.fromkeys([*found, *(source for each in conversions for source in each.sources)]))


def _holds(each: Conversion, accelerator: Accelerator) -> bool:
    by_id = not each.ids or any(fnmatchcase(accelerator.id, pattern) for pattern in each.ids)
    return by_id and (not each.vendor or accelerator.vendor in each.vendor)


@cache
def _table(engine_id: str) -> tuple[dict[str, tuple[Row, ...]], tuple[Conversion, ...]]:
    path = _path(engine_id)
    if path is None or not path.is_file():
        return {}, ()
    stored = tomllib.loads(path.read_text(encoding="utf-8"))
    sources = stored.get("sources", {})
    rows = {kind: tuple(_row(each, sources) for each in stored.get(kind, ())) for kind in KINDS}
    return rows, tuple(Conversion(**_values(each, sources)) for each in stored.get("convert", ()))


def _path(engine_id: str) -> Path | None:
    """The file of the folder in which an engine's module lies."""
    try:
        package = declaration(engine_id).module.rpartition(".")[0]
    except UnknownIdError:
        return None
    places = list(import_module(package).__path__) if package else []
    return Path(places[0]) / _FILE if places else None


def _row(stored: Mapping[str, Any], sources: Mapping[str, str]) -> Row:
    values = _values(stored, sources)
    for name in ("version_from", "version_below"):
        if name in values:
            values[name] = tuple(int(part) for part in values[name].split("."))
    limits = tuple((field.name, values.pop(f"{field.name}_above")) for field in fields(Layout) if f"{field.name}_above" in values)
    return Row(**values, above=limits)


def _values(stored: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a row: lists are tuples, and sources are named once in the file."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name != "source"}
    return {**values, "sources": tuple(sources[name] for name in stored["source"])}
