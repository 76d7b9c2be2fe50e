"""SVG elements as text: escaped, with a class for the style sheet and the colours of a light page where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path

from gpusizer.i18n import one_line

__all__ = ["FONT", "LINE", "WIDTH", "chart", "element", "path_of", "shape", "stylesheet", "words_at"]

WIDTH = 480
"""Of every chart, in its own units: at 343 pixels its text is still 9 pixels high, at 640 it does not shout."""

FONT = 13
LINE = 17  # from one line of text to the next

_INK, _MUTED, _PAPER = "#1b1f24", "#57606a", "#ffffff"
_DRAWN = {"fill": "none", "stroke-width": "2", "stroke-linejoin": "round"}

FALLBACK: Mapping[str, Mapping[str, str]] = {
    "gz-text": {"fill": _INK},
    "gz-muted": {"fill": _MUTED},
    "gz-label": {"fill": _INK, "stroke": _PAPER, "stroke-width": "3", "paint-order": "stroke"},
    "gz-on": {"fill": _PAPER},
    "gz-axis": {"fill": "none", "stroke": _MUTED},
    "gz-grid": {"fill": "none", "stroke": "#d8dee4"},
    "gz-weights": {"fill": "#1f5fa8"},
    "gz-kv": {"fill": "#0b7a5b"},
    "gz-kv-free": {"fill": "#bfe3d5", "stroke": "#0b7a5b"},
    "gz-activation": {"fill": "#b4480a"},
    "gz-non-torch": {"fill": "#7a6a00"},
    "gz-graphs": {"fill": "#8a3f8f"},
    "gz-outside": {"fill": "#5f6670"},
    "gz-free": {"fill": "none", "stroke": _MUTED, "stroke-dasharray": "3 3"},
    "gz-capacity": {"fill": "none", "stroke": _INK, "stroke-width": "2"},
    "gz-budget": {"fill": "none", "stroke": _INK, "stroke-width": "1.5", "stroke-dasharray": "6 3"},
    "gz-line-1": {**_DRAWN, "stroke": "#1f5fa8"},
    "gz-line-2": {**_DRAWN, "stroke": "#0b7a5b"},
    "gz-line-3": {**_DRAWN, "stroke": "#b4480a"},
    "gz-line-4": {**_DRAWN, "stroke": "#8a3f8f"},
    "gz-band": {"fill": "#1f5fa8", "fill-opacity": "0.18"},
    "gz-asked": {"fill": "none", "stroke": _INK, "stroke-width": "1.5"},
    "gz-held": {"fill": "none", "stroke": _MUTED, "stroke-width": "1.5", "stroke-dasharray": "6 3"},
    "gz-target": {"fill": "none", "stroke": "#b4480a", "stroke-width": "1.5", "stroke-dasharray": "2 3"},
    "gz-dot": {"fill": _INK, "stroke": _PAPER},
    "gz-point": {"fill": _PAPER, "stroke": "#1f5fa8", "stroke-width": "2"},
    "gz-front": {"fill": "#0b7a5b", "stroke": _PAPER},
    "gz-best": {"fill": "#b4480a", "stroke": _PAPER},
}
"""What a class looks like where no style sheet is, as on a light page; ``charts.css`` says the same in its first table."""


def element(tag: str, content: str = "", /, **attributes: object) -> str:
    """One element; ``content`` is SVG, attributes are escaped here, those that are None left out; places are rounded, data is not.

    >>> element("rect", x=1.04, data_part='a"b', data_share=1.04, fill=None)
    '<rect x="1" data-part="a&quot;b" data-share="1.04"/>'
    """
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    said = "".join(f' {name}="{escape(_printed(name, value))}"' for name, value in named.items())
    return f"<{tag}{said}>{content}</{tag}>" if content else f"<{tag}{said}/>"


def _printed(name: str, value: object) -> str:
    place = isinstance(value, float) and not name.startswith("data-")
    return f"{value:.1f}".removesuffix(".0") if place else one_line(str(value))


def shape(tag: str, name: str, content: str = "", /, **attributes: object) -> str:
    """One element of a class of the style sheet.

    >>> shape("rect", "gz-weights", width=3)
    '<rect class="gz-weights" fill="#1f5fa8" width="3"/>'
    """
    fallback = {key.replace("-", "_"): value for key, value in FALLBACK[name].items()}
    return element(tag, content, class_=name, **{**fallback, **attributes})


def words_at(x: float, y: float, words: str, *, anchor: str | None = None, name: str = "gz-text", **attributes: object) -> str:
    """Text whose baseline begins at a point, or ends or is centred there."""
    return shape("text", name, escape(one_line(words)), x=x, y=y, text_anchor=None if anchor == "start" else anchor, **attributes)


def path_of(points: Iterable[tuple[float, float]]) -> str:
    """Points for a polyline or polygon.

    >>> path_of([(0, 1.25), (2, 3)])
    '0.0,1.2 2.0,3.0'
    """
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def chart(kind: str, prefix: str, height: float, parts: Iterable[str], *, title: str, description: str) -> str:
    """A whole picture: its parts under a title and one sentence for those who do not see it.

    Parameters
    ----------
    kind : str
        Of chart, for the style sheet and tests.
    prefix : str
        Of the ids inside: one that no other picture of the page has.
    height : float
        In the picture's own units; it is :data:`WIDTH` wide.
    parts : iterable of str
        Elements.
    title, description : str
        In the language of the answer.
    """
    said = element("title", escape(one_line(title)), id=f"{prefix}-title") + element("desc", escape(one_line(description)), id=f"{prefix}-desc")
    return element(
        "svg",
        "\n".join(["", said, *parts, ""]),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height:.0f}",
        class_=f"gz-chart gz-{kind}-chart",
        role="img",
        aria_labelledby=f"{prefix}-title {prefix}-desc",
        font_family="sans-serif",
        font_size=FONT,
    )


@cache
def stylesheet() -> str:
    """The style sheet of all charts, light and dark: a page includes it once."""
    return (Path(__file__).parent / "charts.css").read_text(encoding="utf-8")
