"""A size of the files that an operator knows decides what is kept in more bits; an index alone tells it as well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.errors import GpusizerError, InputError
from gpusizer.facts.catalog import model_entry
from gpusizer.units import GB, GiB


@pytest.mark.parametrize("gib", [19.2, 20.9, 21.73, 22.27, 23.3, 24.4])
def test_the_sum_is_the_size_that_was_stated(gib: float) -> None:
    model = load_architecture("somebody/Qwen3.6-35B-A3B-AWQ", round(gib * GiB))
    sums = [checkpoint_bytes(model, mtp=mtp) / GiB for mtp in (True, False)]
    assert min(abs(each - gib) for each in sums) <= 0.002 * gib
    assert model.quantization.ends == ()


@pytest.mark.parametrize(
    ("name", "gib", "form", "kept"),
    [
        ("somebody/Laguna-S-2.1-INT4", 66.97, "int4_g32", {"attention", "shared_experts", "dense_mlp"}),
        ("somebody/gemma-4-26B-A4B-it-AWQ", 16.01, "int4_g32", {"dense_mlp"}),
        ("somebody/Qwen3.6-35B-A3B-NVFP4", 23.32, "nvfp4", {"linear_attention"}),
    ],
)
def test_the_size_finds_what_the_files_of_others_hold(name: str, gib: float, form: str, kept: set[str]) -> None:
    formats = load_architecture(name, round(gib * GiB)).quantization
    assert formats.linear is not None
    assert formats.linear.id == form
    assert {group for group, each in formats.groups.items() if each == formats.default} - {"lm_head"} == kept


def test_a_size_that_the_model_has_anyway_changes_nothing() -> None:
    plain = load_architecture("qwen3-14b")
    assert load_architecture("qwen3-14b", checkpoint_bytes(plain)) is plain
    assert load_architecture("qwen3-14b", round(1.01 * checkpoint_bytes(plain))) is plain


@pytest.mark.parametrize("size", [1, 1000, 10**9, 10**12, 10**15])
def test_a_size_that_no_format_gives_is_refused_in_one_line(size: int) -> None:
    with pytest.raises(InputError) as refused:
        load_architecture("somebody/Qwen3-14B-AWQ", size)
    assert refused.value.code == "checkpoint-size-beyond"
    assert "\n" not in str(refused.value)


def folder(tmp_path: Path, total: object, model: str = "qwen3.6-35b-a3b") -> Path:
    """A folder with a configuration and an index, and no weights."""
    (tmp_path / "config.json").write_text(json.dumps({**model_entry(model).config, "quantization_config": None}))
    index = {"metadata": {"total_size": total}, "weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


@pytest.mark.parametrize("total", [round(23.32 * GiB), 23.32 * GiB])
def test_a_folder_with_its_index_alone_has_the_size_that_the_index_states(tmp_path: Path, total: float) -> None:
    model = load_architecture(str(folder(tmp_path, total)))
    assert min(abs(checkpoint_bytes(model, mtp=mtp) - total) for mtp in (True, False)) <= 0.002 * total
    assert "size-solved" in [notice.code for notice in model.warnings]


@pytest.mark.parametrize("total", [None, "x", True, -1, 0, 1e400, 10**30, [1], {}])
def test_an_index_that_states_no_size_leaves_the_configuration(tmp_path: Path, total: object) -> None:
    model = load_architecture(str(folder(tmp_path, total)))
    assert model.quantization.method is None


def test_a_configuration_with_a_list_of_its_own_wins_over_a_size(tmp_path: Path) -> None:
    entry = model_entry("qwen3-8b-awq")
    told = load_architecture(entry.id)
    exact = load_architecture(entry.id, checkpoint_bytes(told))
    assert exact is told
    other = load_architecture(entry.id, round(1.3 * checkpoint_bytes(told)))
    assert checkpoint_bytes(other) == checkpoint_bytes(told)
    assert other.warnings[-1].code == "size-differs"


def test_an_index_that_names_files_of_which_some_are_there_is_not_complete(tmp_path: Path) -> None:
    place = folder(tmp_path, 20 * GB)
    (place / "model-00002-of-00002.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(GpusizerError):
        load_architecture(str(place))
