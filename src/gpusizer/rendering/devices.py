"""Devices in words: their names in both languages, long and short, and so many of them counted as people count them."""

from __future__ import annotations

import re
from functools import cache

from gpusizer.facts.types import Accelerator
from gpusizer.i18n import has, text

__all__ = ["counted_devices", "currency_words", "date_words", "device_name", "device_unit", "short_device_name"]

# What a name says of a device that is part of a card or module, or of how it is sold; the words of other languages stand in ``ui``.
_PART = re.compile(r", one of the (\w+) (\w+) (?:of|on) an? ([\w ]+)$")
_BRACKETS = re.compile(r"\s*\(([^()]*)\)")


def counted_devices(count: int, accelerator: Accelerator, language: str) -> str:
    """So many devices: cards, machines that are one device, or parts of a card.

    >>> from gpusizer.facts.catalog import accelerator
    >>> counted_devices(8, accelerator("h20-sxm-96gb"), "en"), counted_devices(8, accelerator("h20-sxm-96gb"), "zh")
    ('8 x H20 96GB', '8 张 H20 96GB')
    >>> counted_devices(1, accelerator("m4-max-128gb"), "zh"), counted_devices(2, accelerator("ascend910c-128gb"), "zh")
    ('1 台 M4 Max 128 GB', '2 颗 Ascend 910C（每个模组 2 颗 die，按其中一颗计）')
    """
    unit, name = device_unit(accelerator, language), device_name(accelerator.name, language)
    return text("ui", "counted-devices", language, count=count, unit=unit, gpu=name)


def device_unit(accelerator: Accelerator, language: str) -> str:
    """The word between a number and a device: a card, a machine that is one device, or a part of a card."""
    kind = "machines" if accelerator.unified_memory else "parts" if accelerator.devices_per_card > 1 else "cards"
    return text("ui", f"unit-{kind}", language)


def currency_words(currency: str, language: str) -> str:
    """A currency as people write it beside an amount.

    >>> currency_words("CNY", "en"), currency_words("CNY", "zh"), currency_words("USD", "zh")
    ('CNY', '元', 'USD')
    """
    return text("ui", f"currency-{currency}", language) if has("ui", f"currency-{currency}", language) else currency


def date_words(date: str, language: str) -> str:
    """A day, or the first and the last one of several.

    >>> date_words("2026-08 to 2026-10-24", "zh"), date_words("2026", "en")
    ('2026-08 至 2026-10-24', '2026')
    """
    first, to, last = date.partition(" to ")
    return text("ui", "plan-span", language, first=first, last=last) if to else first


@cache
def device_name(name: str, language: str) -> str:
    """The name of a device; what stands beside its maker's own words is in the language of the answer.

    >>> device_name("Instinct MI250X, one of the two GCDs of a module", "en")
    'Instinct MI250X, one of the two GCDs of a module'
    >>> device_name("Instinct MI250X, one of the two GCDs of a module", "zh"), device_name("GB300 (per GPU, NVL72)", "zh")
    ('Instinct MI250X（每个模组 2 颗 GCD，按其中一颗计）', 'GB300（单颗 GPU，NVL72）')
    """
    if language == "en":
        return name
    part = _PART.search(name)
    if part is not None:
        number, kind, whole = (_word(word, language) for word in part.groups())
        name = _PART.sub("", name) + text("ui", "device-part", language, number=number, kind=kind, whole=whole)

    def brackets(found: re.Match[str]) -> str:
        return text("ui", "in-brackets", language, words="，".join(_word(word, language) for word in found[1].split(", ")))

    return _BRACKETS.sub(brackets, name)


def _word(word: str, language: str) -> str:
    code = "device-word-" + re.sub(r"\W+", "-", word.lower())
    return text("ui", code, language) if has("ui", code, language) else word


@cache
def short_device_name(name: str) -> str:
    """A name for a narrow column: without what stands in brackets, and without words that tell no two devices apart.

    >>> short_device_name("GB300 (per GPU, NVL72)"), short_device_name("RTX PRO 6000 Blackwell Server Edition")
    ('GB300', 'RTX PRO 6000 Server')
    >>> short_device_name("Ascend 910C, one of the two dies of a module"), short_device_name("H200 SXM5 141GB")
    ('Ascend 910C die', 'H200 SXM5 141GB')
    """
    short = _BRACKETS.sub("", _PART.sub(lambda part: " " + part[2].removesuffix("s"), name))
    return re.sub(r"\b(Edition|Blackwell(?= (?:Server|Workstation|Max-Q)))\b ?", "", short).strip()
