"""One input of a request: its name, its option, and how it is read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gpusizer.engines.base.flag import MOST_OTHER_MEMORY
from gpusizer.errors import FlagError, InputError
from gpusizer.facts.own_card import given_card, split_gpus
from gpusizer.facts.rates import read_rates
from gpusizer.planning.drafts import read_drafts
from gpusizer.planning.owned import owned_words, split_owned
from gpusizer.units import format_share, parse_bytes, parse_duration_s, parse_share, parse_tokens

__all__ = ["CALIBRATE", "CHECKPOINT", "WITH_MODELS", "Field", "checked_size"]

MAX_COUNT = 10**9
MAX_TOKENS = 2**28  # longer than any context that a model declares
MAX_ENTRIES = 512  # of a list of accelerators
MAX_COMPANIONS = 8  # models beside the language model
MAX_WORD = 4096  # characters of a path
MAX_BYTES = 10**14  # of the files of one model
MAX_SIZE_WORDS = 40
MAX_BITS = 64  # of a whole number: JSON may bring longer ones, which no arithmetic takes


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a request.

    Parameters
    ----------
    name : str
        Name in Python, JSON and query strings.
    kind : str
        "word", "gpu", "owned", "choice", "count", "tokens", "bytes", "share", "spread", "rate", "seconds", "drafts", "currency".
    option : str
        Option of the command line; empty for the argument MODEL.
    choices : tuple of str
        What a "choice" may be.
    many : bool
        May be given again, or with commas; the value is a tuple.
    lowest : int
        The smallest number of a count, of tokens, of bytes.
    most : int
        Entries of a list.
    """

    name: str
    kind: str
    option: str
    choices: tuple[str, ...] = ()
    many: bool = False
    lowest: int = 1
    most: int = MAX_ENTRIES

    def read(self, value: Any) -> Any:
        """The value in its own type, from text or from a number.

        Raises
        ------
        UnitError, FlagError
            What cannot be read, or is outside its bounds.
        """
        if value is None:
            return None
        if self.many:
            return tuple(map(self._one, self._entries(value)))
        return self._one(value)

    def _entries(self, value: Any) -> list[Any]:
        """The entries of a list, or of words with commas, as many as a catalogue has."""
        given = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
        found = [word for entry in given[: self.most + 1] for word in (_split(self, entry) if isinstance(entry, str) else [entry])]
        if len(found) > self.most:
            raise InputError("bad-list", found=str(found[0])[:40], most=self.most)
        return found

    def _one(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise FlagError("bad-word", option=self.label, found=str(value)[:40])
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise FlagError("out-of-bounds", option=self.label, low=0, high=MAX_COUNT, found=f"2^{value.bit_length() - 1} ...")
        return _READERS[self.kind](self, value)

    @property
    def label(self) -> str:
        """What an error calls it."""
        return self.option or "MODEL"

    def write(self, value: Any) -> str:
        """The value as a person would type it; :meth:`read` gives it back."""
        if self.kind == "share":
            words = format_share(value)
            if parse_share(words) == value:
                return words
        words = format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)
        return words + {"seconds": "s", "bytes": "B"}.get(self.kind, "")


def _split(field: Field, words: str) -> list[str]:
    """The entries of a list with commas; a card that is described has commas of its own."""
    return split_owned(words) if field.kind == "owned" else split_gpus(words) if field.kind == "gpu" else words.split(",")


def _word(field: Field, value: Any) -> str:
    words = str(value).strip()
    if not words or len(words) > MAX_WORD or "\0" in words or not _is_text(words):
        raise FlagError("bad-word", option=field.label, found=words[:40])
    return words


def _is_text(words: str) -> bool:
    """Whether it can be written down: bytes of a path that are no UTF-8 can, half a character of UTF-16 cannot."""
    try:
        words.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _choice(field: Field, value: Any) -> str:
    words = str(value).strip().lower()
    if words not in field.choices:
        raise FlagError("bad-choice", option=field.label, expected=list(field.choices), found=str(value)[:40])
    return words


def _currency(field: Field, value: Any) -> str:
    words, known = str(value).strip().upper(), tuple(read_rates().per_usd)
    words = "CNY" if words == "RMB" else words
    if words not in known:
        raise FlagError("bad-choice", option=field.label, expected=list(known), found=str(value)[:40])
    return words


def _whole(field: Field, number: float, highest: int, found: Any) -> int:
    if not field.lowest <= number <= highest or number % 1:
        raise FlagError("out-of-bounds", option=field.label, low=field.lowest, high=highest, found=str(found)[:40])
    return int(number)


def _count(field: Field, value: Any) -> int:
    try:
        number = float(value) if not isinstance(value, str) else int(value.replace(",", "").replace("_", "")[:40])
    except ValueError as error:
        raise FlagError("bad-count", option=field.label, found=str(value)[:40]) from error
    return _whole(field, number, MAX_COUNT, value)


def _tokens(field: Field, value: Any) -> int:
    if isinstance(value, str) and value.strip().startswith("-"):
        raise FlagError("out-of-bounds", option=field.label, low=field.lowest, high=MAX_TOKENS, found=value[:40])
    return _whole(field, parse_tokens(value) if isinstance(value, str) else value, MAX_TOKENS, value)


def _rate(field: Field, value: Any) -> float:
    words = str(value).strip().lower().removesuffix("/s")
    try:
        number = float(words)
    except ValueError as error:
        raise FlagError("bad-rate", option=field.label, found=str(value)[:40]) from error
    if not number > 0:
        raise FlagError("bad-rate", option=field.label, found=str(value)[:40])
    if number > MAX_COUNT:
        raise FlagError("out-of-bounds", option=field.label, low=0, high=MAX_COUNT, found=str(value)[:40])
    return number


def _spread(field: Field, value: Any) -> float:
    """A standard deviation over its mean: a share that may be 0."""
    words = str(value).strip()
    return 0.0 if words in ("0", "0.0", "0%") else parse_share(value)


def _bytes(field: Field, value: Any) -> int:
    if isinstance(value, str) and len(value) > MAX_SIZE_WORDS:
        raise FlagError("bad-word", option=field.label, found=value[:40])
    highest = MOST_OTHER_MEMORY if field.name == "other_memory_bytes" else MAX_BYTES
    return _whole(field, parse_bytes(value) if isinstance(value, str) else value, highest, value)


_READERS: Mapping[str, Callable[[Field, Any], Any]] = {
    "word": _word,
    "gpu": lambda field, value: given_card(_word(field, value)),
    "owned": lambda field, value: owned_words(_word(field, value)),
    "choice": _choice,
    "count": _count,
    "tokens": _tokens,
    "bytes": _bytes,
    "share": lambda field, value: parse_share(value),
    "spread": _spread,
    "rate": _rate,
    "seconds": lambda field, value: parse_duration_s(value),
    "drafts": lambda field, value: read_drafts(str(value), field.label),
    "currency": _currency,
}


CHECKPOINT = Field("checkpoint_bytes", "bytes", "--checkpoint-size")
"""Size of the files of a model, of a plan as of one start."""

WITH_MODELS = Field("with_models", "word", "--with", many=True, most=MAX_COMPANIONS)
"""Models beside the language model, of a plan as of one start."""


CALIBRATE = Field("calibrate", "word", "--calibrate")
"""Own measured cases, of a plan as of one start or a simulation."""


def checked_size(value: Any) -> int | None:
    """The size of a model's files within its bounds, as text or as a number; None where nobody told it. [bytes]

    >>> checked_size("23.3GB"), checked_size(None)
    (23300000000, None)
    """
    size: int | None = CHECKPOINT.read(value)
    return size
