"""Bands: how far a size may be off, and what was measured behind a constant.

Three kinds of band answer ``around(size)`` with a lower and an upper end, on numbers, arrays and recording symbols alike:

* :class:`Spread`, shares of the size itself;
* :class:`Limits`, ends that were computed otherwise;
* :class:`Band`, a fitted constant that carries its own width, its name, and the measurements behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gpusizer.formulas.core import maximum
from gpusizer.units import GiB

__all__ = ["Around", "Band", "Basis", "Limits", "Spread", "band", "times"]


class Around(Protocol):
    """What has a lower and an upper end around a size."""

    def around(self, size: Any) -> tuple[Any, Any]:
        """Lower and upper end around a size. [bytes]"""
        ...


@dataclass(frozen=True, slots=True)
class Basis:
    """What stands behind a constant: its name, and how many measurements in which range.

    Parameters
    ----------
    name : str
        Engine and constant: ``vllm.context.cuda``.
    n : int
        Set-ups that were measured; 0 for a rule of thumb.
    low, high : float
        The smallest and the largest of them, in ``unit``.
    unit : str
        Unit of the range.
    """

    name: str
    n: int
    low: float
    high: float
    unit: str = "GiB"

    @property
    def source(self) -> str:
        """The constant as a line of the ledger names it.

        >>> Basis("vllm.context.cuda", 25, 0.4, 0.66).source
        'vllm.context.cuda: n = 25, 0.4 to 0.66 GiB'
        """
        return f"{self.name}: n = {self.n}, {self.low:g} to {self.high:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Spread:
    """A band as shares of the size. [share]

    >>> Spread(0.2, 0.5).around(100)
    (80.0, 150.0)
    """

    below: Any
    above: Any

    def around(self, size: Any) -> tuple[Any, Any]:
        """Lower and upper end around a size. [bytes]"""
        return size * (1 - self.below), size * (1 + self.above)


@dataclass(frozen=True, slots=True)
class Limits:
    """A band whose ends are known by themselves. [bytes]"""

    low: Any
    high: Any

    def around(self, size: Any) -> tuple[Any, Any]:
        """The ends, whatever the size. [bytes]"""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Band:
    """A fitted size with the width of its band on each side, and what was measured behind it. [bytes]"""

    bytes: float
    below: float
    above: float
    basis: Basis | None = None

    def around(self, size: Any) -> tuple[Any, Any]:
        """Lower and upper end around a size, never below nothing. [bytes]"""
        return maximum(size - self.below, 0), size + self.above

    @property
    def sources(self) -> tuple[str, ...]:
        """The constant as a line of the ledger names it."""
        return (self.basis.source,) if self.basis else ()


def band(gib: float, below_gib: float, above_gib: float, *, name: str = "", n: int = 0, measured: tuple[float, float] | None = None) -> Band:
    """A constant given in GiB.

    Parameters
    ----------
    gib, below_gib, above_gib : float
        The size, and the width of its band on each side. [GiB]
    name : str
        Engine and constant: ``vllm.context.cuda``.
    n : int
        Set-ups that were measured; 0 for a rule of thumb.
    measured : tuple of float or None
        The smallest and the largest of them; the band itself where no range was written down. [GiB]

    Returns
    -------
    Band
        In bytes.

    Examples
    --------
    >>> band(0.51, 0.15, 0.15, name="vllm.context.cuda", n=25, measured=(0.4, 0.66)).sources
    ('vllm.context.cuda: n = 25, 0.4 to 0.66 GiB',)
    """
    low, high = measured or (gib - below_gib, gib + above_gib)
    return Band(gib * GiB, below_gib * GiB, above_gib * GiB, Basis(name, n, low, high) if name else None)


def times(base: Band, each: Band, count: int) -> Band:
    """A size with a part for each of some things; it keeps the basis of ``base``."""
    return Band(base.bytes + count * each.bytes, base.below + count * each.below, base.above + count * each.above, base.basis)
