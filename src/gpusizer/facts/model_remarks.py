"""A model's name among other words: a remark, a publisher, a tuner's own name, a folder of a cache, the endings of a file.

What stands around a name leaves the shapes alone or makes another model of it. A size, a line ("Flash", "Lite"), a draft, a pruned or a merged model
is another one, so that a name with such a word beside it is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from gpusizer.units import GB

__all__ = ["Reading", "another_line", "readings", "same_size"]

LONGEST_WORDS = 400
_MOST_WORDS = 24
_MOST_BEFORE = 4  # words before a name: a publisher, a tuner, a prefix of a converter
_SAME_SIZE = 0.03
_ENDINGS = re.compile(r"(-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)
_SIZE = re.compile(r"(\d{1,5}(?:\.\d+)?)b", re.IGNORECASE)
_NUMBER = r"a?\d+(\.\d+)?[bmt]|\d{1,2}x\d+(\.\d+)?b|\d{1,2}e|v\d+\.\d+"
_ACTIVE = re.compile(r"a\d+(\.\d+)?b", re.IGNORECASE)  # beside a size it says nothing more ("GLM-4.6-355B-A32B")
_VERSION = re.compile(r"\d{1,3}(\.\d+)?")  # directly behind a name it is a part of it
# Another line of a family, a teacher's pupil, a model that helps another one, one with parts taken out or put in.
_LINE = (
    r"distill(?!ed)\w*|lite|mini|small|large|flash|air|vl|vision|coder|code|math|omni|nano|super|ultra|pro|max|next|turbo|tiny|plus|audio|nemotron|linear|think|dev|"
    r"ocr|asr|tts|image|multimodal|embed\w*|rerank\w*|guard|reward|eagle\d?|draft\w*|dflash|speculator[\w.]*|assistant|medusa|adapter|lora|reap|prun\w*|"
    r"merge|puzzle|onevision"
)
_ANOTHER = re.compile(rf"({_NUMBER}|{_LINE})", re.IGNORECASE)
# Before a name: a model that is built around the one named, or taught by it.
_AROUND = re.compile(rf"({_LINE}|llava\w*|internvl\w*|minicpm\w*|ovis\w*|idefics\w*|e5|gte|bge|eagle\w*|smol\w*|deci\w*)", re.IGNORECASE)
_KINDS = ("instruct", "thinking", "reasoning", "preview")  # a word that is nearly one of these was meant to be it
_CACHED = re.compile(r"(?:^|/)models--([^/]+?)--([^/]+)")


class Reading(NamedTuple):
    """One way to read words as a name.

    Parameters
    ----------
    name : str
        The name.
    rest : str
        What was left out.
    sizes : tuple of float
        Parameters that are told among what was left out.
    """

    name: str
    rest: str
    sizes: tuple[float, ...]


def readings(words: str) -> Iterator[Reading]:
    """Ways to read words as a name, those that leave out least first.

    Parameters
    ----------
    words : str
        As written; more than 400 letters are not read.

    Yields
    ------
    Reading
        Readings.

    Examples
    --------
    >>> [each.name for each in readings("DeepSeek-R1-11446-Q2_K-00001-of-00030.gguf")][2:4]
    ['DeepSeek-R1-11446', 'DeepSeek-R1']
    >>> [each.name for each in readings("models--Qwen--Qwen3-8B/snapshots/0123abcd")][:1]
    ['Qwen3-8B']
    """
    words = words[:LONGEST_WORDS].strip()
    if cached := _CACHED.search(words):
        words = f"{cached[1]}/{cached[2]}"
    remark = " ".join(re.findall(r"\(([^()]*)\)?", words))
    plain = _ENDINGS.sub("", re.sub(r"\([^()]*\)?", " ", words).strip())
    last = plain.rstrip("/").rpartition("/")[2]
    folder = "-".join(plain.rstrip("/").split("/")[-2:])  # "GLM-5.2-GGUF/UD-IQ2_M": a file by its folder and its precision
    choice = plain.replace("/", "-or-") if "/" in plain and " " in plain else last  # "DeepSeek-V3 or R1"
    for reading in dict.fromkeys((choice, last, folder)):
        for spelled in dict.fromkeys((_spaced(reading), _pointed(_spaced(reading)))):
            yield from _shorter(spelled, remark)


def _shorter(name: str, remark: str) -> Iterator[Reading]:
    parts = [part for part in re.split(r"[\s_:-]+|(?<=[a-z])\.(?=q\d)", name) if part][:_MOST_WORDS]
    for start in range(min(len(parts), _MOST_BEFORE)):
        if any(_AROUND.fullmatch(part) for part in parts[:start]):
            break
        for end in range(len(parts), start, -1):
            behind = parts[end:]
            if any(_ANOTHER.fullmatch(part) and not _SIZE.fullmatch(part) and not _ACTIVE.fullmatch(part) for part in behind):
                break
            if any(map(_misspelt, behind)):
                break
            sizes = tuple(float(size[1]) * GB for part in behind if (size := _SIZE.fullmatch(part)))
            alone = not sizes and any(_ACTIVE.fullmatch(part) for part in behind)
            if alone or (behind and _VERSION.fullmatch(behind[0])) or _pupil(parts[start:end], behind):
                continue
            yield Reading("-".join(parts[start:end]), " ".join((*behind, remark)), sizes)


def _misspelt(part: str) -> bool:
    """Whether a word was to tell one kind of a model from another."""
    return part.lower() not in _KINDS and bool(get_close_matches(part.lower(), _KINDS, 1, 0.8))


def _pupil(named: list[str], behind: list[str]) -> bool:
    """Whether a model was distilled from the one named: who tells the size of what was tuned means that one ("Qwen3.5-27B-Opus-Distilled")."""
    return any(part.lower() == "distilled" for part in behind) and not any(_SIZE.fullmatch(part) for part in named)


def same_size(reading: Reading, total: float | None) -> bool:
    """Whether the sizes beside a name are those of the model.

    >>> same_size(Reading("deepseek-v3", "671b", (671e9,)), 671e9), same_size(Reading("deepseek-v3", "draft 1b", (1e9,)), 671e9)
    (True, False)
    """
    return all(abs(size - (total or 0)) <= _SAME_SIZE * (total or 0) for size in reading.sizes)


def another_line(words: str) -> bool:
    """Whether words that stand behind a name make another model of it; a size does not, as a family of one size is meant without it.

    >>> another_line("pro"), another_line("70b-instruct")
    (True, False)
    """
    return any(re.fullmatch(_LINE, part, re.IGNORECASE) for part in words.split("-"))


def _spaced(name: str) -> str:
    """ "gemma3:12b" as "gemma-3:12b" and "Llama-3_1" as "Llama-3.1": a version apart from its name, its parts joined by a point."""
    name = re.sub(r"(?<=[^.\dqQ]\d)_(?=\d(?![\da-z.]))", ".", name)
    return re.sub(r"(?<=[a-z]{4})(?=\d+:)", "-", name)


def _pointed(name: str) -> str:
    """ "qwen38-27b" as "qwen3.8-27b", "glm51-nvfp4" as "glm-5.1-nvfp4": a version of two digits without its point, as served names have it."""

    def apart(found: re.Match[str]) -> str:
        joint = "" if found[1].lower() == "qwen" else "-"
        return f"{found[1]}{joint}{found[2]}.{found[3]}"

    return re.sub(r"^([A-Za-z]{3,})-?(\d)(\d)(?=-)", apart, name)
