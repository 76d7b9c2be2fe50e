"""The ledger of one GPU: items that sum to what the driver reports, and the sums that people ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

from gpusizer.engines.base.band import Around, Band, Spread
from gpusizer.engines.base.types import Evidence, Item, Quantity, Section
from gpusizer.formulas.core import id_of, maximum, minimum, rounded
from gpusizer.formulas.memory.budget import free_bytes
from gpusizer.formulas.memory.constants import constant_bytes
from gpusizer.formulas.memory.loaded import group_sum_bytes

__all__ = [
    "RECIPE_LINE",
    "WEIGHT_LINES",
    "banded",
    "combined",
    "computed",
    "free_line",
    "per_gpu",
    "total_bytes",
    "weight_items",
    "weight_line",
    "worst_evidence",
]

# Parameter groups as the ledger's lines.
_WEIGHT_LINE = {
    "embedding": "weights_embedding",
    "per_layer_embedding": "weights_embedding",
    "ngram_embedding": "weights_ngrams",
    "ngram_projection": "weights_dense",
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


def computed(
    id: str,
    formula: Callable[..., Any],
    /,
    *,
    section: Section,
    band: Around | None = None,
    evidence: Evidence | None = None,
    sources: Sequence[str] = (),
    **inputs: Any,
) -> Item:
    """A line of the ledger: the formula that it names, called with the inputs that it shows.

    The arithmetic has no branches, so that arrays and recording symbols do as well as numbers.

    Parameters
    ----------
    id : str
        The line, by the names of ``items.toml``.
    formula : callable
        A registered formula; its result, rounded, is the size of the line. [bytes]
    section : Section
        The sum of the GPU that the line belongs to.
    band : Around or None
        How far the size may be off; None where it is known as it stands.
    evidence : Evidence or None
        How the size is known: exact without a band, calibrated with one, unless said otherwise.
    sources : sequence of str
        Where the rule stands, or the constant behind it.
    **inputs : float
        Inputs of the formula, by its own names.

    Returns
    -------
    Item
        The line.

    Examples
    --------
    >>> from gpusizer.formulas.memory.constants import share_bytes
    >>> line = computed("allocator_slack", share_bytes, section=Section.OUTSIDE, band=Spread(0.5, 1), share=0.08, of_bytes=1000)
    >>> line.bytes, line.low_bytes, line.high_bytes, line.formula, line.evidence.value
    (80, 40, 160, 'memory.constants.share', 'calibrated')
    """
    if band is not None and evidence is Evidence.EXACT:
        raise ValueError(f"{id}: what is exact has no band")
    size = formula(**inputs)
    whole = rounded(size)
    if band is None:
        return Item(id, whole, whole, whole, id_of(formula), inputs, tuple(sources), evidence or Evidence.EXACT, section)
    low, high = band.around(size)
    low, high = rounded(minimum(low, whole)), rounded(maximum(high, whole))
    return Item(id, whole, low, high, id_of(formula), inputs, tuple(sources), evidence or Evidence.CALIBRATED, section)


def banded(id: str, constant: Band, *, section: Section, evidence: Evidence = Evidence.CALIBRATED) -> Item:
    """A line that is a constant, with the constant's own band and name.

    >>> from gpusizer.engines.base.band import Basis
    >>> line = banded("device_context", Band(100.0, 20.0, 50.0, Basis("vllm.context.cuda", 25, 0.4, 0.66)), section=Section.OUTSIDE)
    >>> line.low_bytes, line.high_bytes, line.sources
    (80, 150, ('vllm.context.cuda: n = 25, 0.4 to 0.66 GiB',))
    """
    return computed(id, constant_bytes, section=section, band=constant, evidence=evidence, sources=constant.sources, fitted_bytes=constant.bytes)


RECIPE_LINE = "weights_recipe"
"""What the files may hold more or less where nobody tells which tensors are quantised: its ends are physical, not measured."""

WEIGHT_LINES = (
    "weights_embedding",
    "weights_ngrams",
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


def weight_items(groups: Mapping[str, int], *, error: float, evidence: Evidence | None = None, sources: Sequence[str] = ()) -> list[Item]:
    """Lines of the stored tensors, parameter groups together as people name them; ``error`` is the share that the band is wide on each side."""
    lines: dict[str, dict[str, int]] = {}
    for group, size in groups.items():
        lines.setdefault(weight_line(group), {})[group] = size
    band = Spread(error, error) if error else None
    return [
        computed(line, group_sum_bytes, section=Section.WEIGHTS, band=band, evidence=evidence, sources=sources, **parts)
        for line, parts in lines.items()
        if any(parts.values())
    ]


def free_line(lines: Sequence[Item], device_total_bytes: int) -> Item:
    """The last line of the ledger: what the other lines leave of the device, as surely as the least sure of them is known.

    >>> free_line((), 100).bytes
    100
    """
    return computed(
        "free",
        free_bytes,
        section=Section.FREE,
        evidence=worst_evidence(lines),
        device_total_bytes=device_total_bytes,
        used_bytes=total_bytes(lines),
    )


def total_bytes(items: Iterable[Item]) -> int:
    """Sum of the items. [bytes]"""
    return sum(line.bytes for line in items)


def combined(items: Iterable[Item], sign: int = 1, base: float = 0) -> Quantity:
    """Sum (or ``base`` less the sum) with its band: deviations of different items are taken as independent, physical ends are added.

    >>> from gpusizer.engines.base.band import Limits
    >>> ten = {"fitted_bytes": 10, "section": Section.OUTSIDE}
    >>> combined([computed("a", constant_bytes, band=Limits(7, 13), **ten), computed("b", constant_bytes, band=Limits(6, 14), **ten)])
    Quantity(value=20, low=15.0, high=25.0)
    """
    value, below, above = 0, 0.0, 0.0
    physical_below, physical_above = 0, 0
    for line in items:
        value += line.bytes
        if line.id == RECIPE_LINE:
            physical_below += line.bytes - line.low_bytes
            physical_above += line.high_bytes - line.bytes
            continue
        below += (line.bytes - line.low_bytes) ** 2
        above += (line.high_bytes - line.bytes) ** 2
    lower, upper = sqrt(below) + physical_below, sqrt(above) + physical_above
    if sign < 0:
        return Quantity(base - value, base - value - upper, base - value + lower)
    return Quantity(base + value, base + value - lower, base + value + upper)


def per_gpu(items: Iterable[Item]) -> dict[str, int]:
    """The sums of one GPU by the names of the public JSON; together they are the device's total. [bytes]"""
    sums = {section.value: 0 for section in Section}
    for line in items:
        sums[line.section.value] += line.bytes
    return sums


def worst_evidence(items: Iterable[Item]) -> Evidence:
    """The least sure evidence among the items.

    >>> from gpusizer.engines.base.band import band
    >>> worst_evidence([banded("device_context", band(0.5, 0.1, 0.1), section=Section.OUTSIDE)]).value
    'calibrated'
    """
    order = tuple(Evidence)
    return order[max((order.index(line.evidence) for line in items), default=0)]
