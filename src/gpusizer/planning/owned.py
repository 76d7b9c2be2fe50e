"""Devices that somebody has, with their number: "l40s:4", "4xl40s", "4 x L40S"."""

from __future__ import annotations

import re

from gpusizer.errors import FlagError, InputError
from gpusizer.facts.own_card import given_card, is_own_card

__all__ = ["HERE", "MOST_COUNT", "owned", "owned_words", "split_owned", "without_count"]

HERE = "here"
"""The word for the machine at hand, which the command line of that machine replaces by what is there; nobody else may ask what a machine holds."""

MOST_COUNT = 100_000
_BEFORE = re.compile(r"(\d{1,9})\s*[x×*]\s*(?=\S)", re.IGNORECASE)
_BEHIND = re.compile(r"(?:\s*[:×*]|\s+x)\s*(\d{1,9})$", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d{1,9})\s*[x×*]\s*(\d{1,9})", re.IGNORECASE)  # a name of digits: the larger one
_BARE_COUNT = re.compile(r"(\d{1,3})\s+(?=[^\W\d])")


def owned(words: str) -> tuple[str, int]:
    """The name of a device and how many there are.

    Parameters
    ----------
    words : str
        "l40s:4", "4xl40s", "4 x L40S", "2 RTX 3090" or a name alone.

    Returns
    -------
    tuple of (str, int)
        The name as it was written, and the number.

    Raises
    ------
    FlagError
        No device, or more than anybody has.
    InputError
        ``here-elsewhere``: the machine at hand.

    Examples
    --------
    >>> owned("l40s:4"), owned("8 x A100 40GB"), owned("2x4090"), owned("RTX 3090 x2")
    (('l40s', 4), ('A100 40GB', 8), ('4090', 2), ('RTX 3090', 2))
    """
    words = words.strip()
    before, behind, name, count = _BEFORE.match(words) or _BARE_COUNT.match(words), _BEHIND.search(words), words, 1
    if (both := _NUMBERS.fullmatch(words)) is not None:
        count, number = sorted(map(int, both.groups()))
        name = str(number)
    elif behind is not None:
        name, count = words[: behind.start()], int(behind[1])
    elif before is not None:
        name, count = words[before.end() :], int(before[1])
    if not name:
        raise FlagError("bad-machine", found=words[:40])
    if not 1 <= count <= MOST_COUNT:
        raise FlagError("out-of-bounds", option=name[:40], low=1, high=MOST_COUNT, found=str(count))
    if name.lower() == HERE:
        raise InputError("here-elsewhere")
    return name, count


def split_owned(words: str) -> list[str]:
    """The devices of a list with commas; a card that is described has commas of its own.

    >>> split_owned("l40s:4,2 x A100 40GB"), split_owned("2 x 48GB,864GB/s")
    (['l40s:4', '2 x A100 40GB'], ['2 x 48GB;864GB/s'])
    """
    described = is_own_card(owned(words)[0])
    return [words.replace(",", ";")] if described else words.split(",")


def without_count(words: str) -> str:
    """A name in lower case without the number before or behind it: what would be read is seen, whatever stands around it.

    >>> without_count("My.toml:4"), without_count("4 x my.toml"), without_count("4 x my.toml : 2 ")
    ('my.toml', 'my.toml', 'my.toml')
    """
    bare = words.strip().lower()
    while (shorter := _BEHIND.sub("", bare).strip()) != bare:
        bare = shorter
    before = _BEFORE.match(bare) or _BARE_COUNT.match(bare)
    return bare if before is None else bare[before.end() :].strip()


def owned_words(words: str) -> str:
    """The same with the number behind the name; a card that a file describes is read at once.

    >>> owned_words("4 x L40S")
    'L40S:4'
    """
    name, count = owned(words)
    return f"{given_card(name)}:{count}"
