"""What holds for every engine, model, device and layout: the parts make the whole, and more of anything never frees memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import engine_ids, get_engine
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator

# One model of each kind of cache and block.
MODELS = (
    "llama-3.1-8b-instruct",
    "qwen3-30b-a3b",
    "gemma-3-27b-it",
    "gpt-oss-20b",
    "deepseek-v2-lite",
    "glm-5.1",
    "deepseek-v4-flash",
    "qwen3.6-35b-a3b",
    "granite-4.0-h-small",
)
GPUS = ("h100-sxm-80gb", "h200-sxm-141gb", "b200-sxm-180gb", "rtx4090-24gb", "mi300x-192gb")


@cache
def model(name: str, precision: str = "checkpoint") -> Architecture:
    return with_precision(load_architecture(name), precision)


LAYOUT_RULES = ("one-gpu-only", "tp-heads", "tp-quantisation-block")
ENGINES: list[Engine] = [get_engine(name) for name in engine_ids()]
POOLED = [engine for engine in ENGINES if engine.id in ("vllm", "sglang", "tensorrt-llm")]  # they size a pool by what is left


def fit(engine: Engine, name: str, gpu: str, *, precision: str = "checkpoint", **fields: Any) -> Fit:
    deployment = Deployment(model=name, gpu=gpu, engine=engine.id, precision=precision, **fields)
    return engine.fit(deployment, model(name, precision), accelerator(gpu))


def pool_bytes(result: Fit) -> int:
    return min(per_gpu(rank.items)["kv_cache_pool_bytes"] for rank in result.ranks)


starts = st.fixed_dictionaries(
    {
        "tp": st.sampled_from((1, 2, 4, 8)),
        "pp": st.sampled_from((1, 1, 2, 3)),
        "max_model_len": st.sampled_from((512, 4096, 32768, 100_000)),
        "max_num_seqs": st.sampled_from((1, 16, 256, 1024)),
        "max_num_batched_tokens": st.sampled_from((None, 2048, 8192)),
        "memory_fraction": st.sampled_from((None, 0.5, 0.85)),
        "enforce_eager": st.booleans(),
    }
)
relaxed = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.id)
@given(name=st.sampled_from(MODELS), gpu=st.sampled_from(GPUS), fields=starts)
@relaxed
def test_the_parts_make_the_whole(engine: Engine, name: str, gpu: str, fields: dict[str, Any]) -> None:
    result = fit(engine, name, gpu, **fields)
    total = accelerator(gpu).memory_bytes
    for rank in result.ranks:
        assert sum(line.bytes for line in rank.items) == total
        assert sum(per_gpu(rank.items).values()) == total
        for line in rank.items:
            assert line.low_bytes <= line.bytes <= line.high_bytes or line.id == "free"
            assert line.bytes >= 0 or line.id == "free"
            if line.id == "kv_cache_pool" and engine in POOLED:  # whole blocks, and it says how many
                assert line.bytes == line.inputs["blocks"] * line.inputs["block_bytes"]
    for name_of, quantity in result.quantities.items():
        assert quantity.low <= quantity.value <= quantity.high, name_of
    assert result.fits == (result.reason is None)
    if result.fits and engine in POOLED:
        assert pool_bytes(result) > 0


@pytest.mark.parametrize("engine", POOLED, ids=lambda engine: engine.id)
@given(fields=starts, gpu=st.sampled_from(GPUS))
@relaxed
def test_tokens_of_one_kind_of_layer_fill_the_pool(engine: Engine, gpu: str, fields: dict[str, Any]) -> None:
    result = fit(engine, "llama-3.1-8b-instruct", gpu, **{**fields, "pp": 1})
    assume(result.fits and result.kv_cache.tokens)
    cache_of = result.kv_cache
    blocks = cache_of.block_size * cache_of.bytes_per_token
    longest = fields["max_model_len"] * cache_of.bytes_per_token  # requests of full length: the log rounds to whole ones
    assert abs(cache_of.tokens * cache_of.bytes_per_token - pool_bytes(result)) <= 2 * blocks + 0.01 * longest + 0.002 * pool_bytes(result)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.id)
@given(name=st.sampled_from(MODELS), gpu=st.sampled_from(GPUS), fields=starts)
@relaxed
def test_what_fits_with_more_fits_with_less(engine: Engine, name: str, gpu: str, fields: dict[str, Any]) -> None:
    fixed = {**fields, "max_num_batched_tokens": 2048}
    by_length = [fit(engine, name, gpu, **{**fixed, "max_model_len": length}).fits for length in (1024, 8192, 65536)]
    by_users = [fit(engine, name, gpu, **{**fixed, "max_num_seqs": users}).fits for users in (8, 64, 512)]
    assert by_length == sorted(by_length, reverse=True)
    assert by_users == sorted(by_users, reverse=True)


@pytest.mark.parametrize("engine", POOLED, ids=lambda engine: engine.id)
@given(name=st.sampled_from(MODELS), gpu=st.sampled_from(GPUS), fields=starts)
@relaxed
def test_more_never_frees_memory(engine: Engine, name: str, gpu: str, fields: dict[str, Any]) -> None:
    fixed = {**fields, "max_num_batched_tokens": 2048}
    lengths = [fit(engine, name, gpu, **{**fixed, "max_model_len": length}).max_concurrency for length in (1024, 8192, 65536)]
    assert all(shorter >= longer for shorter, longer in pairwise(lengths))
    starts_of = [fit(engine, name, gpu, **{**fixed, "max_num_seqs": users}) for users in (8, 64, 512)]
    pools = [pool_bytes(result) for result in starts_of if result.fits]
    assert all(fewer >= 0.98 * more for fewer, more in pairwise(pools))  # whole blocks; windows of more requests may be a pool of their own


@pytest.mark.parametrize("engine", POOLED, ids=lambda engine: engine.id)  # the others leave on the host what does not fit
@given(gpu=st.sampled_from(GPUS), fields=starts)
@relaxed
def test_wider_numbers_take_more(engine: Engine, gpu: str, fields: dict[str, Any]) -> None:
    weights = []
    for precision in ("int4", "fp8", "bf16", "fp32"):
        result = fit(engine, "qwen3-30b-a3b", gpu, precision=precision, **fields)
        assume(result.quantities)
        weights.append(max(per_gpu(rank.items)["weights_bytes"] for rank in result.ranks))
    assert weights == sorted(weights)
    try:
        narrow, wide = (fit(engine, "llama-3.1-8b-instruct", gpu, kv_precision=form, **fields) for form in ("fp8", "auto"))
    except FlagError:
        return  # an engine that has no such cache says so
    assert narrow.kv_cache.tokens >= wide.kv_cache.tokens


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.id)
@pytest.mark.parametrize("gpu", ["h100-sxm-80gb", "rtx4090-24gb"])
def test_more_memory_never_holds_less(engine: Engine, gpu: str) -> None:
    device = accelerator(gpu)
    larger = replace(device, memory_bytes=device.memory_bytes * 5 // 4, torch_total_bytes=None)
    for name in MODELS:
        deployment = Deployment(model=name, gpu=gpu, engine=engine.id, tp=4, max_model_len=8192)
        less, more = (engine.fit(deployment, model(name), each) for each in (replace(device, torch_total_bytes=None), larger))
        assert less.fits <= more.fits, name
        assert less.max_concurrency <= more.max_concurrency, name


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.id)
@pytest.mark.parametrize("axis", ["tp", "pp"])
def test_more_gpus_never_hold_less(engine: Engine, axis: str) -> None:
    """Unless a rule of the layout refuses them, by its name; a wider cut may copy keys and values, which costs next to nothing."""
    for name in MODELS:
        last = None
        for ranks in (1, 2, 4, 8):
            cut: dict[str, Any] = {axis: ranks}
            result = fit(engine, name, "h100-sxm-80gb", max_model_len=8192, **cut)
            if result.fits:
                assert last is None or result.max_concurrency >= 0.99 * last, (name, ranks)
                last = result.max_concurrency
            elif last is not None:
                assert result.reason is not None
                assert result.reason.code in LAYOUT_RULES, (name, ranks)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.id)
@pytest.mark.parametrize("name", MODELS)
def test_one_rank_is_no_cut(engine: Engine, name: str) -> None:
    assert fit(engine, name, "h200-sxm-141gb", tp=1, pp=1, dp=1, ep=1, dcp=1) == fit(engine, name, "h200-sxm-141gb")


@pytest.mark.parametrize("engine", POOLED, ids=lambda engine: engine.id)
@pytest.mark.parametrize("name", MODELS)
def test_a_stage_holds_its_own_layers(engine: Engine, name: str) -> None:
    """Stored tensors of all stages together are those of one GPU, but for what tied embeddings store again."""
    whole = fit(engine, name, "b200-sxm-180gb", pp=1, max_model_len=1024)
    parts = fit(engine, name, "b200-sxm-180gb", pp=2, max_model_len=1024)
    assume_ranks = len(parts.ranks) == 2 and whole.quantities
    if not assume_ranks:
        pytest.skip("this engine does not cut this model into stages")

    def stored(result: Fit, *lines: str) -> int:
        return sum(line.bytes for rank in result.ranks for line in rank.items if line.id in lines)

    for line in ("weights_attention", "weights_experts", "weights_dense"):
        assert stored(parts, line) == pytest.approx(stored(whole, line), rel=0.01)
