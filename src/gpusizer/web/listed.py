"""Questions of the catalogue: which filters an address gives."""

from __future__ import annotations

from difflib import get_close_matches

from gpusizer.errors import InputError
from gpusizer.planning.fields import MAX_WORD
from gpusizer.web.asked import pairs_of
from gpusizer.web.job import Job

__all__ = ["filters_of"]


def filters_of(job: Job, *names: str) -> dict[str, str]:
    """The filters that were given, by name.

    Parameters
    ----------
    job : Job
        The question.
    *names : str
        What may be given.

    Raises
    ------
    InputError
        Any other name, or one given twice.

    Examples
    --------
    >>> filters_of(Job("models", "json", "en", "filter=qwen+moe"), "filter")
    {'filter': 'qwen moe'}
    """
    found: dict[str, str] = {}
    for name, value in pairs_of(job.query):
        if name not in names:
            raise InputError("unknown-field", id=name[:40], nearest=get_close_matches(name, names, 3, 0.4))
        if len(value) > MAX_WORD:
            raise InputError("bad-word", option=name, found=value[:40])
        if name in found:
            raise InputError("given-twice", name=name)
        found[name] = value
    return found
