"""Usual lists of publishers of quantised copies: what they store in which format, from ``publishers.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.listed import FORMATS, ListedFormats, listed

__all__ = ["UsualList", "usual_list", "usual_lists"]

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class UsualList:
    """What a publisher, or a tool, usually does.

    Parameters
    ----------
    owners : tuple of str
        Owners of repositories; empty for whoever used a tool.
    names : str
        Expression that the name of a copy holds.
    models : str
        "", "experts", "hybrid-experts", "dense".
    format : str
        One of :data:`FORMATS`; "" for that of the precision.
    kept : tuple of str
        Groups that stay in 16 bits.
    groups : mapping of str to str
        Formats of further groups.
    late : mapping
        ``groups``, ``share`` of the layers, ``format``.
    parts : tuple of str
        Parts of names of further matrices that stay in 16 bits.
    cache : str
        "fp8" where the copies bring scales for such a cache, which engines then use by themselves.
    guessed : bool
        Nobody says what this publisher leaves out.
    source : str
        Where it was read.
    """

    owners: tuple[str, ...]
    names: str
    models: str
    format: str
    kept: tuple[str, ...]
    groups: Mapping[str, str] = field(default_factory=dict)
    late: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    cache: str = ""
    guessed: bool = False
    source: str = ""

    def copy(self, model: Architecture, precision: str, usual: str) -> Architecture:
        """The copy of a model by this list; ``usual`` is the format of the precision where the list names none."""
        config = {**model.config, "quantization_config": {"kv_cache_scheme": {"num_bits": 8}}} if self.cache else model.config
        return replace(model, quantization=self.of(model, precision, usual), header_bytes=None, config=config)

    def of(self, model: Architecture, precision: str, usual: str) -> ListedFormats:
        """The formats of a model by this list; ``usual`` is the format of the precision where the list names none."""
        forms = {group: FORMATS[name] for group, name in self.groups.items()}
        late = dict.fromkeys(self.late["groups"], FORMATS[self.late["format"]]) if self.late else {}
        kept = dict.fromkeys(self.kept)
        found = listed(model, precision, FORMATS[self.format or usual], {**kept, **forms}, late=late, late_share=self.late.get("share", 0.0))
        return replace(found, kept_parts=frozenset(self.parts))


def usual_list(name: str, model: Architecture) -> UsualList | None:
    """The first list that fits the name of a copy.

    Parameters
    ----------
    name : str
        Owner and name as a hub writes them, or a name alone.
    model : Architecture
        The model that it is a copy of.

    Returns
    -------
    UsualList or None
        None where neither owner nor tool is known.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> model = load_architecture("qwen3.6-35b-a3b")
    >>> [usual_list(name, model).format for name in ("RedHatAI/Qwen3.6-35B-A3B-NVFP4", "cyankiwi/Qwen3.6-35B-A3B-AWQ-4bit", "x/Qwen3-GPTQ")]
    ['nvfp4', 'int4-g32', 'int4-g128']
    """
    path, _, words = name[:LONGEST_NAME].lower().replace("_", "-").rpartition("/")
    owner = path.rpartition("/")[2]
    return next((each for each in usual_lists() if _fits(each, owner, words, model)), None)


def _fits(each: UsualList, owner: str, words: str, model: Architecture) -> bool:
    return (not each.owners or owner in each.owners) and each.models in _kinds(model) and re.search(each.names, words) is not None


def _kinds(model: Architecture) -> frozenset[str]:
    groups = model.parameters.groups
    if not groups.get("routed_experts"):
        return frozenset({"", "dense"})
    return frozenset({"", "experts", *(["hybrid-experts"] if groups.get("linear_attention") else [])})


@cache
def usual_lists() -> tuple[UsualList, ...]:
    """Every list, publishers' before tools'."""
    with (Path(__file__).parent / "publishers.toml").open("rb") as stream:
        return tuple(_read(tomllib.load(stream)["list"]))


def _read(rows: list[dict[str, Any]]) -> Iterator[UsualList]:
    for row in rows:
        yield UsualList(
            owners=tuple(row.get("owners", ())),
            names=row["names"],
            models=row.get("models", ""),
            format=row["format"],
            kept=tuple(row.get("kept", ())),
            groups=row.get("groups", {}),
            late=row.get("late", {}),
            parts=tuple(row.get("parts", ())),
            cache=row.get("cache", ""),
            guessed=row.get("guessed", False),
            source=row["source"],
        )
