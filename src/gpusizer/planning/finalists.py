"""The options that an answer shows first, simulated request by request: percentiles of what requests see, and which targets they keep.

The search keeps to closed forms, which know means; where a rate arrives or a percentile is asked for, the first options are run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from gpusizer.performance.predict import Question
from gpusizer.performance.simulation.deployed import Served
from gpusizer.performance.simulation.requests import Requests, drawn
from gpusizer.performance.simulation.summary import Summary, summary_of
from gpusizer.planning.request import PERCENTILE_TARGETS, Request
from gpusizer.planning.types import Option

__all__ = ["Missed", "Simulated", "simulated_finalists"]

WANTED = 2  # options that keep all targets, after which no further one is run
MOST = 3  # options that are run
RUNNING = 64.0  # requests at once from which on one rank stands for all
ROUNDS, LEAST, LARGEST = 4, 200, 400  # requests of a run: for each that runs at once, and bounds
WARM_UP = 0.25  # of them, which do not count
MOST_OF_TRACE = 3000  # requests of a trace, from its beginning
SPREAD = 0.3  # of lengths: equal ones would stay in step for ever


class Missed(NamedTuple):
    """A target that was missed: its name ("ttft_p95_s"), what was found and what was asked for. [s]"""

    target: str
    found_s: float
    wished_s: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation says of an option.

    Parameters
    ----------
    summary : Summary
        Percentiles and rates.
    missed : tuple of Missed
        Targets that it does not keep.
    """

    summary: Summary
    missed: tuple[Missed, ...]


def simulated_finalists(request: Request, options: Sequence[Option], trace: Requests | None = None) -> tuple[Option, ...]:
    """The options in their order, the first of them simulated: those that keep every target come before the others.

    Parameters
    ----------
    request : Request
        Load and targets.
    options : sequence of Option
        In the order of the closed forms.
    trace : Requests or None
        What arrives, instead of requests that are drawn.

    Returns
    -------
    tuple of Option
        With their ranks.
    """
    kept: list[Option] = []
    rest: list[Option] = []
    for number, option in enumerate(options):
        if number >= MOST or len(kept) >= WANTED or option.performance is None:
            rest.append(option)
            continue
        found = replace(option, simulated=_simulated(request, option, trace))
        keeps = found.simulated is not None and not found.simulated.missed
        (kept if keeps else rest).append(found)
    return tuple(replace(option, rank=place) for place, option in enumerate((*kept, *rest), 1))


def _simulated(request: Request, option: Option, trace: Requests | None) -> Simulated:
    load, ask = replace(option.speeds.load, length_spread=SPREAD), option.speeds.ask
    performance = option.performance
    assert performance is not None  # who asks has looked
    running = max(performance.running, load.concurrency or 1.0, 1.0)
    ranks = ask.deployment.dp * ask.replicas
    served = Served(
        Question(option.architecture, ask.accelerator, ask.deployment, load, ask.replicas, ask.fit),
        most_ranks=max(int(RUNNING * ranks / running), 1),
    )
    if trace is not None:
        arriving = _part_of(trace, served.share)
        return _judged(request, summary_of(arriving, served.run(arriving), share=served.share, ttft_s=request.ttft_s, tpot_s=request.tpot_s))
    here = running * served.share
    count = int(min(max(ROUNDS * here, LEAST), max(LARGEST, 2 * here)))
    rate = load.request_rate_per_s
    arriving = drawn(
        count,
        load.input_tokens,
        load.output_tokens,
        arrivals="closed" if rate is None else "poisson",
        pace=here if rate is None else rate * served.share,
        spread=SPREAD,
        seed=1,
    )
    return _judged(
        request,
        summary_of(arriving, served.run(arriving), skipped=int(WARM_UP * count), share=served.share, ttft_s=request.ttft_s, tpot_s=request.tpot_s),
    )


def _part_of(trace: Requests, share: float) -> Requests:
    """So much of a trace as reaches the ranks that are simulated, and no more than is run in an instant."""
    count = max(int(min(len(trace.arrival_s) * share, MOST_OF_TRACE)), 1)
    chosen = [int(number / share) for number in range(count)]
    moments, prompts, answers = trace.arrival_s, trace.input_tokens, trace.output_tokens
    return Requests([moments[each] for each in chosen], [prompts[each] for each in chosen], [answers[each] for each in chosen])


def _judged(request: Request, summary: Summary) -> Simulated:
    return Simulated(summary, tuple(_missed(request, summary)))


def _missed(request: Request, summary: Summary) -> list[Missed]:
    found = []
    for name in PERCENTILE_TARGETS:
        wish = getattr(request, name)
        quantity, percentile, _ = name.split("_")
        value = getattr(getattr(summary, f"{quantity}_s"), percentile)
        if wish is not None and value > wish:
            found.append(Missed(name, value, wish))
    return found
