"""What nobody checked is marked where a customer reads it, and what was checked says with what."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from command_line import ANSWERED, run
from gpusizer.facts.accelerators import read_sources
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.planning.device_notices import device_notices


def test_every_figure_says_where_it_is_from_or_that_nobody_checked_it() -> None:
    for device in accelerators():
        told = {f"peak_flops.{form}" for form in device.peak_flops} | {"marketing_memory_gb", "memory_bytes", "devices_per_node"}
        told |= {name for name in ("bandwidth_bytes_per_s", "interconnect_bytes_per_s", "tdp_w", "release_year", "pcie") if getattr(device, name)}
        assert all(device.sources.get(name) for name in told), device.id
        for name in told & set(device.unverified) - {"bandwidth_bytes_per_s"}:
            assert device.is_unverified(name), (device.id, name)
        assert set(device.unverified) <= set(device.sources) | {"status"}, device.id


def test_few_facts_are_left_unchecked_and_no_source_of_memory_hides_one() -> None:
    left = Counter(field.partition(".")[0] for device in accelerators() for field in device.unverified)
    assert left["bandwidth_bytes_per_s"] <= 16
    assert left["pcie"] <= 9
    assert left["compute_capability"] <= 3
    assert sum(count for field, count in left.items() if field != "devices_per_node") <= 250  # of 342
    for device in accelerators():
        for name, sources in device.sources.items():
            if all("from memory" in source or "unverified" in source for source in sources):
                assert device.is_unverified(name), (device.id, name)


def test_every_source_is_used_and_named() -> None:
    assert all(words.strip() for words in read_sources().values())


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("910B3", {"bandwidth_bytes_per_s", "peak_flops.bf16"}),
        ("MLU590", {"marketing_memory_gb", "bandwidth_bytes_per_s", "peak_flops.bf16", "devices_per_node"}),
        ("BR104", {"marketing_memory_gb", "memory_bytes"}),
        ("H200", set()),
        ("RTX 4090", set()),
        ("MI355X", set()),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_answer_names_what_it_stands_on_without_a_source(name: str, fields: set[str], language: str, capsys: pytest.CaptureFixture[str]) -> None:
    device = accelerator(name)
    notices = [notice for notice in device_notices(device, (name,), 1) if notice.code == "facts-from-memory"]
    assert {field for notice in notices for field in notice.parameters["fields"] if field != "prices"} == fields
    _, out, _ = run(capsys, "fit", "qwen3-0.6b", "--gpu", name, "--max-model-len", "2k", "--language", language)
    words = re.sub(r"\s+", "", out)
    assert ({"en": "notcheckedagainstasource", "zh": "未找到来源核对"}[language] in words) == bool(fields)
    assert not re.search(r"peak_flops|_bytes", words.partition("warning")[2] if language == "en" else "")


def test_the_page_of_a_device_lists_all_that_nobody_checked(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "accelerators", "show", "mlu590-80gb", "--language", "en")
    assert code == ANSWERED
    assert "memory bandwidth" in out.rpartition("[1]")[0].rpartition("nverified")[2] or "from memory" in out


def test_unknown_is_a_dash_in_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "accelerators", "list", "--filter", "hygon-bw1100-144gb")
    assert "–" in next(line for line in out.splitlines() if line.startswith("hygon-bw1100-144gb")).split()
    _, out, _ = run(capsys, "accelerators", "list", "--filter", "hygon-bw1100-144gb", "--format", "csv")
    heading, row = (line.split(",") for line in out.splitlines())
    assert row[heading.index("bandwidth_bytes_per_s")] == "", "a spreadsheet gets nothing where nothing is known"


@pytest.mark.parametrize(
    ("name", "bandwidth", "bf16"),
    [  # makers' pages and papers: GB/s of one device, dense 16-bit TFLOP/s
        ("BI-V150", 800, 96),
        ("MR-V100", 800, 96),
        ("V100S", 1134, 130.8),
        ("H800 PCIe", 2040, 756),
        ("A800 PCIe 80GB", 1935, 312),
        ("Atlas 300I Duo 96GB", 204, 70),
        ("RTX 3080 Laptop 16GB", 448, 37.96),
        ("Jetson Orin Nano 4GB", 34.1, 1.28),
    ],
)
def test_devices_that_were_absent_have_the_figures_of_their_makers(name: str, bandwidth: float, bf16: float) -> None:
    device = accelerator(name)
    assert device.bandwidth_bytes_per_s == pytest.approx(bandwidth * 1e9, rel=0.01)
    assert max(device.peak_flops.get("bf16", 0), device.peak_flops.get("fp16", 0)) == pytest.approx(bf16 * 1e12, rel=0.01)


def test_parts_that_are_no_longer_made_say_so() -> None:
    for name in ("P100", "V100 32GB", "A100 80GB", "A800 80GB", "H800", "RTX 3090", "RTX 4090", "M2 Ultra 192GB"):
        assert accelerator(name).status == "discontinued", name
    for name in ("H200", "H20", "B200", "L40S", "MI355X", "910B3", "RTX 5090", "RTX PRO 6000"):
        assert accelerator(name).status == "shipping", name
