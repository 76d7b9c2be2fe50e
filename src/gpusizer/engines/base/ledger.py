"""The ledger of one GPU: items that sum to what the driver reports, and the sums that people ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

from gpusizer.engines.base.types import Evidence, Item, Quantity
from gpusizer.formulas.core import rounded

__all__ = ["WEIGHT_LINES", "combined", "item", "per_gpu", "total_bytes", "weight_items", "weight_line", "worst_evidence"]

# Which sum of a GPU an item belongs to; items of weights start with "weights".
_SUM_OF = {
    "driver_reserved": "outside_budget_bytes",
    "device_context": "outside_budget_bytes",
    "allocator_slack": "outside_budget_bytes",
    "communication": "outside_budget_bytes",
    "late_workspace": "outside_budget_bytes",
    "symmetric_memory": "outside_budget_bytes",
    "request_table": "outside_budget_bytes",
    "system_memory": "outside_budget_bytes",
    "checkpoint_pages": "outside_budget_bytes",
    "activation_peak": "activation_peak_bytes",
    "compute_buffer": "activation_peak_bytes",
    "non_torch": "non_torch_bytes",
    "cuda_graphs": "cuda_graph_bytes",
    "prefill_graphs": "cuda_graph_bytes",
    "kv_cache_pool": "kv_cache_pool_bytes",
    "state_pool": "kv_cache_pool_bytes",
    "window_pool": "kv_cache_pool_bytes",
    "cache_beyond_budget": "kv_cache_pool_bytes",
    "free": "free_bytes",
}
_SUMS = (
    "weights_bytes",
    "activation_peak_bytes",
    "non_torch_bytes",
    "cuda_graph_bytes",
    "kv_cache_pool_bytes",
    "outside_budget_bytes",
    "free_bytes",
)

# Parameter groups as the ledger's lines.
_WEIGHT_LINE = {
    "embedding": "weights_embedding",
    "per_layer_embedding": "weights_embedding",
    "attention": "weights_attention",
    "linear_attention": "weights_attention",
    "indexer": "weights_attention",
    "dense_mlp": "weights_dense",
    "shared_experts": "weights_dense",
    "latent_projection": "weights_dense",
    "router": "weights_other",
    "routed_experts": "weights_experts",
    "lm_head": "weights_head",
    "vision": "weights_towers",
}


def item(
    id: str,
    size: float,
    *,
    low: float | None = None,
    high: float | None = None,
    formula: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    sources: Sequence[str] = (),
    evidence: str = Evidence.EXACT,
) -> Item:
    """A line of the ledger; without a band it is known as it stands.

    >>> item("free", 5.4).bytes
    5
    """
    whole = rounded(size)
    return Item(
        id,
        whole,
        whole if low is None else rounded(min(low, whole)),
        whole if high is None else rounded(max(high, whole)),
        formula,
        inputs or {},
        tuple(sources),
        evidence,
    )


WEIGHT_LINES = (
    "weights_embedding",
    "weights_attention",
    "weights_dense",
    "weights_experts",
    "weights_other",
    "weights_head",
    "weights_towers",
)
"""Lines of stored tensors, in the order of a model."""


def weight_line(group: str) -> str:
    """The line of a parameter group.

    >>> weight_line("indexer"), weight_line("norms")
    ('weights_attention', 'weights_other')
    """
    return _WEIGHT_LINE.get(group, "weights_other")


def weight_items(groups: Mapping[str, int], *, error: float, evidence: str, sources: Sequence[str] = ()) -> list[Item]:
    """Lines of the stored tensors, parameter groups together as people name them; ``error`` is the share that the band is wide on each side."""
    lines: dict[str, int] = {}
    parts: dict[str, dict[str, int]] = {}
    for group, size in groups.items():
        line = weight_line(group)
        lines[line] = lines.get(line, 0) + size
        parts.setdefault(line, {})[group] = size
    return [
        item(
            line,
            size,
            low=size * (1 - error),
            high=size * (1 + error),
            formula="storage.scaled_format",
            inputs=parts[line],
            sources=sources,
            evidence=evidence,
        )
        for line, size in lines.items()
        if size
    ]


def total_bytes(items: Iterable[Item]) -> int:
    """Sum of the items. [bytes]"""
    return sum(line.bytes for line in items)


def combined(items: Iterable[Item], sign: int = 1, base: float = 0) -> Quantity:
    """Sum (or ``base`` less the sum) with its band: deviations of different items are taken as independent.

    >>> combined([item("a", 10, low=7, high=13), item("b", 10, low=6, high=14)])
    Quantity(value=20, low=15.0, high=25.0)
    """
    value, below, above = 0, 0.0, 0.0
    for line in items:
        value += line.bytes
        below += (line.bytes - line.low_bytes) ** 2
        above += (line.high_bytes - line.bytes) ** 2
    if sign < 0:
        return Quantity(base - value, base - value - sqrt(above), base - value + sqrt(below))
    return Quantity(base + value, base + value - sqrt(below), base + value + sqrt(above))


def per_gpu(items: Iterable[Item]) -> dict[str, int]:
    """The sums of one GPU by the names of the public JSON; together they are the device's total. [bytes]"""
    sums = dict.fromkeys(_SUMS, 0)
    for line in items:
        sums["weights_bytes" if line.id.startswith("weights") else _SUM_OF[line.id]] += line.bytes
    return sums


def worst_evidence(items: Iterable[Item]) -> str:
    """The least sure evidence among the items.

    >>> worst_evidence([item("a", 1), item("b", 1, evidence=Evidence.CALIBRATED)])
    'calibrated'
    """
    return Evidence.ORDER[max((Evidence.ORDER.index(line.evidence) for line in items), default=0)]
