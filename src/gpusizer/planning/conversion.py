"""Weights that a device does not run as they are published: the precision that its engine runs there, made before the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.facts.types import Accelerator
from gpusizer.planning.wanted import Search

__all__ = ["by_precision"]

AS_STORED = "checkpoint"


def by_precision(wanted: Search, devices: Sequence[Accelerator]) -> list[tuple[Search, list[int]]]:
    """What is looked for on which devices: the checkpoint as it is where it runs, else the best precision that does.

    Parameters
    ----------
    wanted : Search
        Limits, load, engine and model. A precision that somebody named stays; where it does not run, it is refused.
    devices : sequence of Accelerator
        The accelerators to consider.

    Returns
    -------
    list of (Search, list of int)
        Searches, each with the numbers of its devices.
    """
    if wanted.request.precision.lower() != AS_STORED:
        return [(wanted, list(range(len(devices))))]
    searches = {AS_STORED: wanted}
    numbers: dict[str, list[int]] = {}
    for number, device in enumerate(devices):
        numbers.setdefault(_precision(wanted, device, searches), []).append(number)
    return [(searches[precision], found) for precision, found in numbers.items()]


def _precision(wanted: Search, device: Accelerator, searches: dict[str, Search]) -> str:
    """The first precision that runs on a device; that of the checkpoint where none does."""
    for precision in wanted.support(device).instead:
        if precision not in searches:
            model = with_precision(wanted.stored, precision)
            searches[precision] = replace(wanted, request=replace(wanted.request, precision=precision), architecture=model, converted=True)
        if searches[precision].support(device).refusal is None:
            return precision
    return AS_STORED
