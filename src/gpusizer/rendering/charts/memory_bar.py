"""One GPU as a stacked bar as wide as the device."""

from __future__ import annotations

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Fit, Section
from gpusizer.i18n import text
from gpusizer.planning.memory_lines import cache_used_bytes
from gpusizer.planning.types import Option
from gpusizer.rendering.charts.layout import Entry, legend, width_of
from gpusizer.rendering.charts.svg import FONT, LINE, WIDTH, chart, shape, words_at
from gpusizer.units import GB

__all__ = ["memory_bar"]

_HEIGHT = 44
_EDGE = 1.0  # the line of the capacity is whole

# Sums in the order of the bar: what every engine charges to its share of the card comes first, so that the line of the budget stands behind it.
_PARTS = {
    Section.WEIGHTS: "gz-weights",
    Section.CACHE: "gz-kv",
    "cache-unused": "gz-kv-free",
    Section.ACTIVATION: "gz-activation",
    Section.NON_TORCH: "gz-non-torch",
    Section.GRAPHS: "gz-graphs",
    Section.OUTSIDE: "gz-outside",
    Section.FREE: "gz-free",
}


_LIGHT = ("gz-kv-free", "gz-free")  # parts that are there and not in use: pale, in an outline


def memory_bar(subject: Option | Fit, language: str, *, concurrency: float | None = None, prefix: str = "memory-bar") -> str:
    """What the fullest GPU holds, part by part, up to its capacity.

    Parameters
    ----------
    subject : Option or Fit
        An option of a plan, or the verdict on a start.
    language : str
        "en" or "zh".
    concurrency : float or None
        Requests in flight on the whole option: the pool of the cache is then shown as used and unused. None shows it whole.
    prefix : str
        Of the ids inside: one that no other picture of the page has.

    Returns
    -------
    str
        SVG; empty for a start that was refused before anything was loaded.
    """
    fit = subject.fit if isinstance(subject, Option) else subject
    sums = per_gpu(fit.ranks[fit.worst].items)
    total, free = sum(sums.values()), sums[Section.FREE]
    if free == total:
        return ""
    sizes: dict[str, int] = dict(sums)
    if isinstance(subject, Option) and concurrency is not None:
        sizes[Section.CACHE] = cache_used_bytes(subject, concurrency)
        sizes["cache-unused"] = sums[Section.CACHE] - sizes[Section.CACHE]
    said = [(part, name, sizes[part], _part_words(part, sizes, language)) for part, name in _PARTS.items() if sizes.get(part, 0) > 0]
    return _drawn(said, total, fit.budget_bytes, language, prefix, missing=max(-free, 0))


def _part_words(part: str, sizes: dict[str, int], language: str) -> str:
    if "cache-unused" not in sizes or part not in (Section.CACHE, "cache-unused"):
        return text("ui", f"part-{part}", language)
    return text("chart", "part-cache-used" if part == Section.CACHE else "part-cache-unused", language)


def _drawn(said: list[tuple[str, str, int, str]], total: int, budget: int, language: str, prefix: str, *, missing: int) -> str:
    """The bar under its marks, and what its parts are."""
    unit = (WIDTH - 2 * _EDGE) / (total + missing)
    top = 2.0 * LINE + 4
    parts: list[str] = []
    left = _EDGE
    for part, name, size, words in said:
        inset = 0.5 if name in _LIGHT else 0.0
        box = {"x": left + inset, "y": top + inset, "width": max(size * unit - 1 - 2 * inset, 0.5), "height": _HEIGHT - 2 * inset}
        parts.append(shape("rect", name, **box, data_part=part, data_bytes=size))
        parts += _inside(name, words, size, left, size * unit, top)
        left += size * unit
    parts += _marks(total, budget, unit, top, language)
    entries = [Entry(name, text("chart", "part", language, part=words, size=size)) for _, name, size, words in said]
    below, height = legend(entries, top + _HEIGHT + 10)
    listed = text("chart", "joined", language).join(text("chart", "part", language, part=words, size=size) for _, _, size, words in said)
    description = text("chart", "memory-bar-missing" if missing else "memory-bar-says", language, total=total, parts=listed, missing=missing)
    title = text("chart", "memory-bar", language)
    return chart("memory-bar", prefix, top + _HEIGHT + 10 + height + 4, [*parts, *below], title=title, description=description)


def _inside(name: str, words: str, size: int, left: float, width: float, top: float) -> list[str]:
    """Name and size inside a part, as much of them as there is room for."""
    figure, ink = f"{size / GB:,.1f}", "gz-text" if name in _LIGHT else "gz-on"
    lines = [line for line in (words, figure) if width_of(line) + 6 <= width]
    if figure not in lines:
        return []
    first = top + _HEIGHT / 2 + FONT * 0.35 - LINE / 2 * (len(lines) - 1)
    return [words_at(left + width / 2, first + number * LINE, line, anchor="middle", name=ink) for number, line in enumerate(lines)]


def _marks(total: int, budget: int, unit: float, top: float, language: str) -> list[str]:
    """The capacity of the device, and what the engine allows itself of it, each with its words above the bar."""
    end = _EDGE + total * unit
    parts = [
        shape("path", "gz-capacity", d=f"M{end:.1f} {top - 6:.1f}V{top + _HEIGHT + 6:.1f}", data_capacity_bytes=total),
        words_at(end, FONT, text("chart", "capacity", language, total=total), anchor="end"),
    ]
    if budget < total:
        place = _EDGE + budget * unit
        words = text("chart", "budget", language, budget=budget)
        fits_left = width_of(words) <= place
        parts.append(shape("path", "gz-budget", d=f"M{place:.1f} {top - 6:.1f}V{top + _HEIGHT + 6:.1f}", data_budget_bytes=budget))
        parts.append(words_at(place, FONT + LINE, words, anchor="end" if fits_left else "start"))
    return parts
