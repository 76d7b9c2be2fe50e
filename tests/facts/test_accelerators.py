"""Accelerators: memory, rates and ranges as drivers and data sheets print them, and the names that people and logs use for them."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from conftest import shared_lines
from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import accelerator, accelerators, number_formats, scenarios
from gpusizer.rendering.accelerators import accelerator_document, accelerators_document
from gpusizer.rendering.catalog import number_formats_document, scenario_document, scenarios_document
from gpusizer.rendering.render import render
from gpusizer.units import GB, TB, GiB, MiB


@pytest.mark.parametrize(
    ("name", "mib"),
    [  # totals that nvidia-smi prints
        ("H100 SXM 80GB", 81559),
        ("H200", 143771),
        ("NVIDIA A100-SXM4-80GB", 81920),
        ("NVIDIA L40S", 46068),
        ("Tesla T4", 15360),
        ("NVIDIA GeForce RTX 4090", 24564),
        ("B200", 183359),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97887),
        ("NVIDIA RTX 5000 Ada Generation", 32760),
    ],
)
def test_memory_is_what_the_driver_prints(name: str, mib: int) -> None:
    device = accelerator(name)
    assert device.memory_bytes == mib * MiB
    assert device.torch_total_bytes is None or device.torch_total_bytes <= device.memory_bytes


@pytest.mark.parametrize(
    ("name", "bandwidth", "bf16", "link", "tdp"),
    [  # data sheets: GB/s, dense TFLOPS, GB/s in both directions, W
        ("H100", 3350, 989, 900, 700),
        ("H200", 4800, 989, 900, 700),
        ("A100 SXM 80GB", 2039, 312, 600, 400),
        ("H20", 4000, 148, 900, 400),
        ("L40S", 864, 362, None, 350),
        ("MI300X", 5300, 1307.4, 896, 750),
        ("RTX 4090", 1008, 165.2, None, 450),
    ],
)
def test_rates_are_those_of_the_data_sheets(name: str, bandwidth: float, bf16: float, link: float | None, tdp: float) -> None:
    device = accelerator(name)
    assert device.bandwidth_bytes_per_s == pytest.approx(bandwidth * GB, rel=0.01)
    assert device.peak_flops["bf16"] == pytest.approx(bf16 * TB, rel=0.01)
    assert device.interconnect_bytes_per_s == (None if link is None else link * GB)
    assert device.tdp_w == tdp


def test_ranges_hold_for_every_accelerator() -> None:
    ids = [device.id for device in accelerators()]
    assert len(ids) == len(set(ids)) >= 107
    for device in accelerators():
        box = device.memory_bytes / (device.marketing_memory_gb * GiB)
        assert 0.7 < box <= 1.001 or device.unified_memory, device.id
        assert device.memory_evidence in ("measured", "assumed")
        assert device.devices_per_node is None or device.devices_per_node % device.devices_per_card == 0, device.id
        assert set(device.engines.values()) <= {"yes", "partial", "no", "unknown"}, device.id
        assert "memory_bytes" in device.sources, device.id
        assert device.fabric_devices is None or device.fabric_devices >= 1
        for rate in (device.bandwidth_bytes_per_s, device.interconnect_bytes_per_s, device.tdp_w, *device.peak_flops.values()):
            assert rate is None or rate > 0, device.id  # unknown is absent, never zero
        if "fp8" in device.peak_flops and "bf16" in device.peak_flops:
            assert device.peak_flops["fp8"] >= device.peak_flops["bf16"], device.id
        for price in device.prices:
            assert Decimal(0) < price.low <= price.high
            assert price.per in ("hour", "device")
            assert price.currency in ("USD", "CNY")
            assert price.date
            assert price.source


def test_modules_are_sold_as_whole_servers_and_cards_are_not() -> None:
    assert all(accelerator(name).whole_nodes for name in ("H100", "H20", "MI300X", "GB200", "910B3"))
    assert not any(accelerator(name).whole_nodes for name in ("L40S", "H100 PCIe", "RTX 4090", "H200 NVL"))


def test_cards_with_several_devices_count_devices() -> None:
    two_dies, quarter = accelerator("910C"), accelerator("A16")
    assert (two_dies.memory_bytes, two_dies.devices_per_node, two_dies.devices_per_card) == (65536 * MiB, 16, 2)
    assert accelerator("MI250X").memory_bytes < 64 * GiB <= accelerator("MI250X").marketing_memory_gb * GiB
    assert (quarter.memory_bytes, quarter.devices_per_card) == (15 * GiB, 4)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("H100-80GB", "h100-sxm-80gb"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm-80gb"),
        ("NVIDIA H100 PCIe", "h100-pcie-80gb"),
        ("NVIDIA H100 NVL", "h100-nvl-94gb"),
        ("DGX H100", "h100-sxm-80gb"),
        ("RTX-PRO-6000-Blackwell-96GB", "rtxpro6000-server-96gb"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "rtxpro6000-maxq-96gb"),
        ("Ascend910B4", "ascend910b4-32gb"),
        ("A100-SXM4-40GB", "a100-sxm-40gb"),
        ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"),
        ("Tesla V100-PCIE-32GB", "v100-pcie-32gb"),
        ("H20-3e", "h20-sxm-141gb"),
        ("h20 141GB", "h20-sxm-141gb"),
        ("GB10-DGX-Spark-121GiB-unified", "gb10-128gb"),
        ("RTX 4090-48GB", "rtx4090-48gb"),
        ("RTX4090", "rtx4090-24gb"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx6000ada-48gb"),
        ("NVIDIA RTX A6000", "rtxa6000-48gb"),
        ("AMD Instinct MI300X OAM", "mi300x-192gb"),
        ("GB200 NVL72", "gb200-186gb"),
        ("H20 (memory size not stated)", "h20-sxm-96gb"),
    ],
)
def test_names_of_drivers_logs_and_mails(name: str, id: str) -> None:
    assert accelerator(name).id == id
    assert accelerator(name.upper()).id == accelerator(f"  {name.lower()} ").id == id


@pytest.mark.parametrize(
    ("name", "code", "among"),
    [
        ("Ascend 910B 64GB", "ambiguous-accelerator", "ascend910b3-64gb"),
        ("RTX 5090-32GB + RTX 4090-24GB", "several-accelerators", "rtx5090-32gb"),
        ("H100 96GB", "unknown-accelerator", "h100-sxm-80gb"),  # a known chip with a size that it does not have
        ("H200 SXM 80GB", "unknown-accelerator", "h200-sxm-141gb"),
        ("h2000", "unknown-accelerator", "h200-sxm-141gb"),
        ("Hopper 141GB class", "unknown-accelerator", None),
        ("none (CPU run)", "unknown-accelerator", None),
        ("H100 MIG 3g.40gb", "unknown-accelerator", None),
        ("../../etc/passwd", "unknown-accelerator", None),
        ("(" * 5000, "unknown-accelerator", None),
        ("", "unknown-accelerator", None),
    ],
)
def test_names_that_mean_no_single_device_are_refused(name: str, code: str, among: str | None) -> None:
    with pytest.raises(UnknownIdError) as caught:
        accelerator(name)
    assert caught.value.code == code
    assert among is None or among in caught.value.parameters["nearest"]


@pytest.mark.shared
def test_every_record_of_the_collected_facts_is_here_with_its_figures() -> None:
    for record in shared_lines("accelerators.jsonl"):
        device = accelerator(record["id"])
        assert device.devices_per_card == record["devices_seen_by_driver"]
        devices = 1 if record["id"].startswith("a16") else device.devices_per_card  # figures of A16 are for one GPU already
        assert device.marketing_memory_gb * devices == record["memory_gb"]
        if record["memory_mib_reported"] and record["id"] != "gb10-128gb":
            assert device.memory_bytes * devices == record["memory_mib_reported"] * MiB
        if record["memory_bandwidth_gbs"]:
            assert device.bandwidth_bytes_per_s is not None
            assert device.bandwidth_bytes_per_s * devices == pytest.approx(record["memory_bandwidth_gbs"] * GB)
        known = {form: rate for form, rate in record["tflops_dense"].items() if rate is not None}
        assert {form: device.peak_flops[form] * devices / TB for form in known} == pytest.approx(known)
        for alias in (record["name"], *record["aliases"]):
            assert record["id"] in _meant(alias), alias


def _meant(name: str) -> list[str]:
    """The device that a name means, or those among which it does not choose."""
    try:
        return [accelerator(name).id]
    except UnknownIdError as error:
        return list(error.parameters["nearest"])


@pytest.mark.shared
@pytest.mark.parametrize(("file", "share"), [("starts.jsonl", 0.9), ("serving-speeds.jsonl", 0.98)])
def test_devices_of_measured_cases_resolve(file: str, share: float) -> None:
    names = [row["gpu"] for row in shared_lines(file)]
    found = [name for name in names if _device(name)]
    assert len(found) >= share * len(names)
    refused = set(names) - set(found)
    refused -= {"RTX 3080"}  # two sizes share that name: it is asked back
    assert all(
        any(word in name for word in ("+", "class", "CPU", "stated", "not seen", "not given", "RPC", "910B", "NPU", "Apple M5 (")) for name in refused
    ), refused


def _device(name: str) -> str | None:
    try:
        return accelerator(name).id
    except UnknownIdError:
        return None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_fact_has_words_in_both_languages(language: str) -> None:
    documents = [accelerator_document(device, language) for device in accelerators()]
    documents += [accelerators_document(accelerators(), language), scenarios_document(scenarios(), language)]
    documents += [scenario_document(each, language) for each in scenarios()] + [number_formats_document(number_formats(), language)]
    for document in documents:
        words = render(document, "text")
        shown = re.findall(
            r"(?<![\w/-])(?:field|price|per|engine|china|measured|format|evidence)-[a-z]\w*", words
        )  # a code without words shows itself
        assert not shown, (shown, words[:60])
        assert json.loads(render(document, "json"))["schema"].startswith("gpusizer.")
