#!/usr/bin/env python3
"""Holds the bands of every figure of a start-up log against measured starts and writes what they are to be widened by.

    scripts/calibrate/margins.py CASES.jsonl [--write]

Split conformal prediction with one voice for each owner: in each group of starts (by what makes them hard to foresee) the two margins whose sum is
the smallest among those that leave no more than a given weight of owners outside. A group of fewer than ten owners takes the margins of all starts;
plain ones take those of plain ones whose version nobody told, if these are enough. Figures that follow from the pool are held against measurements
after the pool has its margin. Bands are meant to hold nine of ten owners that nobody fitted to; the constants were fitted to the very starts that
stand here, so that the level is 0.94 and no band is narrowed: margins made from the 219 starts of the first collection alone, with the constants of
that time, held at 0.9 79 % and at 0.94 81 % of the owners of the second. Without ``--write`` the margins that the package has are only reported.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from gpusizer.engines import get_engine
from gpusizer.engines.base.margins import POOL, traits_of
from gpusizer.errors import InputError
from gpusizer.facts.margins import FEW_OWNERS, LEAST_WIDTH, PATH, PLAIN, TRAITS
from gpusizer.validation.case_file import read_cases
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import Case, deployment_of
from gpusizer.validation.owners import owner_of_start

LEVEL = 0.94
FOLLOW = ("kv_cache_tokens", "max_concurrency")  # from the pool
LIKE = {"ollama": "llama.cpp"}  # runs the other's program
DIGITS = 2


@dataclass(frozen=True)
class Score:
    """By how much a measured value lies below and above the band, as shares of its width there; negative inside."""

    engine: str
    quantity: str
    owner: str
    traits: tuple[str, ...]
    below: float
    above: float


def scores(path: str) -> list[Score]:
    """Every measured figure of every start that is covered."""
    return [score for row in read_cases(path) for score in _of_row(row)]


def _of_row(row: dict[str, Any]) -> Iterable[Score]:
    case, measured = deployment_of(row), measured_memory(row)
    if not isinstance(case, Case):
        return
    engine = get_engine(case.deployment.engine)
    start = engine.start(case.deployment, case.architecture, case.accelerator)
    try:
        figures = engine.fit(case.deployment, case.architecture, case.accelerator).quantities
    except InputError:
        return
    for name, found in figures.items():
        value = measured.get(name)
        base = case.accelerator.memory_bytes if name == POOL else abs(found.value)
        if value is None or name in case.unpredictable or not base:  # of nothing there is no share
            continue
        name_of_engine = LIKE.get(engine.id, engine.id)
        below, above = (max(width, base * LEAST_WIDTH) for width in (found.value - found.low, found.high - found.value))
        yield Score(name_of_engine, name, owner_of_start(row), traits_of(start), (found.low - value) / below, (value - found.high) / above)


def margins(found: Sequence[Score]) -> tuple[float, float]:
    """The margins with the smallest sum that leave at most that much of the owners' weight outside."""
    rows: dict[str, int] = defaultdict(int)
    for each in found:
        rows[each.owner] += 1
    weight, owners = {owner: 1 / count for owner, count in rows.items()}, len(rows)
    wanted = owners - max((1 - LEVEL) * owners, 1.0 if owners >= FEW_OWNERS else 0.0) - 1e-9  # one of ten may always be a slip of the pen
    best = (float("inf"), 0.0, 0.0)
    for below in sorted({each.below for each in found}):
        inside = sorted((each.above, weight[each.owner]) for each in found if each.below <= below)
        held = 0.0
        for above, share in inside:
            held += share
            if held >= wanted:
                best = min(best, (max(below, 0) + max(above, 0) + 1e-3 * (below + above), below, above))
                break
    return max(best[1], 0.0), max(best[2], 0.0)


def table(found: Sequence[Score], names: Callable[[str], bool]) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Margins by engine, quantity and group."""
    groups: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for each in found:
        if names(each.quantity):
            groups[each.engine, each.quantity].append(each)
    result: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(dict)
    for (engine, quantity), every in sorted(groups.items()):
        result[engine][quantity] = _of_quantity(every)
    for engine, like in LIKE.items():
        result[engine] = result[like]
    return dict(result)


def _of_quantity(every: Sequence[Score]) -> dict[str, list[float]]:
    plain, dated = ([each for each in every if set(each.traits) <= also] for also in (set(), {"dated"}))
    alike = next(some for some in (plain, dated, every) if _owners(some) >= FEW_OWNERS or some is every)
    base = margins(alike)
    found = {PLAIN: [*base, _owners(alike)]}
    for trait in TRAITS:
        own = [each for each in every if trait in each.traits]
        below, above = margins(own if _owners(own) >= FEW_OWNERS else every)
        found[trait] = [max(below, base[0]), max(above, base[1]), _owners(own)]
    return {trait: [round(below, DIGITS), round(above, DIGITS), owners] for trait, (below, above, owners) in found.items()}


def _owners(found: Iterable[Score]) -> int:
    return len({each.owner for each in found})


def fresh(path: str) -> list[Score]:
    """The scores by what stands in the package now, from a process that remembers nothing."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(scores, path).result()


def written(engines: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Write the table with what it was made from."""
    said = {"starts": len(rows), "owners": len({owner_of_start(row) for row in rows}), "level": LEVEL}
    lines = [f' "made_from": {json.dumps(said)}', ' "engines": {']
    blocks = []
    for engine, quantities in engines.items():
        inner = ",\n".join(f"   {json.dumps(name)}: {json.dumps(groups)}" for name, groups in quantities.items())
        blocks.append(f"  {json.dumps(engine)}: {{\n{inner}\n  }}")
    PATH.write_text("{\n" + lines[0] + ",\n" + lines[1] + "\n" + ",\n".join(blocks) + "\n }\n}\n", encoding="utf-8")


def write(path: str) -> None:
    """Make all margins anew: first of what stands by itself, then of what follows from the pool."""
    rows = read_cases(path)
    written({}, rows)
    engines = table(fresh(path), lambda name: name not in FOLLOW)
    written(engines, rows)
    for engine, quantities in table(fresh(path), lambda name: name in FOLLOW).items():
        engines[engine].update(quantities)
    written(engines, rows)


def report(path: str) -> None:
    """How many owners' starts the bands hold, by engine, quantity and group."""
    groups: dict[tuple[str, str, str], list[Score]] = defaultdict(list)
    for each in fresh(path):
        for name in ("all", "hard" if each.traits else PLAIN, *each.traits):
            groups[each.engine, each.quantity, name].append(each)
    for (engine, quantity, name), found in sorted(groups.items()):
        weights: dict[str, list[bool]] = defaultdict(list)
        for each in found:
            weights[each.owner].append(each.below <= 0 and each.above <= 0)
        held = sum(sum(inside) / len(inside) for inside in weights.values()) / len(weights)
        print(f"{engine:13s}{quantity:28s}{name:9s}{len(found):4d} starts {len(weights):4d} owners  held {held:.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if "--write" in sys.argv:
        write(sys.argv[1])
    report(sys.argv[1])
