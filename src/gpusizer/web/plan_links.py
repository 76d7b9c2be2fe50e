"""Addresses that carry a plan's request: with one thing changed, in other forms, as a command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from gpusizer.errors import GpusizerError
from gpusizer.planning.deploy import COMMAND
from gpusizer.planning.request import Request, to_arguments
from gpusizer.web.addresses import API
from gpusizer.web.asked import Asked
from gpusizer.web.job import Job
from gpusizer.web.templating import LONGEST, link

__all__ = ["FORMS", "PlanLinks", "deploy_path", "suggestions"]

PAGE = "/"

FORMS: Mapping[str, str] = {
    "xlsx": "/plan.xlsx",
    "html": "/report",
    "mail": "/plan.mail",
    "markdown": "/plan.md",
    "csv": "/plan.csv",
    "json": "/plan.json",
}
"""Addresses of the other forms of an answer."""

ORIGIN = "http://127.0.0.1:8000"
"""Where a server answers unless somebody says otherwise."""


def deploy_path(target: str) -> str:
    """Where the file of a target is asked for.

    >>> deploy_path("command"), deploy_path("kubernetes")
    ('/deploy.sh', '/deploy.yaml')
    """
    return "/deploy.sh" if target == COMMAND else "/deploy.yaml"


_DEFAULTS = {each.name: each.default for each in fields(Request)}


@dataclass(frozen=True, slots=True)
class PlanLinks:
    """Addresses of one request.

    Parameters
    ----------
    job : Job
        The language, and what stands before every address.
    asked : Asked
        The request.
    """

    job: Job
    asked: Asked

    @property
    def here(self) -> str:
        """The page of exactly this request; empty where it is too long for an address, as are all that follow."""
        return self._to(PAGE, self.asked)

    def changed(self, **values: Any) -> str:
        """The page of the same request with other values in some fields."""
        return self._to(PAGE, replace(self.asked, request=replace(self.asked.request, **values)))

    def without(self, *names: str) -> str:
        """The page of the same request with some limits lifted."""
        return self.changed(**{name: _DEFAULTS[name] for name in names})

    def showing(self, **values: Any) -> str:
        """The page of the same request, shown in another way."""
        return self._to(PAGE, replace(self.asked, shown={**self.asked.shown, **values}))

    def form(self, name: str) -> str:
        """The same answer in another form."""
        return self._to(FORMS[name], self.asked)

    def deploy(self, target: str) -> str:
        """The file that starts the answer."""
        return link(self.job, deploy_path(target), f"{self.asked.query}&target={target}") if len(self.asked.query) <= LONGEST else ""

    def sent(self, name: str) -> str:
        """Where a form is sent to that asks for the same answer in another form."""
        return link(self.job, FORMS[name])

    def _to(self, path: str, asked: Asked) -> str:
        return link(self.job, path, asked.query) if len(asked.query) <= LONGEST else ""

    @property
    def command(self) -> str:
        """The same request on the command line; a configuration that was pasted lies there as a file."""
        model, *rest = to_arguments(self.asked.request)
        top = [f"--top={self.asked.shown['top']}"] if "top" in self.asked.shown else []
        return shlex.join(["gpusizer", "plan", model if self.asked.config is None else "config.json", *rest, *top])

    @property
    def curl(self) -> str:
        """The same request over HTTP, at the usual address: the script puts the true one in its place."""
        to = f"{ORIGIN}{self.job.root_path}{API}/plan"
        if self.asked.config is None:
            return shlex.join(["curl", f"{to}?{self.asked.query}"])
        rest = replace(self.asked, config=None, request=replace(self.asked.request, model="-")).query.partition("&")[2]
        return shlex.join(["curl", to, "--data-urlencode", "config@config.json", *(["--data", rest] if rest else [])])


def suggestions(job: Job, typed: Sequence[tuple[str, str]], name: str | None, error: GpusizerError) -> list[tuple[str, str]]:
    """What may have been meant where something is not known, each with the page that asks for it.

    Parameters
    ----------
    job : Job
        The language, and what stands before every address.
    typed : sequence of (str, str)
        Names and values as they were typed.
    name : str or None
        The field that is wrong.
    error : GpusizerError
        What is wrong.
    """
    near = error.parameters.get("nearest") or ()
    if name is None or not isinstance(near, list | tuple):
        return []
    rest = [(each, value) for each, value in typed if each != name]
    return [(str(each), link(job, PAGE, urlencode([*rest, (name, str(each))]))) for each in near]
