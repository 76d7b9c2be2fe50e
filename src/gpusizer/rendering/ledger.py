"""One GPU's memory, item by item: a table with GB and GiB, and a bar as wide as the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpusizer.engines.types import Item
from gpusizer.i18n import text
from gpusizer.rendering.document import Column, Fixed, Table
from gpusizer.rendering.text import bar
from gpusizer.units import GB, GiB

__all__ = ["PARTS", "ledger_bar", "ledger_table"]

PARTS: Mapping[str, str] = {
    "weights_bytes": "W",
    "activation_peak_bytes": "A",
    "cuda_graph_bytes": "G",
    "non_torch_bytes": "N",
    "outside_budget_bytes": "X",
    "kv_cache_pool_bytes": "K",
}
"""The sums of one GPU in the order of the bar, each with its letter; the rest is free."""


def ledger_table(items: Sequence[Item], language: str) -> Table:
    """The items of one GPU and their sum."""
    total = sum(item.bytes for item in items)
    rows = [
        [
            text("item", item.id, language),
            f"{item.bytes / GB:,.2f}",
            f"{item.bytes / GiB:,.2f}",
            "" if item.low_bytes == item.high_bytes else f"{item.low_bytes / GiB:,.2f} - {item.high_bytes / GiB:,.2f}",
            text("ui", f"evidence-{item.evidence}", language),
            item.formula or "",
        ]
        for item in items
        if item.bytes
    ]
    rows.append([text("ui", "device-total", language), f"{total / GB:,.2f}", f"{total / GiB:,.2f}", "", "", ""])
    return Table(
        [
            Column(text("ui", "one-gpu", language)),
            Column("GB", right=True),
            Column("GiB", right=True),
            Column(text("ui", "band-gib", language), right=True),
            Column(text("ui", "evidence", language)),
            Column(text("ui", "formula", language)),
        ],
        rows,
    )


def ledger_bar(sums: Mapping[str, int], language: str) -> Fixed:
    """The bar of one GPU and its legend."""
    total = sum(sums.get(part, 0) for part in [*PARTS, "free_bytes"])
    parts = [(letter, sums.get(part, 0)) for part, letter in PARTS.items()]
    legend = "  ".join(f"{letter} {text('ui', f'part-{part}', language)} {sums[part] / GiB:,.1f}" for part, letter in PARTS.items() if sums.get(part))
    return Fixed(
        f"{bar(parts, total)} {total / GiB:,.1f} GiB\n{legend}  . {text('ui', 'part-free_bytes', language)} {sums.get('free_bytes', 0) / GiB:,.1f}"
    )
