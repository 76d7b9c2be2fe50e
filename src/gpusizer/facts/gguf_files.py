"""Published sizes of GGUF files that no recipe of llama.cpp makes, from ``data/gguf_files.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gpusizer.units import parse_bytes

__all__ = ["published_file_bytes"]


def published_file_bytes(model_id: str | None, word: str) -> int | None:
    """Size of a publisher's own mix.

    Parameters
    ----------
    model_id : str or None
        Id of the catalogue.
    word : str
        The file's word for its precision in lower case, without "ud_".

    Returns
    -------
    int or None
        None where nobody is known to state it. [bytes]

    Examples
    --------
    >>> published_file_bytes("deepseek-v3.1", "q2_k_xl"), published_file_bytes("deepseek-v3.1", "iq9_s")
    (256000000000, None)
    """
    return _files().get(model_id or "", {}).get(word)


@cache
def _files() -> Mapping[str, Mapping[str, int]]:
    with (Path(__file__).parent / "data" / "gguf_files.toml").open("rb") as stream:
        rows = tomllib.load(stream)["file"]
    return {row["model"]: {word: parse_bytes(size) for word, size in row["sizes"].items()} for row in rows}
