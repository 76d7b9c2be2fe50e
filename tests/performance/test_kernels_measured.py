"""Kernel times measured on one H200 against the catalogue: nothing ran faster than the card's bandwidth and peak allow, and large work came near."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from conftest import DATA, lines_of
from gpusizer.facts.catalog import accelerator

ROWS = lines_of(DATA / "kernels_h200.jsonl")
CARD = accelerator(ROWS[0]["gpu"])
BANDWIDTH = CARD.bandwidth_bytes_per_s or 0.0
WEIGHT_BYTES = {"bf16": 2.0, "fp8-per-tensor": 1.0, "int4-tinygemm": 0.5}
PEAK = {"bf16": CARD.peak_flops["bf16"], "fp8-per-tensor": CARD.peak_flops["fp8"], "int4-tinygemm": CARD.peak_flops["bf16"]}


def of_kind(kind: str) -> list[dict[str, Any]]:
    found = [row for row in ROWS if row["kind"] == kind]
    assert found, kind
    return found


def product_s(row: dict[str, Any]) -> tuple[float, float]:
    """What weights take at full bandwidth and products at full speed."""
    weights = row["out"] * row["inner"]
    return weights * WEIGHT_BYTES[row["format"]] / BANDWIDTH, 2 * weights * row["rows"] / PEAK[row["format"]]


def grouped_s(row: dict[str, Any]) -> tuple[float, float]:
    weights = row["out"] * row["inner"]
    return row["touched"] * weights * 2 / BANDWIDTH, 2 * weights * row["tokens"] * row["top_k"] / PEAK["bf16"]


def attention_s(row: dict[str, Any]) -> tuple[float, float]:
    """Under the causal mask half of the products count; queries and results pass once."""
    size = row["tokens"] * row["head_dim"]
    return 2 * 2 * size * (row["heads"] + row["kv_heads"]) / BANDWIDTH, 2 * size * row["heads"] * row["tokens"] / PEAK["bf16"]


KINDS: dict[str, Callable[[dict[str, Any]], tuple[float, float]]] = {"product": product_s, "grouped": grouped_s, "attention-prompt": attention_s}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_faster_than_the_catalogue_allows(kind: str) -> None:
    too_fast = [row for row in of_kind(kind) if row["us"] * 1e-6 < max(KINDS[kind](row))]
    assert not too_fast


@pytest.mark.parametrize(
    ("kind", "which", "share"), [("product", 0, 0.85), ("product", 1, 0.70), ("grouped", 0, 0.60), ("attention-prompt", 1, 0.60)]
)
def test_the_best_comes_near_what_the_catalogue_says(kind: str, which: int, share: float) -> None:
    # a bandwidth or a peak that is written too high by half would show here
    assert max(KINDS[kind](row)[which] / (row["us"] * 1e-6) for row in of_kind(kind)) > share


def test_copies_come_near_the_bandwidth_and_not_above() -> None:
    (row,) = of_kind("bandwidth")
    assert 0.8 * BANDWIDTH < row["copy_bytes_per_s"] < BANDWIDTH
    assert row["read_bytes_per_s"] < BANDWIDTH


def test_more_rows_of_a_product_never_take_much_less_time() -> None:
    shapes: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in of_kind("product"):
        shapes.setdefault((row["format"], row["out"], row["inner"]), []).append(row)
    for rows in shapes.values():
        rows.sort(key=lambda row: row["rows"])
        assert all(fewer["us"] < 1.6 * more["us"] for fewer, more in pairwise(rows))
