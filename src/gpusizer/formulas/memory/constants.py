"""Lines that are a constant, a share of something, or a sum of named parts."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from gpusizer.formulas.core import formula

__all__ = ["constant_bytes", "constant_for_each_bytes", "set_aside_bytes", "share_bytes", "sum_bytes"]


@formula(
    "memory.constants.fitted",
    unit="bytes",
    symbols={"fitted_bytes": "bytes"},
    reference="fitted to start-up logs; the line's sources name the constant, how many set-ups were measured, and their range",
    example={"fitted_bytes": 547608330},
)
def constant_bytes(*, fitted_bytes: Any) -> Any:
    """A size that depends on nothing that is counted here.

    Parameters
    ----------
    fitted_bytes : float
        The constant. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> constant_bytes(fitted_bytes=547608330)
    547608330
    """
    return fitted_bytes


@formula(
    "memory.constants.for_each",
    unit="bytes",
    symbols={"first_bytes": "bytes", "count": "count", "each_bytes": "bytes"},
    reference="fitted to start-up logs; the line's sources name the constants, how many set-ups were measured, and their range",
    example={"first_bytes": 75161928, "count": 6, "each_bytes": 193273528},
)
def constant_for_each_bytes(*, first_bytes: Any, count: Any, each_bytes: Any) -> Any:
    """A size with a part for each of some things: GPUs beyond the first, ranks, groups.

    Parameters
    ----------
    first_bytes, each_bytes : float
        Whatever their number; for each of them. [bytes]
    count : int
        How many there are. [count]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> constant_for_each_bytes(first_bytes=75161928, count=6, each_bytes=193273528)
    1234803096
    """
    return first_bytes + count * each_bytes


@formula(
    "memory.constants.share",
    unit="bytes",
    symbols={"share": "share", "of_bytes": "bytes"},
    reference="arithmetic; the line's sources name the share, how many set-ups were measured, and their range",
    example={"share": 0.08, "of_bytes": 4000000000},
)
def share_bytes(*, share: Any, of_bytes: Any) -> Any:
    """A fitted share of something that is counted.

    Parameters
    ----------
    share : float
        The share. [share]
    of_bytes : int
        Of this. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> share_bytes(share=0.08, of_bytes=4000000000)
    320000000.0
    """
    return share * of_bytes


@formula(
    "memory.constants.sum",
    unit="bytes",
    symbols={"parts": "bytes"},
    reference="arithmetic: the parts by their names",
    example={"growth_bytes": 268435456, "workspace_bytes": 134217728},
)
def sum_bytes(**parts: Any) -> Any:
    """The sum of parts that are named.

    Parameters
    ----------
    **parts : float
        Each part by its name. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> sum_bytes(growth_bytes=268435456, workspace_bytes=134217728)
    402653184
    """
    return reduce(add, parts.values())


@formula(
    "memory.constants.set_aside",
    unit="bytes",
    symbols={"set_aside_bytes": "bytes"},
    reference="the engine's own setting; the line's sources name it",
    example={"set_aside_bytes": 4294967296},
)
def set_aside_bytes(*, set_aside_bytes: Any) -> Any:
    """A size that the engine sets aside as it was told.

    Parameters
    ----------
    set_aside_bytes : int
        What it was told. [bytes]


    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> set_aside_bytes(set_aside_bytes=4294967296)
    4294967296
    """
    return set_aside_bytes
