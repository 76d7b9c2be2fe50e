"""Published sizes of GGUF files, from ``data/gguf_files.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from gpusizer.units import parse_bytes

__all__ = ["GgufSize", "gguf_models", "gguf_sizes", "published_file"]

_DYNAMIC = "UD-"  # how Unsloth marks files whose types it chose tensor by tensor


class GgufSize(NamedTuple):
    """What one file, or one set of files, takes.

    Parameters
    ----------
    mix : str
        The publisher's name of the mix of types ("UD-Q2_K_XL", "smol-IQ2_KS").
    size_bytes : int
        All files together, without a tower for images. [bytes]
    source : str
        Where the size stands.
    by : str
        Who published the files.
    drafts : bool
        They hold the layer of multi-token prediction.
    """

    mix: str
    size_bytes: int
    source: str
    by: str
    drafts: bool = False


def gguf_sizes(model_id: str) -> tuple[GgufSize, ...]:
    """Every size that is known of a model's GGUF files, the smallest first.

    Parameters
    ----------
    model_id : str
        Id of the catalogue.

    Returns
    -------
    tuple of GgufSize
        Empty where nobody is known to state one.

    Examples
    --------
    >>> [(found.mix, found.by) for found in gguf_sizes("glm-4.6")][:3]
    [('smol-IQ1_KT', 'ubergarm'), ('smol-IQ2_KS', 'ubergarm'), ('UD-IQ1_M', 'unsloth')]
    """
    return _files().get(model_id, ())


def gguf_models() -> tuple[str, ...]:
    """Ids of the models of which a size is known, sorted."""
    return tuple(sorted(_files()))


def published_file(model_id: str | None, word: str) -> GgufSize | None:
    """A publisher's own mix that no recipe of llama.cpp makes.

    Parameters
    ----------
    model_id : str or None
        Id of the catalogue.
    word : str
        The file's word for its precision in lower case, without "ud_".

    Returns
    -------
    GgufSize or None
        None where nobody is known to state its size.

    Examples
    --------
    >>> published_file("deepseek-v3.1", "q2_k_xl").size_bytes, published_file("deepseek-v3.1", "iq9_s")
    (256000000000, None)
    """
    name = _DYNAMIC + word.upper()
    return next((found for found in _files().get(model_id or "", ()) if found.mix == name), None)


@cache
def _files() -> Mapping[str, tuple[GgufSize, ...]]:
    with (Path(__file__).parent / "data" / "gguf_files.toml").open("rb") as stream:
        rows = tomllib.load(stream)["file"]
    found: dict[str, list[GgufSize]] = {}
    for row in rows:
        for mix, size in row["sizes"].items():
            bytes_ = size if isinstance(size, int) else parse_bytes(size)
            found.setdefault(row["model"], []).append(GgufSize(mix, bytes_, row["source"], row["by"], row.get("drafts", False)))
    return {model: tuple(sorted(sizes, key=lambda each: each.size_bytes)) for model, sizes in found.items()}
