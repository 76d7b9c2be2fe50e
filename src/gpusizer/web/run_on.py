"""What runs on somebody's machines over HTTP: the document, and the page."""

from __future__ import annotations

from gpusizer.errors import GpusizerError
from gpusizer.planning.run_on.answer import run_on
from gpusizer.rendering.document import Document
from gpusizer.rendering.run_on import run_on_document
from gpusizer.web.asked import pairs_of
from gpusizer.web.bodies import pairs_of_body
from gpusizer.web.job import Job
from gpusizer.web.run_on_asked import counted, run_on_asked
from gpusizer.web.run_on_page import run_on_page

__all__ = ["answer", "page"]


def answer(job: Job) -> Document:
    """What runs on the machines that an address names."""
    request = run_on_asked([*pairs_of(job.query), *pairs_of_body(job.body)])
    return run_on_document(run_on(request), job.language)


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page: the form alone where no machine is named, and why there is no answer where something is wrong."""
    typed = counted(pairs_of(job.query))
    is_asked = error is None and any(name == "machine" for name, _ in typed)
    return run_on_page(job, typed, run_on(run_on_asked(typed)) if is_asked else None, error)
