"""A queue over time: a line of blocks for a terminal, and an SVG for a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from gpusizer.i18n import text
from gpusizer.performance.simulation.run import Sample

__all__ = ["queue_svg", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT, _EDGE = 720, 240, 40


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Values as blocks, the highest of each column.

    >>> sparkline([0, 1, 2, 4], 4), sparkline([], 4)
    ('▁▃▅█', '')
    """
    if not values:
        return ""
    width = min(width, len(values))
    columns = [max(values[number * len(values) // width : max((number + 1) * len(values) // width, 1)]) for number in range(width)]
    most = max(columns)
    return "".join(_BLOCKS[round(each / most * (len(_BLOCKS) - 1)) if most > 0 else 0] for each in columns)


def queue_svg(queue: Sequence[Sample], language: str) -> str:
    """Requests that wait and that run, over time, as an SVG without script or outside reference."""
    lines = (("simulate-waiting", "#c2410c", [each.waiting for each in queue]), ("simulate-running", "#1d4ed8", [each.running for each in queue]))
    last = max((each.at_s for each in queue), default=0.0) or 1.0
    most = max((value for _, _, values in lines for value in values), default=0) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(text('ui', 'simulate-queue', language))}</title>",
        f'<path d="M{_EDGE} 10V{_HEIGHT - _EDGE}H{_WIDTH - 10}" fill="none" stroke="currentColor"/>',
        f'<text x="{_EDGE - 6}" y="16" text-anchor="end">{most}</text>',
        f'<text x="{_WIDTH - 10}" y="{_HEIGHT - _EDGE + 18}" text-anchor="end">{last:,.1f} s</text>',
    ]
    for place, (code, colour, values) in enumerate(lines):
        points = " ".join(
            f"{_EDGE + each.at_s / last * (_WIDTH - _EDGE - 10):.1f},{_HEIGHT - _EDGE - value / most * (_HEIGHT - _EDGE - 10):.1f}"
            for each, value in zip(queue, values, strict=True)
        )
        label = escape(text("ui", code, language))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{_EDGE + 8 + 140 * place}" y="{_HEIGHT - 8}" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
