"""Placements over GPUs and host that are found: what people tuned by hand, as little as will do, confirmed by ``fit`` with the printed command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.placed import safe_room
from gpusizer.engines.base.types import Deployment, Fit, Section
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.offload import offloaded
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.remedies import remedies_for
from gpusizer.planning.verdict import make_fit
from gpusizer.planning.words import start_from_flags
from gpusizer.rendering.launch import command_line
from gpusizer.units import GB


def asked(model: str, precision: str, gpu: str, **fields: Any) -> tuple[Deployment, Architecture]:
    launch = Deployment(model, gpu, precision=precision, **{"engine": "llama.cpp", "max_model_len": 8192, "max_num_seqs": 1, **fields})
    return launch, with_precision(load_architecture(model), precision)


def judged(launch: Deployment, architecture: Architecture) -> Fit:
    return get_engine(launch.engine).judge(launch, architecture, accelerator(launch.gpu))


def room(launch: Deployment, architecture: Architecture) -> int:
    """What the tightest GPU has left on the safe side. [bytes]"""
    fit, device = judged(launch, architecture), accelerator(launch.gpu)
    return min(safe_room(rank.items[:-1], device.memory_bytes) for rank in fit.ranks)


# What somebody came to by hand on an RTX 2080 with 8 GB, context 4096, one sequence: AlexsJones/llmfit pulls 755, 774 and 775.
BY_HAND = [
    ("gemma-3-12b-it", "q4_k_m", {"n_gpu_layers": 44}),
    ("qwen3-14b", "q4_k_m", {"n_gpu_layers": 32}),
    ("phi-4", "q4_k_m", {"n_gpu_layers": 32}),
    ("mistral-small-24b-instruct-2501", "q4_k_m", {"n_gpu_layers": 16}),
    ("gpt-oss-20b", "checkpoint", {"n_cpu_moe": 12}),
    ("qwen3-30b-a3b-instruct-2507", "q4_k_m", {"n_cpu_moe": 36}),
]


@pytest.mark.parametrize(("model", "precision", "by_hand"), BY_HAND)
def test_what_is_found_is_within_three_layers_of_what_people_found(model: str, precision: str, by_hand: Mapping[str, int]) -> None:
    launch, architecture = asked(model, precision, "rtx2080-8gb", max_model_len=4096)
    found = offloaded(launch, architecture, accelerator(launch.gpu))
    assert found is not None
    assert found.flags.keys() == by_hand.keys()
    for name, layers in by_hand.items():
        assert abs(found.flags[name] - layers) <= 3


def test_experts_on_the_host_are_as_large_as_a_log_says() -> None:
    # llmgarage.ai/gpt-oss-120b-dual-3090: 26 layers of experts, about 42 GB of CUDA_Host
    launch, architecture = asked("gpt-oss-120b", "checkpoint", "rtx3090-24gb", flags={"n_cpu_moe": 26})
    assert sum(line.bytes for line in judged(launch, architecture).host_items if line.id == "weights_experts") == pytest.approx(42 * GB, rel=0.05)


MACHINES: list[tuple[str, str, dict[str, Any]]] = [
    ("gpt-oss-120b", "checkpoint", {"gpu": "rtx4090-24gb"}),
    ("qwen3-235b-a22b", "q4_k_m", {"gpu": "rtx4090-24gb"}),
    ("qwen3-235b-a22b", "q3_k_m", {"gpu": "rtx5090-32gb", "pp": 2}),
    ("deepseek-r1", "q4_k_m", {"gpu": "rtx3090-24gb", "pp": 3, "max_model_len": 32768}),
    ("glm-4.5-air", "q8_0", {"gpu": "rtx4090-24gb", "engine_version": "b5600"}),
    ("kimi-k2-instruct", "q2_k", {"gpu": "rtx4060-8gb"}),
    ("llama-3.3-70b", "q4_k_m", {"gpu": "rtx4090-24gb"}),
    ("llama-3.3-70b", "q8_0", {"gpu": "rx7900xtx-24gb", "pp": 2}),
    ("qwen3-30b-a3b", "q6_k", {"gpu": "rtx3060-12gb", "engine_version": "b4500"}),
    ("qwen3-235b-a22b", "q4_k_m", {"gpu": "rtx4090-24gb", "pp": 2, "fork": "ik_llama.cpp"}),
    ("deepseek-v3", "iq4_xs", {"gpu": "rtx4090-24gb", "fork": "ik_llama.cpp", "engine_version": "3760"}),
    ("qwen3-8b", "q4_k_m", {"gpu": "rtx4090-24gb"}),
    ("gpt-oss-120b", "checkpoint", {"gpu": "rtx4090-24gb", "engine": "ollama"}),
]


@pytest.mark.parametrize(("model", "precision", "fields"), MACHINES)
def test_the_printed_command_fits_with_the_same_bytes(model: str, precision: str, fields: Mapping[str, Any]) -> None:
    launch, architecture = asked(model, precision, **fields, host_memory_bytes=1024 * GB)
    found = offloaded(launch, architecture, accelerator(launch.gpu))
    assert found is not None
    fit, line = judged(found, architecture), command_line(found)
    assert fit.fits
    assert line is not None
    assert "host" not in line.replace("llama-server", "")
    given = {"precision": precision, **({"engine_version": launch.engine_version} if launch.engine_version else {})}
    pasted = launch_of_command([line], gpu=launch.gpu, model=model, given=given).deployment
    again = judged(replace(pasted, fork=launch.fork, host_memory_bytes=launch.host_memory_bytes), architecture)
    assert again.fits
    assert [rank.items for rank in again.ranks] == [rank.items for rank in fit.ranks]
    assert again.host_items == fit.host_items


@pytest.mark.parametrize(("model", "precision", "fields"), [each for each in MACHINES if each[2].get("engine") != "ollama"])
def test_one_layer_fewer_on_the_host_does_not_fit_on_the_safe_side(model: str, precision: str, fields: Mapping[str, Any]) -> None:
    launch, architecture = asked(model, precision, **fields)
    found = offloaded(launch, architecture, accelerator(launch.gpu))
    assert found is not None
    assert room(found, architecture) >= 0
    flags = dict(found.flags)
    if "n_gpu_layers" in flags:
        flags["n_gpu_layers"] += 1
    elif "n_cpu_moe" in flags:
        flags["n_cpu_moe"] -= 1
    elif "override_tensor" in flags:
        (pattern,) = flags["override_tensor"]
        layers = len(architecture.layers)
        last = layers - 1 if pattern == "exps=CPU" else int(pattern.partition(")")[0].rpartition("|")[2])
        flags["override_tensor"] = (rf"blk\.({'|'.join(map(str, range(last)))})\.ffn_(up|down|gate)_exps=CPU",)
    else:
        assert model == "qwen3-8b"
        return
    assert room(replace(found, flags=flags), architecture) < 0


def test_nothing_goes_to_a_host_that_does_not_hold_it() -> None:
    for size, fits in ((384, False), (512, True)):  # 387 GB of experts, and what the system holds
        launch, architecture = asked("deepseek-r1", "q4_k_m", "rtx4090-24gb", host_memory_bytes=size * GB)
        assert (offloaded(launch, architecture, accelerator(launch.gpu)) is not None) == fits


@pytest.mark.parametrize("flags", [{"n_gpu_layers": 20}, {"n_cpu_moe": 3}, {"override_tensor": ("exps=CPU",)}, {"cpu_moe": True}])
def test_what_the_operator_placed_stays_where_it_is(flags: Mapping[str, Any]) -> None:
    launch, architecture = asked("gpt-oss-120b", "checkpoint", "rtx4090-24gb", flags=flags)
    assert offloaded(launch, architecture, accelerator(launch.gpu)) is None


def test_all_layers_on_the_gpus_is_no_placement() -> None:
    launch, architecture = asked("gpt-oss-120b", "checkpoint", "rtx4090-24gb", flags={"n_gpu_layers": 99})
    found = offloaded(launch, architecture, accelerator(launch.gpu))
    assert found is not None
    assert found.flags["n_gpu_layers"] == 99
    assert found.flags["n_cpu_moe"] > 0


def test_engines_that_place_nothing_and_memory_that_is_shared_are_left_alone() -> None:
    for gpu, engine in (("rtx4090-24gb", "vllm"), ("m3-ultra-512gb", "llama.cpp")):
        launch, architecture = asked("deepseek-r1", "q8_0" if engine == "llama.cpp" else "checkpoint", gpu, engine=engine)
        assert offloaded(launch, architecture, accelerator(gpu)) is None


def test_what_is_asked_for_is_found_and_said() -> None:
    launch, _ = asked("gpt-oss-120b", "checkpoint", "rtx4090-24gb", offload="auto")
    verdict = make_fit(launch)
    assert verdict.fit.fits
    assert verdict.launch.offload == "none"
    assert verdict.launch.flags["n_cpu_moe"] > 0
    assert "host-bandwidth-assumed" in {notice.code for notice in verdict.fit.warnings}
    beyond = make_fit(replace(launch, host_memory_bytes=16 * GB))
    assert not beyond.fit.fits
    assert "offload-not-found" in {notice.code for notice in beyond.fit.warnings}


def test_a_remedy_names_the_flag_with_its_number() -> None:
    launch, architecture = asked("gpt-oss-120b", "checkpoint", "rtx4090-24gb")
    device = accelerator(launch.gpu)
    remedies = {each.code: each for each in remedies_for(judged(launch, architecture), launch, architecture, device)}
    found = offloaded(launch, architecture, device)
    assert found is not None
    assert remedies["on-host"].launch == found
    assert remedies["on-host"].parameters["flags"] == f"--n-cpu-moe {found.flags['n_cpu_moe']}"
    assert remedies["on-host"].fit.fits


def test_a_request_is_as_fast_as_the_memory_of_the_host() -> None:
    speeds = {}
    for rate in (50, 100, 400):
        launch, _ = asked("gpt-oss-120b", "checkpoint", "rtx4090-24gb", flags={"n_cpu_moe": 36}, host_bandwidth_bytes_per_s=rate * 1e9)
        request = make_fit(launch).request
        assert request is not None
        assert request.bandwidth == (rate * 1e9, "told")
        speeds[rate] = request.speed.tpot_s.value
    assert speeds[50] > speeds[100] > speeds[400]
    read = 36 * 4 / 128 * sum(line.bytes for line in make_fit(launch).fit.host_items if line.id == "weights_experts") / 36
    assert speeds[50] - speeds[100] >= read / 100e9  # at most what the channels carry is read
    whole, _ = asked("qwen3-8b", "q4_k_m", "rtx4090-24gb")
    assert make_fit(whole).request is None


def test_two_processors_read_no_faster_than_one() -> None:
    """llama.cpp puts weights anywhere: ggml-org/llama.cpp#11744 and pull 16548, mozilla-ai/llamafile#765."""
    launch, _ = asked("gpt-oss-120b", "checkpoint", "rtx4090-24gb", flags={"n_cpu_moe": 36})
    one, two = (
        make_fit(start_from_flags(launch, {**launch.flags, "--host-bandwidth": words}).deployment).request for words in ("EPYC 9654", "2 x EPYC 9654")
    )
    assert one is not None
    assert two is not None
    assert one.bandwidth.bytes_per_s * 2 == two.bandwidth.bytes_per_s
    assert two.speed.tpot_s.value == pytest.approx(one.speed.tpot_s.value)


def test_sums_of_the_host_are_told_by_their_sections() -> None:
    launch, architecture = asked("llama-3.3-70b", "q4_k_m", "rtx4090-24gb", host_memory_bytes=64 * GB)
    found = offloaded(launch, architecture, accelerator(launch.gpu))
    assert found is not None
    sections = {line.section for line in judged(found, architecture).host_items}
    assert sections == {Section.WEIGHTS, Section.CACHE, Section.ACTIVATION, Section.OUTSIDE}
