"""Measured runs as cases in the format that ``validate`` reads: what was seen, and the set-up that whoever measured it tells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpusizer.measuring.run import MeasuredRun

__all__ = ["SetUp", "case_of", "lacking"]

_MILLI = 1000
_NEEDED = ("model", "gpu", "gpu_count", "engine", "isl", "osl")  # without which no case is predicted
_ID_LETTERS = 12


@dataclass(frozen=True, slots=True)
class SetUp:
    """What was measured, as far as it is told; what is empty follows from the file, or stays unknown.

    Parameters
    ----------
    model, precision : str
        The model, and how its weights are stored.
    gpu, gpus : str, int or None
        The device, and how many work.
    engine, engine_version : str
        Who served.
    parallelism : str
        "tp4dp1ep4" and the like.
    flags : mapping
        Launch flags of the engine by their names without dashes in front.
    host : mapping
        Memory beside the cards, by the fields of cases.
    """

    model: str = ""
    precision: str = ""
    gpu: str = ""
    gpus: int | None = None
    engine: str = ""
    engine_version: str = ""
    parallelism: str = ""
    flags: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)


def case_of(run: MeasuredRun, told: SetUp, date: str) -> dict[str, Any]:
    """One run as a case.

    Parameters
    ----------
    run : MeasuredRun
        What was seen.
    told : SetUp
        The set-up; it comes before what the run itself says.
    date : str
        Of a run that has none.

    Returns
    -------
    dict
        A line of a file of cases.

    Examples
    --------
    >>> run = MeasuredRun("gpusizer measure", 1024.0, 128.0, concurrency=8.0, requests=32.0, ttft_s=0.2, tpot_s=0.01, output_tokens_per_s=640.0)
    >>> case = case_of(run, SetUp("qwen3-8b", gpu="l40s-48gb", gpus=2, engine="vllm", parallelism="tp2"), "2026-11-27")
    >>> case["concurrency"], case["measured"], lacking(case)
    (8.0, {'ttft_ms_mean': 200.0, 'tpot_ms_mean': 10.0, 'output_tok_s_per_gpu': 320.0}, [])
    """
    gpus = told.gpus or run.gpu_count or (1 if told.gpu or run.gpu else None)
    case: dict[str, Any] = {
        "source": f"own measurement, {run.tool}",
        "date": run.date or date,
        "model": told.model or run.model or None,
        "quantization": told.precision or run.precision,
        "gpu": told.gpu or run.gpu or None,
        "gpu_count": gpus,
        "engine": told.engine or run.engine or None,
        "engine_version": told.engine_version or run.engine_version or None,
        "parallelism": told.parallelism,
        "disaggregated": False,
        "isl": run.input_tokens,
        "osl": run.output_tokens,
        **_load(run),
        **({} if run.length_spread is None else {"length_spread": run.length_spread}),
        "flags": {**run.flags, **told.flags},
        **({"host": told.host} if told.host else {}),
        "measured": _measured(run, gpus),
        "speculative": "none stated",
        "confidence": "high",
    }
    words = json.dumps(case, sort_keys=True, ensure_ascii=True)
    return {"id": f"own-{hashlib.sha256(words.encode()).hexdigest()[:_ID_LETTERS]}", **case}


def lacking(case: Mapping[str, Any]) -> list[str]:
    """Fields without which a case cannot be predicted, of those that it lacks."""
    return [name for name in _NEEDED if not case.get(name)]


def _load(run: MeasuredRun) -> dict[str, Any]:
    """Closed loop, arrivals at a rate, or all at once."""
    prompts = {} if run.requests is None else {"num_prompts": run.requests}
    if run.request_rate_per_s is not None:
        return {"request_rate": run.request_rate_per_s, **prompts}
    if run.burst is not None:
        return {"request_rate": "inf", "num_prompts": run.burst}
    return {"concurrency": run.concurrency, **prompts}


def _measured(run: MeasuredRun, gpus: int | None) -> dict[str, float]:
    """Means first: they are what is compared."""
    times = {"ttft_ms_mean": run.ttft_s, "tpot_ms_mean": run.tpot_s, "e2e_ms_mean": run.e2e_s}
    found = {name: seconds * _MILLI for name, seconds in times.items() if seconds is not None}
    for name, seconds in run.percentiles_s.items():
        stem, _, point = name.rpartition("_")
        found[f"{stem}_ms_{point}"] = seconds * _MILLI
    if run.output_tokens_per_s is not None:
        found["output_tok_s_per_gpu" if gpus else "output_tok_s"] = run.output_tokens_per_s / (gpus or 1)
    return found
