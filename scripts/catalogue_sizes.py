#!/usr/bin/env python3
"""Write facts/models/sizes.json: how large each model of the catalogue is in the precisions that people run, and which engines run it.

    scripts/catalogue_sizes.py

``run-on`` looks through all models at once and reads none of their files: this table tells it which are worth a start, and every start that it
shows is judged by its engine. A test holds the table to the library.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SOURCE))

from gpusizer.architecture.load import load_architecture  # noqa: E402
from gpusizer.architecture.model import Architecture  # noqa: E402
from gpusizer.architecture.precision.requantise import with_precision  # noqa: E402
from gpusizer.architecture.tensors import checkpoint_bytes  # noqa: E402
from gpusizer.article.model_figures import GROWING, model_figures  # noqa: E402
from gpusizer.engines import get_engine  # noqa: E402
from gpusizer.engines.base.cache import cache_format, layer_caches  # noqa: E402
from gpusizer.facts.catalog import model_ids  # noqa: E402
from gpusizer.facts.model_sizes import ENGINES, PRECISIONS, SIZES  # noqa: E402


def sizes_of(model_id: str) -> dict[str, Any]:
    """What the table holds of one model."""
    stored = load_architecture(model_id)
    figures, windows = model_figures(stored), _windows(stored)
    return {
        "experts": round(_routed_share(stored), 4),
        "kv": figures.kv_cache_bytes_per_token,
        "fixed": figures.fixed_bytes_per_request - sum(size * window for window, size in windows.items()),
        "windows": sorted(windows.items()),
        "engines": [engine for engine in ENGINES if get_engine(engine).unknown_mixer(stored) is None],
        "weights": [checkpoint_bytes(with_precision(stored, precision), mtp=False) for precision in PRECISIONS],
    }


def _windows(stored: Architecture) -> dict[int, int]:
    """Bytes of a token in layers that keep a window, by its length."""
    form, found = cache_format("auto", stored.dtype), Counter[int]()
    if form is None:
        return {}
    for layer in stored.layers:
        for cache in layer_caches(layer, form, tp=1):
            if cache.kind not in GROWING and cache.window:
                found[cache.window] += cache.row_bytes
    return dict(found)


def _routed_share(stored: Architecture) -> float:
    """Share of its parameters that routed experts hold."""
    return float(stored.parameters.groups.get("routed_experts", 0) / stored.parameters.total)


def main() -> None:
    """Write the table, a model on each line."""
    lines = [f"{json.dumps(each)}: {json.dumps(sizes_of(each), separators=(',', ':'))}" for each in model_ids()]
    SIZES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
