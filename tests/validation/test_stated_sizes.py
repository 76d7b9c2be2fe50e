"""A case may state the size of the files; it is known before a start, and bounded like every number."""

from __future__ import annotations

from typing import Any

import pytest

from gpusizer.validation.validate import validate

ROW: dict[str, Any] = {
    "engine": "vllm",
    "engine_version": "0.20.0",
    "model": "somebody/Qwen3.6-35B-A3B-NVFP4",
    "quantization": "nvfp4",
    "gpu": "RTX-5090-32GB",
    "gpu_count": 1,
    "tp": 1,
    "measured": {"weights_gib_per_gpu": 21.86},
}


def weights(**fields: Any) -> float | None:
    """Error of the weights, None where the case is refused."""
    (case,) = validate([{**ROW, **fields}]).cases
    return case.quantities["weights_bytes"].error if case.covered else None


def test_the_size_of_the_files_corrects_another_publishers_list() -> None:
    without, told = weights(), weights(checkpoint_gib=23.32)
    assert without is not None
    assert told is not None
    assert abs(told) < 0.003 < abs(without)


@pytest.mark.parametrize("size", [0, -1, True, "23 GB", float("nan"), float("inf"), 1e300, 1e-9, [], {}])
def test_a_size_that_is_none_refuses_the_case(size: Any) -> None:
    assert weights(checkpoint_gib=size) is None


def test_a_gguf_file_of_a_size_takes_the_recipe_that_has_it() -> None:
    row = {"engine": "llama.cpp", "model": "DeepSeek-V3-0324-OPTIMIZED.gguf", "quantization": "Q5_K - Medium", "gpu": "H200-141GB", "gpu_count": 4}
    row |= {"other_flags": "-ngl 99 -c 8192", "measured": {"model_buffer_mib_by_device": {"all": 352.822 * 1024 - 939}}}
    (told,) = validate([{**row, "checkpoint_gib": 352.822}]).cases
    (without,) = validate([row]).cases
    errors = [abs(case.quantities["model_buffer_bytes"].error or 0) for case in (told, without)]
    assert errors[0] < errors[1]
