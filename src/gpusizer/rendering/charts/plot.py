"""A field with two axes: scales with round ticks, grid, lines and bands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10

from gpusizer.rendering.charts.layout import width_of
from gpusizer.rendering.charts.svg import FONT, WIDTH, path_of, shape, words_at

__all__ = ["RIGHT", "TITLE", "Field", "Scale", "line_scale", "log_scale", "scale_of", "tick_words"]

_APART = 15  # between ticks, so that their words are
_TICKS = 7  # at most on an axis
RIGHT = 14.0  # of a field, so that the last tick is whole
TITLE = 13  # from the foot of a title to the field below
_ORDERS = 8  # times the smallest value from which an axis goes by orders of magnitude


_DIGITS = {"125": log10(2), "13": log10(3), "1": 1.0}
"""First digits of ticks by orders of magnitude, and the least distance between two of them in such orders."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places.

    Parameters
    ----------
    low, high : float
        Values at both ends.
    start, end : float
        Places of both ends.
    ticks : tuple of float
        Round values between them.
    log : bool
        Equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a value.

        >>> log_scale(1, 100, 0, 200).at(10), line_scale(100, 0, 200).at(25)
        (100.0, 50.0)
        """
        low, high = (log10(self.low), log10(self.high)) if self.log else (self.low, self.high)
        share = ((log10(value) if self.log else value) - low) / (high - low)
        return self.start + share * (self.end - self.start)


def _with_digits(digits: str, low: float, high: float) -> list[float]:
    """Powers of ten times these digits, from ``low`` to ``high``."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    found = (float(f"{digit}e{power}") for power in powers for digit in digits)
    return [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def log_scale(low: float, high: float, start: float, end: float, *, tight: bool = False) -> Scale:
    """By orders of magnitude, both ends on a round value, or where the values end.

    >>> log_scale(3, 90, 0, 99).ticks, log_scale(3, 90, 0, 99, tight=True).ticks, log_scale(3, 90, 0, 9).ticks
    ((2.0, 5.0, 10.0, 20.0, 50.0, 100.0), (5.0, 10.0, 20.0, 50.0), (10.0, 100.0))
    """
    if not tight:
        rounds = _with_digits("125", low / 10, high * 10)
        low, high = (
            max(value for value in rounds if value <= low * (1 + 1e-9)),
            min(value for value in rounds if value >= high * (1 - 1e-9) and value > low),
        )
    room = abs(end - start) / log10(high / low)
    close = (_with_digits(digits, low, high) for digits, closest in _DIGITS.items() if room * closest >= _APART or digits == "1")
    ticks = next((found for found in close if len(found) <= _TICKS), _with_digits("1", low, high))
    while len(ticks) > _TICKS:
        ticks = ticks[::2]
    return Scale(low, high, start, end, tuple(ticks), log=True)


def line_scale(high: float, start: float, end: float, *, over: float | None = None) -> Scale:
    """From zero to a round value, or to ``over`` times the highest.

    >>> line_scale(83, 0, 1).ticks, line_scale(83, 0, 1, over=1).high
    ((0.0, 20.0, 40.0, 60.0, 80.0, 100.0), 83)
    """
    top = high if high > 0 else 1.0
    step = next(value for value in _with_digits("125", top / 1000, top) if ceil(top / value * (1 - 1e-9)) < _TICKS)
    last = step * ceil(top / step * (1 - 1e-9)) if over is None else top * over
    return Scale(0.0, last, start, end, tuple(float(f"{step * number:.6g}") for number in range(floor(last / step * (1 + 1e-9)) + 1)))


def scale_of(values: Iterable[float], start: float, end: float) -> Scale:
    """From zero; by orders of magnitude where the largest value is many times the smallest."""
    known = list(values)
    low, high = min(known), max(known)
    return log_scale(low, high, start, end) if low > 0 and high > _ORDERS * low else line_scale(high, start, end)


def tick_words(value: float) -> str:
    """A round value, short.

    >>> tick_words(0.05), tick_words(20000.0), tick_words(5.0)
    ('0.05', '20,000', '5')
    """
    return f"{value:,.6g}" if abs(value) < 1 else f"{value:,.10g}"


@dataclass(frozen=True, slots=True)
class Field:
    """A plot: two scales, the vertical one upwards."""

    x: Scale
    y: Scale

    @staticmethod
    def left_for(scales: Sequence[Scale]) -> float:
        """Room that the tick words of vertical scales take left of the field."""
        return max(width_of(tick_words(tick)) for scale in scales for tick in scale.ticks) + 8

    @property
    def bottom(self) -> float:
        """Where what stands below the horizontal axis and its words begins."""
        return self.y.start + 2 * FONT + 20

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a point."""
        return self.x.at(x), self.y.at(y)

    def axes(self, *, title: str, below: str | None = None) -> list[str]:
        """Grid and tick words; the title of the vertical axis stands above it, that of the horizontal one, where it is given, below the ticks."""
        left, right, bottom = self.x.start, self.x.end, self.y.start
        parts = [words_at(0.0, self.y.end - TITLE, title)]
        for tick in self.y.ticks:
            height = self.y.at(tick)
            parts.append(shape("path", "gz-grid", d=f"M{left:.1f} {height:.1f}H{right:.1f}"))
            parts.append(words_at(left - 5, height + FONT * 0.35, tick_words(tick), anchor="end", name="gz-muted"))
        parts.append(shape("path", "gz-axis", d=f"M{left:.1f} {self.y.end:.1f}V{bottom:.1f}H{right:.1f}"))
        if below is None:
            return parts
        for tick in _apart(self.x):
            place, words = self.x.at(tick), tick_words(tick)
            half = width_of(words) / 2
            parts.append(shape("path", "gz-axis", d=f"M{place:.1f} {bottom:.1f}v4"))
            parts.append(words_at(min(place, WIDTH - half), bottom + FONT + 6, words, anchor="middle", name="gz-muted"))
        parts.append(words_at(right, bottom + 2 * FONT + 10, below, anchor="end"))
        return parts

    def line(self, points: Sequence[tuple[float, float]], name: str, dash: str | None = None, **attributes: object) -> str:
        """Points joined."""
        dashed = {"stroke_dasharray": dash} if dash else {}
        return shape("polyline", name, points=path_of(self.at(*point) for point in points), **dashed, **attributes)

    def band(self, points: Sequence[tuple[float, float, float]], name: str = "gz-band") -> str:
        """Between a lower and an upper line, as far as the field goes: ``points`` are x, low and high."""
        edge = [(x, min(high, self.y.high)) for x, _, high in points] + [(x, max(low, self.y.low)) for x, low, _ in reversed(points)]
        return shape("polygon", name, points=path_of(self.at(*point) for point in edge))


def _apart(scale: Scale) -> list[float]:
    """Ticks of a horizontal axis whose words keep clear of each other."""
    ticks = list(scale.ticks)
    while any(
        scale.at(right) - scale.at(left) < (width_of(tick_words(left)) + width_of(tick_words(right))) / 2 + 6 for left, right in pairwise(ticks)
    ):
        ticks = ticks[::2]
    return ticks
