"""The file of speed constants: nothing stands in it that no prediction reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import inf
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.types import Accelerator
from gpusizer.performance.constants import speed_constants
from gpusizer.performance.device_speeds import generation, speed_known
from gpusizer.performance.predict import Load, PrefillPool, predict

H100, H200 = "h100-sxm-80gb", "h200-sxm-141gb"
FEW = Load(1024, 256, concurrency=4)
# One model of each kind of mixer and block that is timed apart.
MODELS = ("llama-3.1-8b-instruct", "deepseek-v3", "deepseek-v4-flash", "glm-5.1", "qwen3.6-35b-a3b", "granite-4.0-h-small")
LOADS = (
    Load(1024, 256, concurrency=inf),
    Load(1024, 256, burst=1000, length_spread=0.5),
    Load(1024, 256, request_rate_per_s=0.5),
    Load(1024, 256, request_rate_per_s=500),
    FEW,
)
LAYOUTS: tuple[dict[str, Any], ...] = ({"tp": 8}, {"tp": 2, "dp": 4}, {"dp": 8, "ep": 8}, {"tp": 4, "pp": 2})
ENGINES = ("vllm", "sglang", "tensorrt-llm", "mindie")  # fitted apart; all others share one row


class Recorded(dict[str, float]):
    """Constants that remember which of them were asked for."""

    def __init__(self, values: Mapping[str, float]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def get(self, name: str, default: Any = None, /) -> Any:
        self.read.add(name)
        return super().get(name, default)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """The constants in use, recording."""
    constants = speed_constants()
    values = Recorded(constants.values)
    monkeypatch.setattr(constants, "values", values)
    return values


def devices() -> Iterator[Accelerator]:
    """One device of each generation with each set of number formats."""
    known = [each for each in accelerators() if speed_known(each)]
    yield from {(generation(each), frozenset(each.peak_flops)): each for each in known}.values()


def ask(model: str, device: Accelerator, load: Load, *, precision: str = "checkpoint", split: bool = False, **fields: Any) -> None:
    architecture = replace(with_precision(load_architecture(model), precision))  # a new one: nothing about it is remembered
    deployment = Deployment(model, device.id, precision=precision, **fields)
    predict(architecture, device, deployment, load, prefill=PrefillPool(deployment, 2) if split else None)


def test_every_constant_of_speed_is_read_by_some_prediction(recorded: Recorded) -> None:
    for device, model, precision in product(devices(), ("qwen3-8b", "qwen3-30b-a3b"), ("checkpoint", "fp8", "int4", "nvfp4")):
        ask(model, device, FEW, precision=precision, tp=2)
    for engine, layout in product(ENGINES, LAYOUTS):
        ask("deepseek-v3", accelerator(H200), FEW, engine=engine, kv_precision="fp8", speculative_tokens=2, **layout)
    for model, load, split in product(MODELS, LOADS, (False, True)):
        ask(model, accelerator(H200), load, split=split and load is FEW, tp=8, enforce_eager=True)
    for model in MODELS:
        ask(model, accelerator(H200), FEW, precision="fp8", tp=8)
    for gpu in ("l40s-48gb", "a100-pcie-80gb", "rtx-pro-6000-blackwell-96gb"):
        ask("deepseek-v3", accelerator(gpu), FEW, dp=8, ep=8)
        ask("deepseek-v3", accelerator(gpu), FEW, tp=8)
    ask("qwen3-8b", accelerator(H100), FEW, engine_version="0.10.0")
    ask("deepseek-v3", accelerator(H200), FEW, engine="llama.cpp")
    for precision, load in (("q4_k_m", FEW), ("iq2_xxs", FEW), ("q4_k_m", LOADS[0])):
        ask("qwen3-8b", accelerator("a100-sxm-80gb"), load, precision=precision, engine="llama.cpp", engine_version="4000")
    ask("qwen3-30b-a3b", accelerator("rtx4090-24gb"), FEW, precision="q4_k_m", engine="llama.cpp", flags={"n_cpu_moe": 20})
    ask("qwen3-8b", accelerator("m3-ultra-96gb"), FEW, precision="mlx_4bit", engine="mlx")
    ask("deepseek-v3", accelerator(H200), FEW, tp=8, engine="sglang", flags={"moe_runner_backend": "flashinfer_trtllm"})
    for engine, load in product((*ENGINES, "transformers"), (*LOADS, FEW, Load(8192, 256, concurrency=4000))):
        ask("qwen3-30b-a3b", accelerator(H200), load, engine=engine, split=load is FEW and engine != "transformers")
    assert sorted(set(recorded) - recorded.read) == []


def test_an_engine_that_borrows_the_memory_of_another_keeps_its_own_speeds(recorded: Recorded) -> None:
    ask("qwen3-30b-a3b", accelerator("ascend910b2-64gb"), FEW, engine="mindie")
    assert "kernel_engine.mindie" in recorded.read
    assert "kernel_engine.vllm" not in recorded.read
