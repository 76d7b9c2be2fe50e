"""What a machine holds, from answers of drivers' tools as people published them; each with where it stands."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusizer.detect import Seen, Untold, detect, identify, tools
from gpusizer.detect.readers import (
    MOST_CARDS,
    amd_cards,
    apple_machine,
    ascend_chips,
    board,
    memory_bytes,
    mig_slices,
    nvidia_cards,
    pci_displays,
    processors,
    rocm_cards,
)
from gpusizer.facts.catalog import accelerators
from gpusizer.facts.types import Accelerator
from gpusizer.i18n import LANGUAGES, text
from gpusizer.units import GiB, KiB, MiB

# nvidia-smi --query-gpu=name,memory.total --format=csv,noheader,nounits: two cards as issue threads print them; a DGX Spark says [N/A]
TWO_CARDS = "NVIDIA GeForce RTX 4090, 24564\nNVIDIA GeForce RTX 3090, 24576\nNVIDIA GeForce RTX 4090, 24564\n"
SPARK = "NVIDIA GB10, [N/A]\n"
# nvidia-smi -L on an A100 with two slices: documents on MIG in public repositories
MIG = """GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-XXXXXXXX-XXXX-XXXX-5560-53df7b497d19)
  MIG 4g.40gb     Device  0: (UUID: MIG-XXXXXXXX-XXXX-XXXX-95e8-d57c8496c80c)
  MIG 3g.40gb     Device  1: (UUID: MIG-XXXXXXXX-XXXX-XXXX-84f6-3d95e0189339)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-XXXXXXXX-XXXX-XXXX-2289-80e23288996e)
"""
# npu-smi info, Project-HAMi/HAMi-WebUI#47
ASCEND_910B4 = """
+------------------------------------------------------------------------------------------------+
| npu-smi 25.2.0                   Version: 25.2.0                                               |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B4-1             | OK            | 91.3        33                0    / 0             |
| 0                         | 0000:xx:00.0  | 0           0    / 0          3197 / 65536         |
+===========================+===============+====================================================+
| 1     910B4-1             | OK            | 88.1        32                0    / 0             |
| 0                         | 0000:xx:00.0  | 0           0    / 0          3197 / 65536         |
"""
# npu-smi info of an Atlas A3, vllm-project/vllm-ascend#2035
ASCEND_A3 = """
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc3.7               Version: 24.1.rc3.7                                           |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     Ascend910           | OK            | 178.8       36                0    / 0             |
| 0     0                   | 0000:9D:00.0  | 0           0    / 0          3397 / 65536         |
+------------------------------------------------------------------------------------------------+
| 0     Ascend910           | OK            | -           36                0    / 0             |
| 1     1                   | 0000:9F:00.0  | 0           0    / 0          3186 / 65536         |
+===========================+===============+====================================================+
"""
# npu-smi info of an Atlas 300I Duo: two chips a card, no HBM; then what runs on it (a public monitor's samples, npu-smi 25.5.1, 24.1.0.1)
ASCEND_DUO = """
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 1       310P3                 | OK              | NA           49                0     / 0             |
| 0       0                     | 0000:01:00.0    | 0            1448 / 44278                            |
+-------------------------------+-----------------+------------------------------------------------------+
| 1       310P3                 | OK              | NA           45                0     / 0             |
| 1       1                     | 0000:01:00.0    | 0            1511 / 43693                            |
+===============================+=================+======================================================+
| NPU     Chip                  | Process id      | Process name             | Process memory(MB)        |
+===============================+=================+======================================================+
| 0       0                     | 81521           | python3.11               | 19435                     |
| No running processes found in NPU 1                                                                    |
+===============================+=================+======================================================+
"""
# rocm-smi --json, recorded on two Instinct MI100 (a university's cluster, in the tests of a public collector), and a Radeon with ROCm 6
ROCM_MI100 = (
    '{"card0": {"Card Series": "AMD Instinct MI100", "Card Model": "0x738c", "GFX Version": "gfx908"}, '
    '"card1": {"Card Series": "AMD Instinct MI100", "Card Model": "0x738c", "GFX Version": "gfx908"}, "system": {"Driver version": "6.12.12"}}'
)
ROCM_RADEON = '{"card0": {"Card series": "Radeon RX 7900 XTX", "VRAM Total Memory (B)": "25753026560", "VRAM Total Used Memory (B)": "1000"}}'
# amd-smi static --asic --vram --json: a desktop with a card beside an APU, and an MI300X behind a warning
AMD_MIXED = """{"gpu_data": [
  {"gpu": 0, "asic": {"market_name": "AMD Radeon AI PRO R9700"}, "vram": {"type": "GDDR6", "size": {"value": 32704, "unit": "MB"}}},
  {"gpu": 1, "asic": {"market_name": "AMD Radeon 8060S Graphics"}, "vram": {"type": "LPDDR5X", "size": {"value": 512, "unit": "MB"}}},
  {"gpu": 2, "asic": "N/A", "vram": {"size": "N/A"}}]}"""
AMD_WARNED = """Permission needed to access required GPU device node(s):
  • /dev/kfd: Permission denied

{"gpu_data": [{"gpu": 0, "asic": {"market_name": "AMD Instinct MI300X"}, "vram": {"type": "HBM3", "size": {"value": 196592, "unit": "MB"}}}]}"""
# system_profiler SPHardwareDataType -json of a MacBook Air, and of a virtual machine (Mondoo's tests)
MAC = """{
  "SPHardwareDataType" : [
    {
      "_name" : "hardware_overview",
      "chip_type" : "Apple M4",
      "machine_model" : "Mac16,12",
      "machine_name" : "MacBook Air",
      "number_processors" : "proc 10:4:6",
      "physical_memory" : "16 GB"
    }
  ]
}"""
VIRTUAL_MAC = (
    '{"SPHardwareDataType" : [{"chip_type" : "Apple M4 Max (Virtual)", "machine_name" : "Apple Virtual Machine 1", "physical_memory" : "4 GB"}]}'
)
# lspci: geerlingguy's and others' notes
LSPCI = """0001:00:00.0 PCI bridge: Broadcom Inc. and subsidiaries BCM2712 PCIe Bridge (rev 30)
0001:03:00.0 VGA compatible controller: Intel Corporation Battlemage G21 [Arc B580]
03:00.0 VGA compatible controller: Advanced Micro Devices, Inc. [AMD/ATI] Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M] (rev c8)
01:00.0 3D controller: NVIDIA Corporation GA102GL [A40] (rev a1)
05:00.0 VGA compatible controller: ASPEED Technology, Inc. ASPEED Graphics Family (rev 41)
0001:04:00.0 Audio device: Intel Corporation Device e2f7
"""


def ids(seen: list[Seen], host: int | None = None) -> list[str]:
    """Ids of what is identified; the code where it is not."""
    found = [identify(each, host) for each in seen]
    return [each.id if isinstance(each, Accelerator) else each.code for each in found]


def test_answers_of_drivers_give_the_devices_that_people_had() -> None:
    assert ids(nvidia_cards(TWO_CARDS)) == ["rtx4090-24gb", "rtx3090-24gb", "rtx4090-24gb"]
    assert ids(nvidia_cards(SPARK), 131_334_144 * KiB) == ["gb10-128gb"]
    assert ids(ascend_chips(ASCEND_910B4)) == ["ascend910b4-1-64gb"] * 2
    assert ids(ascend_chips(ASCEND_A3)) == ["ascend910c-128gb"] * 2
    assert ids(ascend_chips(ASCEND_DUO)) == ["ascend310p3-48gb"] * 2
    assert ids(rocm_cards(ROCM_MI100)) == ["mi100-32gb"] * 2
    assert ids(rocm_cards(ROCM_RADEON)) == ["rx7900xtx-24gb"]
    assert ids(amd_cards(AMD_MIXED), 127 * GiB) == ["r9700-32gb", "ryzen-ai-max-395-128gb"]
    assert ids(amd_cards(AMD_WARNED)) == ["mi300x-192gb"]
    assert ids(pci_displays(LSPCI)) == ["arc-b580-12gb", "gpu-ambiguous", "a40-48gb"]


def test_a_mac_says_chip_and_memory_and_a_virtual_one_is_left_out() -> None:
    mac, virtual = apple_machine(MAC), apple_machine(VIRTUAL_MAC)
    assert mac is not None
    assert virtual is not None
    assert (ids([mac.gpu], mac.memory_bytes), mac.memory_bytes) == (["m4-16gb"], 16 * GiB)
    assert ids([virtual.gpu], virtual.memory_bytes) == ["gpu-unknown"]
    assert apple_machine('{"SPHardwareDataType": [{"chip_type": "Intel", "physical_memory": "16 GB"}]}') is None


@pytest.mark.parametrize(
    ("name", "mib", "id"),
    [  # names with totals as nvidia-smi prints them
        ("NVIDIA GeForce RTX 3060", 12288, "rtx3060-12gb"),
        ("NVIDIA GeForce RTX 5060 Ti", 16311, "rtx5060ti-16gb"),
        ("NVIDIA GeForce RTX 3080", 20480, "rtx3080-20gb"),  # memory mods
        ("NVIDIA GeForce RTX 2080 Ti", 22528, "rtx2080ti-22gb"),
        ("NVIDIA GeForce RTX 4090", 49140, "rtx4090-48gb"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", 16376, "rtx4090-laptop-16gb"),
        ("Tesla V100-SXM2-32GB", 32768, "v100-sxm-32gb"),
        ("NVIDIA L40S", 49140, "l40s-48gb"),  # with and without ECC
        ("NVIDIA L40S", 46068, "l40s-48gb"),
        ("NVIDIA RTX A2000 12GB", 12282, "rtxa2000-12gb"),
        ("NVIDIA H100 80GB HBM3", 81559, "h100-sxm-80gb"),
        ("NVIDIA H100 PCIe", 81559, "h100-pcie-80gb"),
        ("NVIDIA H20-3e", 143771, "h20-sxm-141gb"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", 97887, "rtxpro6000-ws-96gb"),
        ("NVIDIA GH200 480GB", 97871, "gh200-96gb"),
        ("AMD INSTINCT MI250 (MCM) OAM AC MBA", 65520, "mi250-128gb"),
        ("gfx1100", 24560, "rx7900xtx-24gb"),
        ("Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M", 20464, "rx7900xt-20gb"),
    ],
)
def test_memory_chooses_among_devices_of_one_name(name: str, mib: int, id: str) -> None:
    assert ids([Seen(name, mib * MiB)]) == [id]


@pytest.mark.parametrize(
    ("name", "own", "host", "id"),
    [  # MemTotal as these machines print it
        ("NVIDIA Jetson AGX Orin", None, 62_841 * MiB, "jetson-agx-orin-64gb"),
        ("NVIDIA Jetson AGX Orin", None, 30_600 * MiB, "jetson-agx-orin-32gb"),
        ("NVIDIA Jetson Orin Nano", None, 7_620 * MiB, "jetson-orin-nano-8gb"),
        ("NVIDIA Jetson AGX Thor", None, 125_772 * MiB, "jetson-thor-128gb"),
        ("AMD Radeon 8060S Graphics", 96 * GiB, 31 * GiB, "ryzen-ai-max-395-128gb"),  # firmware set 96 GiB aside
        ("AMD Radeon 8060S Graphics", 512 * MiB, 63 * GiB, "ryzen-ai-max-395-64gb"),
        ("Apple M3 Ultra 96 GB", None, 96 * GiB, "m3-ultra-96gb"),
    ],
)
def test_devices_that_share_memory_are_told_by_the_machine(name: str, own: int | None, host: int, id: str) -> None:
    assert ids([Seen(name, own)], host) == [id]


@pytest.mark.parametrize("device", accelerators(), ids=lambda each: each.id)
def test_no_device_is_taken_for_one_of_another_memory(device: Accelerator) -> None:
    found = identify(Seen(device.name, None if device.unified_memory else device.memory_bytes), int(device.marketing_memory_gb * GiB))
    if isinstance(found, Untold):
        assert found.code == "gpu-ambiguous"
        assert device.id in found.parameters["nearest"]
    else:
        assert found.marketing_memory_gb == device.marketing_memory_gb
        assert found.vendor == device.vendor


def test_what_is_no_whole_card_of_its_name_is_said() -> None:
    assert ids([Seen("NVIDIA A100-SXM4-80GB", 9728 * MiB)]) == ["gpu-memory-differs"]
    assert (
        ids([Seen("GRID A100-10C", 10240 * MiB), Seen("NVIDIA A10-24Q", 24576 * MiB), Seen("AMD Radeon Graphics", 512 * MiB)]) == ["gpu-unknown"] * 3
    )
    assert ids([Seen("Ascend910", 65536 * MiB)]) == ["gpu-ambiguous"]
    odd = identify(Seen("NVIDIA Jetson Orin NX"), 30 * GiB)  # no Orin NX has 32 GB
    assert isinstance(odd, Untold)
    assert (odd.code, odd.parameters["memory_bytes"]) == ("gpu-memory-differs", 30 * GiB)
    assert mig_slices(MIG) == {0: ["4g.40gb", "3g.40gb"]}
    assert board("Raspberry Pi 5 Model B Rev 1.0\0") is None


def test_memory_and_processors_of_the_kernel() -> None:
    assert memory_bytes("MemTotal:       131334144 kB\nMemFree: 1 kB\n", "max\n") == 131_334_144 * KiB
    assert memory_bytes("MemTotal:       131334144 kB\n", "17179869184\n") == 16 * GiB  # a container's limit
    assert memory_bytes("", "17179869184\n") is None
    two = "".join(f"processor\t: {n}\nmodel name\t: Intel(R) Xeon(R) Gold 6454S\nphysical id\t: {n % 2}\n\n" for n in range(128))
    assert processors(two) == "2 x Intel(R) Xeon(R) Gold 6454S"
    assert processors("processor\t: 0\nBogoMIPS\t: 200.00\nCPU implementer\t: 0x48\n") == ""  # Arm names no model


HOSTILE = [
    "",
    "\0",
    "[" * 100_000,
    '{"a":' * 50_000,
    "{}",
    "[]",
    "null",
    "1e999",
    '{"gpu_data": 7}',
    "|" * 300_000,
    "GPU 0: \x1b[31m, 9" * 2_000,
    "," * 99_999,
]
HOSTILE += ['{"SPHardwareDataType": [7]}', '{"SPHardwareDataType": {}}', '{"card0": [1]}', '{"gpu_data": [null, {"asic": {"market_name": 3}}]}']
HOSTILE += [
    "| 0 X | OK | 1 |\n| 0 0 | 0000:01:00.0 | " + "9" * 5_000 + " / " + "9" * 5_000 + " |",
    "MemTotal: " + "9" * 5_000 + " kB",
    "x, " + "9" * 5_000,
]
READERS: list[Any] = [nvidia_cards, amd_cards, rocm_cards, ascend_chips, pci_displays, apple_machine, mig_slices, processors, board]


@pytest.mark.parametrize("reader", READERS, ids=lambda each: each.__name__)
def test_hostile_answers_give_no_card_without_a_name_and_no_endless_size(reader: Any) -> None:
    for words in HOSTILE:
        found = reader(words)
        for seen in found if isinstance(found, list) else ():
            assert seen.name.isprintable()
            assert len(seen.name) <= 100
            assert seen.memory_bytes is None or 0 < seen.memory_bytes <= 10**15
            identify(seen)


@given(st.text(max_size=300))
def test_no_text_breaks_a_reader(words: str) -> None:
    for reader in READERS:
        reader(words)
    memory_bytes(words, words)
    identify(Seen(words[:80]))


def test_more_cards_than_any_machine_has_are_cut() -> None:
    rows = [{"asic": {"market_name": "AMD Instinct MI300X"}}] * 20_000
    assert len(amd_cards(json.dumps(rows))) == MOST_CARDS
    assert len(nvidia_cards("NVIDIA L4, 23034\n" * 20_000)) == MOST_CARDS


# ---- whole machines: programs that print such answers ------------------------------------------------------------------


def installed(folder: Path, **programs: str) -> str:
    """A folder with programs of these names; each runs its script."""
    folder.mkdir(exist_ok=True)
    for name, script in programs.items():
        program = folder / name.replace("_smi", "-smi")
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(folder)


def printing(words: str) -> str:
    return f"/bin/cat <<'END'\n{words.rstrip()}\nEND"


def kernel(root: Path, **files: str) -> Path:
    """A root with files of the kernel."""
    for name, words in {"proc/meminfo": "MemTotal:       131334144 kB\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words, encoding="utf-8")
    return root


def test_a_server_is_read_whole(tmp_path: Path) -> None:
    smi = 'if [ "$1" = -L ]; then exit 0; fi\n' + printing(TWO_CARDS)
    path = installed(tmp_path / "bin", nvidia_smi=smi, rocm_smi=printing(ROCM_RADEON), lspci=printing(LSPCI))
    found = detect(kernel(tmp_path, **{"proc/cpuinfo": "model name\t: AMD EPYC 9654 96-Core Processor\nphysical id\t: 0\n"}), path)
    assert found.gpus == (("rtx4090-24gb", 2), ("rtx3090-24gb", 1), ("rx7900xtx-24gb", 1))
    assert (found.host_memory_bytes, found.cpu, found.sockets) == (131_334_144 * KiB, "AMD EPYC 9654 96-Core Processor", 1)
    assert found.untold == ()


def test_slices_are_said_and_the_whole_card_beside_them_counts(tmp_path: Path) -> None:
    smi = f'if [ "$1" = -L ]; then\n{printing(MIG)}\nelse\n' + printing("NVIDIA A100-SXM4-80GB, 81920\nNVIDIA A100-SXM4-80GB, 81920") + "\nfi"
    found = detect(kernel(tmp_path), installed(tmp_path / "bin", nvidia_smi=smi))
    assert found.gpus == (("a100-sxm-80gb", 1),)
    assert [(each.code, each.parameters["slices"]) for each in found.untold] == [("gpu-split", ["4g.40gb", "3g.40gb"])]


def test_a_broken_driver_leaves_the_bus(tmp_path: Path) -> None:
    path = installed(tmp_path / "bin", nvidia_smi="echo 'NVIDIA-SMI has failed'; exit 9", lspci=printing(LSPCI))
    found = detect(kernel(tmp_path), path)
    assert found.gpus == (("arc-b580-12gb", 1), ("a40-48gb", 1))
    assert [each.code for each in found.untold] == ["gpu-ambiguous", "no-driver-tool", "tool-failed"]


def test_a_jetson_is_named_by_its_board(tmp_path: Path) -> None:
    root = kernel(tmp_path, **{"proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0", "proc/meminfo": "MemTotal: 64349184 kB\n"})
    found = detect(root, installed(tmp_path / "bin", nvidia_smi=printing("Orin (nvgpu), [N/A]")))
    assert found.gpus == (("jetson-agx-orin-64gb", 1),)


def test_a_mac_is_read_whole_with_the_share_that_was_set(tmp_path: Path) -> None:
    path = installed(tmp_path / "bin", system_profiler=printing(MAC), sysctl="echo 14336")
    found = detect(tmp_path, path)
    assert (found.gpus, found.host_memory_bytes) == ((("m4-16gb", 1),), 16 * GiB)
    assert found.untold == (Untold("gpu-share-set", {"memory_bytes": 14336 * MiB}),)


def test_an_empty_machine_says_so(tmp_path: Path) -> None:
    found = detect(tmp_path, "")
    assert (found.gpus, found.host_memory_bytes, found.cpu, found.sockets) == ((), None, "", None)
    assert [each.code for each in found.untold] == ["no-gpu-found", "host-memory-untold"]


def test_a_tool_that_hangs_floods_or_stands_in_a_relative_folder_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PATIENCE_S", 0.3)
    path = installed(
        tmp_path / "bin", nvidia_smi="(/bin/sleep 60) & /bin/sleep 60", rocm_smi="exec /bin/cat /dev/zero", npu_smi="exec /no/such/thing"
    )
    found = detect(kernel(tmp_path), path)
    assert found.gpus == ()
    assert {each.parameters["tool"] for each in found.untold if each.code == "tool-failed"} == {"nvidia-smi", "rocm-smi", "npu-smi"}
    monkeypatch.chdir(tmp_path)
    installed(tmp_path / "bin", nvidia_smi=printing(TWO_CARDS))
    assert detect(tmp_path, "bin:.:").gpus == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_could_not_be_told_has_words(language: str) -> None:
    told = [Untold("gpu-unknown", {"name": "X"}), Untold("gpu-memory-differs", {"name": "X", "memory_bytes": GiB, "nearest": ["a", "b"]})]
    told += [Untold("gpu-ambiguous", {"name": "X", "nearest": ["a", "b"]}), Untold("gpu-split", {"name": "X", "slices": ["1g.10gb"]})]
    told += [Untold("gpu-share-set", {"memory_bytes": GiB}), Untold("no-driver-tool", {"gpus": ["a"]}), Untold("tool-failed", {"tool": "nvidia-smi"})]
    for each in (*told, Untold("no-gpu-found", {}), Untold("host-memory-untold", {})):
        words = text("warning", each.code, language, **each.parameters)
        assert words != each.code
        assert "{" not in words
