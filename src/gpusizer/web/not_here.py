"""The page that says that there is nothing of a name, and what comes nearest."""

from __future__ import annotations

from gpusizer.errors import GpusizerError
from gpusizer.web.job import Job
from gpusizer.web.plan_form import said_of_error
from gpusizer.web.templating import link, rendered

__all__ = ["not_here"]


def not_here(job: Job, path: str, title: str, error: GpusizerError) -> str:
    """The page.

    Parameters
    ----------
    job : Job
        The question.
    path : str
        The list that was looked into.
    title : str
        What the list is called.
    error : GpusizerError
        Why there is no answer.
    """
    near = error.parameters.get("nearest") or ()
    links = [(str(each), link(job, f"{path}/{each}")) for each in near] if isinstance(near, list | tuple) else []
    return rendered("not-here.html", job, path, said=said_of_error(error, job.language), near=links, back=(title, link(job, path)))
