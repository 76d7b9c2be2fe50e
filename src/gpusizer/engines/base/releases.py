"""Which release of an engine was the newest on a day: for a start whose version nobody wrote down. Each engine's folder has its own months."""

from __future__ import annotations

import re

from gpusizer.engines import find_declaration

__all__ = ["month_of", "release_on", "releases_of"]


def releases_of(engine_id: str, *, fork: bool = False) -> tuple[tuple[str, str], ...]:
    """(first day or month that it was the newest, release) of an engine or its fork, the oldest first; empty for one that nobody declared."""
    found = find_declaration(engine_id)
    if found is None:
        return ()
    return found.fork_releases if fork else found.releases


def release_on(engine_id: str, date: str, *, fork: bool = False) -> str | None:
    """The newest release of an engine on a day.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    date : str
        "2025-07-22", or a month.
    fork : bool
        Of its fork.

    Returns
    -------
    str or None
        A release, or None where none is known for the engine or the day.

    Examples
    --------
    >>> release_on("vllm", "2025-07-22"), release_on("vllm", "2019-01-01"), release_on("llama.cpp", "2025-07-22")
    ('0.9.2', None, '5790')
    >>> release_on("llama.cpp", "2025-06-11", fork=True), release_on("llama.cpp", "2025-06-12", fork=True)
    ('3729', '3745')
    """
    if not re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", date):
        return None
    return next((release for month, release in reversed(releases_of(engine_id, fork=fork)) if month <= date), None)


def month_of(engine_id: str, version: str) -> str | None:
    """The month from which on a release was the newest, to the nearest release that is known.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    version : str
        "0.11.0", "v0.5.8.post1", "1.2.0rc6".

    Returns
    -------
    str or None
        A month, or None where the version cannot be read or the engine is not known.

    Examples
    --------
    >>> month_of("vllm", "0.11.0"), month_of("vllm", "0.11.2"), month_of("vllm", "nightly")
    ('2025-10', '2025-10', None)

    A candidate is older than its release.

    >>> month_of("tensorrt-llm", "1.0.0rc3"), month_of("tensorrt-llm", "1.0.0")
    ('2025-07', '2025-10')
    """
    numbers = re.match(r"v?(\d{1,6}(?:\.\d{1,6}){0,3})", version[:64])
    if numbers is None:
        return None
    wanted = tuple(int(part) for part in numbers[1].split("."))
    releases = releases_of(engine_id)
    candidate = re.match(r"\.?(?:rc|a|b|dev)\d", version[numbers.end() : 64])
    known = [(month, tuple(int(part) for part in release.split("."))) for month, release in releases]
    older = [month for month, release in known if release < wanted or (release == wanted and candidate is None)]
    return older[-1] if older else (releases[0][0] if releases else None)
