"""Encoders in engines: what starts printed, what nothing is kept of, and who refuses them by name."""

from __future__ import annotations

from typing import Any

import pytest

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import InputError
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.verdict import make_fit
from gpusizer.units import GB, GiB

# Model, version, card, "Model loading took", GiB; logs in public repositories. The card of the second is not told, its step of 8,192 tokens is.
LOADED = [
    ("gte-modernbert-base", "0.19.0", "rtx3060-12gb", 0.28),  # granite-embedding-english-r2, of the same shape
    ("nomic-embed-text-v1.5", "0.13.0", "h100-sxm-80gb", 0.2551),
]
HELD = {"vllm": 2, "tei": 2, "transformers": 4}  # bytes of a weight, as each engine loads a checkpoint of FP32


def fit(model: str, gpu: str = "l20-48gb", engine: str = "vllm", **fields: Any) -> Fit:
    return make_fit(Deployment(model=model, gpu=gpu, engine=engine, **fields)).fit


@pytest.mark.parametrize(("model", "version", "gpu", "gib"), LOADED)
def test_weights_are_those_of_the_log(model: str, version: str, gpu: str, gib: float) -> None:
    assert fit(model, gpu, engine_version=version).quantities["weights_bytes"].value / GiB == pytest.approx(gib, abs=0.006)


@pytest.mark.parametrize("engine", HELD)
def test_an_encoder_starts_and_keeps_nothing(engine: str) -> None:
    found = fit("bge-m3", engine=engine)
    sums = per_gpu(found.ranks[0].items)
    assert found.fits
    assert sums["weights_bytes"] == pytest.approx(567_754_752 * HELD[engine], rel=0.01)
    assert sums["kv_cache_pool_bytes"] == found.kv_cache.tokens == found.kv_cache.blocks == 0
    assert found.max_concurrency >= 1


@pytest.mark.parametrize("engine", HELD)
def test_in_sixteen_bits_it_is_what_people_print(engine: str) -> None:
    found = fit("bge-m3", engine=engine, precision="fp16")
    assert found.quantities["weights_bytes"].value / GB == pytest.approx(1.1, rel=0.1)


def test_a_text_is_read_whole_and_graphs_are_captured_by_pieces() -> None:
    """ "enable_chunked_prefill=False" and "Pooling models do not support full cudagraphs" in the log of ModernBERT."""
    found = fit("gte-modernbert-base", "rtx3060-12gb", engine_version="0.19.0")
    assert found.deployment.max_num_batched_tokens == 8192  # 2,048 where prompts may be cut
    graphs = next(line for line in found.ranks[0].items if line.id == "cuda_graphs")
    assert graphs.inputs["graphs"] == 51
    assert graphs.low_bytes <= 0.25 * GiB <= graphs.high_bytes


def test_what_a_batch_takes_grows_with_its_tokens() -> None:
    small, large = (fit("bge-m3", engine="tei", max_num_batched_tokens=tokens) for tokens in (8192, 32768))
    peaks = [each.quantities["activation_peak_bytes"].value for each in (small, large)]
    assert peaks[1] == pytest.approx(4 * peaks[0], rel=0.01)
    assert (small.max_concurrency, large.max_concurrency) == (1, 4)


def test_a_reranker_takes_what_its_user_saw() -> None:
    """huggingface/text-embeddings-inference#280: bge-reranker-v2-m3 "consumed about 1.5G gpu memory"."""
    lines = [line for line in fit("bge-reranker-v2-m3", engine="tei").ranks[0].items if line.id not in ("free", "driver_reserved")]
    assert sum(line.bytes for line in lines) / GiB == pytest.approx(1.5, rel=0.1)


def test_a_decoder_that_embeds_has_a_cache_but_no_sampler() -> None:
    pooled, writes = fit("qwen3-embedding-0.6b"), fit("qwen3-0.6b", max_model_len=32768)
    assert pooled.kv_cache.bytes_per_token == writes.kv_cache.bytes_per_token == 114_688
    peak = next(line for line in pooled.ranks[0].items if line.id == "activation_peak")
    assert peak.inputs["sampler_bytes"] == 0
    assert pooled.quantities["weights_bytes"].value / GB == pytest.approx(1.2, rel=0.1)


def test_a_reranker_under_the_pooling_runner_leaves_its_head() -> None:
    whole = fit("qwen3-reranker-8b")
    launch = launch_of_command(["vllm serve Qwen/Qwen3-Reranker-8B --runner pooling"], gpu="l20-48gb")
    less = whole.quantities["weights_bytes"].value - make_fit(launch.deployment).fit.quantities["weights_bytes"].value
    assert less == pytest.approx(151_669 * 4096 * 2, rel=0.01)


@pytest.mark.parametrize(("model", "engine"), [("bge-m3", "sglang"), ("bge-m3", "tensorrt-llm"), ("mxbai-rerank-large-v1", "vllm")])
def test_an_engine_that_does_not_run_it_says_so(model: str, engine: str) -> None:
    found = fit(model, engine=engine)
    assert found.reason is not None
    assert found.reason.code == "mixer-not-known"
    assert "encoder" in found.reason.parameters["kind"]


def test_an_engine_that_only_pools_refuses_what_writes() -> None:
    found = fit("qwen3-8b", engine="tei")
    assert found.reason is not None
    assert found.reason.code == "pools-only"


def test_no_plan_for_what_writes_nothing() -> None:
    with pytest.raises(InputError) as caught:
        make_plan(Request(model="bge-m3", gpus=("l20-48gb",)))
    assert caught.value.code == "writes-nothing"


def test_scores_of_distances_are_written_out() -> None:
    short, long = (fit("mxbai-rerank-large-v1", engine="transformers", max_model_len=length) for length in (256, 512))
    peaks = [each.quantities["activation_peak_bytes"].value for each in (short, long)]
    assert peaks[1] > 3 * peaks[0]  # scores of every pair of tokens
