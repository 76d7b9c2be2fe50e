"""Laws of decoding that hold on every device with a known bandwidth: one request reads every weight once a step, and little else."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines.base.types import Deployment, Evidence
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.types import Accelerator
from gpusizer.performance.device_speeds import speed_known
from gpusizer.performance.predict import Load, Performance, predict

ONE = Load(512, 128, concurrency=1)
DEVICES = [device for device in accelerators() if speed_known(device)]
MOST = 2.2  # times the time that the bytes alone take
FIXED = ("kernels", "step_overhead", "step_quantisation")  # what a step costs whatever its size
# Bits of a weight of Qwen3-8B in a file of that recipe, rounded down to a quarter: llama.cpp's own print-outs of bits per weight.
BLOCK_LADDER = ("bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
LADDERS = {"vllm": ("bf16", "fp8", "int4"), "llama.cpp": BLOCK_LADDER}


@cache
def model(name: str, precision: str) -> Architecture:
    return with_precision(load_architecture(name), precision)


def one_request(name: str, device: Accelerator, engine: str, precision: str, **fields: Any) -> Performance:
    """The device with room enough: the law is about bandwidth."""
    roomy = replace(device, memory_bytes=1 << 40, marketing_memory_gb=1100.0, torch_total_bytes=None)
    deployment = Deployment(name, device.id, engine=engine, precision=precision, **fields)
    return predict(model(name, precision), roomy, deployment, ONE)


@cache
def read_bytes(name: str, precision: str) -> float:
    """Stored weights of a dense model less the embedding, of which a token reads a row."""
    architecture = model(name, precision)
    stored = [(layer.prefix, tensor) for layer in architecture.layers for tensor in layer.all_tensors()]
    stored += [("", tensor) for tensor in architecture.head]
    form = architecture.quantization
    return float(sum(form.format_of(prefix + tensor.name, tensor).bytes_of(tensor.shape, tensor.copies) for prefix, tensor in stored))


def fixed_seconds(speed: Performance) -> float:
    """Overheads of a plain step: the first ones written down are those of decoding."""
    seen: set[str] = set()
    total = 0.0
    for item in speed.items:
        if item.id == "prompt_room":
            break
        if item.id in FIXED and (item.id == "kernels" or item.id not in seen):
            total += item.value if item.id != "step_overhead" else item.value - float(item.inputs["kernels_s"])
            seen.add(item.id)
    return total


@pytest.mark.parametrize("engine", list(LADDERS))
@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.id)
def test_one_request_is_bound_by_bytes_and_fewer_bits_are_never_slower(device: Accelerator, engine: str) -> None:
    assert device.bandwidth_bytes_per_s is not None
    last = float("inf")
    for precision in LADDERS[engine]:
        speed = one_request("qwen3-8b", device, engine, precision)
        least = read_bytes("qwen3-8b", precision) / device.bandwidth_bytes_per_s
        assert least <= speed.tpot_s.value <= MOST * least + fixed_seconds(speed), precision
        assert speed.tpot_s.value <= last, precision
        last = speed.tpot_s.value


@pytest.mark.parametrize("engine", list(LADDERS))
@pytest.mark.parametrize("name", ["qwen3-0.6b", "qwen3-30b-a3b"])
def test_fewer_bits_are_never_slower_for_a_small_model_and_for_experts(name: str, engine: str) -> None:
    for device in DEVICES[::3]:
        speeds = [one_request(name, device, engine, precision).tpot_s.value for precision in LADDERS[engine]]
        assert speeds == sorted(speeds, reverse=True), device.id


@pytest.mark.parametrize("precision", ["bf16", "fp8"])
@pytest.mark.parametrize("name", ["qwen3-8b", "qwen3-30b-a3b"])
def test_little_arithmetic_does_not_slow_one_request(name: str, precision: str) -> None:
    """H20 has a seventh of the arithmetic of H100 and more bandwidth."""
    h20, h100 = (one_request(name, accelerator(gpu), "vllm", precision).tpot_s.value for gpu in ("h20-sxm-96gb", "h100-sxm-80gb"))
    assert h20 <= 1.3 * h100


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.id)
def test_more_bandwidth_is_never_slower_for_one_request(device: Accelerator) -> None:
    assert device.bandwidth_bytes_per_s is not None
    wider = replace(device, bandwidth_bytes_per_s=1.25 * device.bandwidth_bytes_per_s)
    for precision in ("bf16", "q4_k_m"):
        engine = "llama.cpp" if precision.startswith("q") else "vllm"
        assert one_request("qwen3-8b", wider, engine, precision).tpot_s.value < one_request("qwen3-8b", device, engine, precision).tpot_s.value


@pytest.mark.parametrize(
    ("gpu", "engine", "precision", "evidence"),
    [
        ("h100-sxm-80gb", "vllm", "bf16", Evidence.CALIBRATED),
        ("rtx4090-24gb", "llama.cpp", "q4_k_m", Evidence.CALIBRATED),
        ("m2-ultra-192gb", "llama.cpp", "q4_k_m", Evidence.CALIBRATED),
        ("ascend910b2-64gb", "vllm", "fp8", Evidence.ASSUMED),
        ("mlu590-80gb", "vllm", "bf16", Evidence.ASSUMED),
        ("v100-sxm-32gb", "vllm", "bf16", Evidence.ASSUMED),
        ("h100-sxm-80gb", "transformers", "bf16", Evidence.ASSUMED),
    ],
)
def test_what_nobody_measured_says_so(gpu: str, engine: str, precision: str, evidence: str) -> None:
    assert one_request("qwen3-8b", accelerator(gpu), engine, precision).evidence == evidence


# Public measurements of one request (the figures of speed-truth's field, by their sources), none of which set a constant alone.
@pytest.mark.parametrize(
    ("name", "gpu", "engine", "precision", "load", "measured_s"),
    [
        ("qwen3-8b", "rtx4090-24gb", "vllm", "bf16", Load(512, 128, concurrency=1), 0.0170),  # AlexsJones/llmfit#1046
        ("llama-3.1-8b-instruct", "m5-max-128gb", "ollama", "q4_k_m", Load(64, 300, concurrency=1), 1 / 89.3),  # llmfit community data
        ("qwen3-4b", "rtx4090-24gb", "vllm", "bf16", Load(1024, 256, concurrency=1), 0.01031),  # pegainfer-project/pegainfer#69
        ("llama-3.1-8b-instruct", "rtx4090-24gb", "llama.cpp", "q4_k_m", Load(1024, 1024, concurrency=1), 1 / 127.7),  # XiongjieDai
        ("llama-3.1-8b-instruct", "m2-ultra-192gb", "llama.cpp", "bf16", Load(1024, 1024, concurrency=1), 1 / 36.25),  # XiongjieDai
    ],
)
def test_one_request_as_people_measured_it(name: str, gpu: str, engine: str, precision: str, load: Load, measured_s: float) -> None:
    speed = predict(model(name, precision), accelerator(gpu), Deployment(name, gpu, engine=engine, precision=precision), load)
    assert speed.tpot_s.value == pytest.approx(measured_s, rel=0.25)


@pytest.mark.parametrize(("spread", "shares"), [(0.0, "vllm"), (0.9, "vllm"), (0.9, "sglang")])
def test_a_burst_of_one_is_a_closed_loop_of_one(spread: float, shares: str) -> None:
    architecture, device = model("llama-3.1-8b-instruct", "bf16"), accelerator("h100-sxm-80gb")
    deployment = Deployment("llama-3.1-8b-instruct", device.id, engine=shares)
    alone = [predict(architecture, device, deployment, Load(1000, 200, length_spread=spread, **{kind: 1})) for kind in ("concurrency", "burst")]
    for name in ("ttft_s", "tpot_s", "output_tokens_per_s"):
        closed, burst = (getattr(each, name).value for each in alone)
        assert burst == pytest.approx(closed, rel=1e-9), name
