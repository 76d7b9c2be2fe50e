"""How fast a device with an engine does a given work: data sheet times efficiency, per operator."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2

from gpusizer.facts.types import Accelerator
from gpusizer.performance.device_speeds import constant, engine_family, generation, peak_flops_per_s
from gpusizer.performance.step_time import ClassSpeed, Speeds
from gpusizer.performance.step_work import Cut, Work, latent_layers

__all__ = ["speeds_of"]

NETWORK_BYTES_PER_S = 45e9  # one 400 Gb/s port, nine tenths of its line rate


def speeds_of(
    work: Work,
    accelerator: Accelerator,
    engine: str,
    cut: Cut,
    *,
    age_years: float = 0.0,
    cache_bits: float = 16.0,
    eager: bool = False,
    theta: Mapping[str, float] | None = None,
) -> Speeds:
    """Speeds of one device with one engine."""
    kin, family = generation(accelerator), engine_family(engine)
    bandwidth = float(accelerator.bandwidth_bytes_per_s or 1e11)

    def c(name: str, kind: str, fallback: str = "other") -> float:
        return constant(name, kind, fallback, theta)

    def product(storage: str, routed: bool) -> ClassSpeed:
        peak, computes = peak_flops_per_s(accelerator, storage)
        kind = "moe" if routed else "dense"
        native = {"16": "16", "8": "8", "fp4": "fp4", "int4": "int4"}[storage]
        if storage == "fp4" and computes != "fp4":
            native = "w4"
        if storage == "8" and computes != "fp8":
            native = "w8"
        eta = c("memory", f"{native}.{kin}", f"{native}.other") * c("memory_scale", f"{kind}.{native}", kind)
        bits = {"fp8": "8", "fp4": "4"}.get(computes, "16")
        efficiency = c("products", f"{bits}.{kin}", f"{bits}.other") * c("products_scale", f"{kind}.{bits}", kind)
        if routed:
            eta *= c("moe_engine", family)
            efficiency *= c("moe_compute", family)
        if native in ("w4", "w8", "int4"):
            efficiency *= c("products_scale", "widened")
        return ClassSpeed(bandwidth * min(eta, 0.98), peak, min(efficiency, 0.95), c("half_tokens", kind))

    peak16, _ = peak_flops_per_s(accelerator, "16")
    cache = c("cache", kin) * (c("cache_scale", "8") if cache_bits < 16 else 1.0)
    link = _link_bytes_per_s(accelerator, cut.tp, theta)
    node = min(accelerator.devices_per_node or 8, 8)
    across = cut.tp * cut.dp > (accelerator.devices_per_node or 8) and "domain" not in (accelerator.interconnect or "")
    gather_link = min(_link_bytes_per_s(accelerator, 8, theta), NETWORK_BYTES_PER_S) if across else _link_bytes_per_s(accelerator, 8, theta)
    aged = c("age", family, "other") ** age_years
    routed = bool(work.experts)
    top_k = max((block.top_k for block in work.experts), default=1.0)
    return Speeds(
        linears=tuple(product(linear.storage, False) for linear in work.linears),
        experts=tuple(product(block.storage, True) for block in work.experts),
        head=product(work.head.storage, False),
        cache_bytes_per_s=bandwidth * min(cache, 0.98),
        latent_bytes_per_s=bandwidth * min(cache * c("cache_scale", "latent"), 0.98),
        attention_flops_per_s=peak16 * c("attention", kin),
        prefill_flops_per_s=peak16 * c("prefill", kin),
        kernel_s=max(c("kernel_s", family) * c("kernel_scale", kin), c("eager_s", family) if eager else 0.0) * aged,
        step_s=c("step_s", family) * aged,
        sequence_s=c("sequence_s", family) * aged,
        quantise_s=c("quantise_s", family) * c("kernel_scale", kin) * aged,
        eager_s=c("eager_s", family) * aged * (1 + latent_layers(work) * c("latent_kernels", family) / max(work.kernels, 1.0)),
        tile_rows=c("tile_rows", "moe"),
        imbalance=1.0 + c("imbalance", "ep") * log2(max(cut.ep, 1)) if routed else 1.0,
        routing_evenness=c("routing", "evenness"),
        reduce_latency_s=c("reduce_s", kin) * (1 + 0.15 * log2(max(cut.tp, 1))) if cut.tp > 1 else 0.0,
        bus_bytes_per_s=link,
        gather_latency_s=c("gather_s", kin) * log2(max(cut.dp, 2)) / 3,
        gather_bytes_per_s=gather_link * c("gather_share", "wired" if accelerator.interconnect_bytes_per_s else "pcie"),
        gather_copies=float(
            min(top_k, max(cut.ep, 1)) if cut.tp * cut.dp > node and cut.ep > 1 else cut.dp
        ),  # within a node every rank gathers all tokens
        gather_element_bytes=3.0 if cut.ep > 1 else 4.0,
        hop_latency_s=c("hop_s", "all"),
        hop_bytes_per_s=link if cut.pp <= 8 else NETWORK_BYTES_PER_S,
        tp=float(cut.tp),
        dp=float(cut.dp),
        ep=float(cut.ep),
        pp=float(cut.pp),
    )


def _link_bytes_per_s(accelerator: Accelerator, ranks: int, theta: Mapping[str, float] | None) -> float:
    """Bus bandwidth of a collective. [bytes/s]"""
    node = accelerator.devices_per_node or 8
    both = accelerator.interconnect_bytes_per_s
    bridged = "bridge" in (accelerator.interconnect or "")
    domain = "domain" in (accelerator.interconnect or "")
    if both and not (bridged and ranks > 2):
        within = both / 2 * constant("bus_share", generation(accelerator), "other", theta)
        if ranks <= node or domain:
            return within
        return min(within, NETWORK_BYTES_PER_S)
    lanes = float((accelerator.pcie or "4.0").split(" ")[0].split(".")[0] or 4)
    one_way = 31.5e9 * 2 ** (lanes - 4)
    if lanes < 5:  # measured on one host (L40S, NCCL bus bandwidth): 20, 5.2 and 1.4 GB/s for 2, 4 and 8 devices
        return float(one_way * constant("pcie_share", "two", "many", theta) * (2 / max(ranks, 2)) ** 1.9)
    return one_way * constant("pcie_share", "two" if ranks <= 2 else "many", "many", theta)
