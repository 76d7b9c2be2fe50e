"""Makers by any word that people use for them, from ``data/vendors.toml``."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gpusizer.errors import UnknownIdError

__all__ = ["Vendor", "find_vendors", "read_vendors"]

_DOMESTIC = ("domestic", "国产", "china", "chinese", "中国")


@dataclass(frozen=True, slots=True)
class Vendor:
    """A maker: its name in the catalogue, its home ("us", "cn"), and the words for it."""

    name: str
    country: str
    words: tuple[str, ...]


@cache
def read_vendors() -> Mapping[str, Vendor]:
    """Makers by the name that the catalogue has for them.

    >>> read_vendors()["Huawei"].country
    'cn'
    """
    with (Path(__file__).parent / "data" / "vendors.toml").open("rb") as stream:
        table = tomllib.load(stream)
    return {name: Vendor(name, entry["country"], tuple(entry["words"])) for name, entry in table.items()}


def find_vendors(word: str) -> tuple[str, ...]:
    """The makers that a word means: one of them, or all Chinese ones ("domestic").

    Parameters
    ----------
    word : str
        A name in English or Chinese, any letter case.

    Returns
    -------
    tuple of str
        Names as the catalogue has them.

    Raises
    ------
    UnknownIdError
        Nobody is called so.

    Examples
    --------
    >>> find_vendors("昇腾"), find_vendors("moore-threads")
    (('Huawei',), ('Moore Threads',))
    """
    wanted = _plain(word)
    if wanted in _DOMESTIC:
        return tuple(each.name for each in read_vendors().values() if each.country == "cn")
    for vendor in read_vendors().values():
        if wanted in map(_plain, (vendor.name, *vendor.words)):
            return (vendor.name,)
    every = {said: vendor.name for vendor in read_vendors().values() for said in map(_plain, (vendor.name, *vendor.words))}
    close = [every[each] for each in difflib.get_close_matches(wanted, every, 3, 0.6)]
    raise UnknownIdError("unknown-vendor", id=word, nearest=list(dict.fromkeys(close)) or list(read_vendors()))


def _plain(word: str) -> str:
    return "".join(word.lower().replace("-", " ").replace("_", " ").split())
