"""Many inputs of one surface: Hypothesis draws and shrinks them; what brings an answer that is new becomes a parent of the next ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from fuzz.guard import FailedError, forget_peak, tried
from fuzz.surface import Surface

__all__ = ["Found", "fuzz"]

_BATCH = 400  # inputs between two looks at what is new
_MOST_PARENTS = 400


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


def fuzz(surface: Surface, inputs: int, number: int, known: Collection[str] = (), before: Callable[[bytes], object] = bytes) -> Found:
    """Feed a surface.

    Parameters
    ----------
    surface : Surface
        The surface.
    inputs : int
        At least so many; where something fails, those that shrink it come on top.
    number : int
        What chance starts from: equal numbers bring equal inputs.
    known : collection of str
        Places of failures that are passed over.
    before : callable
        Told of each input before it is fed.

    Returns
    -------
    Found
        What came of it.
    """
    found = Found()
    forget_peak()
    parents = [*surface.seeds(), *(surface.larger() if inputs > 10 * surface.share else ())]
    for content in parents:
        _fed(surface, content, found, known, before)
    while found.inputs < inputs:
        _batch(surface, (*parents, *list(found.answers.values())[-_MOST_PARENTS:]), min(_BATCH, inputs - found.inputs), number, found, known, before)
        number += 1
    return found


def _fed(surface: Surface, content: bytes, found: Found, known: Collection[str], before: Callable[[bytes], object]) -> FailedError | None:
    """One input; what it failed with, if that is not known."""
    before(content)
    found.inputs += 1
    try:
        found.answers.setdefault(tried(surface, content), content)
    except FailedError as error:
        if error.place in known:
            return None
        least = found.failures.get(error.place, (content, ""))[0]
        if (len(content), content) <= (len(least), least):
            found.failures[error.place] = content, str(error)
        return error
    return None


def _batch(
    surface: Surface, parents: tuple[bytes, ...], count: int, number: int, found: Found, known: Collection[str], before: Callable[[bytes], object]
) -> None:
    failed_before = set(found.failures)

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
        error = _fed(surface, content, found, known, before)
        if error is not None and error.place not in failed_before:
            raise error

    with suppress(FailedError):  # it stands in ``found``, shrunk
        each()
