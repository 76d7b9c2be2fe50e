"""Pages as Jinja templates: every word from ``i18n``, every value escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gpusizer.errors import GpusizerError
from gpusizer.i18n import error_sentence, text
from gpusizer.web.job import Job

__all__ = ["LONGEST", "PAGES", "link", "rendered"]

PAGES = (
    ("/", "nav-plan"),
    ("/fit", "nav-fit"),
    ("/run-on", "nav-run-on"),
    ("/diagnose", "nav-diagnose"),
    ("/models", "nav-models"),
    ("/accelerators", "nav-accelerators"),
    ("/formulas", "nav-formulas"),
    ("/accuracy", "nav-accuracy"),
    ("/docs", "nav-docs"),
)
"""Pages that the header leads to: address, and the code of the name."""

NAMES = {"en": "English", "zh": "中文"}
"""What each language calls itself."""


LONGEST = 15_000
"""Characters of a query up to which a state has an address; a longer one (a configuration that was pasted) is sent as the body of a form."""


def link(job: Job, path: str, query: str = "", language: str = "") -> str:
    """An address on this server, in the language of the page.

    Parameters
    ----------
    job : Job
        What was asked: what stands before every address, and the language.
    path : str
        The page.
    query : str
        What is asked there.
    language : str
        Another language than the page's.

    Examples
    --------
    >>> link(Job("plan", "page", "zh", root_path="/gpusizer"), "/", "model=qwen3-8b"), link(Job("plan", "page", "zh"), "/fit", language="en")
    ('/gpusizer/?model=qwen3-8b&lang=zh', '/fit?lang=en')
    """
    return f"{job.root_path}{path}?{query}{'&' if query else ''}lang={language or job.language}"


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("gpusizer.web"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals |= {"languages": NAMES, "pages": PAGES, "longest": LONGEST}
    return found


def rendered(template: str, job: Job, at: str = "/", **values: Any) -> str:
    """A page.

    Parameters
    ----------
    template : str
        Its file in this folder.
    job : Job
        What was asked: language and address.
    at : str
        Path of the page: the header marks it, and the switch of the language leads back to it.
    **values
        What the template shows.

    Returns
    -------
    str
        HTML. In a template ``t("code", ...)`` is a text of the group "web", ``say("group", "code", ...)`` one of another group, ``wrong(error)`` the
        sentence of an error, ``here`` the job, ``link(path, query)`` an address on this server.
    """
    language = job.language

    def t(code: str, **parameters: Any) -> str:
        return text("web", code, language, **parameters)

    def say(group: str, code: str, **parameters: Any) -> str:
        return text(group, code, language, **parameters)

    def wrong(error: GpusizerError) -> str:
        return error_sentence(error.code, language, error.parameters)

    def to(path: str, query: str = "", language: str = "") -> str:
        return link(job, path, query, language)

    return _environment().get_template(template).render(here=job, at=at, t=t, say=say, wrong=wrong, link=to, **values)
