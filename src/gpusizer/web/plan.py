"""Plans over HTTP: the document, the workbook, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpusizer.architecture.load import read_pasted
from gpusizer.errors import GpusizerError
from gpusizer.planning.pipeline import make_plan
from gpusizer.rendering.mail import mail_words
from gpusizer.rendering.plan_document import PlanDocument
from gpusizer.rendering.report.cover import read_cover
from gpusizer.web.asked import Asked, asked_of, pairs_of
from gpusizer.web.bodies import pairs_of_body
from gpusizer.web.job import PAGE, PART, Job
from gpusizer.web.plan_form import Group, datalists, field_of_error, form_groups, said_of_error
from gpusizer.web.plan_links import PlanLinks, suggestions
from gpusizer.web.plan_page import PlanPage
from gpusizer.web.plan_why import article_of, memory_whys, speed_whys
from gpusizer.web.templating import rendered

__all__ = ["answer", "mail", "page", "workbook"]

FIRST = "model=deepseek-v3&users=1000"
"""What the page answers before anybody has asked."""


def answer(job: Job) -> PlanDocument:
    """The plan that an address asks for."""
    asked = _asked(job)
    shown = asked.shown
    cover = read_cover(shown.get("title"), shown.get("customer"), shown.get("date") or job.day or None)
    return PlanDocument(make_plan(asked.request), job.language, top=shown.get("top"), fields=shown.get("fields", ()), cover=cover)


def mail(job: Job) -> str:
    """The plan as lines for a mail."""
    return mail_words(make_plan(_asked(job).request), job.language)


def workbook(job: Job) -> bytes:
    """The plan as a workbook."""
    from gpusizer.rendering.workbook import plan_workbook
    from gpusizer.rendering.workbook.request import workbook_request

    return plan_workbook(make_plan(workbook_request(_asked(job).request)), job.language)


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of a plan, or its part that a script puts in place of the old answer."""
    if error is not None:
        return _refused(job, error)
    asked, language = _asked(job), job.language
    plan = make_plan(asked.request)
    shown = PlanPage(plan, PlanLinks(job, asked), language, asked.shown.get("top"))
    best = plan.best
    whys = {} if best is None else {"memory": memory_whys(best, language), "speed": speed_whys(best, language)}
    groups = form_groups(pairs_of(job.query or FIRST), plan, None, language)
    return _page(job, groups, page=shown, error=None, whys=whys, article=article_of(plan, language))


def _refused(job: Job, error: GpusizerError) -> str:
    """The page where there is no answer: what was typed stays, and what is wrong stands beside it."""
    try:
        typed = pairs_of(job.query)
    except GpusizerError:
        typed = []
    near = suggestions(job, typed, field_of_error(error, typed), error)
    groups = form_groups(typed, None, error, job.language)
    return _page(job, groups, page=None, error=error, said=said_of_error(error, job.language), near=near)


def _page(job: Job, groups: Sequence[Group], **values: Any) -> str:
    template = "plan-part.html" if job.form == PART else "plan.html"
    return rendered(template, job, groups=groups, lists=datalists(job.language), **values)


def _asked(job: Job) -> Asked:
    pairs = pairs_of(job.query or ("" if job.body else FIRST if job.form in (PAGE, PART) else ""))
    asked = asked_of([*pairs, *pairs_of_body(job.body)])
    if asked.config is not None:
        read_pasted(asked.config)
    return asked
