"""How fast an option is as the load rises: time to the first token, time per token, output tokens a second, one above the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gpusizer.engines.base.types import Quantity
from gpusizer.i18n import text
from gpusizer.performance.types import Performance
from gpusizer.planning.request import Request
from gpusizer.planning.speed_sweep import CONCURRENCY, SpeedSweep, speed_sweep
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.charts.layout import Entry, legend
from gpusizer.rendering.charts.plot import RIGHT, TITLE, Field, Scale, log_scale, scale_of
from gpusizer.rendering.charts.svg import WIDTH, chart, shape, words_at

__all__ = ["latency_chart"]

_TOP, _HEIGHT, _GAP = 32.0, 100.0, 42.0


class _Panel(NamedTuple):
    """A quantity: its name in the answer, how it is read, its factor in the unit of the axis, and its targets by name."""

    name: str
    read: Callable[[Performance], Quantity]
    factor: float
    targets: tuple[str, ...]


_PANELS = (
    _Panel("ttft_s", lambda performance: performance.ttft_s, 1.0, ("ttft_s", "mean_ttft_s")),
    _Panel("tpot_s", lambda performance: performance.tpot_s, 1000.0, ("tpot_s", "mean_tpot_s")),
    _Panel("output_tokens_per_s", lambda performance: performance.output_tokens_per_s, 1.0, ()),
)


def latency_chart(plan: Plan, option: Option, language: str, prefix: str = "latency-chart") -> str:
    """Times and rates of an option against the load, with their bands, the load that is asked for, what memory holds, and the targets.

    Parameters
    ----------
    plan : Plan
        The answer.
    option : Option
        One of its options.
    language : str
        "en" or "zh".
    prefix : str
        Of the ids inside: one that no other picture of the page has.

    Returns
    -------
    str
        SVG; empty where no speed is known.
    """
    sweep = speed_sweep(option)
    if sweep is None or len(sweep.points) < 2:
        return ""
    targets = {panel.name: _target(plan.request, panel) for panel in _PANELS}
    scales = [_scale(sweep, panel, targets[panel.name], number) for number, panel in enumerate(_PANELS)]
    loads = [point.load for point in sweep.points]
    last = max(loads) if sweep.by == CONCURRENCY else sweep.most
    across = log_scale(min(loads), last, Field.left_for(scales), WIDTH - RIGHT, tight=True)
    parts = [_mark(name, across.at(load), scales) for name, load, _ in _marks(sweep, across, language)]
    fields = [Field(across, scale) for scale in scales]
    for field, panel in zip(fields, _PANELS, strict=True):
        below = text("chart", f"axis-{sweep.by}", language) if field is fields[-1] else None
        parts += _drawn(field, sweep, panel, targets[panel.name], language, below=below)
    entries = [Entry("gz-line-1", text("chart", "predicted", language), "line"), Entry("gz-band", text("chart", "band", language))]
    entries += [Entry(name, words, "line") for name, _, words in _marks(sweep, across, language)]
    under, height = legend(entries, fields[-1].bottom)
    title, description = text("chart", "latency-chart", language), _description(sweep, option, language)
    return chart("latency", prefix, fields[-1].bottom + height, [*parts, *under], title=title, description=description)


def _marks(sweep: SpeedSweep, across: Scale, language: str) -> list[tuple[str, float, str]]:
    """The load that is asked for and what the option holds, as far as the axis goes: class, load and words."""
    marks = (("gz-asked", sweep.asked, "mark-asked"), ("gz-held", sweep.most, "mark-held"))
    return [(name, load, text("chart", f"{code}-{sweep.by}", language, load=load)) for name, load, code in marks if across.low <= load <= across.high]


def _target(request: Request, panel: _Panel) -> float | None:
    """What is asked of the mean; None where nothing is. [s]"""
    return next((value for name in panel.targets if (value := getattr(request, name, None)) is not None), None)


def _scale(sweep: SpeedSweep, panel: _Panel, target: float | None, number: int) -> Scale:
    """Room for the line and its band; beyond what the option holds, where nobody plans to be, for the line alone."""
    values = []
    for point in sweep.points:
        each = panel.read(point.performance)
        values += [panel.factor * value for value in ([each.value] if point.load > max(sweep.most, sweep.asked) else [each.low, each.high])]
    top = _TOP + number * (_HEIGHT + _GAP)
    return scale_of([*values, *([] if target is None else [panel.factor * target])], top + _HEIGHT, top)


def _drawn(field: Field, sweep: SpeedSweep, panel: _Panel, target: float | None, language: str, *, below: str | None) -> list[str]:
    """One quantity: its band, its line, its target, and its value at the load that is asked for."""
    read = [(point.load, panel.read(point.performance)) for point in sweep.points]
    parts = field.axes(title=text("chart", f"axis-{panel.name}", language), below=below)
    parts.append(field.band([(load, panel.factor * each.low, panel.factor * each.high) for load, each in read]))
    parts.append(field.line([(load, panel.factor * each.value) for load, each in read], "gz-line-1"))
    if target is not None:
        height = field.y.at(panel.factor * target)
        parts.append(shape("path", "gz-target", d=f"M{field.x.start:.1f} {height:.1f}H{field.x.end:.1f}", data_target=target))
        parts.append(
            words_at(field.x.start + 6, height - 4, text("chart", f"target-{panel.name}", language, target=panel.factor * target), name="gz-label")
        )
    asked = next((each for load, each in read if load == sweep.asked), None)
    if asked is not None:
        x, y = field.at(sweep.asked, panel.factor * asked.value)
        parts.append(shape("circle", "gz-dot", cx=x, cy=y, r=4.5, **{f"data_{panel.name}": asked.value}))
        words = text("chart", f"value-{panel.name}", language, value=panel.factor * asked.value)
        parts.append(words_at(field.x.end, field.y.end - TITLE, words, anchor="end"))
    return parts


def _mark(name: str, place: float, scales: Sequence[Scale]) -> str:
    """A load as a line through all panels."""
    return shape("path", name, d="".join(f"M{place:.1f} {scale.start:.1f}V{scale.end:.1f}" for scale in scales))


def _description(sweep: SpeedSweep, option: Option, language: str) -> str:
    """The figures at the load that is asked for, and at the ends."""
    first, last = sweep.points[0], sweep.points[-1]
    words = {"asked": sweep.asked, "first": first.load, "last": last.load}
    for name, point in (("first", first), ("last", last)):
        words |= {f"{name}_ttft": point.performance.ttft_s.value, f"{name}_tpot": 1000 * point.performance.tpot_s.value}
    said = text("chart", f"latency-says-{sweep.by}", language, **words)
    performance = option.performance
    if performance is None or all(point.load != sweep.asked for point in sweep.points):
        return said
    now = {"ttft": performance.ttft_s.value, "tpot": 1000 * performance.tpot_s.value, "rate": performance.output_tokens_per_s.value}
    return text("chart", f"latency-asked-{sweep.by}", language, asked=sweep.asked, **now) + said
