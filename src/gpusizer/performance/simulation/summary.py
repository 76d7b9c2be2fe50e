"""What a simulation says: percentiles of what requests saw, rates, targets that were kept, and the queue over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gpusizer.performance.simulation.requests import Requests
from gpusizer.performance.simulation.run import Outcome, Sample

__all__ = ["QUANTILES", "Percentiles", "Summary", "summary_of"]

QUANTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
SHOWN_SAMPLES = 200


class Percentiles(NamedTuple):
    """Mean and percentiles of one quantity. [s]"""

    mean: float
    p50: float
    p90: float
    p95: float
    p99: float


class Summary(NamedTuple):
    """What requests saw, and what the deployment delivered.

    Parameters
    ----------
    requests : int
        That were served. [requests]
    ttft_s, tpot_s, e2e_s : Percentiles
        Time to the first token, between tokens (of answers of more than one), and of the whole request. [s]
    duration_s : float
        From the first arrival to the last token. [s]
    output_tokens_per_s, requests_per_s : float
        Over that time. [tokens/s, requests/s]
    offered_per_s : float or None
        Mean rate of arrival. [requests/s]
    goodput_per_s, goodput_share : float
        Requests that kept the targets: of them in a second, and of all. [requests/s, share]
    preemptions : int
        Requests that were computed anew.
    peak_kv_share, busy_share : float
        Of the cache of the fullest rank; of the time that ranks worked.
    queue : tuple of Sample
        At most 200 moments.
    """

    requests: int
    ttft_s: Percentiles
    tpot_s: Percentiles
    e2e_s: Percentiles
    duration_s: float
    output_tokens_per_s: float
    requests_per_s: float
    offered_per_s: float | None
    goodput_per_s: float
    goodput_share: float
    preemptions: int
    peak_kv_share: float
    busy_share: float
    queue: tuple[Sample, ...]


def summary_of(
    requests: Requests,
    outcome: Outcome,
    *,
    ttft_s: float | None = None,
    tpot_s: float | None = None,
    skipped: int = 0,
    share: float = 1.0,
) -> Summary:
    """Sum up what happened.

    Parameters
    ----------
    requests : Requests
        What came.
    outcome : Outcome
        What happened to it.
    ttft_s, tpot_s : float or None
        Targets of the goodput. [s]
    skipped : int
        Requests at the beginning that do not count, where a steady service is asked about. [requests]
    share : float
        Of the deployment that was simulated: rates are of the whole.

    Returns
    -------
    Summary
        In seconds.
    """
    import numpy as np

    arrival, first, end = (np.asarray(each, float)[skipped:] for each in (outcome.arrival_s, outcome.first_s, outcome.end_s))
    answers = np.asarray(requests.output_tokens, float)[skipped:]
    ttft, e2e = first - arrival, end - arrival
    several = answers > 1
    pace = np.zeros_like(ttft)
    np.divide(end - first, answers - 1, out=pace, where=several)
    kept = np.ones(len(ttft), bool)
    if ttft_s is not None:
        kept &= ttft <= ttft_s
    if tpot_s is not None:
        kept &= pace <= tpot_s
    span = float(end.max() - arrival.min())
    per_s = 1.0 / (max(span, 1e-9) * share)
    offered = requests.offered_per_s
    return Summary(
        requests=len(ttft),
        ttft_s=_percentiles(ttft),
        tpot_s=_percentiles(pace[several]),
        e2e_s=_percentiles(e2e),
        duration_s=span,
        output_tokens_per_s=float(answers.sum()) * per_s,
        requests_per_s=len(ttft) * per_s,
        offered_per_s=None if offered is None else offered / share,
        goodput_per_s=int(kept.sum()) * per_s,
        goodput_share=float(kept.mean()),
        preemptions=outcome.preemptions,
        peak_kv_share=outcome.peak_kv_share,
        busy_share=outcome.busy_share,
        queue=_thinned(outcome.samples),
    )


def _percentiles(values: Any) -> Percentiles:
    import numpy as np

    if not len(values):
        return Percentiles(0.0, 0.0, 0.0, 0.0, 0.0)
    return Percentiles(float(values.mean()), *(float(each) for each in np.percentile(values, list(QUANTILES.values()))))


def _thinned(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    if len(samples) <= SHOWN_SAMPLES:
        return tuple(samples)
    last = len(samples) - 1
    return tuple(samples[round(number * last / (SHOWN_SAMPLES - 1))] for number in range(SHOWN_SAMPLES))
