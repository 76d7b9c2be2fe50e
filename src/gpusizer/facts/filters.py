"""Filters of lists: words that an entry has, a vendor, a size of memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import eq, ge, gt, le, lt

from gpusizer.errors import FlagError, UnknownIdError
from gpusizer.facts.licences import licence as licence_of
from gpusizer.facts.model_list import ListedModel
from gpusizer.facts.types import USES, Accelerator
from gpusizer.units import parse_bytes

__all__ = ["has_words", "matching", "memory_bound", "suiting"]

_COMPARED: dict[str, Callable[[float, float], bool]] = {">=": ge, "<=": le, ">": gt, "<": lt, "=": eq, "": ge}
_BOUND = re.compile(r"(>=|<=|>|<|=)?\s*(.+)")
_TERMS = {"free": ("yes",), "commercial": ("yes", "conditions")}
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


def suiting(models: Iterable[ListedModel], use: str | None, licence: str | None) -> list[ListedModel]:
    """Models for a use, under a licence.

    Parameters
    ----------
    use : str or None
        A word of :data:`gpusizer.facts.types.USES`.
    licence : str or None
        A licence or the beginning of its short word ("apache-2.0", "llama"), or "free" and "commercial": commercial use costs nothing, without
        conditions or with those that the licence names.

    Raises
    ------
    UnknownIdError
        No such use or licence.

    Examples
    --------
    >>> from gpusizer.facts.model_list import listed_models
    >>> found = suiting(listed_models(), "rerank", "free")
    >>> "bge-reranker-v2-m3" in {model.id for model in found}, {model.commercial for model in found}
    (True, {'yes'})
    """
    every = list(models)
    if use is not None and use.lower() not in USES:
        raise UnknownIdError("unknown-use", id=use[:40], nearest=list(USES))
    return [each for each in _licensed(every, licence) if use is None or use.lower() in each.uses]


def _licensed(models: list[ListedModel], licence: str | None) -> list[ListedModel]:
    if licence is None:
        return models
    wish = licence.lower()
    if wish in _TERMS:
        return [each for each in models if each.commercial in _TERMS[wish]]
    word = found.id if (found := licence_of(wish)) is not None and found.source else wish
    kept = [each for each in models if each.licence is not None and each.licence.startswith(word)]
    if not kept:
        raise UnknownIdError("unknown-licence", id=licence[:40], nearest=[*_TERMS, *sorted({each.licence for each in models if each.licence})])
    return kept


def has_words(wish: str | None, texts: Iterable[str]) -> bool:
    """Whether every word that was asked for stands somewhere in the texts, in any letter case.

    >>> has_words("moe 30b", ("qwen3-30b-a3b", "moe")), has_words("moe", ("qwen3-8b", "dense")), has_words(None, ())
    (True, False, True)
    """
    whole = "\n".join(texts).lower()
    return all(word in whole for word in (wish or "").lower().split())
