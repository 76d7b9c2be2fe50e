"""Plans over HTTP: the document, the workbook, and the page."""

from __future__ import annotations

from gpusizer.architecture.load import read_pasted
from gpusizer.errors import GpusizerError
from gpusizer.planning.pipeline import make_plan
from gpusizer.rendering.plan_document import PlanDocument
from gpusizer.web.asked import Asked, asked_of, pairs_of
from gpusizer.web.bodies import pairs_of_body
from gpusizer.web.job import PAGE, PART, Job
from gpusizer.web.templating import rendered

__all__ = ["answer", "page", "workbook"]

FIRST = "model=deepseek-v3&users=1000"
"""What the page answers before anybody has asked."""


def answer(job: Job) -> PlanDocument:
    """The plan that an address asks for."""
    asked = _asked(job)
    return PlanDocument(make_plan(asked.request), job.language, top=asked.shown.get("top"), fields=asked.shown.get("fields", ()))


def workbook(job: Job) -> bytes:
    """The plan as a workbook."""
    from gpusizer.rendering.workbook import plan_workbook
    from gpusizer.rendering.workbook.request import workbook_request

    return plan_workbook(make_plan(workbook_request(_asked(job).request)), job.language)


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of a plan, or its part that a script puts in place of the old answer."""
    document = None if error is not None else answer(job)
    template = "plan-answer.html" if job.form == PART else "plan.html"
    return rendered(template, job, document=document, error=error)


def _asked(job: Job) -> Asked:
    pairs = pairs_of(job.query or ("" if job.body else FIRST if job.form in (PAGE, PART) else ""))
    asked = asked_of([*pairs, *pairs_of_body(job.body)])
    if asked.config is not None:
        read_pasted(asked.config)
    return asked
