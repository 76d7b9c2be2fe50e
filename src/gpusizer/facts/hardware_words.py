"""What a name of hardware says: the chip, sizes, the form, the maker, in the words of drivers, logs, shops and people, Latin or Chinese.

A name is cut into words; makers, markets and packaging ("NVIDIA", "GeForce", "HBM3", "显卡") say nothing of the chip and drop out. A size ("80GB")
and a form ("SXM5", "PCIe") only narrow what the rest names. The words stand in ``data/hardware_words.toml``.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Said", "hardware_words", "maker_of", "plain_name", "said", "system_key", "without_remarks"]

LONGEST_NAME = 200
_FORMS = dict.fromkeys(("sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6", "hgx", "dgx", "nvlink"), "sxm") | {"oam": "oam", "pcie": "pcie"}
_SIZE = re.compile(r"(\d{1,4}(?:\.\d+)?)\s?-?(?:gib|gb|g)(?![a-z0-9])")
_GLUED = re.compile(r"^(?:rtx|gtx|rx|ascend)(?=\d)")
_MAC = re.compile(
    r"\bmac ?book (?:pro|air)\b(?: 1[3-6](?:[ -]?inch)?(?=[^\w-]))?|\bmac (?:studio|mini|pro)\b|\bimac\b|\b\d+[ -]?(?:core|核)(?: gpu)?\b"
)
_WORD = re.compile(r"[a-z0-9]+|[^\W\da-z_]+")


class Said(NamedTuple):
    """What a name says.

    Parameters
    ----------
    key : str
        What names the chip, joined to one word.
    sizes : tuple of float
        Memory. [GB]
    form : str
        "sxm", "oam", "pcie", or empty.
    makers : frozenset of str
        Makers that are told; empty where none is.
    """

    key: str
    sizes: tuple[float, ...]
    form: str
    makers: frozenset[str]


@cache
def hardware_words() -> Mapping[str, Any]:
    """The tables of ``data/hardware_words.toml``.

    >>> hardware_words()["chinese"]["昇腾"]
    'ascend'
    """
    with (Path(__file__).parent / "data" / "hardware_words.toml").open("rb") as stream:
        return tomllib.load(stream)


@cache
def _silent() -> Mapping[str, str]:
    """Words that name no device, with the maker that they tell or an empty string."""
    words = dict.fromkeys(hardware_words()["silent"]["words"].split(), "")
    return words | {word: maker for maker, entries in hardware_words()["makers"].items() for word in entries}


@cache
def _makers() -> Mapping[str, str]:
    """Words that tell the maker, with it."""
    tables = (hardware_words()["makers"], hardware_words()["lines"])
    return {word: maker for table in tables for maker, entries in table.items() for word in entries}


@cache
def _chinese() -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, hardware_words()["chinese"]), key=len, reverse=True)))


def plain_name(name: str) -> str:
    """A name in small Latin letters: Chinese words become those of the records, what stands in brackets of a bus listing is the name.

    >>> plain_name("华为昇腾910B3"), plain_name("GA102 [GeForce RTX 3090]")
    ('huawei ascend 910b3', 'geforce rtx 3090')
    """
    if len(name) > LONGEST_NAME:
        return ""
    wanted = unicodedata.normalize("NFKC", name).strip().lower()
    bracket = re.fullmatch(r"[a-z0-9 ./-]{2,30} \[([^\[\]]+)\](?: \(rev [0-9a-f]+\))?", wanted)
    wanted = bracket[1] if bracket else wanted
    device = re.fullmatch(r"(?:cuda|rocm|hip|vulkan|sycl|metal|cann|musa)\d{0,2} ?\(([^()]+)\)", wanted)  # "CUDA0 (NVIDIA GeForce RTX 3090)"
    wanted = device[1] if device else wanted
    wanted = re.sub(r"(?<![a-z0-9])(\d{1,2}|[双两四八]) ?(?:卡|张卡?|块|台|片)", r" \1x ", wanted)
    words = hardware_words()["chinese"]
    wanted = _chinese().sub(lambda found: f" {words[found[0]]} ", wanted)
    wanted = re.sub(r"\bmoore threads\b", "mthreads", wanted)
    wanted = wanted.replace("dgx spark", "dgxspark").replace("dgx-spark", "dgxspark")  # a desktop box, no DGX server
    if re.search(r"\bm\d\b", wanted):  # the chip of a Mac says it all
        wanted = _MAC.sub(" ", wanted)
    return re.sub(r"\s+", " ", wanted).strip()


def without_remarks(words: str) -> str:
    """A plain name without what stands in parentheses; "Max+ 395" is one name, "A + B" are two."""
    return re.sub(r"(?<=\w)\+(?=\s|$)", " ", re.sub(r"\([^()]*\)", " ", words))


def said(words: str) -> Said:
    """What a plain name says.

    >>> said("nvidia h100 80gb hbm3")[:3], said("mthreads s4000").makers
    (('h100', (80.0,), ''), frozenset({'Moore Threads'}))
    """
    sizes = tuple(float(match) for match in _SIZE.findall(words))
    kept: list[str] = []
    makers: set[str] = set()
    form, silent = "", _silent()
    for word in _WORD.findall(_SIZE.sub(" ", words)):
        glued = _GLUED.match(word)
        bare = word[glued.end() :] if glued else word
        if maker := _makers().get(glued[0] if glued else word):
            makers.add(maker)
        if bare in _FORMS and not form:
            form = _FORMS[bare]
        elif bare not in silent:
            kept.append(bare)
    return Said("".join(kept), sizes, form, frozenset(makers))


def maker_of(words: str) -> str | None:
    """The one maker that a name tells; None where none or several are told.

    >>> maker_of("华为"), maker_of("h100")
    ('Huawei', None)
    """
    makers = said(plain_name(words)).makers
    return next(iter(makers)) if len(makers) == 1 else None


def system_key(words: str) -> str:
    """The words of a server or desktop joined to one, without makers, sizes and what names no device; forms stay, as they belong to its name."""
    bare = _WORD.findall(_SIZE.sub(" ", words))
    return "".join(word for word in bare if word not in _silent())
