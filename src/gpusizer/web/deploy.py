"""What starts an option of a plan, or one start, over HTTP: the document, and the file of its target."""

from __future__ import annotations

from typing import Any

from gpusizer.architecture.load import read_pasted
from gpusizer.errors import FlagError, InputError
from gpusizer.planning.deploy import COMMAND, FIELDS, KUBERNETES, ToRun, Wishes, of_plan, of_verdict, wishes_of
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.deployment.document import deploy_document, deployed
from gpusizer.rendering.document import Document
from gpusizer.web.asked import asked_of, pairs_of
from gpusizer.web.bodies import pairs_of_body
from gpusizer.web.fit_asked import fit_asked
from gpusizer.web.job import Job

__all__ = ["answer", "file"]

_OWN = {each.name for each in FIELDS}
_OF_A_START = frozenset({"gpu", "command"})


def answer(job: Job) -> Document:
    """What an address asks to be started."""
    values, rest = _asked(job)
    wishes = wishes_of(values)
    return deploy_document(_to_run(rest, wishes), wishes, job.language)


def file(job: Job) -> str:
    """The file alone: commands by the ending "sh", what other programs read by "yaml"."""
    values, rest = _asked(job)
    wishes = wishes_of({"target": COMMAND if job.form == "sh" else KUBERNETES, **values})
    if (wishes.target == COMMAND) != (job.form == "sh"):
        raise FlagError("option-of-forms", option=f"target={wishes.target}", expected=["yaml" if job.form == "sh" else "sh"], form=job.form)
    return deployed(_to_run(rest, wishes), wishes, job.language)


def _asked(job: Job) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """How it is to be carried, and everything else that was said."""
    own: dict[str, Any] = {}
    rest: list[tuple[str, Any]] = []
    for name, value in (*pairs_of(job.query), *pairs_of_body(job.body)):
        if name not in _OWN:
            rest.append((name, value))
        elif name in own:
            raise InputError("given-twice", name=name)
        else:
            own[name] = value
    return own, rest


def _to_run(pairs: list[tuple[str, Any]], wishes: Wishes) -> ToRun:
    """One start where it is named as at /fit, else an option of the plan."""
    if any(name in _OF_A_START and value is not None for name, value in pairs):
        if wishes.option is not None:
            raise FlagError("deploy-need-and-start", option="option", flags=sorted(_OF_A_START))
        launch = fit_asked(pairs).launch()
        return of_verdict(make_fit(launch.deployment, launch.notices))
    asked = asked_of(pairs)
    if asked.config is not None:
        read_pasted(asked.config)
    return of_plan(make_plan(asked.request), wishes.option)
