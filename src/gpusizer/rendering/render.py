"""The answer in one form. A form is a module of ``rendering/forms`` with ``write(document) -> str``; its name is what ``--format`` takes."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from gpusizer.rendering import forms
from gpusizer.rendering.document import Answer

__all__ = ["form_names", "render"]

_FIRST = "text"  # what people read without asking for a form


def form_names() -> tuple[str, ...]:
    """Every form, the one for people first.

    >>> form_names()
    ('text', 'csv', 'json', 'markdown')
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
