"""What was built for an object is remembered as long as it is asked for: models are large, and a start is asked the same thing several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["once_per_object"]

Key = TypeVar("Key")
Value = TypeVar("Value")

_MOST = 32  # that are kept


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
    kept: dict[int, tuple[Key, Value]] = {}

    def remembered(key: Key) -> Value:
        found = kept.get(id(key))
        if found is not None and found[0] is key:
            return found[1]
        value = build(key)
        while len(kept) >= _MOST:
            kept.pop(next(iter(kept)))
        kept[id(key)] = (key, value)
        return value

    return remembered
