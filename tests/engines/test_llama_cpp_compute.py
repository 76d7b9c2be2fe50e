"""Compute buffers of llama.cpp and its fork against start-up logs to the printed digit, the fork's dated rules, and laws of the allocator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.llama_cpp.allocator import widest_moment
from gpusizer.engines.llama_cpp.graph import ELSEWHERE, Graph, Tensor
from gpusizer.facts.catalog import accelerator

MiB = 1024 * 1024
EXPERTS_ON_HOST = "exps=CPU"

LING = {"override_tensor": (), "parallel": 1, "ctx_size": 32768, "batch_size": 4096, "ubatch_size": 4096, "amb": 512, "gpus": 2}


def compute_mib(id: str, precision: str, build: str, *, gpus: int = 1, **flags: Any) -> float:
    gpu = "h200-sxm-141gb"
    told = {name: flags.pop(name) for name in ("fork",) if name in flags}
    deployment = Deployment(model=id, gpu=gpu, pp=gpus, engine="llama.cpp", engine_version=build, precision=precision, flags=flags, **told)
    fit = get_engine("llama.cpp").fit(deployment, with_precision(load_architecture(id), precision), accelerator(gpu))
    return fit.quantities["compute_buffer_bytes"].value / MiB


def fork(**flags: Any) -> dict[str, Any]:
    return {"fork": "ik", "mla": 3, "flash_attn": True, "fmoe": True, "override_tensor": EXPERTS_ON_HOST, **flags}


# (model, precision, build, flags) -> what the log prints in MiB.
PRINTED: list[tuple[str, str, str, Mapping[str, Any], float]] = [
    # latents expanded for all heads; no copies of experts at 512 tokens, none of repacked ones (ikawrakow/ik_llama.cpp discussion 258)
    ("deepseek-v3-0324", "q4_k_m", "3745", fork(ctx_size=32768, cache_type_k="q8_0", amb=512), 3425.00),
    ("deepseek-v3-0324", "q4_k_m", "3745", fork(ctx_size=32768, amb=512, batch_size=4096, ubatch_size=4096, rtr=True), 4104.02),
    ("deepseek-r1", "q4_k_m", "3775", fork(ctx_size=98304, cache_type_k="q8_0", amb=8192, batch_size=8192, ubatch_size=8192), 20496.03),
    # experts that 512 tokens do not fill stay on the host (issue 616, the first of two cards)
    ("kimi-k2-instruct", "iq3_xxs", "3808", fork(ctx_size=2048, ubatch_size=512, cache_type_k="q8_0", amb=512, gpus=2), 263.00),
    # -amb cuts -mla 2 (pull 260, with experts of a type that no GPU multiplied then)
    ("deepseek-r1", "q2_k", "3590", fork(mla=2, ctx_size=32768, amb=1024, interleaved="q2_k_r4"), 3790.00),
    ("deepseek-r1", "q2_k", "3590", fork(mla=2, ctx_size=32768, amb=128, interleaved="q2_k_r4"), 2817.00),
    # no latents, on the processor (issue 285; pawsey)
    ("deepseek-r1", "q8_0", "4905", {"ctx_size": 2048, "device": "none"}, 670.01),
    # masks in FP16 from the start, on the first of two cards (discussion 839: 1,032.14)
    ("ling-flash-2.0", "iq2_s", "3920", fork(**LING, cache_type_k="q8_0", cache_type_v="q8_0"), 1036.02),
    # logits of a micro-batch above a row or two (tests/data/outside_starts.jsonl, ROCm and CUDA)
    ("qwen3.6-35b-a3b", "q4_k_m", "9010", {"ctx_size": 4096, "parallel": 1, "flash_attn": "on"}, 497.00),
    ("qwen2.5-14b-instruct", "q4_k_m", "7896", {"ctx_size": 32768}, 307.00),
    # masks in FP32 and in FP16 beside the attention of one layer
    ("qwen3-next-80b-a3b-instruct", "q4_k_m", "9010", {"ctx_size": 132352, "parallel": 1, "flash_attn": "on"}, 423.76),
]


@pytest.mark.parametrize(("id", "precision", "build", "flags", "printed"), PRINTED)
def test_a_compute_buffer_is_that_of_the_log_to_the_printed_digit(
    id: str, precision: str, build: str, flags: Mapping[str, Any], printed: float
) -> None:
    assert compute_mib(id, precision, build, **flags) == pytest.approx(printed, abs=0.02)


def test_an_indexer_scores_the_whole_context_for_every_head_until_that_is_one_operation() -> None:
    # ggml-org/llama.cpp issue 25468 (4 GiB a tensor at 131,072), unslothai/unsloth pull 6940 (67,094.60 MiB at 1,048,576)
    before = compute_mib("deepseek-v4-flash", "q4_k_m", "10050", ctx_size=1048576, parallel=1)
    assert before == pytest.approx(67094.6, rel=0.04)
    assert compute_mib("deepseek-v4-flash", "q4_k_m", "10050", ctx_size=131072, parallel=1) > 2 * 4096
    assert compute_mib("deepseek-v4-flash", "q4_k_m", "10900", ctx_size=1048576, parallel=1) < before / 8


def test_the_fork_frees_expanded_heads_from_pull_1211_on() -> None:
    flags = fork(ctx_size=65536, amb=512)
    assert compute_mib("deepseek-r1", "q4_k_m", "4161", **flags) < compute_mib("deepseek-r1", "q4_k_m", "4160", **flags) / 2


def test_interleaved_experts_are_copied_from_the_day_a_gpu_multiplies_them() -> None:
    flags = fork(mla=2, ctx_size=2048, cache_type_k="q8_0", amb=512, interleaved="iq2_k_r4")
    stays, goes = (compute_mib("deepseek-v3-0324", "q2_k", build, **flags) for build in ("3713", "3714"))
    assert stays == pytest.approx(503.0, abs=0.02)  # ikawrakow/ik_llama.cpp discussion 286
    assert goes > stays + 1024


def test_pipelines_keep_copies_of_what_goes_from_card_to_card() -> None:
    flags: dict[str, Any] = {"fork": "ik", "ctx_size": 32768, "flash_attn": True, "gpus": 2}
    four, one = (compute_mib("qwen3-30b-a3b", "q4_k_m", build, **flags) for build in ("3872", "3873"))
    assert four > one
    assert compute_mib("qwen3-30b-a3b", "q4_k_m", "3872", sched_max_copies=1, **flags) == one


def chain(graph: Graph, sizes: list[int], operation: str) -> Tensor:
    tensor = graph.leaf(sizes[0], ELSEWHERE)
    for size in sizes:
        tensor = graph.node(operation, size, tensor)
    graph.expand(tensor)
    return tensor


def test_a_chain_holds_two_tensors_at_once_and_one_where_it_works_in_place() -> None:
    kib = 1024
    for operation, expected in (("product", 2 * kib), ("scale", kib)):
        graph = Graph()
        chain(graph, [kib] * 6, operation)
        found = widest_moment(graph)
        assert found.total_bytes == expected
        assert sum(found.parts.values()) <= found.total_bytes


def test_what_comes_from_elsewhere_is_copied_once_for_each_micro_batch_under_way() -> None:
    def size(copies: int) -> int:
        graph = Graph()
        chain(graph, [1024, 1024], "product")
        return widest_moment(graph, copies=copies).total_bytes

    assert (size(1), size(4)) == (2 * 1024, (4 + 2) * 1024)  # several are kept to the end, one is not
