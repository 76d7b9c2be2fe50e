"""Pages of the scenarios: uses that people ask for, with their typical load."""

from __future__ import annotations

from gpusizer.answers import scenario_answer
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import scenario, scenarios
from gpusizer.formulas.load import concurrent_requests
from gpusizer.i18n import text
from gpusizer.rendering.catalog import scenario_name
from gpusizer.rendering.document import Table
from gpusizer.units import format_share
from gpusizer.web.job import Job
from gpusizer.web.not_here import not_here
from gpusizer.web.sorted_table import Cell, Column, sorted_table
from gpusizer.web.sources import linked
from gpusizer.web.templating import link, rendered

__all__ = ["page"]

PATH = "/scenarios"
_NUMBERS = ("input-tokens", "output-tokens", "users", "active-share", "concurrency")


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of all, or of one."""
    return _scenarios_page(job, error) if job.kind == "scenarios" else _scenario_page(job, error)


def _scenarios_page(job: Job, error: GpusizerError | None) -> str:
    """All scenarios."""
    language = job.language
    columns = [Column("name", text("ui", "name", language)), *(Column(code, text("ui", code, language), right=True) for code in _NUMBERS)]
    rows = []
    for each in scenarios():
        concurrency = int(concurrent_requests(users=each.users, active_share=each.active_share))
        counts = (each.input_tokens, each.output_tokens, each.users)
        rows.append(
            [
                Cell(scenario_name(each.id, language), scenario_name(each.id, language), link(job, f"{PATH}/{each.id}"), each.id),
                *(Cell(f"{count:,}", count) for count in counts),
                Cell(format_share(each.active_share), each.active_share),
                Cell(f"{concurrency:,}", concurrency),
                Cell(text("site", "plan-it", language), None, link(job, "/", f"model=deepseek-v3&scenario={each.id}")),
            ]
        )
    return rendered("scenarios.html", job, PATH, table=sorted_table(job, PATH, [*columns, Column("plan", "")], rows), error=error)


def _scenario_page(job: Job, error: GpusizerError | None) -> str:
    """One scenario with where its load was read."""
    if error is not None:
        return not_here(job, PATH, text("site", "scenarios-title", job.language), error)
    found = scenario(job.path)
    facts = next(each for each in scenario_answer(job.path, job.language).blocks if isinstance(each, Table))
    rows = [row for row in facts.rows if row[0] != text("ui", "source", job.language)]
    name = scenario_name(found.id, job.language)
    return rendered(
        "scenario.html",
        job,
        f"{PATH}/{job.path}",
        name=name,
        scenario=found,
        facts=facts._replace(rows=rows),
        sources=[linked(each) for each in found.sources],
        plan=link(job, "/", f"model=deepseek-v3&scenario={found.id}"),
    )
