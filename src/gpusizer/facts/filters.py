"""Filters of lists: words that an entry has, a vendor, a size of memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import eq, ge, gt, le, lt

from gpusizer.errors import FlagError, UnknownIdError
from gpusizer.facts.types import Accelerator
from gpusizer.units import parse_bytes

__all__ = ["has_words", "matching", "memory_bound"]

_COMPARED: dict[str, Callable[[float, float], bool]] = {">=": ge, "<=": le, ">": gt, "<": lt, "=": eq, "": ge}
_BOUND = re.compile(r"(>=|<=|>|<|=)?\s*(.+)")
_CLOSE = 0.05  # a card of 80 GB reports a little more or less


def memory_bound(words: str) -> Callable[[float], bool]:
    """A bound on bytes, as people write it; a size alone is the least. The size is the one on the box, of which the driver reports some per cent more
    or less, so "=80GB" means about 80 GB.

    >>> fits = memory_bound(">=80GB")
    >>> fits(85e9), fits(79.6e9), fits(48e9), memory_bound("=48GB")(47.5e9), memory_bound("<24GB")(24e9)
    (True, True, False, True, False)
    """
    found = _BOUND.fullmatch(words.strip())
    if found is None:
        raise FlagError("bad-word", option="--memory", found=words[:40])
    sign, size = found[1] or "", parse_bytes(found[2])

    def fits(bytes_: float) -> bool:
        near = abs(bytes_ - size) <= _CLOSE * size
        return "=" in sign or not sign if near else _COMPARED[sign](bytes_, size)

    return fits


def matching(found: Iterable[Accelerator], vendor: str | None, memory: Callable[[float], bool] | None, words: str | None) -> list[Accelerator]:
    """Accelerators that pass every filter.

    Raises
    ------
    UnknownIdError
        No such vendor.
    """
    every = list(found)
    if vendor is not None:
        makers = sorted({each.vendor for each in every})
        if not any(vendor.lower() in maker.lower() for maker in makers):
            raise UnknownIdError("unknown-vendor", id=vendor[:40], nearest=makers)
        every = [each for each in every if vendor.lower() in each.vendor.lower()]
    return [
        each
        for each in every
        if (memory is None or memory(each.memory_bytes))
        and has_words(words, (each.id, each.name, each.vendor, each.form_factor or "", each.architecture or "", each.status, *each.aliases))
    ]


def has_words(wish: str | None, texts: Iterable[str]) -> bool:
    """Whether every word that was asked for stands somewhere in the texts, in any letter case.

    >>> has_words("moe 30b", ("qwen3-30b-a3b", "moe")), has_words("moe", ("qwen3-8b", "dense")), has_words(None, ())
    (True, False, True)
    """
    whole = "\n".join(texts).lower()
    return all(word in whole for word in (wish or "").lower().split())
