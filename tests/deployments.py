"""Deployments of many kinds for tests, each made by a plan or as one start, and their files read by other people's readers."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import pytest

from gpusizer.planning.asked_start import asked_start
from gpusizer.planning.deploy import ToRun, of_plan, of_verdict, wishes_of
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.deployment.document import deployed

__all__ = ["CELLS", "ON_ONE_SERVER", "ON_SEVERAL", "Cell", "documents", "made", "one_start"]


class Cell(NamedTuple):
    """One deployment: a model on a device, with an engine and further limits of a plan."""

    model: str
    engine: str
    gpu: str
    limits: tuple[tuple[str, Any], ...] = ()


ON_SEVERAL = (
    Cell("deepseek-v3", "vllm", "h100-sxm-80gb"),
    Cell("deepseek-v3", "sglang", "h100-sxm-80gb", (("speculative", "mtp:1"),)),
    Cell("qwen3-235b-a22b", "vllm", "ascend910b3-64gb"),
)
"""Those whose replica spans two servers."""

ON_ONE_SERVER = (
    Cell("deepseek-v3", "vllm", "h200-sxm-141gb"),
    Cell("qwen3-32b", "vllm", "ascend910b3-64gb", (("precision", "int4"),)),
    Cell("gpt-oss-120b", "vllm", "mi300x-192gb", (("kv_precision", "fp8"),)),
    Cell("gpt-oss-120b", "sglang", "h200-sxm-141gb"),
    Cell("gemma-3-27b-it", "vllm", "rtx4090-24gb"),  # several replicas in one server
    Cell("qwen3-8b", "tensorrt-llm", "h100-sxm-80gb", (("kv_precision", "fp8"),)),  # a file beside the command
    Cell("qwen3-8b", "llama.cpp", "rtx4090-24gb"),
    Cell("qwen3-8b", "vllm", "h100-sxm-80gb", (("precision", "fp8"),)),
)
CELLS = (*ON_ONE_SERVER, *ON_SEVERAL)


@cache
def made(cell: Cell) -> ToRun:
    """What the plan of a cell proposes first."""
    request = Request(model=cell.model, engine=cell.engine, gpus=(cell.gpu,), concurrency=32, **dict(cell.limits))
    return of_plan(make_plan(request), 1)


def one_start(model: str, gpu: str, **flags: Any) -> ToRun:
    """One start, as ``fit`` takes it."""
    launch = asked_start(model, [gpu], named={}, flags=flags)
    return of_verdict(make_fit(launch.deployment, launch.notices))


def documents(run: ToRun, target: str, language: str = "en", **wishes: str) -> list[Any]:
    """The documents of a file, as PyYAML reads them."""
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with kubernetes-validate, of the extra [test]")
    return list(yaml.safe_load_all(deployed(run, wishes_of({"target": target, **wishes}), language)))
