"""One GPU's memory, item by item: a table with GB and GiB, and a bar as wide as the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpusizer.engines.base.types import Fit, Item
from gpusizer.i18n import has, text
from gpusizer.rendering.document import Column, Fixed, Paragraph, Table
from gpusizer.rendering.forms.text import bar
from gpusizer.units import GB, GiB

__all__ = ["PARTS", "budget_paragraphs", "item_data", "ledger_bar", "ledger_table"]

_LEGEND = 4  # parts that a line of the legend names

PARTS: Mapping[str, str] = {
    "weights_bytes": "W",
    "activation_peak_bytes": "A",
    "cuda_graph_bytes": "G",
    "non_torch_bytes": "N",
    "outside_budget_bytes": "X",
    "kv_cache_pool_bytes": "K",
}
"""The sums of one GPU in the order of the bar, each with its letter; the rest is free."""


def item_data(item: Item) -> dict[str, Any]:
    """A line of a ledger as the contract's JSON."""
    return {
        "id": item.id,
        "bytes": item.bytes,
        "low_bytes": item.low_bytes,
        "high_bytes": item.high_bytes,
        "formula": item.formula,
        "inputs": item.inputs,
        "sources": item.sources,
        "evidence": item.evidence,
    }


def ledger_table(items: Sequence[Item], language: str, *, heading: str = "", total: str = "") -> Table:
    """The items of one GPU, or of what is named, and their sum."""
    size = sum(item.bytes for item in items)
    rows = [
        [
            text("item", item.id, language),
            f"{item.bytes / GB:,.2f}",
            f"{item.bytes / GiB:,.2f}",
            _band(item),
            text("ui", f"evidence-{item.evidence}", language),
            item.formula,
        ]
        for item in items
        if item.bytes
    ]
    rows.append([total or text("ui", "device-total", language), f"{size / GB:,.2f}", f"{size / GiB:,.2f}", "", "", ""])
    return Table(
        [
            Column(heading or text("ui", "one-gpu", language)),
            Column("GB", right=True),
            Column("GiB", right=True),
            Column(text("ui", "band-gib", language), right=True),
            Column(text("ui", "evidence", language), spare=1),
            Column(text("ui", "formula", language), spare=2),
        ],
        rows,
    )


def _band(item: Item) -> str:
    """From - to; empty where both print alike."""
    low, high = f"{item.low_bytes / GiB:,.2f}", f"{item.high_bytes / GiB:,.2f}"
    return "" if low == high else f"{low} - {high}"


def budget_paragraphs(fit: Fit, language: str) -> list[Paragraph]:
    """What the engine's share of the card means for the cache; nothing for an engine without such a share."""
    code = f"budget-{fit.deployment.engine}"
    keeps = fit.kv_cache.bytes_per_token or fit.kv_cache.fixed_bytes_per_request
    if fit.deployment.memory_fraction is None or not has("ui", code, language) or (fit.fits and not keeps):
        return []
    return [Paragraph(text("ui", code, language, share=fit.deployment.memory_fraction, budget=fit.budget_bytes))]


def ledger_bar(sums: Mapping[str, int], language: str) -> Fixed:
    """The bar of one GPU and its legend."""
    total = sum(sums.get(part, 0) for part in [*PARTS, "free_bytes"])
    parts = [(letter, sums.get(part, 0)) for part, letter in PARTS.items()]
    legend = [f"{letter} {text('ui', f'part-{part}', language)} {sums[part] / GiB:,.1f}" for part, letter in PARTS.items() if sums.get(part)]
    legend.append(f". {text('ui', 'part-free_bytes', language)} {sums.get('free_bytes', 0) / GiB:,.1f}")
    lines = [f"{bar(parts, total)} {total / GiB:,.1f} GiB", *("  ".join(legend[at : at + _LEGEND]) for at in range(0, len(legend), _LEGEND))]
    return Fixed("\n".join(lines))
