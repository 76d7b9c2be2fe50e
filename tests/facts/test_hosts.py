"""Memory of hosts: bandwidths as makers print them, processors by the names that kernels print, words of people, and what was measured."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpusizer.errors import UnitError
from gpusizer.facts.hosts import host_bandwidth, memory_said, parse_host_memory, platform_of, platforms, read_share, reads, slots, sockets_said
from gpusizer.performance.constants import speed_constants
from gpusizer.units import GB, parse_bytes_per_s


@pytest.mark.parametrize(
    ("words", "gb_s"),
    [  # as Intel's ARK, AMD's and JEDEC's pages print them
        ("8xDDR5-4800", 307.2),
        ("8 channels of DDR5-5600", 358.4),
        ("12xDDR5-4800", 460.8),
        ("12-channel DDR5-6000", 576.0),
        ("12 x MRDIMM-8800", 844.8),
        ("8 x DDR4-3200", 204.8),
        ("6xDDR4-2933", 140.8),
        ("4 channel DDR4-2400", 76.8),
        ("dual channel DDR4-3200", 51.2),
        ("2xDDR5-6400", 102.4),
        ("双通道 DDR5-5600", 89.6),
        ("四通道DDR4-3200", 102.4),
        ("8通道 DDR5-4800", 307.2),
        ("256-bit LPDDR5X-8000", 256.0),
        ("128-bit LPDDR5X-8533", 136.5),
    ],
)
def test_channels_carry_what_makers_print(words: str, gb_s: float) -> None:
    found = host_bandwidth(words)
    assert found.origin == "channels"
    assert found.bytes_per_s == pytest.approx(gb_s * GB, rel=1e-3)


@pytest.mark.parametrize(
    ("cpu", "id", "channels"),
    [  # "model name" of /proc/cpuinfo and of lscpu
        ("AMD EPYC 9654 96-Core Processor", "epyc-9004", 12),
        ("AMD EPYC 9V74 80-Core Processor", "epyc-9004", 12),
        ("AMD EPYC 9355 32-Core Processor", "epyc-9005", 12),
        ("AMD EPYC 9575F 64-Core Processor", "epyc-9005", 12),
        ("AMD EPYC 7763 64-Core Processor", "epyc-7002-7003", 8),
        ("AMD EPYC 7K62 48-Core Processor", "epyc-7002-7003", 8),
        ("AMD EPYC 7C13 64-Core Processor", "epyc-7002-7003", 8),
        ("AMD EPYC 7551P 32-Core Processor", "epyc-7001", 8),
        ("Intel(R) Xeon(R) Platinum 8480+", "xeon-scalable-4", 8),
        ("Intel(R) Xeon(R) Platinum 8558", "xeon-scalable-5", 8),
        ("INTEL(R) XEON(R) GOLD 6530", "xeon-scalable-5", 8),
        ("Intel(R) Xeon(R) Platinum 8352Y CPU @ 2.20GHz", "xeon-scalable-3", 8),
        ("Intel(R) Xeon(R) Platinum 8380H CPU @ 2.90GHz", "xeon-cooper", 6),
        ("Intel(R) Xeon(R) Platinum 8280 CPU @ 2.70GHz", "xeon-scalable-2", 6),
        ("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", "xeon-scalable-1", 6),
        ("Intel(R) Xeon(R) 6980P", "xeon-6900", 12),
        ("Intel(R) Xeon(R) 6787P", "xeon-6700", 8),
        ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "xeon-e5-v4", 4),
        ("Intel(R) Xeon(R) w9-3495X", "xeon-w-3400", 8),
        ("Intel(R) Xeon(R) w7-2495X", "xeon-w-2400", 4),
        ("AMD Ryzen Threadripper PRO 7995WX 96-Cores", "threadripper-pro-7000", 8),
        ("AMD Ryzen Threadripper 7980X 64-Cores", "threadripper-7000", 4),
        ("AMD Ryzen Threadripper PRO 5975WX 32-Cores", "threadripper-pro-ddr4", 8),
        ("AMD Ryzen 9 7950X 16-Core Processor", "ryzen-7000", 2),
        ("AMD Ryzen 7 9800X3D 8-Core Processor", "ryzen-9000", 2),
        ("AMD Ryzen 5 5600X 6-Core Processor", "ryzen-ddr4", 2),
        ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", "ryzen-ai-max", 4),
        ("AMD Ryzen AI 9 HX 370 w/ Radeon 890M", "ryzen-ai-300", 2),
        ("AMD Ryzen 7 7840HS w/ Radeon 780M Graphics", "ryzen-mobile-ddr5", 2),
        ("13th Gen Intel(R) Core(TM) i9-13900HK", "core-mobile", 2),
        ("13th Gen Intel(R) Core(TM) i9-13900K", "core-13-14", 2),
        ("Intel(R) Core(TM) i9-14900HX", "core-13-14", 2),
        ("12th Gen Intel(R) Core(TM) i7-12700K", "core-12", 2),
        ("Intel(R) Core(TM) i9-10900X CPU @ 3.70GHz", "core-x", 4),
        ("Intel(R) Core(TM) i9-10900K CPU @ 3.70GHz", "core-10", 2),
        ("Intel(R) Core(TM) Ultra 9 285K", "core-ultra-200", 2),
        ("Intel(R) Core(TM) Ultra 7 258V", "core-ultra-200v", 2),
        ("Kunpeng-920", "kunpeng-920", 8),
    ],
)
def test_a_processor_is_known_by_the_name_that_the_kernel_prints(cpu: str, id: str, channels: int) -> None:
    found = platform_of(cpu)
    assert found is not None
    assert (found.id, found.channels) == (id, channels)


@pytest.mark.parametrize("cpu", ["", "Intel(R) Xeon(R) Processor @ 2.90GHz", "Neoverse-N1", "Apple M4 Max", "GenuineIntel", "RTX 4090", "EPYC", "i9"])
def test_a_processor_that_nobody_names_is_unknown(cpu: str) -> None:
    assert platform_of(cpu) is None


def test_every_family_says_its_memory_and_its_sources() -> None:
    ids = [each.id for each in platforms()]
    assert len(ids) == len(set(ids)) >= 35
    for each in platforms():
        assert each.sources
        assert each.channels in (2, 4, 6, 8, 12)
        assert 2e9 < each.usual_transfers_per_s <= each.transfers_per_s < 9e9
        assert each.kind in ("DDR4", "DDR5", "LPDDR5X")
        assert not each.faster or memory_said(each.faster).transfers_per_s > each.transfers_per_s  # type: ignore[operator]
        assert each.pcie_generation in {slot.generation for slot in slots()}


def test_no_measurement_is_faster_than_the_wires_or_of_an_unknown_family() -> None:
    for row in reads():
        assert row.platform in {each.id for each in platforms()}
        assert 0.5 < row.share < 1, row
        assert row.sources
    assert 0.7 < read_share() < 0.9
    assert read_share(platform_of("EPYC 9654")) == pytest.approx(378 / 460.8)  # Micron's figure over AMD's
    assert read_share(platform_of("EPYC 9355")) == read_share()  # not measured: as all


@pytest.mark.parametrize(("generation", "gb_s"), [(3, 15.75), (4, 31.5), (5, 63.0)])  # PCI-SIG: sixteen lanes, one direction
def test_slots_carry_what_the_standard_says_and_copies_reach_less(generation: int, gb_s: float) -> None:
    slot = next(each for each in slots() if each.generation == generation)
    assert slot.bytes_per_s == pytest.approx(gb_s * GB, rel=1e-3)
    low, high = slot.measured_bytes_per_s
    assert 0.7 * slot.bytes_per_s < low <= high < 0.9 * slot.bytes_per_s


def test_speed_counts_with_the_same_slots() -> None:
    slot = next(each for each in slots() if each.generation == 4)
    assert speed_constants().of("pcie_bytes_per_s", "x16_gen4") == pytest.approx(slot.bytes_per_s, rel=1e-3)


def test_a_rate_and_a_processor_say_what_they_rest_on() -> None:
    assert host_bandwidth("90GB/s") == (90 * GB, "stated")
    assert host_bandwidth(" 1.2 TB/s ") == (1_200 * GB, "stated")
    assert host_bandwidth("85.83GiB/s").bytes_per_s == pytest.approx(92.16e9, rel=1e-3)
    assert tuple(host_bandwidth("2 x EPYC 9654")) == (pytest.approx(921.6e9), "processor")
    assert host_bandwidth("EPYC 9355").bytes_per_s == pytest.approx(460.8e9)  # usual modules, not the fastest
    assert parse_bytes_per_s("90GB/sec") == 90 * GB
    assert sockets_said("4 x Xeon Platinum 8280 (28 cores each)") == 4


@pytest.mark.parametrize(
    "words",
    [
        *("", "fast", "90", "90GB", "90G/s", "90GB/h", "0GB/s", "1MB/s", "9e9GB/s", "999999TB/s", "DDR5", "DDR5-6000", "8xDDR5", "0xDDR5-4800"),
        *("/", "//s", "GB/s", "x" * 5000, "9" * 5000 + "GB/s", "\x00/s", "8x" * 2000 + "DDR5-4800 " + "Z" * 4000, "单通道"),
    ],
)
def test_what_says_no_bandwidth_is_refused_in_one_line(words: str) -> None:
    with pytest.raises(UnitError) as caught:
        host_bandwidth(words)
    assert caught.value.code in ("bad-bandwidth", "bad-size", "ambiguous-size")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@given(st.text(max_size=200))
def test_words_never_break_the_readers(words: str) -> None:
    memory_said(words)
    platform_of(words)
    sockets_said(words)
    with suppress(UnitError):
        assert host_bandwidth(words).bytes_per_s >= GB


def test_memory_of_a_host_has_units_and_bounds() -> None:
    assert parse_host_memory("128GB") == 128 * GB
    assert parse_host_memory("1.5TiB") == 3 * 2**39
    for words in ("128G", "0GB", "much", "", "9999999TB", "-1GB"):
        with pytest.raises(UnitError):
            parse_host_memory(words)
