"""What llama.cpp leaves in the memory of the host, against lines of public start-up logs; whether the host holds it; where the fork puts experts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment, Fit, Section
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.verdict import make_fit
from gpusizer.units import GB, MiB
from gpusizer.validation.memory_cases import Case, deployment_of


def start(id: str, precision: str, build: str = "11250", *, gpu: str = "h200-sxm-141gb", gpus: int = 1, **flags: Any) -> Fit:
    told = {name: flags.pop(name) for name in ("fork", "host_memory_bytes") if name in flags}
    deployment = Deployment(model=id, gpu=gpu, pp=gpus, engine="llama.cpp", engine_version=build, precision=precision, flags=flags, **told)
    return get_engine("llama.cpp").fit(deployment, with_precision(load_architecture(id), precision), accelerator(gpu))


def on_host(fit: Fit, section: Section) -> int:
    return sum(line.bytes for line in fit.host_items if line.section is section)


# (model, precision, build, flags) -> MiB that the log prints for the host: model buffer, cache, compute buffer.
PRINTED: list[tuple[str, str, str, Mapping[str, Any], tuple[float | None, float | None, float | None]]] = [
    # ikawrakow/ik_llama.cpp issue 389, without a GPU
    ("deepseek-r1", "q4_k_m", "3658", {"fork": "ik", "ctx_size": 5888, "device": "none"}, (385689.63, None, None)),
    ("qwen3-32b", "q4_0", "3745", {"fork": "ik", "ctx_size": 40960, "device": "none"}, (None, 10240.00, 5252.01)),
    # ggml-org/llama.cpp issue 13729: 30 of 48 layers and not the output on the card
    ("qwen3-30b-a3b", "q4_k_m", "5466", {"ctx_size": 4096, "n_gpu_layers": 30}, (6940.48, None, None)),
    # Reflection-Llama-3.1-70B over two devices: the embedding alone
    ("llama-3.1-70b", "q4_k_s", "3270", {"ctx_size": 8192}, (563.65, None, None)),
    # one mask in FP32 and one embedded row a token
    ("llama-3.1-8b", "q5_k_s", "3475", {"fork": "ik", "ctx_size": 1024, "parallel": 1}, (344.44, None, 10.01)),
    # newer builds keep room for rows that are handed in
    ("qwen2.5-3b-instruct", "q4_k_m", "8054", {"ctx_size": 4096, "parallel": 1}, (243.43, None, 16.01)),
    # the processor computes experts of 512 tokens: their rows stand beside the mask (ik_llama.cpp issue 616)
    ("kimi-k2-instruct", "q2_k", "3808", {"fork": "ik", "ctx_size": 2048, "flash_attn": True, "fmoe": True, "cpu_moe": True}, (None, None, 162.01)),
]


@pytest.mark.parametrize(("id", "precision", "build", "flags", "printed"), PRINTED)
def test_the_host_holds_what_the_log_prints(
    id: str, precision: str, build: str, flags: Mapping[str, Any], printed: tuple[float | None, float | None, float | None]
) -> None:
    fit = start(id, precision, build, **flags)
    for section, size in zip((Section.WEIGHTS, Section.CACHE, Section.ACTIVATION), printed, strict=True):
        if size is not None:
            assert on_host(fit, section) / MiB == pytest.approx(size, rel=1e-3, abs=0.02), section


def logged() -> Iterator[tuple[Fit, bool, float | None, float | None]]:
    """Starts of ../shared/data with their host's lines: whether the file was mapped, model buffer, compute buffer. [MiB]"""
    for row in shared_lines("starts.jsonl"):
        measured = row.get("measured") or {}
        buffers = measured.get("compute_buffer_mib_by_device") or {}
        handed = next((size for name, size in buffers.items() if name.endswith("_Host")), None)
        weights = measured.get("cpu_model_buffer_mib")
        case = deployment_of(row) if row["engine"] == "llama.cpp" and (handed or weights) else None
        if isinstance(case, Case) and "model_buffer_bytes" not in case.unpredictable and case.deployment.flags.get("device") != "none":
            fit = get_engine("llama.cpp").fit(case.deployment, case.architecture, case.accelerator)
            yield fit, "no-mmap" not in str(row.get("other_flags")), weights, handed


@pytest.mark.shared
def test_weights_of_the_host_are_those_of_the_logs() -> None:
    found = [(on_host(fit, Section.WEIGHTS) / MiB / size, mapped) for fit, mapped, size, _ in logged() if size]
    loaded = [abs(share - 1) for share, mapped in found if not mapped]
    assert len(loaded) >= 15
    assert median(loaded) < 0.001
    mapped = [share for share, mapped in found if mapped]  # a log prints the stretch of the file, tensors of the GPUs inside it among them
    assert len(mapped) >= 30
    assert sum(share <= 1.005 for share in mapped) >= 0.9 * len(mapped)


@pytest.mark.shared
def test_host_buffers_are_those_of_the_logs() -> None:
    found = [(line, size) for fit, _, _, size in logged() if size for line in fit.host_items if line.id == "host_buffer"]
    assert len(found) >= 50
    assert sum(abs(line.bytes / MiB / size - 1) < 0.01 for line, size in found) >= 0.85 * len(found)
    assert sum(line.low_bytes <= size * MiB <= line.high_bytes for line, size in found) >= 0.85 * len(found)


def all_weights(fit: Fit) -> int:
    cards = sum(line.bytes for rank in fit.ranks for line in rank.items if line.section is Section.WEIGHTS)
    return cards + on_host(fit, Section.WEIGHTS)


@pytest.mark.parametrize("flags", [{"n_cpu_moe": 20}, {"cpu_moe": True}, {"n_gpu_layers": 12}, {"n_cpu_moe": 48, "n_gpu_layers": 30}])
def test_what_leaves_the_cards_arrives_on_the_host(flags: Mapping[str, Any]) -> None:
    whole, parted = (start("qwen3-30b-a3b", "q4_k_m", ctx_size=8192, **each) for each in ({}, flags))
    assert all_weights(parted) == all_weights(whole)
    assert on_host(parted, Section.WEIGHTS) > on_host(whole, Section.WEIGHTS)


def test_the_cache_lies_where_it_is_told() -> None:
    told: list[dict[str, Any]] = [{}, {"n_gpu_layers": 10}, {"no_kv_offload": True}]
    whole, layers, all_of_it = (start("qwen3-8b", "q8_0", ctx_size=8192, **each) for each in told)
    size = whole.quantities["kv_buffer_bytes"].value
    assert on_host(whole, Section.CACHE) == 0
    assert on_host(layers, Section.CACHE) == size * 27 / 36  # the output is one of the ten
    assert on_host(all_of_it, Section.CACHE) == size
    assert not [line for line in all_of_it.ranks[0].items if line.section is Section.CACHE]


def test_a_host_that_is_too_small_is_said_with_what_happens_otherwise() -> None:
    asked: dict[str, Any] = {"gpu": "rtx4090-24gb", "ctx_size": 8192, "n_cpu_moe": 30}
    untold = start("gpt-oss-120b", "checkpoint", **asked)
    assert untold.fits
    assert "host_system" not in {line.id for line in untold.host_items}
    small, large = (start("gpt-oss-120b", "checkpoint", **asked, host_memory_bytes=size * GB) for size in (32, 96))
    loaded = start("gpt-oss-120b", "checkpoint", **asked, host_memory_bytes=32 * GB, no_mmap=True)
    assert large.fits
    assert small.reason is not None
    assert loaded.reason is not None
    assert (small.reason.code, loaded.reason.code) == ("host-memory-too-small-mapped", "host-memory-too-small")
    needed = small.reason.parameters
    assert needed["needed_bytes"] == sum(line.bytes for line in small.host_items) == needed["memory_bytes"] + needed["missing_bytes"]
    assert (small.host_mapped, loaded.host_mapped) == (True, False)


def test_ollama_refuses_what_the_host_does_not_hold() -> None:
    # ollama/ollama issue 8667: "model requires more system memory (446.3 GiB) than is available", whatever could be mapped
    launch = Deployment("deepseek-r1", "rtx4090-24gb", engine="ollama", precision="q4_k_m", host_memory_bytes=256 * GB)
    fit = get_engine("ollama").fit(launch, with_precision(load_architecture("deepseek-r1"), "q4_k_m"), accelerator("rtx4090-24gb"))
    assert fit.reason is not None
    assert (fit.reason.code, fit.host_mapped) == ("host-memory-refused", False)


def experts_by_card(fit: Fit) -> list[int]:
    return [sum(line.bytes for line in rank.items if line.id == "weights_experts") for rank in fit.ranks]


def test_the_fork_takes_experts_from_every_card_since_it_was_taught_to() -> None:
    # ikawrakow/ik_llama.cpp pull 1464, build 4325: of the last layers, by the layers of each device; before, the first layers of all
    asked: dict[str, Any] = {"fork": "ik_llama.cpp", "gpu": "rtx5090-32gb", "gpus": 3, "ctx_size": 8192, "n_cpu_moe": 32}
    whole = experts_by_card(start("qwen3-235b-a22b", "q4_k_m", "4600", **{**asked, "n_cpu_moe": 0}))
    before, after = (experts_by_card(start("qwen3-235b-a22b", "q4_k_m", build, **asked)) for build in ("4200", "4600"))
    assert before[0] == 0
    assert before[1:] == whole[1:]
    assert [0.6 < part / all_of_it < 0.72 for part, all_of_it in zip(after, whole, strict=True)] == [True] * 3


def test_tensors_that_were_sent_to_the_host_are_as_certain_there_as_on_a_gpu() -> None:
    launch = Deployment("deepseek-v3-0324", "rtx4090-24gb", engine="llama.cpp", precision="q4_k_m", pp=2, flags={"override_tensor": ("exps=CPU",)})
    for line in make_fit(launch).fit.host_items:
        assert line.low_bytes > 0.85 * line.bytes, line.id
        assert line.high_bytes < 1.15 * line.bytes, line.id
