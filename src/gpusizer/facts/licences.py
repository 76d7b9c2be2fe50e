"""Licences of models: a short word for each, and whether commercial use is free, from ``data/licences.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["COMMERCIAL", "Licence", "licence"]

COMMERCIAL = ("yes", "conditions", "no", "unknown")
"""Whether it may be used for business: freely, within bounds that the licence names, not without a contract, or nobody looked."""


class Licence(NamedTuple):
    """A licence: its short word, one of :data:`COMMERCIAL`, and where that stands."""

    id: str
    commercial: str
    source: str


def licence(words: str | None) -> Licence | None:
    """The licence that the words of a catalogue entry or a model's card mean.

    Parameters
    ----------
    words : str or None
        As noted; None where nobody did.

    Returns
    -------
    Licence or None
        Of words that are not in the table "other", of which the commercial terms are unknown; None for None.

    Examples
    --------
    >>> licence("Apache-2.0").commercial, licence("DeepSeek model licence").id, licence("house rules").id, licence(None)
    ('yes', 'deepseek', 'other', None)
    """
    if words is None:
        return None
    return _licences().get(words.lower(), Licence("other", "unknown", ""))


@cache
def _licences() -> Mapping[str, Licence]:
    with (Path(__file__).parent / "data" / "licences.toml").open("rb") as stream:
        table = tomllib.load(stream)
    found: dict[str, Licence] = {}
    for id, each in table.items():
        found |= dict.fromkeys((id, *each.get("words", ())), Licence(id, each["commercial"], each["source"]))
    return found
