"""What goes to a worker process, and what comes back: plain data that crosses between processes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PAGE", "PART", "Job", "Reply"]

PAGE, PART = "page", "part"
"""Forms beside those of :mod:`gpusizer.rendering.render`: a whole page, and the part of it that a script puts in place of the old answer."""


@dataclass(frozen=True, slots=True)
class Job:
    """One question.

    Parameters
    ----------
    kind : str
        What is asked: a key of :data:`gpusizer.web.replies.KINDS`.
    form : str
        How it is to be said: "page", "part", "xlsx", or a form of :mod:`gpusizer.rendering.render`.
    language : str
        "en" or "zh".
    query : str
        The query of the address, without the language, in one order.
    path : str
        What the address names beyond the kind: an id.
    root_path : str
        What stands before every address of ours.
    """

    kind: str
    form: str
    language: str
    query: str = ""
    path: str = ""
    root_path: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: status, media type, content, and the name of the file that it should become."""

    status: int
    media_type: str
    body: bytes
    file_name: str | None = None
