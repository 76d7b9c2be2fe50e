"""Speed and memory describe one start: the defaults that the engine fills in are read from one place."""

from __future__ import annotations

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import get_engine, writing_engines
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.types import Accelerator
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.device_speeds import speed_known
from gpusizer.performance.served_rank import Traffic
from gpusizer.performance.set_up import set_up
from gpusizer.performance.types import Load

LOAD = Load(4000, 200, concurrency=200)


def traffic(model: str, device: Accelerator, asked: Deployment) -> Traffic:
    architecture = load_architecture(model)
    return set_up(architecture, device, memory_answer(architecture, device, asked, LOAD), LOAD).traffic


@pytest.mark.parametrize("engine", writing_engines())
def test_speed_reckons_with_the_defaults_that_memory_was_sized_for(engine: str) -> None:
    """Every device of the catalogue: tokens of a step, and no more requests together than the engine lets run."""
    architecture = load_architecture("qwen3-32b")
    for device in accelerators():
        asked = Deployment(model="qwen3-32b", gpu=device.id, tp=1, engine=engine)
        memory = get_engine(engine).complete(asked, architecture, device)
        if not speed_known(device):
            continue
        asked_of = traffic("qwen3-32b", device, asked)
        if memory.max_num_batched_tokens is not None:
            assert asked_of.budget_tokens == memory.max_num_batched_tokens, device.id
        if memory.max_num_seqs is not None:
            assert asked_of.places <= memory.max_num_seqs, device.id


@pytest.mark.parametrize(
    ("gpu", "engine", "tokens"),
    [
        ("b200-sxm-180gb", "vllm", 16384),  # 160 GiB and more, 0.28 and later
        ("h100-sxm-80gb", "vllm", 8192),
        ("a100-sxm-80gb", "vllm", 2048),
        ("gb10-128gb", "vllm", 2048),  # unified memory
        ("mi300x-192gb", "sglang", 16384),
        ("l40s-48gb", "sglang", 4096),
        ("h100-sxm-80gb", "llama.cpp", 512),
        ("h100-sxm-80gb", "tensorrt-llm", 8192),
    ],
)
def test_tokens_of_a_step_as_the_engines_write_them(gpu: str, engine: str, tokens: int) -> None:
    """vLLM's and SGLang's tables by memory, ``--ubatch-size`` of llama.cpp, ``max_num_tokens`` of TensorRT-LLM."""
    asked = Deployment(model="qwen3-8b", gpu=gpu, engine=engine)
    assert traffic("qwen3-8b", accelerator(gpu), asked).budget_tokens == tokens


def test_engines_that_take_few_requests_make_the_others_wait() -> None:
    device = accelerator("h100-sxm-80gb")
    for engine, most in (("transformers", 1), ("ollama", 1)):
        assert traffic("qwen3-8b", device, Deployment(model="qwen3-8b", gpu=device.id, engine=engine)).places == most
