"""Cost against speed: a point for each option, those that no other beats in both joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import islice
from math import inf
from typing import Any, NamedTuple

from gpusizer.i18n import text
from gpusizer.planning.rank import comparable_rent, pareto
from gpusizer.planning.request import Request
from gpusizer.planning.types import Cost, Option, Plan
from gpusizer.rendering.charts.layout import Box, Entry, Labels, diamond, legend, notes
from gpusizer.rendering.charts.plot import RIGHT, Field, scale_of
from gpusizer.rendering.charts.svg import WIDTH, chart, element, shape
from gpusizer.rendering.devices import counted_devices, currency_words, short_device_name
from gpusizer.rendering.plan_options import cost_words

__all__ = ["cost_chart"]

_TOP, _HEIGHT = 32.0, 260.0
_LABELS = 8
_NAMED = 4  # devices that a note names


class _Axis(NamedTuple):
    """What is drawn: rent or purchase in one currency, and the options that have it and a speed."""

    kind: str
    currency: str
    request: Request
    options: tuple[Option, ...]

    def cost(self, option: Option) -> Cost | None:
        """What is drawn of an option; None where it has no such price, or no speed."""
        cost = _cost(option, self.kind, self.request)
        return cost if cost is not None and cost.currency == self.currency else None

    def amount(self, option: Option) -> float:
        """The same as a number; endless where there is none."""
        cost = self.cost(option)
        return inf if cost is None else float(cost.amount)


def cost_chart(plan: Plan, language: str, prefix: str = "cost-chart") -> str:
    """What options cost against how fast they are: rent on demand, or purchase where no rent is known.

    Parameters
    ----------
    plan : Plan
        The answer.
    language : str
        "en" or "zh".
    prefix : str
        Of the ids inside: one that no other picture of the page has.

    Returns
    -------
    str
        SVG; empty where fewer than two options have both a price and a speed.
    """
    axis = _axis(plan)
    if axis is None or len(axis.options) < 2:
        return ""
    drawn = axis.options
    speeds = [1000 * (option.tpot_s or 0) for option in drawn]
    y = scale_of([axis.amount(option) for option in drawn], _TOP + _HEIGHT, _TOP)
    field = Field(scale_of(speeds, Field.left_for([y]), WIDTH - RIGHT), y)
    title = text("chart", f"axis-{axis.kind}", language, currency=currency_words(axis.currency, language))
    front = pareto(drawn, axis.amount)
    parts = field.axes(title=title, below=text("chart", "axis-tpot_s-mean", language))
    joined = sorted((1000 * (option.tpot_s or 0), axis.amount(option)) for option in drawn if option.rank in front)
    parts.append(field.line(joined, "gz-line-2", "9 4", data_front=" ".join(str(option.rank) for option in drawn if option.rank in front)))
    parts += _points(plan, axis, field, front, language)
    below, height = legend(_entries(language), field.bottom)
    said, more = notes(_left_out(plan, axis, language), field.bottom + height + 4)
    whole = field.bottom + height + 4 + more
    description = _description(plan, axis, front, language)
    return chart("cost", prefix, whole, [*parts, *below, *said], title=text("chart", f"cost-chart-{axis.kind}", language), description=description)


def _cost(option: Option, kind: str, request: Request) -> Cost | None:
    """A rent that compares with others where one buys, or a purchase price; None where the option has none, or no speed beside it."""
    if option.performance is None:
        return None
    return option.purchase if kind == "purchase" else option.cost if comparable_rent(option, request) < inf else None


def _axis(plan: Plan) -> _Axis | None:
    """Rents where any is known, else purchase prices; of several currencies the one that most have."""
    for kind in ("rent", "purchase"):
        costs = [cost for option in plan.options if (cost := _cost(option, kind, plan.request)) is not None]
        if costs:
            axis = _Axis(kind, Counter(cost.currency for cost in costs).most_common(1)[0][0], plan.request, ())
            return axis._replace(options=tuple(option for option in plan.options if 0 < axis.amount(option) < inf))
    return None


def _points(plan: Plan, axis: _Axis, field: Field, front: frozenset[int], language: str) -> list[str]:
    """A point for each option, the recommended one last; words for the first of them, the front, and what is near the edge."""
    places = {option.rank: field.at(1000 * (option.tpot_s or 0), axis.amount(option)) for option in axis.options}
    labels = Labels(Box(field.x.start + 2, field.y.end - 4, WIDTH, field.y.start - 2))
    for x, y in places.values():
        labels.keep_clear(x, y, 5)
    labels.keep_clear_of_line(sorted(places[option.rank] for option in axis.options if option.rank in front))
    named = sorted(axis.options, key=lambda option: (option is not plan.best, option.rank not in front, option.rank))
    found = (labels.beside(*places[option.rank], f"{option.gpus} × {short_device_name(option.accelerator.name)}") for option in named)
    words = [part for label in islice(filter(None, found), _LABELS) for part in label]
    circles = [
        _point(option, places[option.rank], axis, language, best=option is plan.best, front=option.rank in front) for option in reversed(axis.options)
    ]
    return [*circles, *words]


def _point(option: Option, place: tuple[float, float], axis: _Axis, language: str, *, best: bool, front: bool) -> str:
    """One option: a diamond for the recommended, filled on the front, hollow elsewhere; its whole words as its title."""
    x, y = place
    said = {"gpus": counted_devices(option.gpus, option.accelerator, language), "cost": cost_words(axis.cost(option), language)}
    words = text("chart", f"point-{axis.kind}", language, rank=option.rank, tpot=1000 * (option.tpot_s or 0), **said)
    title = element("title", escape(words))
    data = {"data_rank": option.rank, "data_amount": axis.amount(option), "data_tpot_s": option.tpot_s}
    if best:
        return diamond("gz-best", x, y, title, **data)
    return shape("circle", "gz-front" if front else "gz-point", title, cx=x, cy=y, r=4.5 if front else 4, **data)


def _entries(language: str) -> list[Entry]:
    return [
        Entry("gz-best", text("chart", "cost-best", language), "diamond"),
        Entry("gz-front", text("chart", "cost-front", language), "dot"),
        Entry("gz-point", text("chart", "cost-others", language), "dot"),
    ]


def _left_out(plan: Plan, axis: _Axis, language: str) -> list[str]:
    """Options that are not drawn: how many, and the first of them by name."""
    drawn = {option.rank for option in axis.options}
    missing = [option for option in plan.options if option.rank not in drawn]
    if not missing:
        return []
    names = [f"{option.gpus} × {short_device_name(option.accelerator.name)}" for option in missing[:_NAMED]]
    code = "cost-left-out" if len(missing) <= _NAMED else "cost-left-out-more"
    return [text("chart", code, language, names=names, count=len(missing), more=len(missing) - len(names))]


def _description(plan: Plan, axis: _Axis, front: frozenset[int], language: str) -> str:
    ends: Sequence[Option] = sorted((option for option in axis.options if option.rank in front), key=axis.amount)
    words: dict[str, Any] = {}
    for name, option in (("cheapest", ends[0]), ("fastest", ends[-1])):
        words[name] = counted_devices(option.gpus, option.accelerator, language)
        words |= {f"{name}_cost": cost_words(axis.cost(option), language), f"{name}_tpot": 1000 * (option.tpot_s or 0)}
    return text("chart", f"cost-says-{axis.kind}", language, count=len(axis.options), all=len(plan.options), **words)
