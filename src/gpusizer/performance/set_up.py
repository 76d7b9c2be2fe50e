"""One rank as it is served, from what an operator tells: work, speeds, the engine's defaults, its fixed costs and how old it is."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines import find_declaration
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.base.releases import month_of
from gpusizer.engines.base.types import NOTHING_ON_HOST, Deployment, Fit, OnHost
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import maximum, minimum
from gpusizer.formulas.latency import speculative_tokens
from gpusizer.once import Remembered
from gpusizer.performance.acceptance import MOST_ACCEPTED, assumed_acceptance
from gpusizer.performance.concurrency import completed, running_places
from gpusizer.performance.constants import Constants, speed_constants
from gpusizer.performance.device_speeds import engine_family
from gpusizer.performance.served_rank import ServedRank, ServingConstants, Traffic
from gpusizer.performance.step_speeds import EngineState, HostSpeed, speeds_of
from gpusizer.performance.step_time import Speeds, Step, step_time
from gpusizer.performance.step_work import Parallelism, StepWork, latent_layers, step_work
from gpusizer.performance.types import Host, Load

__all__ = ["age_years", "engine_state", "polled_steps", "quickest_token_s", "served_rank", "set_up", "stream_interval"]

UNBOUNDED_TOKENS = 1e9  # of a step, for an engine that computes a prompt in one piece
HALF_A_STEP = 0.5  # what is left on average of the step that runs when a prompt comes
_MEASURED_ALONE_APART = frozenset({"mindie"})  # its speeds are measured, its memory is not modelled; prompts have steps of their own
# Exponent of the processors that share a model where each reads what lies beside it: two do as much as 1.4 (kvcache-ai/ktransformers@95009ea
# doc/en/DeepseekR1_V3_tutorial.md). llama.cpp puts weights anywhere, and two do as much as one: ggml-org/llama.cpp#11744, pull 16548 (one socket is
# used for want of it), mozilla-ai/llamafile#765.
_FAR_MEMORY = 0.5
_MONTH = re.compile(r"(20\d{2})-(\d{2})")


def set_up(
    architecture: Architecture,
    accelerator: Accelerator,
    fit: Fit,
    load: Load,
    *,
    constants: Constants | None = None,
    built: str = "",
    host: Host | None = None,
) -> ServedRank:
    """One rank as it is served: work, speeds, what it is asked to do by the defaults of the engine's own answer, and its fixed costs."""
    known = constants or speed_constants()
    state = engine_state(fit.deployment, built, host, fit.on_host)
    work, speeds = _work_and_speeds(architecture, accelerator, fit.deployment, state, known)
    places = running_places(work, accelerator, fit, load)
    return served_rank(work, speeds, fit.deployment, load, places, known, age_years(fit.deployment, built))


def quickest_token_s(architecture: Architecture, accelerator: Accelerator, deployment: Deployment, *, context_tokens: float) -> float:
    """Time of one token of a single request, nothing beside it: no load is served faster. [s]"""
    known = completed(architecture, accelerator, deployment)
    work, speeds = _work_and_speeds(architecture, accelerator, known, engine_state(known), speed_constants())
    drafts = float(deployment.speculative_tokens)
    step = Step(sequences=1.0 / speeds.pp, context_tokens=context_tokens / 2, verified_tokens=1.0 + drafts)
    return float(step_time(work, speeds, step)) / (1.0 + drafts)


def _work_and_speeds(
    architecture: Architecture, accelerator: Accelerator, deployment: Deployment, state: EngineState, constants: Constants
) -> tuple[StepWork, Speeds]:
    cut = Parallelism.of(deployment.layout)
    work = step_work(architecture, cut, cache_element_bytes=state.cache_bits / 8, on_host=state.on_host)
    known, key = _known_speeds(architecture), (accelerator, state, cut)  # one deployment is asked under several loads
    found = known.get(key)
    if found is None or found[0] is not constants:
        found = known[key] = (constants, speeds_of(work, accelerator, state, cut, constants))
    return work, found[1]


@once_per_architecture
def _known_speeds(architecture: Architecture) -> Remembered[Hashable, tuple[Constants, Speeds]]:
    """Speeds by device, engine and layout, with the constants that they were computed from."""
    return Remembered(1024)


def engine_state(deployment: Deployment, built: str = "", host: Host | None = None, on_host: OnHost = NOTHING_ON_HOST) -> EngineState:
    """What of a deployment's engine bears on the speed of its steps."""
    form = cache_format(deployment.kv_precision, "bf16")
    bits = 8 * form.element_bytes if form else 16.0
    fused = "flashinfer" in str(deployment.flags.get("moe_runner_backend"))  # SGLang's default runs experts, and sums over ranks, in more pieces
    speed = HostSpeed() if host is None or on_host == NOTHING_ON_HOST else _host_speed(host)
    return EngineState(deployment.engine, age_years(deployment, built), bits, deployment.enforce_eager, fused, on_host, speed)


def _host_speed(host: Host) -> HostSpeed:
    sockets = host.sockets or 1
    together = sockets ** (1 - _FAR_MEMORY) if host.weights_spread else 1.0
    bandwidth = None if host.bandwidth_bytes_per_s is None else host.bandwidth_bytes_per_s / sockets * together
    return HostSpeed(bandwidth, together, host.pcie_generation)


def served_rank(
    work: StepWork, speeds: Speeds, deployment: Deployment, load: Load, places: Any, constants: Constants, years: float = 0.0
) -> ServedRank:
    """One rank of a deployment whose defaults are filled in, with so many requests at once."""
    drafts = float(deployment.speculative_tokens)
    share = assumed_acceptance(drafts, constants).value if load.acceptance is None else load.acceptance
    acceptance = min(share, MOST_ACCEPTED)
    prefix = minimum(load.shared_prefix_tokens, maximum(load.input_tokens - 1, 0.0))
    traffic = Traffic(
        prompt_tokens=maximum(load.input_tokens - prefix, 1.0),
        prefix_tokens=prefix,
        output_tokens=maximum(load.output_tokens, 1.0),
        places=places,
        budget_tokens=float(deployment.max_num_batched_tokens or UNBOUNDED_TOKENS),
        shares_steps=_shares_steps(deployment.engine),
        verified_tokens=1.0 + drafts,
        tokens_per_step=speculative_tokens(acceptance=acceptance, drafts=drafts),
        draft_steps=drafts,
        first_burst_share=load.first_burst_share,
        spread=load.length_spread,
    )
    return ServedRank(work, speeds, traffic, _serving_constants(work, deployment, constants, years))


def _shares_steps(engine: str) -> bool:
    """Whether prompts share a step with requests that already generate."""
    declared = find_declaration(engine)
    return declared.shares_steps if declared is not None else engine.lower() not in _MEASURED_ALONE_APART


def _serving_constants(work: StepWork, deployment: Deployment, constants: Constants, years: float) -> ServingConstants:
    family = engine_family(deployment.engine)
    return ServingConstants(
        admission_s=(constants.of("admission_s", family, "other") + latent_layers(work) * constants.of("latent_s", "prompt"))
        * constants.of("age", "prompt") ** years,
        request_s=constants.of("request_s", "host"),
        stream_s=constants.of("stream_s", "all") * deployment.dp / stream_interval(deployment),
        waited_steps=max(constants.of("dp_wait", family, "other") if deployment.dp > 1 else HALF_A_STEP, polled_steps(deployment) * HALF_A_STEP),
        first_burst=constants.of("first_burst", "all"),
        desynchronisation=constants.of("desynchronisation", "all"),
        short_answer_weight=constants.of("short_answer_weight", "all"),
        long_answer_weight=constants.of("long_answer_weight", "all"),
        room_share=constants.of("prompt_room", "least"),
        added_share=constants.of("prompt_added", "least"),
        burst_running=constants.of("burst_running", "share"),
        last_wave=constants.of("last_wave", "share"),
        most_arrivals=constants.of("arrivals", "most"),
        most_utilisation=constants.of("utilisation", "most"),
        slow_deviations=constants.of("slow_requests", "deviations"),
    )


def polled_steps(deployment: Deployment) -> float:
    """Steps between two looks for new requests (SGLang's ``--scheduler-recv-interval``), 1 by default. [steps]"""
    return _whole_flag(deployment, "scheduler_recv_interval")


def stream_interval(deployment: Deployment) -> float:
    """Tokens that the server hands over at once (``--stream-interval``), 1 by default. [tokens]"""
    return _whole_flag(deployment, "stream_interval")


def _whole_flag(deployment: Deployment, name: str) -> float:
    words = str(deployment.flags.get(name, "1"))
    return max(float(words), 1.0) if words.isdecimal() and len(words) < 10 else 1.0


def age_years(deployment: Deployment, built: str = "") -> float:
    """Years between the engine's release and the time that the constants describe; 0 where no date is known. [years]

    The date is that of the release where it is known, else that of the build or the run (``built``).
    """
    month = _MONTH.match(month_of(deployment.engine, deployment.engine_version or "") or "") or _MONTH.match(built)
    if month is None:
        return 0.0
    constants = speed_constants()
    years = constants.of("reference", "year") - int(month[1]) - int(month[2]) / 12
    return min(max(years, 0.0), constants.of("reference", "years"))
