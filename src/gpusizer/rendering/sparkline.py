"""Values over time as a line of blocks, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Values as blocks, the highest of each column.

    >>> sparkline([0, 1, 2, 4], 4), sparkline([], 4)
    ('▁▃▅█', '')
    """
    if not values:
        return ""
    width = min(width, len(values))
    columns = [max(values[number * len(values) // width : max((number + 1) * len(values) // width, 1)]) for number in range(width)]
    most = max(columns)
    return "".join(_BLOCKS[round(each / most * (len(_BLOCKS) - 1)) if most > 0 else 0] for each in columns)
