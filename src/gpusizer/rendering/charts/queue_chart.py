"""A queue over time, of a simulated run."""

from __future__ import annotations

from collections.abc import Sequence

from gpusizer.i18n import text
from gpusizer.performance.simulation.run import Sample
from gpusizer.rendering.charts.layout import Entry, legend
from gpusizer.rendering.charts.plot import RIGHT, Field, line_scale
from gpusizer.rendering.charts.svg import WIDTH, chart

__all__ = ["queue_chart"]

_TOP, _HEIGHT = 32.0, 180.0


def queue_chart(queue: Sequence[Sample], language: str, prefix: str = "queue-chart") -> str:
    """Requests that wait and that run, over time.

    Parameters
    ----------
    queue : sequence of Sample
        Of a run; empty where nothing ran.
    language : str
        "en" or "zh".
    prefix : str
        Of the ids inside: one that no other picture of the page has.

    Returns
    -------
    str
        SVG.
    """
    last = max((each.at_s for each in queue), default=0.0)
    waiting, running = (max((getattr(each, name) for each in queue), default=0) for name in ("waiting", "running"))
    y = line_scale(max(waiting, running), _TOP + _HEIGHT, _TOP)
    field = Field(line_scale(last, Field.left_for([y]), WIDTH - RIGHT), y)
    parts = field.axes(title=text("chart", "axis-requests", language), below=text("chart", "axis-time", language))
    if queue:
        parts.append(field.line([(each.at_s, each.running) for each in queue], "gz-line-1"))
        parts.append(field.line([(each.at_s, each.waiting) for each in queue], "gz-line-3", "9 4"))
    entries = [
        Entry("gz-line-1", text("chart", "queue-running", language, most=running), "line"),
        Entry("gz-line-3", text("chart", "queue-waiting", language, most=waiting), "line", "9 4"),
    ]
    below, height = legend(entries, field.bottom)
    description = text("chart", "queue-says", language, seconds=last, running=running, waiting=waiting)
    return chart("queue", prefix, field.bottom + height, [*parts, *below], title=text("chart", "queue-chart", language), description=description)
