"""What whoever hands a report over writes on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date as Date

from gpusizer.errors import FlagError

__all__ = ["BARE", "Cover", "read_cover"]

LONGEST = 200
"""Characters of a title or a customer's name."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Title, customer and date; what is empty is left out.

    Parameters
    ----------
    title : str
        In place of the usual title.
    customer : str
        For whom it is.
    date : str
        Of the day that it is handed over: the clock is never asked here, so that the same report is the same bytes.
    """

    title: str = ""
    customer: str = ""
    date: str = ""


BARE = Cover()
"""Nothing written on it."""


def read_cover(title: str | None, customer: str | None, date: str | None) -> Cover:
    """A cover from what somebody typed.

    Parameters
    ----------
    title, customer : str or None
        Any words, within bounds.
    date : str or None
        A day as ISO 8601 writes it.

    Raises
    ------
    FlagError
        Words that are too long, or no day.

    Examples
    --------
    >>> read_cover(" Offer 7 ", None, "2026-11-27")
    Cover(title='Offer 7', customer='', date='2026-11-27')
    """
    said = {"--title": (title or "").strip(), "--customer": (customer or "").strip()}
    for option, words in said.items():
        if len(words) > LONGEST:
            raise FlagError("words-too-long", option=option, most=LONGEST, found=len(words))
    try:
        day = Date.fromisoformat(date.strip()).isoformat() if date else ""
    except ValueError as error:
        raise FlagError("bad-date", option="--date", found=(date or "")[:40]) from error
    return Cover(said["--title"], said["--customer"], day)
