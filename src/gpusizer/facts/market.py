"""What a buyer asks of a part beside its figures: its class, where it is sold, how clouds rent it; from ``data/market.toml``.

The class follows from the record where its form says it ("PCIe workstation", "SoM", "Google Cloud only"), else from the maker's product line, else
from one line of the file. Gaming cards and server cards that are no longer made, or are a few generations old, are for people who like to tinker.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.facts.vendors import read_vendors

__all__ = ["CLASSES", "ON_REQUEST", "china_prices", "class_of", "is_domestic", "is_old", "market_sources", "rented_whole", "sold_in"]

CLASSES = ("data-centre", "workstation", "gaming", "cloud-only", "edge", "hobby", "announced")
"""Classes in the order of a plan."""

ON_REQUEST = CLASSES[3:]
"""Classes that a plan looks at where they are asked for."""

OLD_YEARS = 5  # years behind the newest part, from which new ones are remainders

_FORMS: tuple[tuple[str, str], ...] = (  # what a form says, the first that it holds
    (" only", "cloud-only"),
    ("laptop", "hobby"),
    ("integrated", "hobby"),
    ("SoM", "edge"),
    ("embedded", "edge"),
    ("desktop", "edge"),
    ("unified memory", "edge"),
    ("APU", "edge"),
    ("consumer", "gaming"),
    ("workstation", "workstation"),
)


@cache
def _file() -> Mapping[str, Any]:
    with (Path(__file__).parent / "data" / "market.toml").open("rb") as stream:
        return tomllib.load(stream)


def class_of(record: Mapping[str, Any], newest: int) -> str:
    """The class that a part is sold in.

    Parameters
    ----------
    record : mapping
        Its record.
    newest : int
        Year of the newest part.

    Returns
    -------
    str
        One of :data:`CLASSES`.

    Examples
    --------
    >>> class_of({"id": "x", "name": "RTX 3070", "form": "PCIe", "status": "discontinued", "year": 2020}, 2026)
    'hobby'
    """
    if record["status"] == "announced":
        return "announced"
    said: str | None = _file()["class"].get(record["id"])
    if said is not None:
        return said
    form = next((name for words, name in _FORMS if words in record["form"]), None) or _line(record["name"])
    gone = record["status"] == "discontinued"
    if gone and form in ("data-centre", "workstation"):
        return "hobby"
    let = any(row[3] == "hour" for row in record.get("prices", ()))  # no longer made, yet clouds have it
    return "hobby" if form == "gaming" and ((gone and not let) or is_old(record, newest)) else form


def is_old(record: Mapping[str, Any], newest: int) -> bool:
    """Whether a part came out years before the newest one; not where nobody says when."""
    return record.get("year") is not None and record["year"] <= newest - OLD_YEARS


def _line(name: str) -> str:
    """The class of a product line."""
    lines = _file()["lines"]
    return next((kind for kind in ("workstation", "gaming") if re.search(lines[kind], name, re.IGNORECASE)), "data-centre")


def is_domestic(vendor: str) -> bool:
    """Whether a maker is at home in China.

    >>> is_domestic("Huawei"), is_domestic("NVIDIA")
    (True, False)
    """
    found = read_vendors().get(vendor)
    return found is not None and found.country == "cn"


def sold_in(record: Mapping[str, Any]) -> str | None:
    """The only country that a part is sold in; None where it is sold in most."""
    return "cn" if record["id"] in _file()["sold_only_in_china"]["ids"] or is_domestic(record["vendor"]) else None


def rented_whole(identifier: str) -> bool:
    """Whether clouds rent it by the server alone, not by the card.

    >>> rented_whole("gb200-186gb"), rented_whole("h100-sxm-80gb")
    (True, False)
    """
    return identifier in _file()["rented_whole"]["ids"]


def china_prices(identifier: str) -> list[list[Any]]:
    """Prices in yuan that hold in China, as rows of a record."""
    found: list[list[Any]] = _file()["china"].get(identifier, [])
    return found


def market_sources() -> Mapping[str, str]:
    """Sources of these facts by key."""
    table: Mapping[str, str] = _file()["sources"]
    return table
