"""Fewer GPUs that hold most of the load: somebody who counts may take them."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from gpusizer.architecture.types import Notice
from gpusizer.formulas.load import replicas_needed
from gpusizer.planning.search import best_layout
from gpusizer.planning.sensitivity import wanted_of
from gpusizer.planning.sizes import replica_sizes
from gpusizer.planning.stack import with_stack
from gpusizer.planning.types import FITS, Option, Plan

__all__ = ["near_misses"]

MOST_OF_IT = 0.8  # share of the load that a near miss holds at least
SIZES_TRIED = 3  # smaller replicas, from the largest


def near_misses(plan: Plan) -> tuple[Notice, ...]:
    """What fewer GPUs of the first option's device hold, where that is most of the load and memory decides.

    Parameters
    ----------
    plan : Plan
        An answer.

    Returns
    -------
    tuple of Notice
        The fewest GPUs that hold four fifths of the requests, or nothing.
    """
    best = plan.best
    if best is None or best.verdict != FITS or best.prefill is not None or plan.request.has_targets or plan.need.concurrency < 2:
        return ()
    held = dict(_smaller(plan, best))
    if not held:
        return ()
    fewest = min(held)
    said = {"gpus": fewest, "gpu": best.accelerator.id, "held": held[fewest], "concurrency": plan.need.concurrency}
    return (Notice("near-miss", said),)


def _smaller(plan: Plan, best: Option) -> Iterator[tuple[int, int]]:
    """GPUs and requests on the safe side of deployments that take fewer and hold most: fewer replicas of the same, or smaller ones."""
    beyond = best.gpus - best.layout.gpus * best.replicas
    yield from _fewest(plan.need.concurrency, (best.layout.gpus, beyond), best.held_requests_low // best.replicas, best.replicas - 1)
    wanted = with_stack(wanted_of(plan, best), best)
    sizes = [size for size in replica_sizes(best.accelerator, best.layout.gpus) if size < best.layout.gpus]
    for size in sizes[-SIZES_TRIED:]:
        if size * best.accelerator.memory_bytes <= wanted.weights_bytes:
            continue
        candidate = best_layout(wanted, best.accelerator, size).safe
        if candidate is not None:
            beyond = candidate.gpus - size * candidate.replicas
            yield from _fewest(plan.need.concurrency, (size, beyond), candidate.held_low, (best.gpus - 1 - beyond) // size)


def _fewest(need: int, gpus: tuple[int, int], held_low: int, most: int) -> Iterator[tuple[int, int]]:
    """The fewest replicas, at most so many, that hold most of the load and not all of it: their GPUs, with those beside them, and requests."""
    count = int(replicas_needed(concurrency=ceil(MOST_OF_IT * need), held=max(held_low, 1)))
    if 0 < count <= most and count * held_low < need:
        yield count * gpus[0] + gpus[1], count * held_low
