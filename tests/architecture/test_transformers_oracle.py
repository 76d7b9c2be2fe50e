"""The same families against transformers itself, where it is installed: counts of models built without memory on the meta device."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from conftest import ENCODERS, FAMILIES, lines_of
from gpusizer.architecture.readers import read_config

torch = pytest.importorskip("torch", reason="torch is not installed: counts are not compared with the library itself")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: counts are not compared with the library itself")

READ_FAMILIES = lines_of(FAMILIES)[1:]
READ_ENCODERS = lines_of(ENCODERS)[1:]


def library_total(config: dict[str, Any]) -> int:
    """Parameters of the library's model of a configuration, tied ones once."""
    known = transformers.AutoConfig.for_model(**copy.deepcopy(config))
    auto = transformers.AutoModelForImageTextToText if "vision_config" in config else transformers.AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(known)
    model.tie_weights()
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("family", READ_FAMILIES[::2], ids=lambda family: family["name"])
def test_the_library_counts_the_same(family: dict[str, Any]) -> None:
    try:
        total = library_total(family["config"])
    except (ValueError, KeyError, ImportError) as reason:
        pytest.skip(f"this version of the library does not build it: {reason}")
    assert read_config(family["config"]).parameters.total == total


def encoder_total(config: dict[str, Any]) -> int:
    """Parameters of the library's encoder with what its task has behind the last layer."""
    known = transformers.AutoConfig.for_model(**{key: value for key, value in config.items() if key != "architectures"})
    task = config["architectures"][0].removeprefix("X").removeprefix("Model")
    with torch.device("meta"):
        model = getattr(transformers, f"AutoModel{task}").from_config(known)
    model.tie_weights()
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("row", READ_ENCODERS, ids=lambda row: row["name"])
def test_the_library_counts_the_same_in_an_encoder(row: dict[str, Any]) -> None:
    try:
        total = encoder_total(row["config"])
    except (ValueError, KeyError, ImportError) as reason:
        pytest.skip(f"this version of the library does not build it: {reason}")
    assert row["total_params"] == total
    assert read_config(row["config"]).parameters.total == total
