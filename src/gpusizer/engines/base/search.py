"""The largest number that still has room, in a handful of trials: what a device has left falls almost evenly with what is put on it."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["largest"]

_HALVED_EVERY = 4  # trials after which the middle is taken, for room that falls by steps


def largest(room: Callable[[int], float], most: int) -> int:
    """Largest number from 1 to ``most`` whose room is not negative; the next trial is where a straight line through the last two would end.

    Parameters
    ----------
    room : callable
        What is left for a number, negative where it does not fit; it never grows. [bytes]
    most : int
        Largest number that is wanted.

    Returns
    -------
    int
        The number, 0 where not even 1 fits.

    Examples
    --------
    >>> largest(lambda requests: 1000 - 7 * requests, 1 << 20)
    142
    >>> largest(lambda requests: -1, 10), largest(lambda requests: 0, 10)
    (0, 10)
    """
    spare = room(1)  # most starts that are looked at are too large by themselves
    if spare < 0:
        return 0
    short = room(most) if most > 1 else spare
    if short >= 0:
        return most
    low, high, trials, last = 1, most, 0, 0
    while high - low > 1:
        trials += 1
        guess = low + int((high - low) * spare / (spare - short)) if trials % _HALVED_EVERY else (low + high) // 2
        middle = min(max(guess, low + 1), high - 1)
        left = room(middle)
        if left >= 0:
            low, spare = middle, left
            short = short / 2 if last > 0 else short  # the end that stays counts for less, so that both move
            last = 1
        else:
            high, short = middle, left
            spare = spare / 2 if last < 0 else spare
            last = -1
    return low
