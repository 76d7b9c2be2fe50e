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
    body : bytes
        A JSON object that was sent with it; empty without one.
    day : str
        The day that it is, where the answer says so.
    """

    kind: str
    form: str
    language: str
    query: str = ""
    path: str = ""
    root_path: str = ""
    body: bytes = b""
    day: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Parameters
    ----------
    status : int
        Of HTTP.
    media_type : str
        Of the content.
    body : bytes
        The content.
    file_name : str or None
        Name of the file that it should become.
    style_hash : str or None
        "sha256-..." of the one style that stands in an HTML file that carries its own.
    is_packed : bool
        Whether the content is packed with gzip.
    """

    status: int
    media_type: str
    body: bytes
    file_name: str | None = None
    style_hash: str | None = None
    is_packed: bool = False
