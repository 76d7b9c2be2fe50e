"""The page of what runs: a sentence, a table for each use, every row with its start, what does not run, and the same in other forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gpusizer.errors import GpusizerError
from gpusizer.planning.run_on.types import Row, RunOn, Start
from gpusizer.rendering.companions import companion_blocks
from gpusizer.rendering.document import Block
from gpusizer.rendering.launch import command_line
from gpusizer.rendering.notices import warning_words
from gpusizer.rendering.run_on import UsePart, beyond_lines, published_words, run_on_notes, run_on_sentence, run_on_table, use_parts
from gpusizer.web.fit_form import form_query
from gpusizer.web.job import Job
from gpusizer.web.run_on_asked import as_command, as_query
from gpusizer.web.run_on_form import RunOnForm, run_on_form, run_on_lists
from gpusizer.web.templating import link, rendered

__all__ = ["FORMS", "run_on_page"]

PATH = "/run-on"
FORMS: Mapping[str, str] = {"markdown": f"{PATH}.md", "csv": f"{PATH}.csv", "json": f"{PATH}.json"}
"""Addresses of the same answer in other forms."""


class Line(NamedTuple):
    """One model that runs: its row of the table, where its start is looked into, its command, models beside it, and published files."""

    name: str
    cells: Sequence[str]
    href: str
    command: str
    beside: Sequence[Block]
    files: str


def run_on_page(job: Job, typed: Sequence[tuple[str, str]], answer: RunOn | None, error: GpusizerError | None) -> str:
    """The page.

    Parameters
    ----------
    job : Job
        Language and address.
    typed : sequence of (str, str)
        Names and values as they were typed.
    answer : RunOn or None
        What runs; None where nothing was asked, or something is wrong.
    error : GpusizerError or None
        Why there is no answer.
    """
    form = run_on_form(typed, error, job.language)
    shown = {} if answer is None else _answer(job, answer)
    near = [] if error is None else _near(job, typed, form, error)
    return rendered("run-on.html", job, PATH, form=form, error=error, near=near, answer=answer, lists=run_on_lists(job.language), **shown)


def _near(job: Job, typed: Sequence[tuple[str, str]], form: RunOnForm, error: GpusizerError) -> list[tuple[str, str]]:
    """What may have been meant, each with the page that asks for it, where one device or one model was named."""
    near = error.parameters.get("nearest") or ()
    same = [value for name, value in typed if name == form.wrong]
    if form.wrong not in ("machine", "models") or not isinstance(near, list | tuple) or len(same) != 1:
        return []
    number = form.machine[0].number if form.wrong == "machine" else ""
    rest = [(name, value) for name, value in typed if name != form.wrong]
    return [(str(each), link(job, PATH, urlencode([*rest, (form.wrong, f"{each}:{number}" if number else str(each))]))) for each in near]


def _answer(job: Job, answer: RunOn) -> dict[str, Any]:
    query, language = as_query(answer.request), job.language
    parts = use_parts(answer, language)
    return {
        "sentence": run_on_sentence(answer, language),
        "warnings": [warning_words(each, language) for each in answer.machine.notices],
        "parts": [(part, *_table(job, answer, part)) for part in parts],
        "beyond": beyond_lines(answer, language),
        "notes": run_on_notes(answer, language),
        "forms": [(name, link(job, path, query)) for name, path in FORMS.items()],
        "on_command_line": as_command(answer.request),
    }


def _table(job: Job, answer: RunOn, part: UsePart) -> tuple[Sequence[Any], Sequence[Line]]:
    """Columns and lines of one use."""
    table = run_on_table(answer, part.rows, job.language)
    found = [(row, row.start) for row in part.rows if row.start is not None]
    return table.columns, [_line(job, row, start, cells) for (row, start), cells in zip(found, table.rows, strict=True)]


def _line(job: Job, row: Row, start: Start, cells: Sequence[str]) -> Line:
    href = link(job, "/fit", form_query(start.launch, (start.group.accelerator.id,), None))
    return Line(
        row.model.name,
        cells,
        href,
        command_line(start.launch) or "",
        companion_blocks(start.companions, job.language),
        published_words(row, job.language),
    )
