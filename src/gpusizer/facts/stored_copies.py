"""Entries of the catalogue that are another entry's shapes stored in a precision: NVIDIA's NVFP4 copies, FP8 copies of their makers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gpusizer.facts.catalog import model_entry, model_ids

__all__ = ["published_by_another", "stored_copy_id"]

_ALIKE_KEYS, _LONELY_KEYS = 8, 2  # whole numbers of two configurations: so many agree, none differs, so many stand in one of them only


@lru_cache(maxsize=256)
def stored_copy_id(model_id: str, precision: str) -> str:
    """The id of the entry that stores a model in a precision.

    Parameters
    ----------
    model_id : str
        Id of the catalogue.
    precision : str
        "nvfp4", "fp8" ...

    Returns
    -------
    str
        An entry of the same name in that precision, else one of the same shapes, else the model's own.

    Examples
    --------
    >>> stored_copy_id("glm-5.1", "nvfp4"), stored_copy_id("qwen3-8b", "int8")
    ('glm-5.1-nvfp4', 'qwen3-8b')
    """
    known = frozenset(model_ids())
    stem = re.sub(r"-(?:it|instruct|chat)$", "", model_id)
    if model_id.endswith(f"-{precision}") or model_id not in known:
        return model_id
    for name in (f"{model_id}-{precision}", f"{stem}-{precision}", f"{stem}-instruct-{precision}"):
        if name in known:
            return name
    shapes = _whole_numbers(model_entry(model_id).config)
    for name in sorted(known, reverse=True):
        if name.endswith(f"-{precision}"):
            other = _whole_numbers(model_entry(name).config)
            common = shapes.keys() & other.keys()
            apart = shapes.keys() ^ other.keys()
            if len(common) >= _ALIKE_KEYS and len(apart) <= _LONELY_KEYS and all(shapes[key] == other[key] for key in common):
                return name
    return model_id


def published_by_another(model_id: str, name: str) -> bool:
    """Whether a name has an owner who is none of those that the entry is published by.

    Parameters
    ----------
    model_id : str
        Id of the catalogue.
    name : str
        As typed: owner and name.

    Returns
    -------
    bool
        False where the name or the entry has no owner.

    Examples
    --------
    >>> names = ("nvidia/Qwen3.6-35B-A3B-NVFP4", "RedHatAI/Qwen3.6-35B-A3B-NVFP4", "Qwen3.6-35B-A3B-NVFP4")
    >>> [published_by_another("qwen3.6-35b-a3b-nvfp4", name) for name in names]
    [False, True, False]
    """
    owner = name.rpartition("/")[0].rpartition("/")[2].lower()
    owners = {alias.partition("/")[0].lower() for alias in model_entry(model_id).aliases if "/" in alias}
    return bool(owner and owners) and owner not in owners


def _whole_numbers(config: Mapping[str, Any], prefix: str = "") -> dict[str, int]:
    """The shapes of a configuration: its whole numbers, those of its parts as well."""
    found: dict[str, int] = {}
    for key, value in config.items():
        if key == "quantization_config":
            continue
        if isinstance(value, Mapping):
            found |= _whole_numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            found[prefix + key] = value
    return found
