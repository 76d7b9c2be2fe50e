"""Sparse attention in vLLM: buffers whose sizes others printed."""

from __future__ import annotations

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator
from gpusizer.formulas.memory.step_peaks import index_logits_bytes, sparse_workspace_bytes
from gpusizer.units import GiB, MiB


def fit(model: str, gpu: str, version: str, **fields: object) -> Fit:
    engine = get_engine("vllm")
    deployment = Deployment(model, gpu, engine="vllm", engine_version=version, **fields)  # type: ignore[arg-type]
    return engine.fit(deployment, load_architecture(model), accelerator(gpu))


def lines(found: Fit) -> dict[str, int]:
    return {item.id: item.bytes for item in found.ranks[-1].items}


def test_index_keys_of_forty_requests_are_what_the_engine_prints() -> None:
    """5036.40 MB with a buffer of 1 MiB beside them, GLM-5.3-Flash at 1,000,000 tokens (vllm-project/vllm#55221)."""
    size = sparse_workspace_bytes(
        context_tokens=1_000_000, kv_lora_rank=0, rope_dim=0, index_dim=128, gathered=0, steps=0, window=0, step_tokens=0, keys=40
    )
    assert size / MiB + 1 == pytest.approx(5036.40, abs=0.01)


def test_what_pooled_logits_save() -> None:
    """3072 MiB of 1,024 requests of 1,048,576 tokens (vllm-project/vllm#57701)."""
    whole, pooled = (index_logits_bytes(rows=1024, context_tokens=1048576, pool_tokens=pool) for pool in (1, 4))
    assert (whole - pooled) / MiB == 3072


def test_a_longer_context_that_fits_the_experts_buffer_takes_nothing() -> None:
    """DeepSeek-V3.2 on H200 leaves 41.76 GiB with 8,192 and with 163,840 tokens: index keys work in the buffer of the experts."""
    pools = [
        fit("deepseek-v3.2", "h200-sxm-141gb", "0.18.0", tp=8, max_model_len=length, memory_fraction=0.92).quantities["kv_cache_pool_bytes"].value
        / GiB
        for length in (8192, 163840)
    ]
    assert pools[0] == pytest.approx(pools[1], abs=0.01)
    assert pools[0] == pytest.approx(41.76, rel=0.03)


def test_deepseek_v4_keeps_its_residual_streams() -> None:
    """102.77 against 102.34 GiB with steps of 8,192 and of 512 tokens, DeepSeek-V4-Pro on eight H200."""
    large, small = (
        fit("deepseek-v4-pro", "h200-sxm-141gb", "0.20.2", tp=8, max_model_len=8192, max_num_batched_tokens=tokens, kv_precision="fp8")
        for tokens in (8192, 512)
    )
    weights = [found.quantities["weights_bytes"].value / GiB for found in (large, small)]
    assert weights[0] - weights[1] == pytest.approx(102.77 - 102.34, abs=0.03)
    assert weights[0] == pytest.approx(102.77, rel=0.005)


def test_dspark_drafts_in_three_stages() -> None:
    """Files of 155.43 GiB with three stages and of 148.66 with one layer."""
    one, three = (
        fit(
            "deepseek-v4-flash",
            "h200-sxm-141gb",
            "0.26.0",
            tp=1,
            max_model_len=8192,
            speculative_tokens=5,
            flags={"speculative_method": method},
        )
        for method in ("mtp", "dspark")
    )
    assert (lines(three)["weights_draft"] - lines(one)["weights_draft"]) / GiB == pytest.approx(155.43 - 148.66, rel=0.05)
