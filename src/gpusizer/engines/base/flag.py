"""One flag of an engine: how it is spelled, what kind of value it takes within which bounds, which field it becomes, and what it touches.

This is the only place that says so: the command line, pasted commands, measured cases, help, Python and the printed launch command read it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from gpusizer.errors import FlagError, UnitError
from gpusizer.facts.hosts import host_bandwidth
from gpusizer.units import parse_bytes, parse_share, parse_tokens

__all__ = ["MAX_RANKS", "MAX_TOKENS", "MOST_OTHER_MEMORY", "Effect", "Flag", "Kind", "Value", "json_value", "normal", "passed_over"]

MAX_RANKS = 1 << 14
MOST_OTHER_MEMORY = 1 << 42  # [bytes]
MAX_TOKENS = 1 << 28
MAX_COUNT = 1 << 24
LONGEST_VALUE = 20_000  # characters
MOST_VALUES = 4_096
_SHOWN = 40  # characters of a value that an error repeats
_MOST_BITS = 64  # of a whole number: JSON may bring longer ones
_DEEPEST = 12  # nested JSON

Kind = Literal["count", "tokens", "bytes", "bandwidth", "number", "share", "switch", "setting", "word", "json", "numbers", "words"]
"""What follows a flag: nothing (switch), perhaps something (setting), one word of some form, or all words up to the next flag (numbers, words)."""


Value = bool | int | float | str | tuple[str, ...] | tuple[int, ...] | dict[str, Any] | None
"""What a flag's value is read into."""


class Effect(StrEnum):
    """What a flag touches."""

    MEMORY = "memory"  # memory, and it is counted
    HOST = "host"  # memory of the host alone, and it is not counted
    SPEED = "speed"  # speed alone: it is kept with the start for who predicts speeds
    NOTHING = "nothing"  # neither, or nothing that is predicted
    UNCOUNTED = "uncounted"  # memory of a GPU, and it is not counted: ``caveat`` says what


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    Parameters
    ----------
    spelling : str
        As launch commands print it.
    kind : str
        What kind of value it takes.
    key : str
        Field of a deployment, or its name among the further flags; the spelling with ``_`` where empty.
    also : tuple of str
        Further spellings: short ones, those of other versions, ours; environment variables in capitals.
    low, high : float
        Bounds of a number.
    effect : Effect
        What it touches.
    caveat : str
        Code of the warning for what is not counted.
    left_open : bool
        "auto" leaves the number to the engine and is read as -1; the engine itself also takes "-1".
    repeats : bool
        It may stand several times, and each of them counts.
    case : tuple of str
        Fields of a measured case that say the same.
    choices : tuple of str
        The words that it takes, where they are few.
    source : str
        Where its meaning was read.
    """

    spelling: str
    kind: Kind
    key: str = ""
    also: tuple[str, ...] = ()
    low: float = 0
    high: float = MAX_COUNT
    effect: Effect = Effect.MEMORY
    caveat: str = ""
    left_open: bool = False
    repeats: bool = False
    case: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    source: str = ""

    @property
    def name(self) -> str:
        """Its spelling as a Python word."""
        return self.spelling.lstrip("-").replace("-", "_")

    @property
    def target(self) -> str:
        """Field of a deployment, or its name among the further flags."""
        return self.key or self.name

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way to write it."""
        return (self.spelling, *self.also)

    def read(self, value: object) -> Value:
        """A value in its own type; refused where it is of another kind or out of bounds. None is "not given"."""
        if value is None:
            return None
        if isinstance(value, str) and len(value) > LONGEST_VALUE:
            raise FlagError("bad-word", option=self.spelling, found=value[:_SHOWN])
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise FlagError("out-of-bounds", option=self.spelling, low=self.low, high=self.high, found=f"2^{value.bit_length() - 1} ...")
        match self.kind:
            case "count" | "tokens":
                return self._whole(value)
            case "bytes":
                return int(self._bounded(parse_bytes(_plain(self.spelling, value))))
            case "bandwidth":
                return self._bounded(_bandwidth(_plain(self.spelling, value)))
            case "share":
                share = parse_share(value if isinstance(value, float) else _plain(self.spelling, value))
                return self._bounded(share)
            case "number":
                return self._number(value)
            case _:
                return self._words(value)

    def _words(self, value: object) -> Value:
        if self.choices and value not in self.choices:
            raise FlagError("bad-choice", option=self.spelling, expected=list(self.choices), found=str(value)[:_SHOWN])
        match self.kind:
            case "switch":
                return _switch(self.spelling, value)
            case "setting":
                return _scalar(self.spelling, value)
            case "json":
                return _mapping(self.spelling, value)
            case "numbers":
                return tuple(self._whole(each) for each in _several(value))
            case "words":
                return tuple(_word(self.spelling, each) for each in _several(value))
            case _ if self.repeats:
                each = value if isinstance(value, list | tuple) else [value]
                return tuple(_word(self.spelling, one) for one in each[:MOST_VALUES])
            case _:
                return _word(self.spelling, value)

    def _whole(self, value: object) -> int:
        words = _plain(self.spelling, value)
        if self.left_open and words == "auto":
            return -1
        try:
            number = parse_tokens(words)
        except UnitError as error:
            raise FlagError("bad-count", option=self.spelling, found=words[:_SHOWN]) from error
        return int(self._bounded(number))

    def _number(self, value: object) -> float:
        words = _plain(self.spelling, value)
        if not re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?([eE][-+]?\d{1,2})?", words):
            raise FlagError("bad-number", option=self.spelling, found=words[:_SHOWN])
        return self._bounded(float(words))

    def _bounded(self, number: float) -> float:
        if not self.low <= number <= self.high:
            raise FlagError("out-of-bounds", option=self.spelling, low=self.low, high=self.high, found=str(number)[:_SHOWN])
        return number


def normal(spelling: str) -> str:
    """A spelling as it is looked up: ``_`` and ``-`` are one letter inside a long flag.

    >>> normal("--max_model_len"), normal("-O"), normal("OLLAMA_NUM_PARALLEL")
    ('--max-model-len', '-O', 'OLLAMA_NUM_PARALLEL')
    """
    return spelling.replace("_", "-") if spelling.startswith("-") else spelling


def passed_over(*, switches: str = "", settings: str = "", values: str = "", lists: str = "") -> tuple[Flag, ...]:
    """Flags that change nothing that is predicted, from words; ``|`` joins spellings of one flag.

    >>> [(each.spelling, each.kind, each.also) for each in passed_over(switches="--a", values="--seed|-s")]
    [('--a', 'switch', ()), ('--seed', 'word', ('-s',))]
    """
    kinds: tuple[tuple[Kind, str], ...] = (("switch", switches), ("setting", settings), ("word", values), ("words", lists))
    return tuple(
        Flag(first, kind, also=tuple(others), effect=Effect.NOTHING)
        for kind, words in kinds
        for first, *others in (word.split("|") for word in words.split())
    )


def _plain(spelling: str, value: object) -> str:
    """A number as words; a switch is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise FlagError("flag-needs-value", option=spelling)
    return str(value).strip()


def _bandwidth(words: str) -> float:
    """Words about a host's memory; a bare number is bytes a second, as programs hand it on."""
    return float(words) if re.fullmatch(r"\d{1,16}(\.\d{1,9})?(e\+?\d{1,2})?", words) else host_bandwidth(words).bytes_per_s


def _switch(spelling: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "1", "on", "yes", ""):
        return True
    if word in ("false", "0", "off", "no"):
        return False
    raise FlagError("bad-flag-value", flag=spelling, found=str(value)[:_SHOWN])


def _scalar(spelling: str, value: object) -> bool | int | float | str:
    if isinstance(value, bool | int | float):
        return value
    word = _word(spelling, value)
    return int(word) if re.fullmatch(r"-?\d{1,9}", word) else word


def _word(spelling: str, value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or len(value) > LONGEST_VALUE or not value.isprintable():
        raise FlagError("bad-word", option=spelling, found=str(value)[:_SHOWN])
    return value


def _several(value: object) -> Sequence[object]:
    """The values of a flag that takes several: a list, "[1, 2]", or "1,2"."""
    if isinstance(value, str):
        value = [part for part in re.split(r"[\s,]+", value.strip().strip("[]()")) if part]
    each = list(value) if isinstance(value, list | tuple) else [value]
    return [part for one in each[:MOST_VALUES] for part in (_several(one) if isinstance(one, str) and one.strip()[:1] == "[" else [one])]


def _mapping(spelling: str, value: object) -> dict[str, Any]:
    """A JSON object; also "image=2,video=0" and a lone word, which goes by the name ""."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bool):
        raise FlagError("flag-needs-value", option=spelling)
    words = str(value).strip()
    pairs = re.findall(r"(?:^|,)\s*([A-Za-z_][\w-]{0,63})=([\w.+-]{1,200})", words) if "=" in words and words[:1] != "{" else []
    if pairs:
        return {name: json_value(text) for name, text in pairs}
    found = json_value(words)
    if isinstance(found, dict):
        return found
    if isinstance(found, list) or words[:1] in "{[":
        raise FlagError("bad-json", option=spelling, found=words[:_SHOWN])
    return {"": found}


def json_value(words: str) -> object:
    """What JSON words say; the words themselves where they are none, or nested without measure."""
    try:
        found = json.loads(words, parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return words
    return found if _depth(found) <= _DEEPEST else words


def _depth(value: object, level: int = 0) -> int:
    if level > _DEEPEST or not isinstance(value, dict | list):
        return level
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(each, level + 1) for each in inner), default=level)
