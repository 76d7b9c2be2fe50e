"""Prompts of so many tokens that no cache has seen: random words, each about a token in any vocabulary."""

from __future__ import annotations

import random

__all__ = ["Prompts"]

_WORDS = (  # of daily use, so that each is about one token
    *("time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state", "family", "student", "group"),
    *("country", "problem", "hand", "part", "place", "case", "week", "company", "system", "program", "question", "work", "government", "number"),
    *("night", "point", "home", "water", "room", "mother", "area", "money", "story", "fact", "month", "lot", "right", "study", "book", "eye"),
    *("job", "word", "business", "issue", "side", "kind", "head", "house", "service", "friend", "father", "power", "hour", "game", "line"),
)


class Prompts:
    """Random prompts whose length in tokens follows from what the server counted.

    Parameters
    ----------
    tokens : int
        Wanted length. [tokens]
    seed : int or None
        The same gives the same prompts; None other ones each time, so that no earlier run has left them in a cache.

    Examples
    --------
    >>> prompts = Prompts(100, seed=1)
    >>> len(prompts.next().split()), prompts.next() == prompts.next()
    (100, False)
    >>> prompts.learn(words=100, tokens=210)  # a template of 10, and two tokens a word would say 210
    >>> len(prompts.next().split())
    48
    """

    def __init__(self, tokens: int, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._wanted = tokens
        self._count = max(tokens, 1)

    @property
    def words(self) -> int:
        """Words of the next prompt."""
        return self._count

    def next(self) -> str:
        """One prompt, from its first word on unlike any other."""
        return " ".join(self._random.choices(_WORDS, k=self._count))

    def learn(self, words: int, tokens: float) -> None:
        """Lengthen or shorten prompts by what the server counted for so many words."""
        self._count = max(round(words * self._wanted / max(tokens, 1.0)), 1)
