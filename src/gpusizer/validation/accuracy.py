"""How far predictions lie from measurements: one error a case, and what many of them come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Accuracy", "Compared", "accuracy_of", "quantile", "signed_error"]


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
    def inside(self) -> bool | None:
        """Whether the measured value lies within the band."""
        return None if self.measured is None else self.low <= self.measured <= self.high

    def to_dict(self) -> dict[str, Any]:
        """As plain data by the names of the public JSON."""
        return {"predicted": self.predicted, "low": self.low, "high": self.high, "measured": self.measured, "error": self.error}


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
    """

    n: int
    measured: int
    median_abs_error: float | None
    p90_abs_error: float | None
    bias: float | None
    inside_band: float | None


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


def accuracy_of(found: Sequence[Compared], unpredicted: int = 0) -> Accuracy:
    """What the errors of one quantity come to.

    Parameters
    ----------
    found : sequence of Compared
        Its cases.
    unpredicted : int
        Cases in which it was measured but not predicted.

    Returns
    -------
    Accuracy
        Counts and errors.

    Examples
    --------
    >>> found = accuracy_of([Compared(75, 70, 80, 100), Compared(150, 120, 160, 100)])
    >>> found.n, found.median_abs_error, found.bias, found.inside_band
    (2, 0.375, 0.125, 0.0)
    """
    errors = [case.error for case in found if case.error is not None]
    measured = sum(1 for case in found if case.measured is not None) + unpredicted
    if not errors:
        return Accuracy(0, measured, None, None, None, None)
    sizes = [abs(error) for error in errors]
    inside = [case.inside for case in found if case.error is not None]
    return Accuracy(
        n=len(errors),
        measured=measured,
        median_abs_error=quantile(sizes, 0.5),
        p90_abs_error=quantile(sizes, 0.9),
        bias=math.fsum(errors) / len(errors),
        inside_band=sum(1 for each in inside if each) / len(inside),
    )
