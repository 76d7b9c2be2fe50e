#!/usr/bin/env python3
"""Fit the constants of vLLM anew from measured start-ups, and print the errors with each source group left out.

    scripts/calibrate/memory.py CASES.jsonl

CASES.jsonl has the format that ``gpusizer validate`` reads. Many rows share one cluster and one set-up: each set-up (source, model, layout, version,
limits) weighs as one, whatever the number of its rows. A source that is large is left out model by model. What is printed is written into
``engines/vllm/constants.py`` by hand, with its number of set-ups and its error.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpusizer.engines import get_engine
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.types import Fit
from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.defaults import profile_rows
from gpusizer.engines.vllm.device_record import growth_kind
from gpusizer.engines.vllm.engine import ENGINE
from gpusizer.engines.vllm.graphs import block_weight, captured_graphs, graph_bytes, warms_up
from gpusizer.formulas.memory.weights import padded_vocabulary
from gpusizer.units import GiB
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import Case, deployment_of

LARGE_GROUP = 20
QUANTITIES = (
    "weights_bytes",
    "kv_cache_pool_bytes",
    "kv_cache_tokens",
    "max_concurrency",
    "activation_peak_bytes",
    "non_torch_bytes",
    "cuda_graph_bytes",
    "cuda_graph_estimated_bytes",
)
Weighted = list[tuple[float, float]]  # (value, weight)


@dataclass(frozen=True)
class Row:
    """A measured start; ``part`` is what is left out together, ``weight`` its share of its set-up."""

    part: str
    case: Case
    raw: Mapping[str, Any]
    measured: Mapping[str, Any]
    weight: float = 1.0

    @property
    def start(self) -> Start:
        """The start with every default filled in."""
        return ENGINE.start(self.case.deployment, self.case.architecture, self.case.accelerator)

    def fit(self) -> Fit:
        """The prediction."""
        return get_engine("vllm").fit(self.case.deployment, self.case.architecture, self.case.accelerator)

    def gib(self, name: str) -> float | None:
        """A measured field of the file."""
        value = self.raw.get(name)
        return float(value) if isinstance(value, int | float) else None


def rows(path: Path) -> list[Row]:
    """Every vLLM case that can be told, weighted by set-up."""
    found: list[tuple[str, Row]] = []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    sizes = Counter(str(row.get("group")) for row in lines if row.get("engine") == "vllm")
    for row in lines:
        if row.get("engine") != "vllm":
            continue
        case = deployment_of(row)
        if not isinstance(case, Case):
            continue
        group = str(row.get("group"))
        part = f"{group} {case.architecture.id}" if sizes[group] >= LARGE_GROUP else group
        d = case.deployment
        setup = f"{group} {case.architecture.id} {d.precision} {d.gpu} {d.layout} {d.engine_version} {d.max_num_seqs} {d.max_num_batched_tokens}"
        found.append((setup + str(d.speculative_tokens), Row(part, case, row.get("measured") or {}, measured_memory(row))))
    counts = Counter(setup for setup, _ in found)
    return [replace(row, weight=1 / counts[setup]) for setup, row in found]


def middle(values: Weighted) -> float | None:
    """Weighted median."""
    half, total = sum(weight for _, weight in values) / 2, 0.0
    for value, weight in sorted(values):
        total += weight
        if total >= half:
            return value
    return None


def spread(values: Weighted, share: float) -> float:
    """Weighted quantile."""
    goal, total = sum(weight for _, weight in values) * share, 0.0
    for value, weight in sorted(values):
        total += weight
        if total >= goal:
            return value
    return 0.0


@contextmanager
def applied(constants: Mapping[str, float]) -> Iterator[None]:
    """Predict with other constants; ``GROWTH.alone`` names an entry, ``HELD_COPIES`` a figure."""
    kept: list[tuple[Any, str, Any]] = []
    for name, value in constants.items():
        table, _, key = name.partition(".")
        target = getattr(fitted, table)
        if key:
            kept.append((target, key, target[key]))
            target[key] = replace(target[key], bytes=value) if isinstance(target[key], fitted.Band) else value
        elif isinstance(target, fitted.Graphs):
            kept.append((fitted, table, target))
            setattr(fitted, table, replace(target, bytes_per_graph_and_layer=value))
        else:
            kept.append((fitted, table, target))
            setattr(fitted, table, replace(target, bytes=value) if isinstance(target, fitted.Band) else value)
    try:
        yield
    finally:
        for target, key, old in reversed(kept):
            if isinstance(target, dict):
                target[key] = old
            else:
                setattr(target, key, old)


# ---- one reading of a constant from one row ---------------------------------------------------------------------------


def _peak(row: Row) -> Mapping[str, float] | None:
    for line in row.fit().ranks[0].items:
        if line.id == "activation_peak":
            return line.inputs
    return None


def sampler_reading(row: Row) -> tuple[str, float] | None:
    """Copies of a logit, where the sampler is the peak."""
    logged, inputs, start = row.gib("activation_peak_gib"), _peak(row), row.start
    if logged is None or inputs is None or start.layout.pp > 1 or start.version >= (0, 26):
        return None
    if inputs["sampler_bytes"] <= max(inputs["block_bytes"], inputs["latent_bytes"]) or inputs["encoded_bytes"]:
        return None
    logits = profile_rows(start.deployment) * padded_vocabulary(vocabulary=start.architecture.vocab_size, multiple=64, tp=1)
    element = 4 if start.architecture.dtype == "fp32" else 2
    kind = "fused" if start.version >= (0, 17) else "sorting"
    held = inputs["sampler_bytes"] - logits * (fitted.SAMPLER_COPIES[kind] + element)
    return f"SAMPLER_COPIES.{kind}", (logged * GiB - inputs["workspace_bytes"] - held) / logits - element


def growth_reading(row: Row) -> tuple[str, float] | None:
    """Growth outside the allocator: printed, or what is missing from the budget."""
    start, result = row.start, row.fit()
    name = f"GROWTH.{growth_kind(start)}"
    lines = {line.id: line for line in result.ranks[0].items}
    if "non_torch" not in lines:
        return None
    workspace = float(lines["non_torch"].inputs["workspace_bytes"])
    ranks = start.layout.tp if name == "GROWTH.switched-before-0.18" else 1
    printed = row.gib("non_torch_gib")
    if printed is not None and start.version >= (0, 8):
        return name, (printed * GiB - workspace) / ranks
    weights, pool = row.gib("weights_gib_per_gpu"), row.gib("kv_available_gib_per_gpu")
    if weights is None or pool is None or row.case.unpredictable or row.case.deployment.memory_fraction is None:
        return None
    graphs = (row.gib("cuda_graph_estimated_gib") or 0.0) if ENGINE.charges_graphs(start) else 0.0
    peak = (row.gib("activation_peak_gib") or lines["activation_peak"].bytes / GiB) * GiB
    return name, (ENGINE.budget_bytes(start) - (weights + pool + graphs) * GiB - peak - workspace) / ranks


def graph_reading(row: Row) -> tuple[str, float] | None:
    """Bytes of one graph and layer of attention and a feed-forward block, in the measure of the newer versions."""
    logged, start = row.gib("cuda_graph_gib"), row.start
    graphs = captured_graphs(start)
    if logged is None or logged <= 0.02 or not graphs or warms_up(start):
        return None
    fixed = next(line.inputs["fixed_bytes"] for line in row.fit().ranks[0].items if line.id == "cuda_graphs")
    layers = len(ENGINE.stages(start)[0].layers) * block_weight(start.architecture)
    times = graph_bytes(start.accelerator, start.version) / fitted.GRAPHS.bytes_per_graph_and_layer
    return "GRAPHS", (logged * GiB - fixed) / graphs / layers / times


def context_reading(row: Row) -> tuple[str, float] | None:
    """Context alone, or communicators beside it, from what was free at the start."""
    free, total, start = row.gib("initial_free_gib"), row.gib("total_gpu_memory_gib"), row.start
    if free is None or total is None or start.accelerator.unified_memory:
        return None
    vendor = "rocm" if start.accelerator.vendor == "AMD" else "cuda"
    if start.layout.gpus == 1:
        return f"CONTEXT.{vendor}", (total - free) * GiB
    experts = start.architecture.parameters.groups.get("routed_experts")
    switched = (start.accelerator.fabric_devices or 0) >= 8
    rest = (total - free) * GiB - fitted.CONTEXT[vendor].bytes
    return ("EXPERT_COMMUNICATION" if experts else f"COMMUNICATION.{'switched' if switched else 'unswitched'}"), rest - (
        fitted.COMMUNICATION["switched" if switched else "unswitched"].bytes if experts else 0
    )


def encoder_reading(row: Row) -> tuple[str, float] | None:
    """Copies of a tower's patches, where the tower is the peak."""
    inputs, start = _peak(row), row.start
    weights, pool = row.gib("weights_gib_per_gpu"), row.gib("kv_available_gib_per_gpu")
    if inputs is None or weights is None or pool is None or inputs["encoder_bytes"] <= inputs["sampler_bytes"] + inputs["encoded_bytes"]:
        return None
    graphs = (row.gib("cuda_graph_estimated_gib") or 0.0) if ENGINE.charges_graphs(start) else 0.0
    peak = ENGINE.budget_bytes(start) - (weights + pool + graphs) * GiB - fitted.GROWTH[growth_kind(start)].bytes
    cut = fitted.ENCODER_CUT_COPIES / ENGINE.cut(start).towers_tp
    return "ENCODER_COPIES", (fitted.ENCODER_COPIES + cut) * peak / inputs["encoder_bytes"] - cut


READINGS: tuple[Callable[[Row], tuple[str, float] | None], ...] = (
    sampler_reading,
    growth_reading,
    graph_reading,
    context_reading,
    encoder_reading,
)


def readings(known: Iterable[Row]) -> dict[str, list[tuple[float, float, str]]]:
    """Every reading of every constant: (value, weight, part)."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for row in known:
        for read in READINGS:
            reading = read(row)
            if reading is not None:
                found.setdefault(reading[0], []).append((reading[1], row.weight, row.part))
    return found


def constants(all_readings: Mapping[str, list[tuple[float, float, str]]], without: str = "") -> dict[str, float]:
    """Weighted medians over all parts but one."""
    out: dict[str, float] = {}
    for name, values in all_readings.items():
        value = middle([(value, weight) for value, weight, part in values if part != without])
        if value is not None:
            out[name] = value
    return out


# ---- errors -----------------------------------------------------------------------------------------------------------


def compare(row: Row) -> dict[str, tuple[float, bool]]:
    """Error and whether it lies inside the band, of every quantity that was measured."""
    found: dict[str, tuple[float, bool]] = {}
    result = row.fit()
    for name in QUANTITIES:
        value, quantity = row.measured.get(name), result.quantities.get(name)
        if value and quantity is not None and name not in row.case.unpredictable:
            found[name] = ((quantity.value - value) / abs(value), quantity.low <= value <= quantity.high)
    if isinstance(row.measured.get("fits"), bool):
        found["fits"] = (float(result.fits is not row.measured["fits"]), True)
    return found


def table(title: str, errors: Mapping[str, list[tuple[float, bool, float]]]) -> None:
    """Print median, P90 and share inside the band, weighted by set-up and by row."""
    print(f"\n{title}")
    print(f"{'quantity':24} {'rows':>5} {'median':>8} {'P90':>8} {'inside':>7}   weighted by set-up: {'median':>8} {'P90':>8} {'inside':>7}")
    for name, values in errors.items():
        if name == "fits":
            print(f"{name:24} {len(values):5} {sum(error for error, _, _ in values):8.0f} told wrongly")
            continue
        plain: Weighted = [(abs(error), 1.0) for error, _, _ in values]
        weighted: Weighted = [(abs(error), weight) for error, _, weight in values]
        inside = sum(ok for _, ok, _ in values) / len(values)
        inside_weighted = sum(weight for _, ok, weight in values if ok) / sum(weight for _, _, weight in values)
        print(
            f"{name:24} {len(values):5} {spread(plain, 0.5):8.2%} {spread(plain, 0.9):8.2%} {inside:7.0%}"
            f"   {'':20} {spread(weighted, 0.5):8.2%} {spread(weighted, 0.9):8.2%} {inside_weighted:7.0%}"
        )


def collect(known: Iterable[Row], into: dict[str, list[tuple[float, bool, float]]]) -> None:
    """Add the errors of rows."""
    for row in known:
        for name, (error, inside) in compare(row).items():
            into.setdefault(name, []).append((error, inside, row.weight))


def main(path: str) -> None:
    """Print constants, then the errors as the code stands and with each part left out."""
    known = rows(Path(path))
    found = readings(known)
    print(f"{len(known)} rows, {sum(row.weight for row in known):.0f} set-ups, {len({row.part for row in known})} parts\n")
    print(f"{'constant':34} {'readings':>8} {'set-ups':>8} {'median':>10} {'5 %':>10} {'95 %':>10}")
    for name, values in sorted(found.items()):
        plain: Weighted = [(value, weight) for value, weight, _ in values]
        scale = 1.0 if name.startswith(("SAMPLER", "ENCODER")) else (GiB / 1024 if name == "GRAPHS" else GiB)
        low, centre, high = (spread(plain, share) / scale for share in (0.05, 0.5, 0.95))
        unit = "" if scale == 1.0 else ("MiB" if name == "GRAPHS" else "GiB")
        print(f"{name:34} {len(values):8} {sum(weight for _, weight in plain):8.1f} {centre:10.3f} {low:10.3f} {high:10.3f} {unit}")
    standing: dict[str, list[tuple[float, bool, float]]] = {}
    collect(known, standing)
    table("as the code stands", standing)
    left_out: dict[str, list[tuple[float, bool, float]]] = {}
    for part in sorted({row.part for row in known}):
        with applied(constants(found, part)):
            collect([row for row in known if row.part == part], left_out)
    table("each source left out (the large ones model by model)", left_out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: scripts/calibrate/memory.py CASES.jsonl")
    main(sys.argv[1])
