"""Memory of one GPU against the requests in flight, a line for each length of a request."""

from __future__ import annotations

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.i18n import text
from gpusizer.planning.memory_lines import MemoryLine, in_flight, memory_lines
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.charts.layout import Box, Entry, Labels, legend
from gpusizer.rendering.charts.plot import Field, line_scale
from gpusizer.rendering.charts.svg import FONT, LINE, WIDTH, chart, shape, words_at
from gpusizer.units import GB

__all__ = ["memory_chart"]

_TOP, _HEIGHT, _RIGHT = 32.0, 220.0, 14.0
_OVER = 1.12  # times the device: its words stand above its line
_MOST = 8  # times what is asked for, up to which requests are shown where memory holds more

# By how many times the context that is asked for: a class and a dash each.
_STYLES = {0.5: ("gz-line-2", "2 4"), 1.0: ("gz-line-1", None), 2.0: ("gz-line-3", "9 4"), 4.0: ("gz-line-4", "9 4 2 4")}


def memory_chart(plan: Plan, option: Option, language: str, prefix: str = "memory-chart") -> str:
    """How the memory of one GPU fills as requests come, for the length that is asked for, half of it, twice and four times as much.

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
        SVG.
    """
    fit = option.fit
    total, asked = sum(per_gpu(fit.ranks[fit.worst].items).values()), in_flight(plan, option)
    lines = memory_lines(plan, option)
    held = max((line.points[-1].concurrency for line in lines if line.times == 1 and line.points), default=0)
    most = min(max((line.points[-1].concurrency for line in lines if line.points), default=asked), max(held * 1.1, asked * _MOST))
    y = line_scale(total / GB, _TOP + _HEIGHT, _TOP, over=_OVER)
    field = Field(line_scale(max(most, asked), Field.left_for([y]), WIDTH - _RIGHT), y)
    parts = field.axes(title=text("chart", "axis-memory", language), below=text("chart", "axis-concurrency", language))
    parts += _always(field, lines, language)
    parts += _levels(field, total, fit.budget_bytes, language)
    parts += [_line(field, line) for line in reversed(lines) if line.points]
    parts += _asked(field, lines, asked, language)
    entries = [Entry(_STYLES[line.times][0], _line_words(line, language), "line", _STYLES[line.times][1]) for line in lines]
    if fit.budget_bytes < total:
        entries.append(Entry("gz-budget", text("chart", "budget", language, budget=fit.budget_bytes), "line"))
    below, height = legend(entries, _TOP + _HEIGHT + 2 * FONT + 20)
    description = text("chart", "joined", language).join(_line_words(line, language) for line in lines)
    description = text("chart", "memory-chart-says", language, total=total, lines=description)
    whole = _TOP + _HEIGHT + 2 * FONT + 20 + height + 4
    return chart("memory", prefix, whole, [*parts, *below], title=text("chart", "memory-chart", language), description=description)


def _line_words(line: MemoryLine, language: str) -> str:
    held = line.points[-1].concurrency if line.points else 0
    return text("chart", "line-held" if held else "line-none", language, tokens=line.context_tokens, held=held)


def _line(field: Field, line: MemoryLine) -> str:
    """One length, as far as the field goes."""
    name, dash = _STYLES[line.times]
    return field.line(_within(_places(line), field.x.high), name, dash, data_context_tokens=line.context_tokens)


def _within(points: list[tuple[float, float]], most: float) -> list[tuple[float, float]]:
    """Points up to the edge, the last piece cut there."""
    kept = [point for point in points if point[0] <= most]
    if len(kept) < len(points) and kept:
        (x, y), (beyond, above) = kept[-1], points[len(kept)]
        kept.append((most, y + (above - y) * (most - x) / (beyond - x)))
    return kept


def _always(field: Field, lines: tuple[MemoryLine, ...], language: str) -> list[str]:
    """What lies there before the first request; nothing for an engine whose start is made for its requests."""
    first = next((line.points[0] for line in lines if line.times == 1 and line.points), None)
    if first is None or first.concurrency:
        return []
    height, foot = field.y.at(first.bytes / GB), field.y.start
    words = text("chart", "always", language, size=first.bytes)
    return [
        shape("rect", "gz-band", x=field.x.start, y=height, width=field.x.end - field.x.start, height=foot - height, data_always_bytes=first.bytes),
        words_at((field.x.start + field.x.end) / 2, (height + foot) / 2 + LINE, words, anchor="middle"),
    ]


def _levels(field: Field, total: int, budget: int, language: str) -> list[str]:
    """What the device has, and what the engine allows itself of it."""
    left, right = field.x.start, field.x.end
    height = field.y.at(total / GB)
    parts = [
        shape("path", "gz-capacity", d=f"M{left:.1f} {height:.1f}H{right:.1f}", data_capacity_bytes=total),
        words_at(right, height - 5, text("chart", "capacity", language, total=total), anchor="end"),
    ]
    if budget < total:
        parts.append(shape("path", "gz-budget", d=f"M{left:.1f} {field.y.at(budget / GB):.1f}H{right:.1f}", data_budget_bytes=budget))
    return parts


def _asked(field: Field, lines: tuple[MemoryLine, ...], asked: int, language: str) -> list[str]:
    """The load that is asked for: a point with its words, or a line where memory does not hold it."""
    point = next((each for line in lines if line.times == 1 for each in line.points if each.concurrency == asked), None)
    labels = Labels(Box(field.x.start + 2, field.y.at(field.y.high) + LINE, WIDTH, field.y.start - 2))
    if point is None:
        place = field.x.at(asked)
        words = labels.beside(place, field.y.start - 2 * LINE, text("chart", "asked-beyond", language, concurrency=asked))
        return [shape("path", "gz-asked", d=f"M{place:.1f} {field.y.start:.1f}V{field.y.end:.1f}"), *words]
    for line in lines:
        labels.keep_clear_of_line([field.at(*each) for each in _within(_places(line), field.x.high)])
    x, y = field.at(point.concurrency, point.bytes / GB)
    words = labels.beside(x, y, text("chart", "asked-bytes", language, concurrency=asked, size=point.bytes))
    return [*words, shape("circle", "gz-dot", cx=x, cy=y, r=5, data_concurrency=point.concurrency, data_bytes=point.bytes)]


def _places(line: MemoryLine) -> list[tuple[float, float]]:
    return [(float(point.concurrency), point.bytes / GB) for point in line.points]
