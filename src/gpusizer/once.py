"""What was worked out is kept as long as it is asked for, within bounds: models are large, and a start is asked the same thing several times."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

__all__ = ["Remembered", "once_per_object"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_MOST = 32  # objects that are kept
_MISSING: Any = object()


class Remembered(dict[Key, Value]):
    """A table of so many entries: one more pushes out the oldest. Several threads may ask it.

    Parameters
    ----------
    most : int
        Entries that are kept.

    Examples
    --------
    >>> kept = Remembered(2)
    >>> [kept.once(number, lambda: number * number) for number in (1, 2, 1, 3)], list(kept)
    ([1, 4, 1, 9], [2, 3])
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()

    def once(self, key: Key, build: Callable[[], Value]) -> Value:
        """What is kept under a key, built where nothing is."""
        found: Value = self.get(key, _MISSING)
        if found is _MISSING:
            found = self[key] = build()
        return found

    def __setitem__(self, key: Key, value: Value) -> None:
        with self._lock:
            while len(self) >= self._most and key not in self:
                del self[next(iter(self))]
            super().__setitem__(key, value)


def once_per_object(build: Callable[[Key], Value]) -> Callable[[Key], Value]:
    """Remember what was built for an object, by identity; the last few are kept.

    Parameters
    ----------
    build : callable
        Builds something of an object that never changes.

    Returns
    -------
    callable
        The same, remembered.
    """
    kept: Remembered[int, tuple[Key, Value]] = Remembered(_MOST)

    def remembered(key: Key) -> Value:
        found = kept.get(id(key))
        if found is not None and found[0] is key:
            return found[1]
        value = build(key)
        kept[id(key)] = (key, value)
        return value

    return remembered
