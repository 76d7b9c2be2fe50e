"""How fast a deployment serves a load: times to the first token and between tokens, tokens per second, each with its band.

The story: what a step must do (``step_work``), how fast this device and engine do it (``step_speeds``), how long a step takes (``step_time``), how
requests queue, start and decode together (``serving``), and how far measured runs lay from such predictions (``engines/speed_calibration``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.base.releases import month_of
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Quantity
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import maximum
from gpusizer.formulas.latency import speculative_tokens
from gpusizer.performance.concurrency import budget_tokens, engine_fit, running_slots
from gpusizer.performance.device_speeds import constant, engine_family, provenance
from gpusizer.performance.serving import Service, Traffic, burst, closed_loop, open_loop
from gpusizer.performance.step_speeds import speeds_of
from gpusizer.performance.step_time import Speeds, step_parts
from gpusizer.performance.step_work import Cut, Work, latent_layers, step_work
from gpusizer.performance.types import Load, Performance, PrefillSide, SpeedItem

__all__ = ["Load", "Performance", "PrefillSide", "SpeedItem", "predict"]

_REFERENCE_YEAR = 2026.2  # constants describe engines of this time; older ones are slower by the calibrated share per year
_OLDEST_YEARS = 2.5


def predict(
    architecture: Architecture,
    accelerator: Accelerator,
    deployment: Deployment,
    load: Load,
    *,
    replicas: int = 1,
    fit: Fit | None = None,
    prefill: PrefillSide | None = None,
    theta: Mapping[str, float] | None = None,
) -> Performance:
    """Times and rates of a deployment under a load.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of the deployment.
    accelerator : Accelerator
        The device.
    deployment : Deployment
        Layout and engine of one replica; with ``prefill``, of one decode worker.
    load : Load
        What all replicas together serve.
    replicas : int
        Equal copies of the deployment.
    fit : Fit or None
        The engine's own answer about memory, for the room of the cache; without it the room is estimated.
    prefill : PrefillSide or None
        Workers that only compute prompts.
    theta : mapping of str to float, optional
        Constants to use instead of the calibrated ones, for the calibration itself.

    Returns
    -------
    Performance
        Figures with bands, regime, notices and where the time of a step goes.
    """
    work, speeds, traffic = set_up(architecture, accelerator, deployment, load, fit, theta)
    ranks = deployment.dp * replicas
    if prefill is not None:
        return _split(architecture, accelerator, deployment, load, work, speeds, traffic, ranks, prefill, theta)
    service, limit = serve(work, speeds, traffic, load, ranks)
    return conclude(service, limit, traffic, ranks, accelerator, deployment, load, theta)


def serve(work: Work, speeds: Speeds, traffic: Traffic, load: Load, ranks: Any) -> tuple[Service, Any]:
    """What one of ``ranks`` delivers, and the highest rate that it holds (None unless requests arrive at a rate); numbers or columns."""
    if load.request_rate_per_s is not None:
        return open_loop(work, speeds, traffic, load.request_rate_per_s / ranks)
    if load.burst is not None:
        return burst(work, speeds, traffic, maximum(load.burst / ranks, 1.0)), None
    wanted = load.concurrency or 1.0
    return closed_loop(work, speeds, traffic, traffic.slots if wanted == inf else maximum(wanted / ranks, 1.0)), None


def conclude(
    service: Service,
    limit: float | None,
    traffic: Traffic,
    ranks: int,
    accelerator: Accelerator,
    deployment: Deployment,
    load: Load,
    theta: Mapping[str, float] | None = None,
) -> Performance:
    """The answer of the whole deployment from what one rank delivers: rates of all ranks, the regime, what must be said."""
    notices: list[Notice] = []
    most = None if limit is None else float(limit) * ranks
    regime, rate = "steady", float(service.output_tokens_per_s) * ranks
    if load.request_rate_per_s is not None:
        regime = "arrivals"
        if most is not None and load.request_rate_per_s > most:
            regime = "overloaded"
            notices.append(Notice("overloaded", {"request_rate_per_s": load.request_rate_per_s, "limit_requests_per_s": most}))
    elif load.burst is not None:
        regime = "burst"
        rate = float(service.output_tokens_per_s) * min(ranks, load.burst)
    else:
        wanted = load.concurrency or 1.0
        each = traffic.slots if wanted == inf else wanted / ranks
        rate *= min(each, 1.0)
        if wanted == inf:
            regime = "saturated"
        elif each > traffic.slots:
            regime = "cache-limited"
            notices.append(Notice("cache-limits-concurrency", {"concurrency": wanted, "running": traffic.slots * ranks}))
    return _answer(service, rate, ranks, regime, most, notices, accelerator, deployment, load, theta)


def set_up(
    architecture: Architecture, accelerator: Accelerator, deployment: Deployment, load: Load, fit: Fit | None, theta: Mapping[str, float] | None
) -> tuple[Work, Speeds, Traffic]:
    """Work of one rank, speeds of its device, and what it is asked to do."""
    work, speeds = _work_and_speeds(architecture, accelerator, deployment, theta)
    return work, speeds, traffic_of(work, accelerator, deployment, load, fit or engine_fit(architecture, accelerator, deployment, load), theta)


def quickest_token_s(architecture: Architecture, accelerator: Accelerator, deployment: Deployment, *, context_tokens: float) -> float:
    """Time of one token of a single request, nothing beside it: no load is served faster. [s]"""
    work, speeds = _work_and_speeds(architecture, accelerator, deployment, None)
    drafts = float(deployment.speculative_tokens)
    step = step_parts(work, speeds, sequences=1.0 / speeds.pp, context_tokens=context_tokens / 2, verified_tokens=1.0 + drafts).seconds
    return float(step) / (1.0 + drafts)


def _work_and_speeds(
    architecture: Architecture, accelerator: Accelerator, deployment: Deployment, theta: Mapping[str, float] | None
) -> tuple[Work, Speeds]:
    cut = Cut(deployment.tp, deployment.dp, deployment.ep, deployment.pp)
    form = cache_format(deployment.kv_precision, "bf16")
    element = form.element_bytes if form else 2.0
    work = step_work(architecture, cut, cache_element_bytes=element)
    speeds = speeds_of(
        work,
        accelerator,
        deployment.engine,
        cut,
        age_years=age_years(deployment),
        cache_bits=element * 8,
        eager=deployment.enforce_eager,
        theta=theta,
    )
    return work, speeds


def traffic_of(
    work: Work,
    accelerator: Accelerator,
    deployment: Deployment,
    load: Load,
    fit: Fit | None = None,
    theta: Mapping[str, float] | None = None,
    *,
    slots: float | None = None,
) -> Traffic:
    """What one rank is asked to do; ``slots`` instead of the room of the cache where it is known."""
    family = engine_family(deployment.engine)

    def c(name: str, kind: str = "all") -> float:
        return constant(name, kind, "other", theta)

    drafts = float(deployment.speculative_tokens)
    # the first draft is accepted more often than those that build on it: the mean falls with their number
    acceptance = load.acceptance if load.acceptance is not None else c("acceptance") * c("acceptance_fade") ** max(drafts - 1, 0)
    prefix = min(load.shared_prefix_tokens, max(load.input_tokens - 1, 0.0))
    return Traffic(
        prompt_tokens=max(load.input_tokens - prefix, 1.0),
        prefix_tokens=prefix,
        output_tokens=max(load.output_tokens, 1.0),
        slots=running_slots(work, accelerator, deployment, load, fit) if slots is None else slots,
        budget_tokens=budget_tokens(accelerator, deployment),
        mixes=0.0 if family in ("sglang", "mindie", "transformers") else 1.0,
        verified_tokens=1.0 + drafts,
        tokens_per_step=speculative_tokens(acceptance=min(acceptance, 0.999), drafts=drafts),
        draft_steps=drafts,
        front_s=c("front_s", family) + latent_layers(work) * c("latent_s", family),
        first_burst_share=load.first_burst_share * c("first_burst"),
        spread=load.length_spread,
        drift=c("drift"),
        short_answers=c("short_answers"),
        long_answers=c("long_answers"),
        request_s=c("request_s", family),
        waited_steps=c("dp_wait", family) if deployment.dp > 1 else 0.5,
        stream_s=c("stream_s") * deployment.dp / stream_interval(deployment),
    )


def stream_interval(deployment: Deployment) -> float:
    """Tokens that the server hands over at once (``--stream-interval``), 1 by default. [tokens]"""
    words = str(deployment.flags.get("stream_interval", "1"))
    return max(float(words), 1.0) if words.isdigit() and len(words) < 10 else 1.0


def age_years(deployment: Deployment) -> float:
    """Years between the engine's release and the time that the constants describe; 0 where no date is known. [years]

    The date is that of the run where a case tells it (``run_date``), else that of the release.
    """
    words = deployment.run_date
    month = re.match(r"(20\d{2})-(\d{2})", words) or re.match(
        r"(20\d{2})-(\d{2})", month_of(deployment.engine, deployment.engine_version or "") or ""
    )
    if month is None:
        return 0.0
    return min(max(_REFERENCE_YEAR - int(month[1]) - int(month[2]) / 12, 0.0), _OLDEST_YEARS)


def _split(
    architecture: Architecture,
    accelerator: Accelerator,
    deployment: Deployment,
    load: Load,
    work: Work,
    speeds: Speeds,
    traffic: Traffic,
    ranks: int,
    prefill: PrefillSide,
    theta: Mapping[str, float] | None,
) -> Performance:
    """Prompts on workers of their own: two queues in one loop, and the cache moves between them."""
    from gpusizer.performance.split_serving import split_loop

    ahead, ahead_speeds, ahead_traffic = set_up(architecture, accelerator, prefill.deployment, load, None, theta)
    wanted = load.concurrency if load.concurrency is not None and isfinite(load.concurrency) else (load.burst or traffic.slots * ranks)
    service, rate = split_loop(
        work,
        speeds,
        traffic,
        ranks,
        ahead,
        ahead_speeds,
        ahead_traffic,
        prefill.workers * prefill.deployment.dp,
        wanted,
        load.input_tokens,
        constant("split_wait", "all", "all", theta),
    )
    return _answer(service, rate, ranks, "disaggregated", None, [], accelerator, deployment, load, theta)


def _answer(
    service: Service,
    rate: float,
    ranks: int,
    regime: str,
    limit: float | None,
    notices: list[Notice],
    accelerator: Accelerator,
    deployment: Deployment,
    load: Load,
    theta: Mapping[str, float] | None,
) -> Performance:
    known = provenance(accelerator, deployment.engine)
    wider = known.widening
    if not known.device_measured:
        notices.append(Notice("speed-from-data-sheet", {"gpu": accelerator.id}))
    if not known.engine_measured:
        notices.append(Notice("speed-of-engine-assumed", {"engine": deployment.engine}))
    if deployment.speculative_tokens:
        wider *= 1.3
        notices.append(Notice("speculation-assumed", {"drafts": deployment.speculative_tokens}))

    def band(name: str, value: float) -> Quantity:
        kind = _BAND_OF.get(regime, regime)
        low = constant(f"band_low.{name}", kind, "steady") ** wider
        high = constant(f"band_high.{name}", kind, "steady") ** wider
        return Quantity(value, value * low, value * high)

    return Performance(
        ttft_s=band("ttft", float(service.ttft_s)),
        tpot_s=band("tpot", float(service.tpot_s)),
        tpot_p95_s=band("tpot", float(service.tpot_p95_s)),
        output_tokens_per_s=band("rate", rate),
        regime=regime,
        running=float(service.running) * ranks,
        limit_requests_per_s=limit,
        evidence=Evidence.CALIBRATED if known.device_measured and known.engine_measured else Evidence.ASSUMED,
        notices=tuple(notices),
        items=_items(service),
    )


_BAND_OF = {"cache-limited": "saturated"}

_FORMULAS = {
    "linears": "compute.operator",
    "experts": "compute.operator",
    "head": "compute.operator",
    "attention": "compute.operator",
    "communication": "communication.all_reduce",
    "overhead": "compute.overhead",
}


def _items(service: Service) -> tuple[SpeedItem, ...]:
    parts = service.parts
    lines = [SpeedItem(f"step_{name}", float(getattr(parts, name)), formula) for name, formula in _FORMULAS.items()]
    lines.append(SpeedItem("prompt_added", float(service.prefill_s), "latency.tpot"))
    lines.append(SpeedItem("wait", float(service.wait_s), "queueing.closed_response"))
    return tuple(lines)
