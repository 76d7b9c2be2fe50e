"""Endings of addresses, and the names of files that answers become."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote

from gpusizer.web.job import Job

__all__ = ["ENDINGS", "disposition", "file_name", "parted"]

ENDINGS: Mapping[str, str] = {
    "json": "json",
    "csv": "csv",
    "md": "markdown",
    "txt": "text",
    "mail": "mail",
    "html": "html",
    "xlsx": "xlsx",
    "yaml": "yaml",
    "sh": "sh",
}
"""The form that the ending of an address asks for."""

_SAVED = ("csv", "markdown", "html", "xlsx", "yaml", "sh")
_LONGEST = 80


def parted(name: str, usual: str) -> tuple[str, str]:
    """A name without an ending that asks for a form, and the form; the usual one where it asks for none.

    >>> parted("qwen3-8b.md", "json"), parted("qwen2.5-7b", "page"), parted("qwen2.5-7b.json", "page")
    (('qwen3-8b', 'markdown'), ('qwen2.5-7b', 'page'), ('qwen2.5-7b', 'json'))
    """
    stem, dot, ending = name.rpartition(".")
    return (stem, ENDINGS[ending]) if dot and stem and ending in ENDINGS else (name, usual)


def file_name(job: Job) -> str | None:
    """The name of the file that an answer becomes: what it is, and of which model; None for what a browser shows.

    >>> file_name(Job("plan", "xlsx", "en", "model=deepseek-ai%2FDeepSeek-V3&users=1000"))
    'gpusizer-plan-deepseek-ai-DeepSeek-V3.xlsx'
    >>> file_name(Job("plan", "csv", "en", "model=..%2F%22%0D%0Ax%22%3B%20f")), file_name(Job("plan", "json", "en"))
    ('gpusizer-plan-x-f.csv', None)
    """
    if job.form not in _SAVED:
        return None
    about = job.path or next((value for name, value in parse_qsl(job.query) if name == "model"), "")
    words = re.sub(r"[^\w.+]+", "-", unicodedata.normalize("NFC", about)).strip("-._")[:_LONGEST]
    ending = next(each for each, form in ENDINGS.items() if form == job.form)
    return f"{'-'.join(filter(None, ('gpusizer', job.kind, words)))}.{ending}"


def disposition(name: str, *, shown: bool = False) -> str:
    """The header that names a file, for old and new browsers (RFC 6266).

    Parameters
    ----------
    name : str
        As of :func:`file_name`.
    shown : bool
        Whether a browser shows it, and the name is for whoever saves it.

    Examples
    --------
    >>> disposition("gpusizer-plan-x.csv"), disposition("gpusizer-plan-满血版.csv", shown=True)
    ('attachment; filename="gpusizer-plan-x.csv"', "inline; filename=gpusizer.csv; filename*=UTF-8''gpusizer-plan-%E6%BB%A1%E8%A1%80%E7%89%88.csv")
    """
    how = "inline" if shown else "attachment"
    if name.isascii():
        return f'{how}; filename="{name}"'
    return f"{how}; filename=gpusizer.{name.rpartition('.')[2]}; filename*=UTF-8''{quote(name)}"
