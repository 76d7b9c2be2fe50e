"""Names of hardware: found, asked back with all that fit, or refused with near ones of the same maker; never taken for another size."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import ANSWERED, refused, run
from gpusizer.errors import UnknownIdError
from gpusizer.facts.accelerator_names import alike, find_accelerator
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.hardware_words import hardware_words, maker_of
from gpusizer.facts.types import Accelerator

LINES = (Path(__file__).parents[1] / "data" / "hardware_names.txt").read_text(encoding="utf-8").splitlines()
ROWS = [tuple(part.strip() for part in line.split("|")) for line in LINES if line and not line.startswith("#")]
CODES = {"ask": "ambiguous-accelerator", "no": "unknown-accelerator"}


def test_the_table_has_the_names_of_the_field_and_many_more() -> None:
    assert len({name for name, _, _ in ROWS}) == len(ROWS) >= 240
    assert {kind for _, kind, _ in ROWS} >= {"is", "ask", "no", "processor-not-accelerator", "accelerator-not-modelled", "count-in-name"}


@pytest.mark.parametrize(("name", "kind", "ids"), ROWS)
def test_a_name_gives_what_people_mean_by_it(name: str, kind: str, ids: str) -> None:
    for spelling in (name, name.upper(), f"  {name.lower()} "):
        if kind == "is":
            assert accelerator(spelling).id == ids
            continue
        with pytest.raises(UnknownIdError) as caught:
            accelerator(spelling)
        assert caught.value.code == CODES.get(kind, kind)
        near = caught.value.parameters["nearest"]
        if kind == "size-without-name":  # which of that size are shown first is a matter of what is bought
            assert {accelerator(id).marketing_memory_gb for id in near} <= {64, 128}
            continue
        assert (set(near) if kind == "ask" else near) == (set(ids.split()) if kind == "ask" else ids.split())


def _meant(name: str) -> list[Accelerator]:
    """The device that a name means, or those that it is asked back with; none where it is refused."""
    try:
        return [find_accelerator(name)]
    except UnknownIdError as error:
        return [accelerator(id) for id in error.parameters["nearest"]] if error.code == "ambiguous-accelerator" else []


def _bare(device: Accelerator) -> str:
    """The name on the box without its size and remarks, by rules of this test."""
    words = re.sub(r"\([^)]*\)|,.*", " ", device.name)
    return re.sub(r"\s+", " ", re.sub(r"\d+ ?GB\b", " ", words)).strip().lower()


def test_a_name_that_two_sizes_share_is_asked_back_with_all_of_them() -> None:
    sizes: dict[tuple[str, str], set[float]] = defaultdict(set)
    for device in accelerators():
        if not device.by_size:
            sizes[device.vendor, _bare(device)].add(device.marketing_memory_gb)
    shared = {name: found for (_, name), found in sizes.items() if len(found) > 1}
    assert len(shared) > 30
    for name, found in shared.items():
        with pytest.raises(UnknownIdError) as caught:
            accelerator(name)
        assert caught.value.code == "ambiguous-accelerator", name
        assert found <= {accelerator(id).marketing_memory_gb for id in caught.value.parameters["nearest"]}, name


def test_a_size_in_the_name_is_the_size_of_the_device() -> None:
    for device in accelerators():
        words = f"{_bare(device)} {device.marketing_memory_gb:g}GB"
        found = _meant(words)
        assert device.marketing_memory_gb in {each.marketing_memory_gb for each in found}, words
        assert all(abs(each.marketing_memory_gb - device.marketing_memory_gb) <= 0.12 * device.marketing_memory_gb for each in found), words


def test_every_name_of_a_record_means_it_or_asks_back_with_it() -> None:
    for device in accelerators():
        assert accelerator(device.id) is device
        for name in (device.name, *device.aliases):
            found = _meant(name)
            assert device in found or device in alike(name, found[0]), name


@pytest.mark.parametrize("maker", sorted(hardware_words()["makers"]))
def test_a_told_maker_keeps_the_others_out(maker: str) -> None:
    for word in hardware_words()["makers"][maker]:
        assert maker_of(word) == maker
        for device in accelerators()[::7]:
            for found in _meant(f"{word} {_bare(device)}"):
                assert found.vendor == maker or maker_of(_bare(device)) == found.vendor


def test_near_ones_are_of_the_same_maker_and_about_the_size() -> None:
    for name, maker, size in (
        ("昇腾 64GB NPU", "Huawei", 64),
        ("Radeon 9999 XT 16GB", "AMD", 16),
        ("RTX 7777 24GB", "NVIDIA", 24),
        ("海光 Z999", "Hygon", None),
    ):
        with pytest.raises(UnknownIdError) as caught:
            accelerator(name)
        near = [accelerator(id) for id in caught.value.parameters["nearest"]]
        assert near
        assert {each.vendor for each in near} == {maker}
        assert size is None or all(abs(each.marketing_memory_gb - size) <= 0.35 * size for each in near)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("H100", {"h100-pcie-80gb"}),
        ("H800", {"h800-pcie-80gb"}),
        ("A100 80GB", {"a100-pcie-80gb"}),
        ("RTX PRO 6000", {"rtxpro6000-ws-96gb", "rtxpro6000-maxq-96gb"}),
        ("V100 32GB", {"v100-pcie-32gb"}),
        ("H100 SXM", set()),
        ("h100-sxm-80gb", set()),
        ("L40", set()),
        ("RTX 4090", set()),
    ],
)
def test_where_one_of_equal_size_is_taken_the_others_are_named(name: str, others: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    device = accelerator(name)
    assert {each.id for each in alike(name, device)} == others
    for arguments in (("fit", "qwen3-0.6b", "--gpu", name), ("plan", "qwen3-0.6b", "--concurrency", "1", "--context-tokens", "1k", "--gpu", name)):
        code, out, _ = run(capsys, *arguments, "--language", "en")
        assert code == ANSWERED
        assert (f'"{name}" is taken as' in re.sub(r"\s+", " ", out)) == bool(others)
        assert all(other in out for other in others)


@pytest.mark.parametrize(
    ("name", "english", "chinese"),
    [
        ("EPYC 9654", "is a CPU", "是 CPU"),
        ("Trainium2", "not counted here", "没有它的推理引擎数据"),
        ("V100", "fits several", "对应多种加速卡"),
        ("8x H100", "--gpus", "--gpus"),
        ("48GB", "48GB,864GB/s", "48GB,864GB/s"),
    ],
)
def test_refusals_say_in_both_languages_what_to_do(name: str, english: str, chinese: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert english in refused(capsys, "fit", "qwen3-8b", "--gpu", name, "--language", "en")
    assert chinese in refused(capsys, "fit", "qwen3-8b", "--gpu", name, "--language", "zh")


@given(st.text(max_size=60))
def test_any_text_is_a_device_or_an_error_of_ours(words: str) -> None:
    assert all(device in accelerators() for device in _meant(words))  # any other error fails here


# Cases of the field: unequal cards, a plus sign in a name, a card as sold, a number of devices.


@pytest.mark.parametrize(
    ("gpus", "words"),
    [(("5090", "4090"), "1 x RTX 5090 + 1 x RTX 4090"), (("RTX 3090", "3060 12G", "RTX 3090"), "2 x RTX 3090 + 1 x RTX 3060 12GB")],
)
def test_several_kinds_are_one_machine_where_the_engine_shares_layers_else_refused(
    gpus: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [part for gpu in gpus for part in ("--gpu", gpu)]
    code, out, _ = run(capsys, "fit", "qwen3-8b", "--engine", "llama.cpp", *named, "--language", "en")
    assert code == ANSWERED
    assert words in out
    assert "4090" in refused(capsys, "fit", "qwen3-8b", "--gpu", "5090", "--gpu", "4090")


def test_a_plus_sign_belongs_to_the_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Ryzen AI Max+ 395", "AMD Ryzen AI MAX+ 395 w/ Radeon 8060S", "锐龙 AI Max+ 395"):
        assert accelerator(name).id == "ryzen-ai-max-395-128gb"
    assert run(capsys, "fit", "qwen3-8b", "--gpu", "Ryzen AI Max+ 395")[0] == ANSWERED


def test_a_card_is_meant_as_it_was_sold(capsys: pytest.CaptureFixture[str]) -> None:
    for name, size in (("RTX 2080 Ti", 11), ("RTX 4090", 24), ("RTX 3080 10GB", 10), ("RTX 2080 Ti 22GB", 22), ("4090 48G 魔改", 48)):
        assert accelerator(name).marketing_memory_gb == size
    _, out, _ = run(capsys, "fit", "qwen3-8b", "--gpu", "RTX 2080 Ti", "--format", "json")
    assert '"device_total_bytes": 11811160064' in out  # 11,264 MiB


@pytest.mark.parametrize(("devices", "gpus"), [("8", 8), ("2", 2), ("4090,4090,4090", 3)])
def test_a_number_of_devices_is_that_number_of_cards(devices: str, gpus: int, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "fit", "qwen3-8b", "--engine", "llama.cpp", "--gpu", "4090", "--devices", devices, "--language", "en")
    assert code == ANSWERED
    assert f"{gpus} x RTX 4090" in out
