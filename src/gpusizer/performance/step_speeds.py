"""How fast a device with an engine does a given work: data sheet times efficiency, per operator."""

from __future__ import annotations

from math import log2
from typing import Any, NamedTuple

from gpusizer.facts.types import Accelerator
from gpusizer.performance.constants import Constants, speed_constants
from gpusizer.performance.device_speeds import bandwidth_bytes_per_s, engine_family, generation, peak_flops_per_s
from gpusizer.performance.links import crosses_servers, link_bytes_per_s, network_bytes_per_s
from gpusizer.performance.step_time import ClassSpeed, Speeds
from gpusizer.performance.step_work import Parallelism, StepWork, latent_layers

__all__ = ["EngineState", "speeds_of"]

_COMPUTED_BITS = {"fp8": "8", "fp4": "4"}
_NATIVE = {"8": "fp8", "fp4": "fp4"}  # storage class -> number format that multiplies it as it is
_WIDENED = {"8": "w8", "fp4": "w4"}  # and how it counts where another does
_LARGEST_GATHER = 8  # ranks of a server that exchange tokens
_LONGEST_CHAIN = 8  # pipeline stages of one server
_GATHER_TREE = 3  # levels of the exchange of eight ranks, for which its floor was fitted


class EngineState(NamedTuple):
    """What of an engine bears on the speed of its steps.

    Parameters
    ----------
    engine : str
        Its name.
    age_years : float
        Years before the time that the constants describe. [years]
    cache_bits : float
        Of one cached element. [bits]
    eager : bool
        No graphs are captured.
    """

    engine: str
    age_years: float = 0.0
    cache_bits: float = 16.0
    eager: bool = False


def speeds_of(work: StepWork, accelerator: Accelerator, state: EngineState, cut: Parallelism, constants: Constants | None = None) -> Speeds:
    """Speeds of one device with one engine.

    Parameters
    ----------
    work : StepWork
        What a step must do.
    accelerator : Accelerator
        The device.
    state : EngineState
        The engine.
    cut : Parallelism
        How a replica is cut.
    constants : Constants, optional
        Others than those in use, for the calibration.

    Returns
    -------
    Speeds
        Bandwidths, rates, fixed costs and links.

    Raises
    ------
    InputError
        Nobody states the bandwidth of the device.
    """
    constants = constants or speed_constants()
    classes = {
        (storage, routed): _class_speed(accelerator, state, storage, constants, routed=routed)
        for storage, routed in {
            *((linear.storage, False) for linear in (*work.linears, work.head)),
            *((block.storage, True) for block in work.experts),
        }
    }
    return Speeds(
        linears=tuple(classes[linear.storage, False] for linear in work.linears),
        experts=tuple(classes[block.storage, True] for block in work.experts),
        head=classes[work.head.storage, False],
        tile_rows=constants.of("tile_rows", "moe"),
        imbalance=1.0 + constants.of("imbalance", "ep") * log2(max(cut.ep, 1)) if work.experts else 1.0,
        routing_evenness=constants.of("routing", "evenness"),
        tp=float(cut.tp),
        dp=float(cut.dp),
        ep=float(cut.ep),
        pp=float(cut.pp),
        **_attention_speeds(accelerator, state, constants),
        **_fixed_costs(work, accelerator, state, constants),
        **_exchange_speeds(work, accelerator, cut, constants),
    )


def _class_speed(accelerator: Accelerator, state: EngineState, storage: str, constants: Constants, *, routed: bool) -> ClassSpeed:
    """Products of one storage class, dense or of experts."""
    generation_id, family = generation(accelerator), engine_family(state.engine)
    peak, computes = peak_flops_per_s(accelerator, storage)
    kind = "moe" if routed else "dense"
    native = storage if computes == _NATIVE.get(storage, computes) else _WIDENED[storage]
    memory = constants.of("memory", f"{native}.{generation_id}", f"{native}.other") * constants.of("memory_scale", f"{kind}.{native}", kind)
    bits = _COMPUTED_BITS.get(computes, "16")
    efficiency = constants.of("products", f"{bits}.{generation_id}", f"{bits}.other") * constants.of("products_scale", f"{kind}.{bits}", kind)
    if routed:
        memory *= constants.of("moe_engine", family, "other")
        efficiency *= constants.of("moe_compute", family, "other")
    if native in ("w4", "w8", "int4"):
        efficiency *= constants.of("products_scale", "widened")
    return ClassSpeed(
        bandwidth_bytes_per_s(accelerator) * min(memory, constants.of("ceiling", "memory")),
        peak,
        min(efficiency, constants.of("ceiling", "products")),
        constants.of("half_tokens", kind),
    )


def _attention_speeds(accelerator: Accelerator, state: EngineState, constants: Constants) -> dict[str, Any]:
    generation_id, bandwidth, most = generation(accelerator), bandwidth_bytes_per_s(accelerator), constants.of("ceiling", "memory")
    peak, _ = peak_flops_per_s(accelerator, "16")
    cache = constants.of("cache", generation_id, "other") * (constants.of("cache_scale", "8") if state.cache_bits < 16 else 1.0)
    return {
        "cache_bytes_per_s": bandwidth * min(cache, most),
        "latent_bytes_per_s": bandwidth * min(cache * constants.of("cache_scale", "latent"), most),
        "attention_flops_per_s": peak * constants.of("attention", generation_id, "other"),
        "prefill_flops_per_s": peak * constants.of("prefill", generation_id, "other"),
    }


def _fixed_costs(work: StepWork, accelerator: Accelerator, state: EngineState, constants: Constants) -> dict[str, Any]:
    family = engine_family(state.engine)

    def cost(name: str) -> float:
        return constants.of(name, family, "other")

    scale, aged = constants.of("kernel_scale", generation(accelerator), "other"), cost("age") ** state.age_years
    latent = latent_layers(work) * cost("latent_kernels") / max(work.kernels, 1.0)
    return {
        "kernel_s": max(cost("kernel_s") * scale, cost("eager_s") if state.eager else 0.0) * aged,
        "step_s": cost("step_s") * aged,
        "sequence_s": cost("sequence_s") * aged,
        "quantise_s": cost("quantise_s") * scale * aged,
        "eager_s": cost("eager_s") * aged * (1 + latent),
    }


def _exchange_speeds(work: StepWork, accelerator: Accelerator, cut: Parallelism, constants: Constants) -> dict[str, Any]:
    generation_id, ranks = generation(accelerator), cut.tp * cut.dp
    link = link_bytes_per_s(accelerator, cut.tp, constants)
    gather = link_bytes_per_s(accelerator, _LARGEST_GATHER, constants)
    if crosses_servers(accelerator, ranks):
        gather = min(gather, network_bytes_per_s(constants))
    top_k = max((block.top_k for block in work.experts), default=1.0)
    within = min(accelerator.node_size, _LARGEST_GATHER)
    # within a server every rank gathers all tokens; beyond it a token goes to the ranks of its experts
    copies = min(top_k, max(cut.ep, 1)) if ranks > within and cut.ep > 1 else cut.dp
    growth = 1 + constants.of("reduce_growth", "ranks") * log2(max(cut.tp, 1))
    return {
        "reduce_latency_s": constants.of("reduce_s", generation_id, "other") * growth if cut.tp > 1 else 0.0,
        "bus_bytes_per_s": link,
        "gather_latency_s": constants.of("gather_s", generation_id, "other") * log2(max(cut.dp, 2)) / _GATHER_TREE,
        "gather_bytes_per_s": gather * constants.of("gather_share", "wired" if accelerator.interconnect_bytes_per_s else "pcie"),
        "gather_copies": float(copies),
        "gather_element_bytes": constants.of("gather_element_bytes", "experts" if cut.ep > 1 else "cut"),
        "hop_latency_s": constants.of("hop_s", "all"),
        "hop_bytes_per_s": link if cut.pp <= _LONGEST_CHAIN else network_bytes_per_s(constants),
    }
