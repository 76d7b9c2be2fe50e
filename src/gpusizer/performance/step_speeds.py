"""How fast a device with an engine does a given work: data sheet times efficiency, per operator."""

from __future__ import annotations

from math import log2
from typing import Any, NamedTuple

from gpusizer.engines.base.types import NOTHING_ON_HOST, OnHost
from gpusizer.facts.types import Accelerator
from gpusizer.performance.constants import Constants, speed_constants
from gpusizer.performance.device_speeds import (
    bandwidth_bytes_per_s,
    engine_family,
    generation,
    matrix_units,
    peak_flops_per_s,
    shift_of,
    vector_flops_per_s,
)
from gpusizer.performance.kernel_counts import Kernels
from gpusizer.performance.links import crosses_servers, host_link_bytes_per_s, link_bytes_per_s, network_bytes_per_s
from gpusizer.performance.own_speeds import as_measured
from gpusizer.performance.step_time import NEVER_MOVED, ClassSpeed, Speeds
from gpusizer.performance.step_work import Parallelism, StepWork, latent_layers

__all__ = ["EngineState", "HostSpeed", "speeds_of"]

_COMPUTED_BITS = {"fp8": "8", "fp4": "4"}
_NATIVE = {"8": "fp8", "fp4": "fp4"}  # storage class -> number format that multiplies it as it is
_WIDENED = {"8": "w8", "fp4": "w4", "int4": "w4", "blocks": "blocks", "blocks_table": "blocks_table"}  # and how it counts where another does
# Engines whose kernels unpack groups as those of GGUF unpack blocks. Constants of MLX are those of llama.cpp on the same chips: owners measured 1.12
# and 1.19 of its decoding speed (ml-explore/mlx-examples issue 1029, mlx-lm issue 92), as much (famstack.dev/guides/mlx-vs-gguf-part-2), 0.78 and at
# 146k tokens 0.49 (mlx-lm issue 763), 0.63 to 0.83 (tom-tang-3-ai-site.pages.dev/blog/llama-cpp-vs-mlx-benchmark): no factor for all of them.
_UNPACKED_AS_BLOCKS = frozenset({"mlx"})
_NEVER = 1e30  # weights a second where none are widened
_LARGEST_GATHER = 8  # ranks of a server that exchange tokens
_LONGEST_CHAIN = 8  # pipeline stages of one server
_GATHER_TREE = 3  # levels of the exchange of eight ranks, for which its floor was fitted


class HostSpeed(NamedTuple):
    """How fast a host is.

    Parameters
    ----------
    bytes_per_s : float or None
        What its memory carries for processors that compute one model together, None where it is not known. [bytes/s]
    processors : float
        As many processors as they do together.
    pcie_generation : int or None
        Of its slots.
    """

    bytes_per_s: float | None = None
    processors: float = 1.0
    pcie_generation: int | None = None


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
    fused : bool
        Kernels are joined that an engine launches one by one unless it is told to.
    on_host : OnHost
        Weights in the memory of the host.
    host : HostSpeed
        How fast that host is.
    """

    engine: str
    age_years: float = 0.0
    cache_bits: float = 16.0
    eager: bool = False
    fused: bool = False
    on_host: OnHost = NOTHING_ON_HOST
    host: HostSpeed = HostSpeed()


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
        Bandwidths, rates, fixed costs and links; moved where somebody's own cases say so of the device.

    Raises
    ------
    InputError
        Nobody states the bandwidth of the device.
    """
    constants = constants or speed_constants()
    parts = {
        *((linear.storage, False, linear.on_host) for linear in (*work.linears, work.head)),
        *((block.storage, True, block.on_host) for block in work.experts),
    }
    classes = {
        (storage, routed, on_host): _host_speed(accelerator, state, cut, constants, storage, routed=routed)
        if on_host
        else _class_speed(accelerator, state, constants, storage, routed=routed)
        for storage, routed, on_host in parts
    }
    known = Speeds(
        linears=tuple(classes[linear.storage, False, linear.on_host] for linear in work.linears),
        experts=tuple(classes[block.storage, True, block.on_host] for block in work.experts),
        head=classes[work.head.storage, False, work.head.on_host],
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
    return as_measured(known, shift_of(accelerator, state.engine))


def _class_speed(accelerator: Accelerator, state: EngineState, constants: Constants, storage: str, *, routed: bool) -> ClassSpeed:
    """Products of one storage class, dense or of experts."""
    generation_id, family = generation(accelerator), engine_family(state.engine)
    peak, computes = peak_flops_per_s(accelerator, storage)
    native = storage if storage == "16" or computes == _NATIVE.get(storage) else _WIDENED[storage]
    if family in _UNPACKED_AS_BLOCKS and native in ("w4", "w8"):
        native = "blocks"
    memory = constants.of("memory", generation_id, "other") * constants.of("memory_format", native)
    if native.startswith("blocks"):
        efficiency = constants.of("products_blocks", "matrix") if matrix_units(accelerator) else constants.of("products", generation_id, "other")
        efficiency /= constants.of("age", "blocks") ** state.age_years
    else:
        kind = _COMPUTED_BITS.get(computes, "16") if native in _NATIVE or native == "16" else "widened"
        efficiency = constants.of("products", generation_id, "other") * constants.of("products_format", kind)
        efficiency *= constants.of("products_engine", family, "other")
    if routed:
        memory *= constants.of("memory_experts", native, "other")
        efficiency *= constants.of("products_experts", "all")
    if family == "llama.cpp" and (accelerator.memory_type or "").startswith("HBM"):
        memory *= constants.of("memory_vectors", "hbm")  # one row is read by vector kernels, which keep too little in flight for so wide a memory
    return ClassSpeed(
        bandwidth_bytes_per_s(accelerator) * min(memory, constants.of("ceiling", "memory")),
        peak,
        efficiency if native.startswith("blocks") else min(efficiency, constants.of("ceiling", "products")),
        vector_flops_per_s(accelerator) / constants.of("widen_flops", native) if native in _WIDENED.values() else _NEVER,
        # a few rows of blocks are multiplied as vectors, without tiles
        constants.of("tile_rows", "experts") if routed and not native.startswith("blocks") else 0.0,
    )


def _host_speed(accelerator: Accelerator, state: EngineState, cut: Parallelism, constants: Constants, storage: str, *, routed: bool) -> ClassSpeed:
    """Products whose weights lie in the memory of the host: the processor computes them, or the device once they are there.

    The ranks of a replica share the processors; each has a link of its own.
    """
    there, link = state.on_host, host_link_bytes_per_s(accelerator, state.host.pcie_generation)
    device = _class_speed(accelerator, state, constants, storage, routed=routed)
    if not there.computed:
        return device._replace(bytes_per_s=min(link, device.bytes_per_s))
    ranks = cut.tp * cut.dp
    return ClassSpeed(
        (state.host.bytes_per_s or constants.of("host_bytes_per_s", "unknown")) * constants.of("host_memory", "share") / ranks,
        constants.of("host_flops_per_s", "processor") * state.host.processors / ranks,
        1.0,
        _NEVER,
        moved_from_tokens=min(there.moved_from_tokens, NEVER_MOVED),
        moved_bytes_per_s=link,
        moved_flops_per_s=device.peak_per_s * device.efficiency,
    )


def _attention_speeds(accelerator: Accelerator, state: EngineState, constants: Constants) -> dict[str, Any]:
    generation_id, bandwidth, most = generation(accelerator), bandwidth_bytes_per_s(accelerator), constants.of("ceiling", "memory")
    peak, _ = peak_flops_per_s(accelerator, "16")
    cache = constants.of("memory", generation_id, "other") * constants.of("cache", "8" if state.cache_bits < 16 else "16")
    arithmetic = peak * constants.of("products", generation_id, "other") * constants.of("products_engine", engine_family(state.engine), "other")
    return {
        "cache_bytes_per_s": bandwidth * min(cache, most),
        "latent_bytes_per_s": bandwidth * min(cache * constants.of("cache", "latent"), most),
        "state_bytes_per_s": bandwidth * constants.of("memory", generation_id, "other") * constants.of("cache", "state"),
        "attention_flops_per_s": arithmetic * constants.of("attention", "decode"),
        "prefill_flops_per_s": arithmetic * constants.of("attention", "prompt"),
    }


def _fixed_costs(work: StepWork, accelerator: Accelerator, state: EngineState, constants: Constants) -> dict[str, Any]:
    family = engine_family(state.engine)

    def cost(name: str) -> float:
        return constants.of(name, family, "other")

    scale, aged = constants.of("launch", accelerator.vendor.lower(), "other"), constants.of("age", "year") ** state.age_years
    fused = constants.of("kernel_fused", "flag") if state.fused else 1.0
    each, eager = cost("kernel_engine") * fused * scale * aged, cost("eager_s") * constants.of("age", "prompt") ** state.age_years
    prices = (max(constants.of("kernel_s", kind) * each, eager if state.eager else 0.0) for kind in Kernels._fields)
    latent = latent_layers(work) * constants.of("latent_kernels", "prompt") / max(work.kernels.all, 1.0)
    return {
        "kernel_s": Kernels(*prices),
        "step_s": cost("step_s") * aged,
        "sequence_s": constants.of("sequence_s", "host") * aged,
        "quantise_s": constants.of("quantise_s", "product") * each,
        "eager_s": eager * (1 + latent),
        "handover_s": constants.of("handover_s", "layer"),
    }


def _exchange_speeds(work: StepWork, accelerator: Accelerator, cut: Parallelism, constants: Constants) -> dict[str, Any]:
    ranks = cut.tp * cut.dp
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
        "reduce_latency_s": constants.of("reduce_s", _wire(accelerator)) * growth if cut.tp > 1 else 0.0,
        "bus_bytes_per_s": link,
        "gather_latency_s": constants.of("gather_s", _wire(accelerator)) * log2(max(cut.dp, 2)) / _GATHER_TREE,
        "gather_bytes_per_s": gather * constants.of("gather_share", "wired" if accelerator.interconnect_bytes_per_s else "pcie"),
        "gather_copies": float(copies),
        "gather_element_bytes": constants.of("gather_element_bytes", "experts" if cut.ep > 1 else "cut"),
        "hop_latency_s": constants.of("hop_s", "all"),
        "hop_bytes_per_s": link if cut.pp <= _LONGEST_CHAIN else network_bytes_per_s(constants),
    }


def _wire(accelerator: Accelerator) -> str:
    """How a tiny message reaches the next device: a switch or a link of the maker's, or PCIe."""
    if not accelerator.interconnect_bytes_per_s:
        return "pcie"
    return "nvlink" if accelerator.vendor == "NVIDIA" else "link"
