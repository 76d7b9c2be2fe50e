"""How many GPUs one replica may have, and in which order sizes are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gpusizer.facts.types import Accelerator

__all__ = ["MOST_NODES", "first_guess", "replica_sizes", "smallest_index"]

MOST_NODES = 16  # servers that one replica may span
ONE_BY_ONE = 4  # sizes below a server are not monotone (a width may divide by 8 and not by 2), so they are tried in turn
ROOMY = 0.85  # share of a GPU that weights fill at most in the first size that is tried


def replica_sizes(accelerator: Accelerator, max_gpus: int | None) -> Iterator[int]:
    """GPUs of one replica, from one GPU over parts of a server to whole servers."""
    node = accelerator.node_size
    size = 1
    while size < node:
        if max_gpus is None or size <= max_gpus:
            yield size
        size *= 2
    for nodes in range(1, MOST_NODES + 1):
        if max_gpus is not None and nodes * node > max_gpus:
            return
        yield nodes * node


def smallest_index(count: int, guess: int, holds: Callable[[int], bool]) -> int | None:
    """First index for which it holds, looked for around a guess: down while it holds, up one by one, then by halves (large sizes are monotone)."""
    index = guess
    if index < count and holds(index):
        while index and holds(index - 1):
            index -= 1
        return index
    for index in range(guess + 1, min(guess + ONE_BY_ONE, count)):
        if holds(index):
            return index
    low, high = min(guess + ONE_BY_ONE, count), count
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low if low < count else None


def first_guess(sizes: list[int], accelerator: Accelerator, weights_bytes: int) -> int:
    """Index of the first size whose weights leave a tenth of each GPU."""
    roomy = (index for index, gpus in enumerate(sizes) if weights_bytes < gpus * accelerator.memory_bytes * ROOMY)
    return next(roomy, max(len(sizes) - 1, 0))
