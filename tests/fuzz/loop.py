"""Many inputs of one surface: Hypothesis draws and shrinks them; what brings an answer that is new becomes a parent of the next ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from fuzz.guard import FailedError, forget_peak, tried
from fuzz.surface import Surface

__all__ = ["Found", "fuzz"]

_BATCH = 400  # inputs between two looks at what is new
_MOST_PARENTS = 1_000  # of those that were found, the newest


@dataclass
class Found:
    """What came of a run.

    Parameters
    ----------
    inputs : int
        That were fed.
    answers : dict
        For each kind of answer the first input that had it.
    failures : dict
        For each place of a failure the least input that fails there, and what it says.
    """

    inputs: int = 0
    answers: dict[Hashable, bytes] = field(default_factory=dict)
    failures: dict[str, tuple[bytes, str]] = field(default_factory=dict)


def fuzz(surface: Surface, inputs: int, number: int, found: Found | None = None, before: Callable[[bytes], object] = bytes) -> Found:
    """Feed a surface.

    Parameters
    ----------
    surface : Surface
        The surface.
    inputs : int
        At least so many; where something fails, those that shrink it come on top.
    number : int
        What chance starts from: equal numbers bring equal inputs.
    found : Found, optional
        What came of a run that this one goes on with: places that failed are passed over.
    before : callable
        Told of each input before it is fed.

    Returns
    -------
    Found
        What came of all of it.
    """
    forget_peak()
    seeds = list(surface.seeds())
    if found is None:
        found = Found()
        for content in seeds:
            _fed(surface, content, found, before)
    most = found.inputs + inputs
    while found.inputs < most:
        parents = (*seeds, *list(found.answers.values())[-_MOST_PARENTS:])
        _batch(surface, parents, min(_BATCH, most - found.inputs), number, found, before)
        number += 1
    return found


def _fed(surface: Surface, content: bytes, found: Found, before: Callable[[bytes], object]) -> FailedError | None:
    """One input; what it failed with."""
    before(content)
    found.inputs += 1
    try:
        found.answers.setdefault(tried(surface, content), content)
    except FailedError as error:
        least = found.failures.get(error.place, (content, ""))[0]
        if (len(content), content) <= (len(least), least):
            found.failures[error.place] = content, str(error)
        return error
    return None


def _batch(surface: Surface, parents: tuple[bytes, ...], count: int, number: int, found: Found, before: Callable[[bytes], object]) -> None:
    known = set(found.failures)

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )
    @given(surface.changed(parents))
    def each(content: bytes) -> None:
        error = _fed(surface, content, found, before)
        if error is not None and error.place not in known:
            raise error

    with suppress(FailedError):  # it stands in ``found``, shrunk
        each()
