"""Pages of the engines: all of them, and one with the flags that change memory or speed."""

from __future__ import annotations

from gpusizer.answers import engine_answer
from gpusizer.engines import engine_ids, engine_name, get_engine
from gpusizer.engines.base.flags import flag_table
from gpusizer.errors import GpusizerError
from gpusizer.i18n import text
from gpusizer.rendering.document import Table
from gpusizer.web.job import Job
from gpusizer.web.not_here import not_here
from gpusizer.web.sorted_table import Cell, Column, sorted_table
from gpusizer.web.sources import linked
from gpusizer.web.templating import link, rendered

__all__ = ["page"]

PATH = "/engines"


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of all, or of one."""
    return _engines_page(job, error) if job.kind == "engines" else _engine_page(job, error)


def _engines_page(job: Job, error: GpusizerError | None) -> str:
    """All engines with the version that is predicted."""
    language = job.language
    columns = [
        Column("name", text("ui", "name", language)),
        Column("version", text("ui", "newest-version", language)),
        Column("flags", text("site", "engine-flags", language), right=True),
        Column("commands", text("site", "engine-commands", language)),
        Column("fit", ""),
    ]
    table = sorted_table(job, PATH, columns, [_row(job, each) for each in engine_ids()])
    return rendered("engines.html", job, PATH, table=table, error=error)


def _row(job: Job, engine_id: str) -> list[Cell]:
    engine, counted = get_engine(engine_id), flag_table(engine_id).counted
    version = ".".join(str(part) for part in engine.newest)
    launchers = [" ".join(each) for each in flag_table(engine_id).declared.launchers]
    return [
        Cell(engine_name(engine_id), engine_name(engine_id), link(job, f"{PATH}/{engine_id}"), engine_id),
        Cell(version, version),
        Cell(str(len(counted)), len(counted)),
        Cell(launchers[0] if launchers else "", launchers[0] if launchers else None),
        Cell(text("site", "fit-it", job.language), None, link(job, "/fit", f"engine={engine_id}")),
    ]


def _engine_page(job: Job, error: GpusizerError | None) -> str:
    """One engine: its flags, and where its way of using memory was read."""
    if error is not None:
        return not_here(job, PATH, text("site", "engines-title", job.language), error)
    document = engine_answer(job.path, job.language)
    flags = next(each for each in document.blocks if isinstance(each, Table))
    return rendered(
        "engine.html", job, f"{PATH}/{job.path}", data=document.data, flags=flags, sources=[linked(each) for each in document.data["sources"]]
    )
