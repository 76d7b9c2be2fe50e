"""Errors of llama.cpp's compute, model and KV buffers over measured cases, and by source: nothing of them is fitted.

.venv/bin/python scripts/calibrate/llama_cpp.py CASES.jsonl
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from gpusizer.engines import get_engine
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import Case, deployment_of

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


def main(path: str) -> None:
    """Print the errors of all cases, then the median of each source."""
    known = list(cases(Path(path)))
    for name in BUFFERS:
        found = errors(known, name)
        sizes = sorted(abs(error) for values in found.values() for error in values)
        if not sizes:
            continue
        last = len(sizes) - 1
        print(f"{name:22} n = {len(sizes):3}  median {median(sizes):8.4%}  90th {sizes[int(0.9 * last)]:8.3%}  worst {sizes[last]:8.3%}")
        for group, values in found.items():
            print(f"    {median(abs(error) for error in values):8.3%}  {group}")


if __name__ == "__main__":
    main(sys.argv[1])
