"""One start over HTTP: the document, and the page."""

from __future__ import annotations

from gpusizer.errors import GpusizerError
from gpusizer.planning.verdict import Verdict, make_fit
from gpusizer.rendering.document import Document
from gpusizer.web.asked import pairs_of
from gpusizer.web.bodies import pairs_of_body
from gpusizer.web.fit_asked import FitAsked, fit_asked
from gpusizer.web.fit_page import fit_page
from gpusizer.web.job import Job

__all__ = ["answer", "page"]

FIRST = "command=vllm+serve+deepseek-ai%2FDeepSeek-V3+--tensor-parallel-size+8+--max-model-len+32768&gpu=h200-sxm-141gb"
"""What the page answers before anybody has asked."""


def answer(job: Job) -> Document:
    """What becomes of the start that an address asks about."""
    from gpusizer.answers import fit_answer

    return fit_answer(_verdict(fit_asked([*pairs_of(job.query), *pairs_of_body(job.body)])), job.language)


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of a start: what was asked, and what becomes of it; where it cannot be answered, why."""
    typed = pairs_of(job.query or FIRST)
    asked = verdict = None
    if error is None and _is_whole(typed):
        asked = fit_asked(typed)
        verdict = _verdict(asked)
    return fit_page(job, typed, asked, verdict, error)


def _is_whole(typed: list[tuple[str, str]]) -> bool:
    """Whether there is a question: who comes from a model has not named a GPU yet, and the other way round."""
    names = {name for name, _ in typed}
    return "gpu" in names and not names.isdisjoint(("model", "command", "config"))


def _verdict(asked: FitAsked) -> Verdict:
    launch = asked.launch()
    return make_fit(launch.deployment, launch.notices)
