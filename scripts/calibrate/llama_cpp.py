"""Errors of llama.cpp's compute, model and KV buffers over measured cases, and of the counts in ``llama_compute`` with each source left out.

    .venv/bin/python scripts/calibrate/llama_cpp.py CASES.jsonl

The counts (rows of the residual stream and of queries that live beside the widest tensor) are whole numbers: every combination is tried on all
other sources, the best one is judged on the source that was left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median

from gpusizer.engines import get_engine
from gpusizer.engines.llama_cpp import compute as llama_compute
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import Case, deployment_of

COUNTS = ("_RESIDUALS", "_QUERIES", "_LATENT_RESIDUALS")
CHOICES = tuple(product((1, 2, 3), (1, 2, 3), (2, 3, 4)))
BUFFERS = ("kv_buffer_bytes", "model_buffer_bytes", "compute_buffer_bytes")


def cases(path: Path) -> Iterator[tuple[str, Case, dict[str, float | bool]]]:
    """Source, start and measured figures of every case that can be told."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row.get("engine") not in ("llama.cpp", "ollama"):
            continue
        case = deployment_of(row)
        if isinstance(case, Case):
            yield str(row.get("group")), case, measured_memory(row)


def errors(known: list[tuple[str, Case, dict[str, float | bool]]], name: str) -> dict[str, list[float]]:
    """Signed errors of one quantity by source."""
    found: dict[str, list[float]] = {}
    for group, case, measured in known:
        value = measured.get(name)
        if not value or name in case.unpredictable:
            continue
        fit = get_engine(case.deployment.engine).fit(case.deployment, case.architecture, case.accelerator)
        if name in fit.quantities:
            found.setdefault(group, []).append(fit.quantities[name].value / value - 1)
    return found


def size(found: dict[str, list[float]], without: str = "") -> list[float]:
    """Absolute errors of all sources but one."""
    return sorted(abs(error) for group, values in found.items() if group != without for error in values)


def main(path: str) -> None:
    """Print the errors as the code stands, then by source left out."""
    known = list(cases(Path(path)))
    for name in BUFFERS:
        found = size(errors(known, name))
        if found:
            print(
                f"{name:22} n = {len(found):3}  median {median(found):8.4%}  90th {found[int(0.9 * (len(found) - 1))]:8.3%}  worst {found[-1]:8.3%}"
            )
    standing = tuple(getattr(llama_compute, name) for name in COUNTS)
    tried: dict[tuple[int, ...], dict[str, list[float]]] = {}
    for choice in CHOICES:
        for name, value in zip(COUNTS, choice, strict=True):
            setattr(llama_compute, name, value)
        tried[choice] = errors(known, "compute_buffer_bytes")
    for name, value in zip(COUNTS, standing, strict=True):
        setattr(llama_compute, name, value)
    left_out: list[float] = []
    for group in tried[standing]:
        best = min(CHOICES, key=lambda choice: sum(min(error, 0.5) for error in size(tried[choice], group)))
        left_out += [abs(error) for error in tried[best][group]]
        print(f"without {group}: {dict(zip(COUNTS, best, strict=True))}, there {median(abs(error) for error in tried[best][group]):.3%}")
    print(f"left out: n = {len(left_out)}, median {median(left_out):.3%}; the code has {dict(zip(COUNTS, standing, strict=True))}")


if __name__ == "__main__":
    main(sys.argv[1])
