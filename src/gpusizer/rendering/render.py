"""The answer in one form. A form is a module of ``rendering/forms`` with ``write(document) -> str``; its name is what ``--format`` takes.

One that looks different on a screen has ``write_file(document)`` for files as well.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from os.path import splitext

from gpusizer.rendering import forms
from gpusizer.rendering.document import Answer

__all__ = ["ENDINGS", "ending_of", "form_names", "form_of_ending", "render", "render_file"]

ENDINGS = {
    ".txt": "text",
    ".csv": "csv",
    ".html": "html",
    ".json": "json",
    ".md": "markdown",
    ".markdown": "markdown",
    ".svg": "svg",
    ".xlsx": "xlsx",
}
"""The form that the ending of a file says."""

_FIRST = "text"  # what people read without asking for a form


def form_names() -> tuple[str, ...]:
    """Every form, the one for people first.

    >>> form_names()
    ('text', 'csv', 'html', 'json', 'markdown')
    """
    found = sorted(module.name for module in pkgutil.iter_modules(forms.__path__))
    return (_FIRST, *(name for name in found if name != _FIRST))


def render(document: Answer, form: str) -> str:
    """The answer in one form.

    Parameters
    ----------
    document : Answer
        The answer.
    form : str
        One of :func:`form_names`.

    Returns
    -------
    str
        What is printed or written.

    Examples
    --------
    >>> from gpusizer.rendering.document import Column, Document, Heading, Table
    >>> answer = Document({"schema": "gpusizer.example/1"}, [Heading("GPUs"), Table((Column("id"), Column("GB", True)), [["=h200", "150.1"]])])
    >>> print(render(answer, "markdown"), end="")
    ## GPUs
    <BLANKLINE>
    | id | GB |
    | --- | ---: |
    | =h200 | 150.1 |
    >>> print(render(answer, "csv"), end="")
    id,GB
    '=h200,150.1
    """
    written: str = import_module(f"gpusizer.rendering.forms.{form}").write(document)
    return written


def render_file(document: Answer, form: str) -> str:
    """The answer in one form as a file holds it, whatever terminal there is.

    Parameters
    ----------
    document : Answer
        The answer.
    form : str
        One of :func:`form_names`.
    """
    module = import_module(f"gpusizer.rendering.forms.{form}")
    written: str = getattr(module, "write_file", module.write)(document)
    return written


def ending_of(path: str) -> str:
    """The ending of a file's name, in small letters; empty without one.

    >>> ending_of("plan.MD"), ending_of("plan"), ending_of("v1.2/plan")
    ('.md', '', '')
    """
    return splitext(path)[1].lower()


def form_of_ending(ending: str) -> str | None:
    """The form of files with such an ending.

    >>> form_of_ending(".md"), form_of_ending(".docx")
    ('markdown', None)
    """
    return ENDINGS.get(ending)
