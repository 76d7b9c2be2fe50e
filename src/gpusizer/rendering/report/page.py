"""Self-contained pages: one template for a report, one for the blocks of any answer; one style, no script, nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpusizer.i18n import one_line, text
from gpusizer.rendering.document import Block, Heading, Table
from gpusizer.rendering.report.view import Report

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["blocks_page", "report_page", "style_sheet", "table_html"]

TEMPLATES = Path(__file__).parent / "templates"

_CHINESE = re.compile("[\u4e00-\u9fff]")


@cache
def style_sheet() -> str:
    """The style of every page, the same for all: a server can name its hash in a content policy."""
    from gpusizer.rendering.charts import stylesheet  # here: most answers are no pages

    return (TEMPLATES / "page.css").read_text(encoding="utf-8") + stylesheet()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here: most answers are no pages
    from markupsafe import Markup

    found = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, loader=FileSystemLoader(TEMPLATES))
    found.filters |= {"kind": lambda block: type(block).__name__, "line": one_line}
    found.globals |= {"style": Markup(style_sheet()), "drawn": Markup, "say": text}
    return found


def report_page(report: Report) -> str:
    """A report as one file.

    Parameters
    ----------
    report : Report
        Its words.

    Returns
    -------
    str
        HTML; every word of it escaped.
    """
    return _environment().get_template("report.html").render(report=report, language=report.language, title=report.title) + "\n"


def blocks_page(blocks: Sequence[Block]) -> str:
    """Any answer as one file.

    Parameters
    ----------
    blocks : sequence of Block
        What people read. Blocks hold words and not their language: Chinese answers have Chinese in their words.
    """
    said = " ".join(each.title for block in blocks if isinstance(block, Table) for each in block.columns) or str(blocks[:1])
    language = "zh" if _CHINESE.search(said) else "en"
    title = next((block.words for block in blocks if isinstance(block, Heading)), text("report", "document", language))
    return _environment().get_template("blocks.html").render(blocks=blocks, language=language, title=one_line(title)) + "\n"


def table_html(caption: str, table: Table) -> str:
    """A table with its caption, without any style.

    >>> from gpusizer.rendering.document import Column
    >>> print(table_html("<b>", Table([Column("GPU"), Column("n", right=True)], [["a & b", "8"]])))
    <table>
    <caption>&lt;b&gt;</caption>
    <thead><tr><th scope="col">GPU</th><th scope="col" class="number">n</th></tr></thead>
    <tbody>
    <tr><td data-of="GPU">a &amp; b</td><td data-of="n" class="number">8</td></tr>
    </tbody>
    </table>
    """
    drawn: Markup = _environment().get_template("macros.html").make_module().table(table, one_line(caption))  # type: ignore[attr-defined]
    return str(drawn).strip()
