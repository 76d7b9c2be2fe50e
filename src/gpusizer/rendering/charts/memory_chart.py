"""Memory of one GPU against the requests in flight, a line for each length of a request."""

from __future__ import annotations

from collections.abc import Sequence

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.i18n import text
from gpusizer.planning.memory_lines import MemoryLine, MemoryPoint, in_flight, memory_lines
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.charts.layout import Entry, legend
from gpusizer.rendering.charts.plot import RIGHT, TITLE, Field, line_scale
from gpusizer.rendering.charts.svg import LINE, WIDTH, chart, shape, words_at
from gpusizer.units import GB

__all__ = ["memory_chart"]

_TOP, _HEIGHT = 32.0, 220.0
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
    total, asked = sum(per_gpu(option.fit.ranks[option.fit.worst].items).values()), in_flight(plan, option)
    lines = memory_lines(plan, option)
    field = _field(lines, total, asked)
    point = next((each for line in lines if line.times == 1 for each in line.points if each.concurrency == asked), None)
    parts = field.axes(title=text("chart", "axis-memory", language), below=text("chart", "axis-concurrency", language))
    parts += [*_always(field, lines, language), *_capacity(field, total, language)]
    parts += [_line(field, line) for line in reversed(lines) if line.points]
    parts += _asked(field, asked, point, language)
    entries = [Entry(_STYLES[line.times][0], _line_words(line, language), "line", _STYLES[line.times][1]) for line in lines]
    if point is None:
        entries.append(Entry("gz-asked", text("chart", "mark-asked-concurrency", language, load=asked), "line"))
    below, height = legend(entries, field.bottom)
    said = text("chart", "joined", language).join(_line_words(line, language) for line in lines)
    description = text("chart", "memory-chart-says", language, total=total, lines=said)
    title = text("chart", "memory-chart", language)
    return chart("memory", prefix, field.bottom + height, [*parts, *below], title=title, description=description)


def _field(lines: Sequence[MemoryLine], total: int, asked: int) -> Field:
    """As far as any length reaches, but not out of sight of what is asked for."""
    ends = {line.times: line.points[-1].concurrency for line in lines if line.points}
    most = min(max(ends.values(), default=asked), max(ends.get(1.0, 0) * 1.1, asked * _MOST))
    y = line_scale(total / GB, _TOP + _HEIGHT, _TOP, over=_OVER)
    return Field(line_scale(max(most, asked), Field.left_for([y]), WIDTH - RIGHT), y)


def _line_words(line: MemoryLine, language: str) -> str:
    held = line.points[-1].concurrency if line.points else 0
    return text("chart", "line-held" if held else "line-none", language, tokens=line.context_tokens, held=held)


def _line(field: Field, line: MemoryLine) -> str:
    """One length, as far as the field goes."""
    name, dash = _STYLES[line.times]
    return field.line(_within(line, field.x.high), name, dash, data_context_tokens=line.context_tokens)


def _within(line: MemoryLine, most: float) -> list[tuple[float, float]]:
    """The points of a line up to the edge, the last piece cut there."""
    points = [(float(point.concurrency), point.bytes / GB) for point in line.points]
    kept = [point for point in points if point[0] <= most]
    if len(kept) < len(points) and kept:
        (x, y), (beyond, above) = kept[-1], points[len(kept)]
        kept.append((most, y + (above - y) * (most - x) / (beyond - x)))
    return kept


def _always(field: Field, lines: Sequence[MemoryLine], language: str) -> list[str]:
    """What lies there before the first request; nothing for an engine whose start is made for its requests."""
    first = next((line.points[0] for line in lines if line.times == 1 and line.points), None)
    if first is None or first.concurrency:
        return []
    left, right, height, foot = field.x.start, field.x.end, field.y.at(first.bytes / GB), field.y.start
    words = text("chart", "always", language, size=first.bytes)
    area = shape("rect", "gz-band", x=left, y=height, width=right - left, height=foot - height, data_always_bytes=first.bytes)
    return [area, words_at((left + right) / 2, (height + foot) / 2 + LINE, words, anchor="middle")]


def _capacity(field: Field, total: int, language: str) -> list[str]:
    height = field.y.at(total / GB)
    line = shape("path", "gz-capacity", d=f"M{field.x.start:.1f} {height:.1f}H{field.x.end:.1f}", data_capacity_bytes=total)
    return [line, words_at(field.x.end, height - 5, text("chart", "capacity", language, total=total), anchor="end")]


def _asked(field: Field, concurrency: int, point: MemoryPoint | None, language: str) -> list[str]:
    """The load that is asked for: what it takes, or a line where it is not held."""
    if point is None:
        place = field.x.at(concurrency)
        return [shape("path", "gz-asked", d=f"M{place:.1f} {field.y.start:.1f}V{field.y.end:.1f}", data_concurrency=concurrency)]
    x, y = field.at(point.concurrency, point.bytes / GB)
    words = text("chart", "asked-bytes", language, concurrency=point.concurrency, size=point.bytes)
    dot = shape("circle", "gz-dot", cx=x, cy=y, r=5, data_concurrency=point.concurrency, data_bytes=point.bytes)
    return [dot, words_at(field.x.end, field.y.end - TITLE, words, anchor="end")]
