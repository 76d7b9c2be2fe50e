"""How far predictions lie from measurements: one error a case, and what many of them come to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Accuracy", "Compared", "OverOwners", "accuracy_of", "quantile", "signed_error", "weighted_quantile"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One predicted quantity of one case beside what was measured.

    Parameters
    ----------
    predicted, low, high : float or bool
        The prediction and its band, in the unit of the quantity's name; booleans for "fits".
    measured : float, bool or None
        What the log says, None where it says nothing.
    """

    predicted: float | bool
    low: float | bool
    high: float | bool
    measured: float | bool | None = None

    @property
    def error(self) -> float | None:
        """Signed share of the measured value by which the prediction lies above it; None where nothing was measured."""
        return None if self.measured is None else signed_error(self.predicted, self.measured)

    @property
    def width(self) -> float | None:
        """How wide the band is, as a share of the prediction; None for what is no size, or predicted as nothing."""
        return None if isinstance(self.predicted, bool) or not self.predicted else (self.high - self.low) / abs(self.predicted)

    @property
    def inside(self) -> bool | None:
        """Whether the measured value lies within the band."""
        return None if self.measured is None else self.low <= self.measured <= self.high

    def to_dict(self) -> dict[str, Any]:
        """As plain data by the names of the public JSON."""
        return {"predicted": self.predicted, "low": self.low, "high": self.high, "measured": self.measured, "error": self.error}


@dataclass(frozen=True, slots=True)
class OverOwners:
    """The same with one voice for each owner of measurements, however many cases it has.

    Parameters
    ----------
    owners : int
        How many there are.
    median_abs_error, p90_abs_error : float
        Median and 90th percentile of the errors without their sign.
    inside_band : float
        Share of the measured values that lie within the predicted band.
    """

    owners: int
    median_abs_error: float
    p90_abs_error: float
    inside_band: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Errors of one quantity over all cases in which it was predicted and measured.

    Parameters
    ----------
    n : int
        Cases with an error.
    measured : int
        Cases in which it was measured, predicted or not.
    median_abs_error, p90_abs_error : float or None
        Median and 90th percentile of the errors without their sign; None without any.
    bias : float or None
        Mean of the errors with their sign.
    inside_band : float or None
        Share of the cases whose measured value lies within the predicted band.
    median_width : float or None
        Median width of the bands, as a share of the prediction.
    over_owners : OverOwners or None
        With one voice for each owner; None without any error.
    """

    n: int
    measured: int
    median_abs_error: float | None
    p90_abs_error: float | None
    bias: float | None
    inside_band: float | None
    median_width: float | None = None
    over_owners: OverOwners | None = None


def signed_error(predicted: float, measured: float) -> float | None:
    """(predicted - measured) / measured; None where nothing can be divided: a measured zero that was not predicted.

    >>> signed_error(110, 100), signed_error(0, 0), signed_error(1, 0), signed_error(True, False), signed_error(False, True)
    (0.1, 0.0, None, 1.0, -1.0)
    """
    if isinstance(predicted, bool) or isinstance(measured, bool):
        return float(predicted) - float(measured)
    if measured == 0:
        return 0.0 if predicted == 0 else None
    return (predicted - measured) / abs(measured)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies, in a straight line between neighbours.

    Parameters
    ----------
    values : sequence of float
        At least one.
    share : float
        0 for the smallest, 1 for the largest.

    Returns
    -------
    float
        The quantile.

    Examples
    --------
    >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5), quantile([0.0, 10.0], 0.9)
    (2.5, 9.0)
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def weighted_quantile(values: Sequence[tuple[float, float]], share: float) -> float:
    """The smallest value at or below which a share of the weight lies.

    Parameters
    ----------
    values : sequence of (float, float)
        Values with their weights, at least one.
    share : float
        Above 0, at most 1.

    Returns
    -------
    float
        One of the values.

    Examples
    --------
    >>> weighted_quantile([(0.1, 0.5), (0.2, 0.5), (0.9, 1.0)], 0.5), weighted_quantile([(0.1, 0.5), (0.2, 0.5), (0.9, 1.0)], 0.9)
    (0.2, 0.9)
    """
    whole, below = math.fsum(weight for _, weight in values), 0.0
    ordered = sorted(values)
    for value, weight in ordered:
        below += weight
        if below >= share * whole * (1 - 1e-12):
            return value
    return ordered[-1][0]


def accuracy_of(found: Sequence[Compared], unpredicted: int = 0, owners: Sequence[str] | None = None) -> Accuracy:
    """What the errors of one quantity come to.

    Parameters
    ----------
    found : sequence of Compared
        Its cases.
    unpredicted : int
        Cases in which it was measured but not predicted.
    owners : sequence of str or None
        Who published each case; None for an owner of its own for each.

    Returns
    -------
    Accuracy
        Counts and errors.

    Examples
    --------
    >>> cases = [Compared(75, 70, 80, 100), Compared(150, 120, 160, 100), Compared(150, 90, 160, 100)]
    >>> found = accuracy_of(cases, owners=("a", "b", "b"))
    >>> found.n, found.median_abs_error, found.bias, round(found.inside_band, 2), found.over_owners.owners, found.over_owners.inside_band
    (3, 0.5, 0.25, 0.33, 2, 0.25)
    """
    measured = sum(1 for case in found if case.measured is not None) + unpredicted
    named = owners or [str(number) for number in range(len(found))]
    judged = [(case, error, owner) for case, owner in zip(found, named, strict=True) if (error := case.error) is not None]
    if not judged:
        return Accuracy(0, measured, None, None, None, None)
    rows = Counter(owner for _, _, owner in judged)
    sizes = [(abs(error), 1 / rows[owner]) for _, error, owner in judged]
    inside = [1 / rows[owner] for case, _, owner in judged if case.inside]
    widths = [width for case, _, _ in judged if (width := case.width) is not None]
    return Accuracy(
        n=len(judged),
        measured=measured,
        median_abs_error=quantile([size for size, _ in sizes], 0.5),
        p90_abs_error=quantile([size for size, _ in sizes], 0.9),
        bias=math.fsum(error for _, error, _ in judged) / len(judged),
        inside_band=len(inside) / len(judged),
        median_width=quantile(widths, 0.5) if widths else None,
        over_owners=OverOwners(len(rows), weighted_quantile(sizes, 0.5), weighted_quantile(sizes, 0.9), math.fsum(inside) / len(rows)),
    )
