"""SGLang against its own logs and released defaults: share of memory, cells, pools, layouts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.engines.sglang.account import cell_bytes, most_requests, shared_out
from gpusizer.engines.sglang.defaults import complete
from gpusizer.engines.sglang.pools import stage_pools
from gpusizer.engines.sglang.record import request_record
from gpusizer.facts.catalog import accelerator, model_ids
from gpusizer.facts.types import Accelerator
from gpusizer.units import GiB
from gpusizer.validation.memory_cases import Case, deployment_of

ENGINE = get_engine("sglang")
H100, H200, B200 = "h100-sxm-80gb", "h200-sxm-141gb", "b200-sxm-180gb"


def started(model: str, gpu: str, version: str = "0.5.23", precision: str = "checkpoint", **fields: Any) -> Fit:
    deployment = Deployment(model=model, gpu=gpu, engine="sglang", engine_version=version, precision=precision, **fields)
    return ENGINE.fit(deployment, with_precision(load_architecture(model), precision), accelerator(gpu))


def start_of(model: str, gpu: str, version: str = "0.5.23", device: Accelerator | None = None, **fields: Any) -> Start:
    deployment = Deployment(model=model, gpu=gpu, engine="sglang", engine_version=version, **fields)
    return ENGINE.start(deployment, load_architecture(model), device or accelerator(gpu))


def cell(start: Start) -> float:
    return float(sum(cell_bytes(stage_pools(start, stage)) for stage in ENGINE.stages(start)))


# The rules of 0.5.23 for memory nobody chose (design notes: 0.830, 0.812, 0.886), and the logs of older releases.
@pytest.mark.parametrize(
    ("model", "gpu", "version", "layout", "share"),
    [
        ("llama-3.1-8b", H100, "0.5.23", {}, 0.830),
        ("llama-3.1-70b", H100, "0.5.23", {"tp": 8}, 0.812),
        ("deepseek-v3", H200, "0.5.23", {"tp": 8}, 0.886),
        ("llama-3.1-8b", H100, "0.3.2", {}, 0.88),
        ("llama-3.1-70b", H100, "0.4.5", {"tp": 4}, 0.85),
        ("deepseek-v3", "mi355x-288gb", "0.5.8", {"tp": 8}, 0.908),  # logged by two models on this machine
    ],
)
def test_share_of_memory_that_the_engine_chooses(model: str, gpu: str, version: str, layout: dict[str, Any], share: float) -> None:
    assert start_of(model, gpu, version, **layout).deployment.memory_fraction == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("0.5.8", (0, 5, 8)),
        ("0.4", (0, 4)),
        ("v0.5", (0, 5)),
        ("rocm/sgl-dev:v0.5.8.post1-rocm720", (0, 5, 8)),
        ("docker, CUDA 13", (0, 5, 23)),
        (None, (0, 5, 23)),
    ],
)
def test_a_version_is_read_as_it_is_written(written: str | None, version: tuple[int, ...]) -> None:
    """A short one is not taken for the newest."""
    assert get_engine("sglang").version_of(Deployment("", "", engine_version=written)) == version


def test_share_with_a_vision_tower_as_the_log_prints_it() -> None:
    start = start_of("kimi-k2.5", "mi355x-288gb", "0.5.8", tp=8)
    assert start.deployment.memory_fraction == pytest.approx(0.8260405859375, rel=1e-6)


def test_llama_on_one_h100_as_logged() -> None:
    """Free 78.59 GiB before and 63.48 after loading, 54.04 GiB of cache in 442,750 tokens."""
    fit = started("llama-3.1-8b", H100, memory_fraction=0.88)
    assert fit.quantities["weights_bytes"].value / GiB == pytest.approx(15.11, rel=0.01)
    assert fit.quantities["kv_cache_pool_bytes"].value / GiB == pytest.approx(54.04, rel=0.01)
    assert fit.quantities["kv_cache_tokens"].value == pytest.approx(442_750, rel=0.01)
    assert fit.kv_cache.bytes_per_token == 131_072


@pytest.mark.parametrize(
    ("model", "gpu", "version", "fields", "bytes_per_token"),
    [
        ("glm-5-nvfp4", B200, "0.5.23", {"tp": 8, "kv_precision": "bf16"}, 100_152),  # 29.32 GiB in 314,304 tokens
        ("deepseek-v3", H200, "0.5.23", {"tp": 8}, 70_272),
        ("deepseek-v4-flash", H200, "0.5.23", {"tp": 8}, 7_087),
        ("deepseek-v4-flash", H200, "0.5.12", {"tp": 8}, 15_955.85),  # printed as bytes_per_full_token
        ("glm-5", "mi355x-288gb", "0.5.8", {"tp": 8, "kv_precision": "fp8_e4m3"}, 55_224),  # priced without scales, see below
        ("glm-5", H200, "0.5.23", {"tp": 8, "kv_precision": "fp8_e4m3"}, 61_464),
    ],
)
def test_bytes_of_a_token(model: str, gpu: str, version: str, fields: dict[str, Any], bytes_per_token: float) -> None:
    assert cell(start_of(model, gpu, version, **fields)) == pytest.approx(bytes_per_token, rel=2e-4)


def test_old_builds_store_more_than_they_count() -> None:
    """A log: 3,262,823 tokens in 186.77 GiB, that is 656 + 132 bytes a layer where 576 + 132 were budgeted."""
    start = start_of("glm-5", "mi355x-288gb", "0.5.8", tp=8, kv_precision="fp8_e4m3")
    pools = stage_pools(start, ENGINE.stages(start)[0])
    assert pools.stored_share * cell_bytes(pools) == pytest.approx(186.77 * GiB / 3_262_823, rel=1e-4)


def test_states_come_before_tokens_as_logged() -> None:
    """Qwen3.5-9B on two cards: 186 slots of 3 a request and 327,310 tokens out of 9.50 GiB."""
    start = start_of("qwen3.5-9b", "rtx4090-24gb", "0.5.10", tp=2)
    pools = stage_pools(start, ENGINE.stages(start)[0])
    shares = shared_out(request_record(start), pools, 0, 9.50 * GiB)
    assert shares.slots == pytest.approx(186, abs=1)
    assert shares.state_bytes / GiB == pytest.approx(0.10 + 4.38, rel=0.02)
    tokens = int(shares.cache_bytes // cell_bytes(pools))
    assert tokens == pytest.approx(327_310, rel=0.01)
    assert most_requests(request_record(start), start.deployment.max_model_len, tokens, shares.slots) == 62


def test_requests_follow_from_the_pool_as_logged() -> None:
    start = start_of("deepseek-r1", B200, "0.4.10", tp=8, ep=8)
    assert most_requests(request_record(start), start.deployment.max_model_len, 980_344, 0) == 3063


def test_windows_in_a_pool_of_their_own_leave_more_tokens() -> None:
    with_pool, without = start_of("gpt-oss-120b", H100), start_of("gpt-oss-120b", H100, flags={"disable_hybrid_swa_memory": True})
    assert cell(without) == 36 * 2 * 8 * 64 * 2
    assert cell(with_pool) == pytest.approx(18 * 2048 + 0.8 * 18 * 2048)


@pytest.mark.parametrize("model", ["llama-3.1-8b", "deepseek-v3", "deepseek-v4-flash", "qwen3.5-9b", "gpt-oss-120b"])
def test_items_of_a_gpu_sum_to_the_device(model: str) -> None:
    fit = started(model, H200, tp=8)
    device = accelerator(H200).memory_bytes
    for rank in fit.ranks:
        assert sum(line.bytes for line in rank.items) == device
        assert sum(per_gpu(rank.items).values()) == device
    assert fit.fits, fit.reason


def test_more_of_the_share_never_holds_fewer_tokens() -> None:
    tokens = [started("qwen3.5-9b", H100, memory_fraction=share).kv_cache.tokens for share in (0.5, 0.6, 0.7, 0.8, 0.9)]
    assert tokens == sorted(tokens)


def test_attention_data_parallelism_holds_attention_whole_and_multiplies_the_cache() -> None:
    """Latent rows are whole on every rank, so eight ranks hold eight times the tokens of one; experts and dense blocks stay cut."""
    cut, whole = started("deepseek-v3", H200, tp=8), started("deepseek-v3", H200, dp=8)
    lines = [{line.id: line.bytes for line in fit.ranks[0].items} for fit in (cut, whole)]
    assert lines[1]["weights_experts"] == lines[0]["weights_experts"]
    assert lines[1]["weights_dense"] == lines[0]["weights_dense"]
    assert lines[1]["weights_attention"] > 4 * lines[0]["weights_attention"]
    assert whole.kv_cache.tokens == whole.kv_cache.blocks * whole.kv_cache.block_size * 8


def test_too_large_a_model_does_not_start_and_says_how_much_is_missing() -> None:
    fit = started("llama-3.1-70b", H100)
    assert not fit.fits
    assert fit.reason is not None
    assert fit.reason.code == "no-memory-for-cache"
    assert fit.reason.parameters["missing_bytes"] > 50 * GiB


def test_a_context_above_the_pool_starts_with_a_warning() -> None:
    fit = started("llama-3.1-8b", "rtx4090-24gb")
    assert fit.fits
    assert fit.kv_cache.tokens < 131_072
    assert "context-above-pool" in {notice.code for notice in fit.warnings}


def test_ranks_of_attention_data_parallelism_are_counted_in_its_tensor_parallel_size() -> None:
    words = ENGINE.command(complete(Deployment("m", H200, dp=8, engine="sglang"), load_architecture("deepseek-v3"), accelerator(H200), (0, 5, 23)))
    assert words[words.index("--tp-size") + 1] == "8"
    assert "--enable-dp-attention" in words


def test_experts_of_few_groups_are_cut_by_the_other_ranks() -> None:
    both, few = started("deepseek-v3", H200, tp=8, ep=8), started("deepseek-v3", H200, tp=8, ep=4)
    sizes = [sum(line.bytes for line in fit.ranks[0].items if line.id == "weights_experts") for fit in (both, few)]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-3)


def test_versions_are_read_out_of_image_tags() -> None:
    assert ENGINE.version_of(Deployment("m", H100, engine_version="rocm/sgl-dev:v0.5.8.post1-rocm720-mi35x-20260218")) == (0, 5, 8)
    assert ENGINE.version_of(Deployment("m", H100, engine_version="commit 7c9697178ed3 (0.4.9.post4 era)")) == (0, 4, 9)


def test_fewer_bytes_on_the_card_hold_fewer_tokens() -> None:
    device = accelerator(H100)
    smaller = replace(device, memory_bytes=device.memory_bytes - 4 * GiB, torch_total_bytes=None)
    start = Deployment("llama-3.1-8b", H100, engine="sglang", memory_fraction=0.8)
    architecture = load_architecture("llama-3.1-8b")
    assert ENGINE.fit(start, architecture, smaller).kv_cache.tokens < ENGINE.fit(start, architecture, device).kv_cache.tokens


@pytest.mark.parametrize("engine", ["sglang", "tensorrt-llm"])
def test_every_model_of_the_catalogue_has_a_ledger_that_sums_up(engine: str) -> None:
    device = accelerator(H200)
    layouts: list[dict[str, int]] = [{"tp": 8}, {"dp": 8, "speculative_tokens": 2}, {"tp": 2, "pp": 4}]
    for index, model in enumerate(model_ids()[::4]):  # every model, in fewer layouts: test_matrix
        layout = layouts[index % 3]
        fit = get_engine(engine).fit(Deployment(model, H200, engine=engine, **layout), load_architecture(model), device)  # type: ignore[arg-type]
        for rank in fit.ranks:
            assert sum(per_gpu(rank.items).values()) == device.memory_bytes, model
            assert all(line.low_bytes <= line.bytes <= line.high_bytes for line in rank.items), model
        assert all(quantity.low <= quantity.value <= quantity.high for quantity in fit.quantities.values()), model
        assert fit.fits == (fit.reason is None)


# ---- drafts, windows, links ------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_a_draft_is_loaded_behind_the_pool_until_0_5_14() -> None:
    """Qwen3-32B with EAGLE-3 on eight Ascend dies, start of 2026-01-04: 1,172,096 tokens in 35.78 GB, and 0.58 GB of draft that came later."""
    row = next(row for row in shared_lines("starts.jsonl") if row["id"] == "sglang-fordebug-q32bf16-4p-a")
    case = deployment_of({**row, "engine_version": "0.5.7"})
    assert isinstance(case, Case)
    fit = ENGINE.fit(case.deployment, case.architecture, case.accelerator)
    assert fit.quantities["kv_cache_tokens"].value == pytest.approx(1_172_096, rel=0.01)
    assert fit.quantities["kv_cache_pool_bytes"].value / GiB == pytest.approx(35.78, rel=0.01)
    later = ENGINE.fit(replace(case.deployment, engine_version="0.5.14"), case.architecture, case.accelerator)
    assert later.quantities["kv_cache_tokens"].value < fit.quantities["kv_cache_tokens"].value


def more_by_a_small_window_pool(model: str, version: str) -> float:
    """Tokens with a window pool of a fifth for those with one of the full size."""
    small, full = (started(model, H200, version, tp=8, flags={"swa_full_tokens_ratio": ratio}) for ratio in (0.2, 1.0))
    return small.quantities["kv_cache_tokens"].value / full.quantities["kv_cache_tokens"].value


@pytest.mark.parametrize(("model", "version"), [("gemma-3-27b-it", "0.5.5"), ("step-3.5-flash", "0.5.9"), ("laguna-s-2.1", "0.5.12")])
def test_windows_have_a_pool_of_their_own_where_a_release_lists_the_model(model: str, version: str) -> None:
    assert more_by_a_small_window_pool(model, version) > 1.5


@pytest.mark.parametrize(("model", "version"), [("gemma-3-27b-it", "0.5.9"), ("step-3.5-flash", "0.5.8"), ("laguna-s-2.1", "0.5.11")])
def test_windows_lie_with_the_other_layers_where_no_release_lists_the_model(model: str, version: str) -> None:
    assert more_by_a_small_window_pool(model, version) == 1


@pytest.mark.parametrize(
    ("gpu", "tp", "free_gib"),
    [("rtx4090-24gb", 4, 23.08), ("l4-24gb", 4, 21.63), ("h100-sxm-80gb", 1, 78.48), ("rtxpro6000-server-96gb", 8, 93.99), (H200, 8, 137.9)],
)
def test_free_memory_before_the_weights_as_logs_print_it(gpu: str, tp: int, free_gib: float) -> None:
    """Logs say it behind "Load weight begin. avail mem"."""
    fit = started("qwen3-8b", gpu, tp=tp)
    held = sum(line.bytes for line in fit.ranks[0].items if line.id in ("driver_reserved", "device_context", "communication"))
    assert (accelerator(gpu).memory_bytes - held) / GiB == pytest.approx(free_gib, rel=0.01)


@pytest.mark.shared
def test_graphs_are_as_many_as_were_named() -> None:
    """GLM-4.7-Flash on two Ascend 910B with ``--cuda-graph-bs 1 2 4 8``: 0.80 GB."""
    row = next(row for row in shared_lines("starts.jsonl") if row["id"] == "sglang-sf-glm47flash-910b")
    case = deployment_of(row)
    assert isinstance(case, Case)
    fit = ENGINE.fit(case.deployment, case.architecture, case.accelerator)
    assert next(line.inputs["graphs"] for line in fit.ranks[0].items if line.id == "cuda_graphs") == 4
    assert fit.quantities["cuda_graph_bytes"].value / GiB == pytest.approx(0.8, rel=0.2)


# ---- Ascend -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gpu", "free_gib"), [("ascend910c-128gb", 60.8), ("ascend910b1-64gb", 60.81)])
def test_free_memory_of_an_npu_as_logs_print_it(gpu: str, free_gib: float) -> None:
    """Two to thirty-two devices print 60.71 to 60.82 before the weights."""
    fit = started("qwen3-8b", gpu, tp=8)
    held = sum(line.bytes for line in fit.ranks[0].items if line.id in ("driver_reserved", "device_context", "communication"))
    assert (accelerator(gpu).memory_bytes - held) / GiB == pytest.approx(free_gib, rel=0.006)


def test_an_npu_has_defaults_of_its_own() -> None:
    """set_default_server_args of hardware_backend/npu/utils.py; 48.15 of 60.81 GB are weights and cache of GLM-4.7-Flash on two 910B."""
    few, many = (started("qwen3-8b", "ascend910b1-64gb", tp=tp).deployment for tp in (2, 4))
    assert (few.block_size, few.max_num_batched_tokens) == (128, 8192)
    assert (few.flags["cuda_graph_max_bs"], many.flags["cuda_graph_max_bs"]) == (64, 256)
    assert started("glm-4.7-flash", "ascend910b1-64gb", "0.5.9", tp=2, flags={"cuda_graph_max_bs": 8}).deployment.memory_fraction == pytest.approx(
        48.15 / 60.81, abs=0.002
    )


# ---- what drafts and checkpoints say of the cache ------------------------------------------------------------------------


def test_a_draft_of_blocks_is_priced_by_its_own_heads() -> None:
    """club-3090 issue 1261: 454,112 tokens in 6.92 GB of the model and 2.16 GB of its DFlash draft, in FP8 on two cards."""
    told: dict[str, Any] = {"tp": 2, "kv_precision": "fp8_e4m3", "speculative_tokens": 15, "flags": {"speculative_method": "dflash"}}
    cells = {}
    for version in ("0.5.17", "0.5.19"):
        start = start_of("qwen3.6-27b", "rtx5090-32gb", version, **told)
        cells[version] = cell_bytes(stage_pools(start, ENGINE.stages(start)[0]))
    assert cells["0.5.19"] == pytest.approx((6.92 + 2.16) * GiB / 454_112, rel=0.005)
    assert cells["0.5.17"] == 16_384 * 21 / 16


@pytest.mark.parametrize(
    ("model", "version", "bytes_of_element"),
    [("laguna-xs.2-fp8", "0.5.17", 2), ("laguna-xs.2-fp8", "0.5.19", 1), ("laguna-xs.2", "0.5.19", 2), ("qwen3.5-122b-a10b-nvfp4", "0.5.14", 1)],
)
def test_a_cache_left_open_takes_the_scales_of_the_checkpoint(model: str, version: str, bytes_of_element: int) -> None:
    """Pull 35455 of 2026-08 for compressed-tensors; what ModelOpt writes was read before."""
    fit, told = (started(model, H200, version, kv_precision=name) for name in ("auto", "bf16"))
    assert told.kv_cache.bytes_per_token == pytest.approx(fit.kv_cache.bytes_per_token * 2 / bytes_of_element, rel=0.001)
