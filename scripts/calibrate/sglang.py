#!/usr/bin/env python3
"""Fit the constants of SGLang anew from measured start-ups, and print the errors with each owner left out.

    scripts/calibrate/sglang.py CASES.jsonl

CASES.jsonl has the format that ``gpusizer validate`` reads. What is printed is written into ``engines/sglang/constants.py`` by hand: a constant is
replaced only where several owners agree. The rows of TensorRT-LLM are too few to fit; their errors are printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from gpusizer.engines import get_engine
from gpusizer.engines.base.band import Band
from gpusizer.engines.base.layout_rules import dimensions
from gpusizer.engines.base.types import Fit
from gpusizer.engines.sglang import constants as fitted
from gpusizer.engines.sglang.record import SLACK_OVER, SWITCHED, card_class
from gpusizer.units import GiB, MiB
from gpusizer.validation.memory_cases import Case, deployment_of
from gpusizer.validation.owners import owner_of

MOST = 15.0  # GiB; a reading above comes from a start whose flags are not all known
MOST_EACH = 1.0  # of what loading leaves: a larger one comes from tensors that are not cut as was thought
FABRIC, PCIE, ROCM = "FABRIC_COMMUNICATION", "PCIE_COMMUNICATION", "ROCM_COMMUNICATION"
CONTEXT, GRAPHS, SLACK = "CONTEXT", "DECODE_GRAPHS", "WEIGHTS_SLACK_EACH"  # tables: by class of card, of layout, of model


@dataclass(frozen=True)
class Row:
    """A measured start with its prediction."""

    group: str
    case: Case
    measured: Mapping[str, Any]
    fit: Fit

    @property
    def gpus(self) -> int:
        """GPUs of the replica."""
        return self.case.deployment.layout.gpus

    def lines(self, *ids: str) -> float:
        """Sum of lines of the ledger. [GiB]"""
        return sum(line.bytes for line in self.fit.ranks[0].items if line.id in ids) / GiB

    def tensors(self) -> float:
        """Weights without slack and drafts. [GiB]"""
        items = self.fit.ranks[0].items
        return sum(line.bytes for line in items if line.id.startswith("weights") and line.id not in ("weights_slack", "weights_draft")) / GiB

    def free_before(self) -> float | None:
        """Free before weights as printed; None on a device that nobody names. [GiB]"""
        printed = self.measured.get("avail_before_gib")
        return None if printed is None or "kv_cache_pool_bytes" in self.case.unpredictable else float(printed)

    def loaded(self) -> float | None:
        """Weights as printed; None where their number formats are a guess. [GiB]"""
        printed, deployment = self.measured.get("weights_gib_per_gpu"), self.case.deployment
        known = deployment.precision == "checkpoint" and not deployment.similar_precision and not self.case.accelerator.unified_memory
        return float(printed) if printed is not None and known else None


def rows_of(path: Path, engine_id: str) -> list[Row]:
    """Rows of one engine that can be predicted."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("engine") != engine_id:
            continue
        case = deployment_of(row)
        if isinstance(case, Case):
            fit = get_engine(engine_id).fit(case.deployment, case.architecture, case.accelerator)
            found.append(Row(owner_of(row.get("source")), case, row["measured"], fit))
    return found


def readings(rows: Iterable[Row]) -> dict[str, list[float]]:
    """What each row says of each constant. [GiB; MiB for graphs]"""
    found: dict[str, list[float]] = {}
    rows = [row for row in rows if row.fit.ranks[0].items]
    for row in rows:
        free = row.free_before()
        if free is not None:
            device = row.case.accelerator
            held = device.memory_bytes / GiB - row.lines("driver_reserved") - free
            if row.gpus == 1 or card_class(device) == "npu":
                found.setdefault(f"{CONTEXT} {card_class(device)}", []).append(held - row.lines("system_memory"))
            else:
                more = held - row.lines("device_context")
                kind = PCIE if (device.fabric_devices or 0) < SWITCHED else FABRIC if device.vendor == "NVIDIA" else ROCM
                found.setdefault(kind, []).append(more / (row.gpus - 1) if kind == PCIE else more)
        loaded = row.loaded()
        if loaded is not None:
            slack = loaded - row.tensors()
            kind = "experts" if dimensions(row.case.architecture).experts else "dense"
            name = "WEIGHTS_SLACK" if row.gpus <= 2 else f"{SLACK} {kind}"
            base = 0.0 if row.gpus <= 2 else fitted.WEIGHTS_SLACK.bytes / GiB
            found.setdefault(name, []).append((slack - base) / max(min(row.gpus - 2, SLACK_OVER[kind]), 1))
        after, graphs = row.measured.get("avail_after_pool_gib"), row.measured.get("avail_at_graph_begin_gib")
        if after is not None and graphs is not None:
            found.setdefault("LATE_WORKSPACE", []).append(after - graphs)
        for name, value in graph_readings(row):
            found.setdefault(name, []).append(value)
    return found


def graph_readings(row: Row) -> Iterable[tuple[str, float]]:
    """MiB for each captured size and layer."""
    lines = {line.id: line.inputs for line in row.fit.ranks[0].items}
    decode, inputs = row.measured.get("decode_graph_gib", row.measured.get("cuda_graph_gib")), lines.get("cuda_graphs", {})
    if decode is not None and inputs:
        kind = "npu" if card_class(row.case.accelerator) == "npu" else "alone" if row.gpus == 1 else "joined"
        yield f"{GRAPHS} {kind}", (decode * GiB - inputs["fixed_bytes"]) / MiB / inputs["graphs"] / inputs["layers"]
    prefill = row.measured.get("piecewise_graph_gib")
    captured = lines.get("prefill_graphs", {})
    if prefill is not None and captured:
        yield "PREFILL_GRAPHS", prefill * GiB / MiB / captured["graphs"] / captured["layers"]


def constants(rows: Iterable[Row]) -> dict[str, Any]:
    """Medians of the plausible readings, each owner one voice, in the form of the module's constants."""
    rows = list(rows)
    found: dict[str, Any] = {}
    voices: dict[str, list[float]] = {}
    for owner in sorted({row.group for row in rows}):
        for name, values in readings(row for row in rows if row.group == owner).items():
            plausible = [value for value in values if -0.2 < value < (MOST_EACH if name.startswith(SLACK) else MOST)]
            voices.setdefault(name, []).extend([median(plausible)] if plausible else [])
    for name, values in voices.items():
        value = median(values or [0.0])
        table, _, kind = name.partition(" ")
        present = getattr(fitted, table)
        size = _refitted(present[kind] if kind else present, value)
        found[table] = {**found.get(table, present), kind: size} if kind else size
    return found


def _refitted(present: Any, value: float) -> Any:
    return replace(present, bytes=max(value, 0) * GiB) if isinstance(present, Band) else (value, present[1])


def errors(rows: Iterable[Row]) -> dict[str, list[float]]:
    """Relative errors of fresh predictions."""
    found: dict[str, list[float]] = {}
    for row in rows:
        engine = get_engine(row.fit.deployment.engine)
        quantities = engine.fit(row.case.deployment, row.case.architecture, row.case.accelerator).quantities
        for name, key, scale in (
            ("weights_bytes", "weights_gib_per_gpu", GiB),
            ("kv_cache_pool_bytes", "kv_gib_per_gpu", GiB),
            ("kv_cache_tokens", "kv_tokens", 1),
        ):
            measured = row.measured.get(key)
            if measured and name in quantities:
                found.setdefault(name, []).append(quantities[name].value / (measured * scale) - 1)
    return found


def report(title: str, found: Mapping[str, list[float]]) -> None:
    """Median and 90th percentile of absolute errors."""
    print(title)
    for name, values in found.items():
        sizes = sorted(abs(value) for value in values)
        print(f"  {name}: n {len(sizes)}, median {median(sizes):.1%}, P90 {sizes[int(0.9 * (len(sizes) - 1))]:.1%}")


def main() -> int:
    """Fit, print, leave out."""
    if len(sys.argv) != 2:
        print("usage: scripts/calibrate/sglang.py CASES.jsonl", file=sys.stderr)
        return 2
    rows = rows_of(Path(sys.argv[1]), "sglang")
    for name, values in readings(rows).items():
        print(f"{name}: n {len(values)}, readings {', '.join(f'{value:.2f}' for value in sorted(values))}")
    report("as committed", errors(rows))
    left_out: dict[str, list[float]] = {}
    for group in sorted({row.group for row in rows}):
        kept = {name: getattr(fitted, name) for name in {each.partition(" ")[0] for each in readings(rows)}}
        try:
            for name, value in constants(row for row in rows if row.group != group).items():
                setattr(fitted, name, value)
            for name, values in errors(row for row in rows if row.group == group).items():
                left_out.setdefault(name, []).extend(values)
        finally:
            for name, value in kept.items():
                setattr(fitted, name, value)
    report("each owner left out", left_out)
    report("TensorRT-LLM, as committed", errors(rows_of(Path(sys.argv[1]), "tensorrt-llm")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
