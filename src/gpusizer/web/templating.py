"""Pages as Jinja templates: every word from ``i18n``, every value escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gpusizer.errors import GpusizerError
from gpusizer.i18n import LANGUAGES, error_sentence, text
from gpusizer.web.job import Job

__all__ = ["rendered"]


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("gpusizer.web"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["languages"] = LANGUAGES
    return found


def rendered(template: str, job: Job, **values: Any) -> str:
    """A page.

    Parameters
    ----------
    template : str
        Its file in this folder.
    job : Job
        What was asked: language and address.
    **values
        What the template shows.

    Returns
    -------
    str
        HTML. In a template ``t("code", ...)`` is a text of the group "web", ``say("group", "code", ...)`` one of another group, ``wrong(error)`` the
        sentence of an error, ``here`` the job.
    """
    language = job.language

    def t(code: str, **parameters: Any) -> str:
        return text("web", code, language, **parameters)

    def say(group: str, code: str, **parameters: Any) -> str:
        return text(group, code, language, **parameters)

    def wrong(error: GpusizerError) -> str:
        return error_sentence(error.code, language, error.parameters)

    return _environment().get_template(template).render(here=job, t=t, say=say, wrong=wrong, **values)
