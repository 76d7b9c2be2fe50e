"""Starts of quantised copies: weights that logs print, and bands that reach as far as files may."""

from __future__ import annotations

import pytest

from gpusizer.api import fit
from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.ledger import RECIPE_LINE, combined, computed
from gpusizer.engines.base.types import Deployment, Section
from gpusizer.formulas.memory.constants import constant_bytes
from gpusizer.units import GiB, MiB
from gpusizer.validation.validate import validate


def weights_gib(**fields: object) -> tuple[float, float, float]:
    """Predicted, lowest and highest weights of one GPU."""
    start: dict[str, object] = {"gpu": "rtx-5090-32gb", "max_model_len": 8192, **fields}
    found = fit(Deployment(**start)).result.quantities["weights_bytes"]  # type: ignore[arg-type]
    return found.value / GiB, found.low / GiB, found.high / GiB


@pytest.mark.parametrize(
    ("model", "gpu", "version", "printed_gib"),
    [
        ("RedHatAI/gemma-4-26B-A4B-it-NVFP4", "rtx-5090-32gb", "0.20.0", 15.77),  # keys that are values have a place of their own
        ("RedHatAI/Qwen3.6-35B-A3B-NVFP4", "rtx-5090-32gb", "0.20.0", 21.86),  # its layer of multi-token prediction is not loaded
        ("google/gemma-4-31B-it", "h200-sxm-141gb", "0.19.1", 58.90),
        ("cyankiwi/Qwen3.6-35B-A3B-AWQ-4bit", "strix-halo-128gb", "0.19.0", 23.14),  # indices and one repacked layer on ROCm
    ],
)
def test_weights_are_those_of_the_log(model: str, gpu: str, version: str, printed_gib: float) -> None:
    value, low, high = weights_gib(model=model, gpu=gpu, engine_version=version)
    assert value == pytest.approx(printed_gib, rel=0.006)
    assert low < printed_gib < high


def test_drafts_of_the_checkpoint_add_their_layer_in_16_bits() -> None:
    model = "RedHatAI/Qwen3.6-35B-A3B-NVFP4"
    without, _, _ = weights_gib(model=model)
    drafted, _, _ = weights_gib(model=model, speculative_tokens=2, flags={"speculative_method": "mtp"})
    assert drafted - without == pytest.approx(1.57, abs=0.02)


def test_a_guess_has_a_band_that_reaches_to_its_ends_and_a_size_narrows_it() -> None:
    model = "somebody/Qwen3.6-35B-A3B-AWQ"
    _, low, high = weights_gib(model=model, gpu="h100-sxm-80gb")
    value, less, more = weights_gib(model=model, gpu="h100-sxm-80gb", checkpoint_bytes=round(23.9 * 10**9))
    assert low < 19.2  # every linear matrix in 4 bits with groups of 128
    assert high > 22.7  # routed experts alone, with groups of 32 and zero points
    assert more - less < (high - low) / 2
    assert low < less < value < more < high


def test_ends_are_added_and_not_taken_as_independent() -> None:
    bands = {"a": Limits(7, 13), "b": Limits(6, 14)}
    lines = [computed(id, constant_bytes, section=Section.WEIGHTS, band=band, fitted_bytes=10) for id, band in bands.items()]
    ends = computed(RECIPE_LINE, constant_bytes, section=Section.WEIGHTS, band=Limits(-4, 8), fitted_bytes=0)
    found = combined([*lines, ends])
    assert (found.value, found.low, found.high) == (20, 20 - 5 - 4, 20 + 5 + 8)
    left = combined([*lines, ends], -1, 100)
    assert (left.value, left.low, left.high) == (80, 80 - 5 - 8, 80 + 5 + 4)


@pytest.mark.parametrize("header", ["IQ2_K_R4 - 2.375 bpw", "IQ4_K_R4 - 4.5 bpw"])
def test_mixes_of_the_fork_leave_the_same_bytes_on_the_gpu_whatever_their_experts_are(header: str) -> None:
    row = {
        "engine": "llama.cpp",
        "engine_version": "ik_llama.cpp fork",
        "model": "DeepSeek V3 0324",
        "quantization": header,
        "gpu": "RTX A6000-48GB",
        "gpu_count": 1,
        "other_flags": "-mla 2 -fa -ngl 63 -ot exps=CPU -c 32768",
        "measured": {"model_buffer_mib_by_device": {"CUDA0": 17744.02}},
    }
    (case,) = validate([row]).cases
    assert case.quantities["model_buffer_bytes"].predicted == pytest.approx(17744.02 * MiB, rel=0.001)
