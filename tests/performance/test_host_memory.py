"""Speeds with weights in host memory, against what links and memories carry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.hosts import slots
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.types import Host, Load

ONE = Load(input_tokens=512, output_tokens=256, concurrency=1)
LONG = Load(input_tokens=8192, output_tokens=128, concurrency=1)
SERVER = Host(bandwidth_bytes_per_s=460.8e9)


def speed(start: Deployment, load: Load = ONE, host: Host | None = None) -> Any:
    architecture, device = load_architecture(start.model), accelerator(start.gpu)
    fit = get_engine(start.engine).fit(start, architecture, device)
    assert fit.fits, fit.reason
    return answer(Question(architecture, device, start, load, fit=fit, host=host))


def offloaded(gib: float, model: str = "qwen3-14b", gpu: str = "rtx4090-24gb", engine: str = "vllm", **more: Any) -> Deployment:
    flags = {"cpu_offload_gb": gib} if gib else {}
    return Deployment(model, gpu, engine=engine, max_model_len=2048, max_num_seqs=1, flags=flags, **more)


def test_offloaded_weights_cross_the_link_every_step() -> None:
    """7 GiB over sixteen lanes of PCIe 4.0: neither faster than the lanes carry nor slower than the slowest copy that somebody measured."""
    (slot,) = (each for each in slots() if each.generation == 4)
    size = 7 * 2**30
    more = speed(offloaded(14)).tpot_s.value - speed(offloaded(7)).tpot_s.value
    assert size / slot.bytes_per_s < more < 1.1 * size / slot.measured_bytes_per_s[0]
    assert 0.25 < more < 0.32


def test_a_newer_slot_halves_it_and_shared_memory_has_none() -> None:
    fourth, fifth = (speed(offloaded(20, gpu=gpu)).tpot_s.value for gpu in ("a100-sxm-80gb", "h100-sxm-80gb"))
    assert 1.8 < fourth / fifth < 2.6
    shared, plain = (speed(offloaded(gib, gpu="gb10-128gb", memory_fraction=0.8)).tpot_s.value for gib in (20, 0))
    assert shared < 1.5 * plain


def test_two_cards_move_their_own_part_each() -> None:
    one, two = (speed(offloaded(gib, gpu="h100-sxm-80gb", tp=tp)).tpot_s.value for gib, tp in ((20, 1), (10, 2)))
    assert 1.6 < one / two < 2.2


def test_copies_of_experts_are_whole_and_reads_are_not() -> None:
    """sgl-project/sglang, OffloaderV1, copies every parameter that it moved; vLLM's kernels read the experts of the token."""
    read, copied = (speed(offloaded(30, "qwen3-30b-a3b", "a100-sxm-80gb", engine)).tpot_s.value for engine in ("vllm", "sglang"))
    (slot,) = (each for each in slots() if each.generation == 4)
    whole = 30 * 2**30 / slot.bytes_per_s
    assert copied > whole
    assert read < whole / 4


def hosted(tp: int = 1, **more: Any) -> Deployment:
    flags = {"kt_weight_path": "/weights", "kt_method": "FP8", "kt_num_gpu_experts": 0, **more}
    return Deployment("minimax-m2.1", "h200-sxm-141gb", tp=tp, engine="sglang", max_num_batched_tokens=8192, max_model_len=32768, flags=flags)


def test_ranks_share_the_processor() -> None:
    """It reads the experts of a token once, whatever the GPUs: 62 layers, 8 experts of 3 x 3072 x 1536 weights of a byte."""
    read = 62 * 8 * 3 * 3072 * 1536
    for tp in (1, 2, 4):
        assert speed(hosted(tp), host=SERVER).tpot_s.value > read / 460.8e9
    one, four = (speed(hosted(tp), host=SERVER).tpot_s.value for tp in (1, 4))
    assert four > 0.8 * one


def test_experts_on_the_gpu_and_fewer_bits_are_faster() -> None:
    steps = [speed(hosted(kt_num_gpu_experts=kept), host=SERVER).tpot_s.value for kept in (0, 64, 128)]
    assert steps == sorted(steps, reverse=True)
    assert speed(hosted(kt_method="AMXINT4"), host=SERVER).tpot_s.value < 0.75 * steps[0]


def test_long_prompts_move_the_experts_once_a_step() -> None:
    """Layer by layer: no faster than 226 GB cross PCIe 5.0, and far faster than the processor computes 8,192 tokens."""
    (slot,) = (each for each in slots() if each.generation == 5)
    there, moved = (speed(hosted(**more), LONG, SERVER).ttft_s.value for more in ({}, {"kt_gpu_prefill_token_threshold": 1024}))
    assert 220e9 / slot.bytes_per_s < moved < there / 2


def test_two_processors_help_where_weights_lie_beside_them() -> None:
    """KTransformers' tutorial: 12.2 against 8.7 tokens a second; llama.cpp gains nothing of a second one."""
    one, two = (Host(bandwidth_bytes_per_s=sockets * 307.2e9, sockets=sockets, weights_spread=True) for sockets in (1, 2))
    gains = speed(hosted(), host=one).tpot_s.value / speed(hosted(), host=two).tpot_s.value
    assert 1.2 < gains < 1.5
    plain = Deployment("qwen3-30b-a3b", "rtx4090-24gb", engine="llama.cpp", precision="q4_k_m", flags={"cpu_moe": True, "ctx_size": 4096})
    assert speed(plain, host=replace(two, weights_spread=False)).tpot_s.value == pytest.approx(speed(plain, host=one).tpot_s.value)


def test_an_output_on_the_host_is_read_there() -> None:
    """Old builds put the output on the GPU last: of gemma-2-9b 0.75 GB of Q6_K, which two channels read in ten milliseconds at best."""
    start = Deployment("gemma-2-9b-it", "rtx4090-24gb", engine="llama.cpp", precision="q4_k_m", flags={"n_gpu_layers": 42, "ctx_size": 4096})
    desktop = Host(bandwidth_bytes_per_s=76.8e9)
    last, first = (speed(replace(start, engine_version=build), host=desktop).tpot_s.value for build in ("3000", None))
    assert last - first > 0.5 * 0.75e9 / 76.8e9
