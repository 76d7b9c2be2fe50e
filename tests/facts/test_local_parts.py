"""What people have at home: every device and model of the speed files is known, with the figures of the makers' sheets and published totals."""

from __future__ import annotations

import re

import pytest

from conftest import shared_lines
from gpusizer.architecture.load import load_architecture
from gpusizer.facts.catalog import accelerator, accelerators, model_entry
from gpusizer.facts.model_names import resolve_model
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.units import GB, MB, TB, GiB

SPEED_FILES = ("serving-speeds.jsonl", "local-speeds.jsonl")


@pytest.mark.parametrize(
    ("name", "bandwidth", "peak"),
    [  # data sheets: GB/s; dense 16-bit TFLOP/s, of GeForce with 32-bit accumulation
        ("GTX 1050 Ti 4GB", 112, None),
        ("GTX 1080 Ti", 484, None),
        ("Tesla P40", 346, None),
        ("RTX 2070 SUPER 8GB", 448, 36.3),
        ("RTX 2080 Ti 11GB", 616, 53.8),
        ("Quadro RTX 8000", 672, 130.5),
        ("RTX 3060 Ti", 448, 32.4),
        ("RTX 3080 Ti 12GB", 912, 68.2),
        ("RTX A4500", 640, 94.6),
        ("RTX 4060", 272, 30.2),
        ("RTX 4070 Ti 12GB", 504, 80.2),
        ("RTX 4080 SUPER", 736, 104.4),
        ("RTX 4000 Ada 20GB", 360, 106.9),
        ("RTX 5070 12GB", 672, 61.7),
        ("RTX 5060 Ti 16GB", 448, 47.4),
        ("RTX PRO 4500 Blackwell", 896, 202.1),
        ("RX 7900 XT 20GB", 800, 103.0),
        ("RX 9070 XT", 640, 194.6),
        ("Radeon PRO W7900", 864, 122.6),
        ("Instinct MI50 32GB", 1024, 26.8),
        ("Instinct MI100", 1229, 184.6),
        ("MI300A", 5300, 980.6),
        ("Arc A770", 560, 157.3),
        ("Arc B580", 456, 109.4),
        ("Apple M1 8GB", 68.25, 2.6),
        ("M1 Max 64GB", 400, 10.4),
        ("M3 Pro 36GB", 150, None),
        ("M3 Max 36GB", 300, None),
        ("M4 Pro 48GB", 273, None),
        ("M4 Max 36GB", 410, None),
        ("M5 Pro 64GB", 307, None),
        ("M5 Max 128GB", 614, None),
        ("Ryzen AI Max+ 395 64GB", 256, 59.4),
        ("Jetson Orin Nano 8GB", 102, None),
    ],
)
def test_bandwidths_and_peaks_are_those_of_the_sheets(name: str, bandwidth: float, peak: float | None) -> None:
    device = accelerator(name)
    assert device.bandwidth_bytes_per_s == pytest.approx(bandwidth * GB, rel=0.01)
    assert peak is None or device.peak_flops["fp16"] == pytest.approx(peak * TB, rel=0.01)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("P40", "6.1"),
        ("P100", "6.0"),
        ("RTX 2080 8GB", "7.5"),
        ("RTX 3070", "8.6"),
        ("RTX 4070", "8.9"),
        ("RTX 5070 12GB", "12.0"),
        ("GB10", "12.1"),
        ("Jetson Thor", "11.0"),
        ("Jetson AGX Orin 64GB", "8.7"),
        ("RX 6800 XT", "gfx1030"),
        ("RX 7900 XT", "gfx1100"),
        ("Strix Halo", "gfx1151"),
        ("R9700", "gfx1201"),
        ("MI60", "gfx906"),
        ("M1 Ultra 128GB", "apple7"),
        ("M4 32GB", "apple9"),
        ("M5 Max 128GB", "apple10"),
    ],
)
def test_a_device_says_which_kernels_it_runs(name: str, family: str) -> None:
    assert accelerator(name).compute_capability == family


def test_every_nvidia_amd_and_apple_part_says_its_family() -> None:
    spelling = {"NVIDIA": r"\d{1,2}\.\d", "AMD": r"gfx\d{1,3}[0-9a-f]{1,2}", "Apple": r"apple\d{1,2}"}
    for device in accelerators():
        if device.vendor in spelling and device.status != "announced":
            assert re.fullmatch(spelling[device.vendor], device.compute_capability or ""), device.id


def test_a_chip_has_one_bandwidth_whatever_its_memory_unless_it_is_cut() -> None:
    chips: dict[str, set[float]] = {}
    for device in accelerators():
        if device.vendor == "Apple":
            chips.setdefault(device.id.rpartition("-")[0], set()).add(float(device.bandwidth_bytes_per_s or 0))
    assert {chip: len(found) for chip, found in chips.items() if len(found) > 1} == {"m3-max": 2, "m4-max": 2, "m5-max": 2}


@pytest.mark.parametrize(
    ("name", "megabytes"),
    [  # recommendedMaxWorkingSetSize as llama.cpp prints it on machines of these sizes
        ("M4 16GB", 12713.12),
        ("M5 24GB", 19069.67),
        ("M2 Max 32GB", 26800.60),
        ("M3 Max 36GB", 30150.67),
        ("M4 Pro 48GB", 40200.90),
        ("M3 Max 64GB", 55662.79),
        ("M5 Max 128GB", 115448.73),
        ("M3 Ultra 256GB", 239_000),
        ("M3 Ultra 512GB", 498216.21),
        ("M1 8GB", 5726.63),
        ("M2 Max 96GB", 77309.41),
    ],
)
def test_a_mac_lends_its_gpu_what_metal_says(name: str, megabytes: float) -> None:
    device = accelerator(name)
    assert device.memory_bytes == pytest.approx(megabytes * MB, rel=1e-3)
    assert 0.66 < device.memory_bytes / (device.marketing_memory_gb * GiB) < 0.91


def test_a_bigger_mac_never_lends_less_and_sizes_of_all_chips_agree() -> None:
    lent: dict[float, set[int]] = {}
    for device in accelerators():
        if device.vendor == "Apple":
            lent.setdefault(device.marketing_memory_gb, set()).add(device.memory_bytes)
    assert all(len(found) == 1 for found in lent.values())
    sizes = [min(lent[size]) for size in sorted(lent)]
    assert sizes == sorted(sizes)


def test_what_people_have_at_home_is_planned_with_where_it_is_named() -> None:
    looked_at = {each.id for each in accelerators() if each.considered}
    named = {"gtx1080ti-11gb", "rtx4090-laptop-16gb", "radeon-780m", "m1-max-64gb"}
    assert not looked_at & named
    wish = Request("qwen3-8b", engine="llama.cpp", precision="q4_k_m", concurrency=1, context_tokens=2048, gpus=("M1 Max 64GB", "GTX 1080 Ti"))
    assert {option.accelerator.id for option in make_plan(wish).options} == {"m1-max-64gb", "gtx1080ti-11gb"}


@pytest.mark.shared
@pytest.mark.parametrize("file", SPEED_FILES)
def test_devices_of_the_speed_files_are_known_with_bandwidth_and_peaks(file: str) -> None:
    for name in sorted({row["gpu"] for row in shared_lines(file)} - {"Ascend 910B 64GB"}):
        device = accelerator(name)
        assert device.bandwidth_bytes_per_s, name
        assert device.peak_flops, name


@pytest.mark.parametrize(
    ("name", "total"),
    [  # safetensors and model cards of the publishers
        ("LiquidAI/LFM2-8B-A1B", 8.34e9),
        ("HuggingFaceTB/SmolLM3-3B", 3.08e9),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120),
        ("mistralai/Codestral-22B-v0.1", 22_247_282_688),
        ("mistralai/Ministral-8B-Instruct-2410", 8_019_808_256),
        ("mistralai/Ministral-3-14B-Instruct-2512", 13.9e9),
        ("mistralai/Ministral-3-3B-Instruct-2512", 3.85e9),
        ("internlm/internlm2_5-20b-chat", 19_861_149_696),
        ("internlm/internlm3-8b-instruct", 8.8e9),
        ("microsoft/Phi-3-medium-4k-instruct", 13_960_238_080),
        ("CohereForAI/aya-expanse-8b", 8_028_033_024),
        ("rednote-hilab/dots.llm1.inst", 142.8e9),
        ("zai-org/glm-4-9b-chat", 9.4e9),
        ("allenai/OLMo-2-0325-32B-Instruct", 32.2e9),
        ("google/gemma-4-12B-it", 11.96e9),
        ("google/gemma-3n-E4B-it", 6.87e9),
        ("Qwen/Qwen3.5-0.8B", 0.87e9),
        ("Qwen/Qwen3.5-2B", 2.27e9),
        ("Qwen/Qwen3.5-4B", 4.66e9),
        ("nvidia/NVIDIA-Nemotron-3-Nano-4B", 3.97e9),
        ("ibm-granite/granite-4.0-h-1b", 1.46e9),
        ("ibm-granite/granite-4.0-micro", 3.4e9),
        ("ibm-granite/granite-3.1-3b-a800m-instruct", 3.3e9),
        ("ibm-granite/granite-3.1-1b-a400m-instruct", 1.33e9),
        ("01-ai/Yi-1.5-9B-Chat", 8_829_407_232),
    ],
)
def test_models_have_the_parameters_that_were_published(name: str, total: float) -> None:
    parameters = load_architecture(model_entry(name).id).parameters
    assert parameters.total == pytest.approx(total, rel=0.01) or parameters.total + parameters.mtp == pytest.approx(total, rel=0.01)


@pytest.mark.parametrize(
    ("name", "id"),
    [  # fine-tunes and editions of one shape
        ("Qwen/Qwen3-Coder-Next", "qwen3-next-80b-a3b-instruct"),
        ("Qwen/Qwen2.5-Coder-3B-Instruct", "qwen2.5-3b"),
        ("meta-llama/Llama-3.1-Nemotron-Nano-8B-v1", "llama-3.1-8b-instruct"),
        ("google/gemma-3-1b-pt", "gemma-3-1b-it"),
        ("deepseek-ai/DeepSeek-Math-V2", "deepseek-v3.2-exp"),
        ("Qwen/Qwen3VL-2B-Instruct", "qwen3-vl-2b-instruct"),
        ("Qwen/Qwen3-Omni-30B-A3B-Thinking", "qwen3-omni-30b-a3b-instruct"),
    ],
)
def test_names_of_one_shape_are_one_model(name: str, id: str) -> None:
    assert resolve_model(name)[0].id == id
