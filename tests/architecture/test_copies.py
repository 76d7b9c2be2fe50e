"""Quantised copies by their names: sizes that others printed, what a guess must say, and whose list is taken."""

from __future__ import annotations

import re

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.copies import copy_of
from gpusizer.architecture.precision.listed import FORMATS, QUANTISED_GROUPS
from gpusizer.architecture.precision.publishers import usual_list, usual_lists
from gpusizer.architecture.tensors import checkpoint_bytes, stored_tensors
from gpusizer.facts.catalog import model_ids
from gpusizer.units import GB, GiB


@pytest.mark.parametrize(
    ("name", "size_bytes"),
    [
        ("poolside/Laguna-S-2.1-INT4", 66.97 * GiB),  # the checkpoint that a start-up log prints
        ("cyankiwi/gemma-4-26B-A4B-it-qat-AWQ-INT4", 16.01 * GiB),  # the checkpoint that a start-up log prints
        ("cyankiwi/gemma-4-31B-it-AWQ-4bit", 20.90 * GB),  # its commit message
        ("cyankiwi/Qwen3.6-27B-AWQ-INT4", 20.4 * GB),  # a deployment script
        ("Inferact/Qwen3.8-27B-NVFP4", 26_381_249_312),  # vllm-project/recipes
        ("Minachist/Qwen3.6-27B-INT8-AutoRound", 36.8 * GB),  # the model card
        ("poolside/Laguna-S-2.1-NVFP4", 99.7 * GB),  # as a hub counts its files: github.com/lablup/mlxcel/issues/1765
        ("RedHatAI/Qwen3.6-35B-A3B-NVFP4", 23.32 * GiB),  # the checkpoint that a start-up log prints
        ("palmfuture/Qwen3.6-35B-A3B-GPTQ-Int4", 24.4 * GB),  # the model card; zero points and group indices of GPTQ files are not counted
    ],
)
def test_files_have_the_size_that_their_publishers_print(name: str, size_bytes: float) -> None:
    assert checkpoint_bytes(load_architecture(name)) == pytest.approx(size_bytes, rel=0.014)


def test_the_layer_of_multi_token_prediction_stays_in_16_bits() -> None:
    model = load_architecture("RedHatAI/Qwen3.6-35B-A3B-NVFP4")
    drafts = checkpoint_bytes(model) - checkpoint_bytes(model, mtp=False)
    assert drafts / GiB == pytest.approx(1.57, abs=0.01)  # what turning it on adds in two logs of one machine and day


def test_an_entry_of_another_publisher_is_not_this_ones_copy() -> None:
    theirs = load_architecture("nvidia/Qwen3.6-35B-A3B-NVFP4")
    assert theirs is load_architecture("qwen3.6-35b-a3b-nvfp4")
    ours = load_architecture("RedHatAI/Qwen3.6-35B-A3B-NVFP4")
    assert checkpoint_bytes(ours) > 1.05 * checkpoint_bytes(theirs)
    assert "usual-list" in [notice.code for notice in ours.warnings]
    somebody = load_architecture("somebody/Qwen3.6-35B-A3B-NVFP4")
    assert checkpoint_bytes(somebody) == checkpoint_bytes(theirs)
    assert len(somebody.quantization.ends) == 2


@pytest.mark.parametrize("name", ["somebody/Qwen3-30B-A3B-AWQ", "somebody/Qwen3-14B-GPTQ-Int4", "somebody/Qwen3.5-27B-NVFP4", "x/Qwen3-32B-W4A16"])
def test_a_guess_lies_between_its_ends_and_says_so(name: str) -> None:
    model = load_architecture(name)
    (said,) = (notice for notice in model.warnings if notice.code == "recipe-guessed")
    low, high = said.parameters["low_bytes"], said.parameters["high_bytes"]
    assert low <= checkpoint_bytes(model) <= high
    assert high < checkpoint_bytes(load_architecture(re.sub(r".*/|-(AWQ|GPTQ-Int4|NVFP4|W4A16)", "", name)))  # never above the model in 16 bits


def test_every_list_names_formats_groups_and_a_source_that_exist() -> None:
    groups = {*QUANTISED_GROUPS, "lm_head"}
    for each in usual_lists():
        assert not each.format or each.format in FORMATS
        assert {*each.kept, *each.groups, *each.late.get("groups", ())} <= groups
        assert {*each.groups.values()} <= {*FORMATS}
        assert len(each.source) > 20
        assert re.compile(each.names)
        assert each.owners == tuple(owner.lower() for owner in each.owners)
        words = {word.replace("-", "") for word in re.split(r"[|()?<!\\]+", each.names)}
        assert not words & {name.replace("-", "") for name in model_ids()}  # by publisher and method, never by model


def test_the_tool_that_made_a_copy_decides_whose_list_stands_for_it() -> None:
    model = load_architecture("google/gemma-4-26B-A4B-it")
    sizes = [checkpoint_bytes(copy_of(model, "gemma-4-26B-A4B-it-NVFP4", "nvfp4", load_architecture, tool=tool)) for tool in ("", "modelopt_fp4")]
    assert sizes[0] == sizes[1]  # NVIDIA's own copy
    ours = copy_of(model, "gemma-4-26B-A4B-it-NVFP4", "nvfp4", load_architecture, tool="compressed-tensors")
    assert checkpoint_bytes(ours) == pytest.approx(15.30 * GiB, rel=0.03)  # the checkpoint that a start-up log prints


def test_lists_of_publishers_come_before_those_of_tools() -> None:
    owned = [bool(each.owners) for each in usual_lists()]
    assert owned == sorted(owned, reverse=True)
    assert usual_list("somebody/Model-BF16", load_architecture("qwen3-8b")) is None


def test_routers_norms_and_towers_stay_as_they_are() -> None:
    model = load_architecture("RedHatAI/gemma-4-26B-A4B-it-NVFP4")
    for _, path, tensor, form in stored_tensors(model):
        if tensor.group in ("router", "vision", "embedding", "norms"):
            assert not form.quantised, path
