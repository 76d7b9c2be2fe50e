"""A card that somebody describes, in a TOML file or in a line."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import isfinite

from hypothesis import strategies as st

from fuzz.given import file
from fuzz.mutate import ODD_WORDS, changed_bytes, changed_lines, mixed, one_of
from fuzz.surface import Surface
from gpusizer.facts.own_card import given_card, is_own_card, own_card

_KEYS: tuple[str, ...] = (
    "memory",
    "bandwidth",
    "tflops",
    "fp8_tflops",
    "int4_tflops",
    "name",
    "vendor",
    "compute_capability",
    "interconnect",
    "devices_per_node",
)
_KEYS += ("tdp", "price_hour", "price_device", "currency", "hours")
_VALUES = [
    '"48GB"',
    '"48GiB"',
    '"1.79TB/s"',
    "362",
    "0.5",
    "-1",
    "1e400",
    "nan",
    "9e99",
    "0",
    '"NVIDIA"',
    '"华为"',
    '"9.0"',
    "8.9",
    "4",
    "true",
    "[]",
]
_VALUES += ['"48"', '"48GB;96GB"', '"=x"', '"a,b"', "9" * 5000, '"USD"', "2026-01-01"]
_PARTS = ("48GB", "864GB/s", "362TFLOPS", "fp8=0.5PFLOPS", "name=Blue One", "vendor=nvidia", "tdp=600W", "hour=3.5USD", "compute-capability=9.0")
_WORDS = [*(part.encode() for part in _PARTS), b",", b";", b"=", *(word.encode(errors="replace") for word in ODD_WORDS)]


@st.composite
def _line(draw: st.DrawFn) -> bytes:
    return f"{one_of(draw, _KEYS)} = {one_of(draw, _VALUES)}".encode()


def _seeds() -> list[bytes]:
    return [
        b'memory = "48GB"\nbandwidth = "864GB/s"\ntflops = 362\n',
        b'memory = "96GiB"\nname = "Blue One"\nvendor = "NVIDIA"\ncompute_capability = "9.0"\ndevices_per_node = 4\ntdp = 600\nprice_hour = 3.5\n',
        b"48GB,864GB/s,362TFLOPS",
        ";".join(_PARTS).encode(),
    ]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return mixed((2, changed_bytes(known, _WORDS)), (1, changed_lines(known, _line())))


def _answer(content: bytes) -> Hashable:
    line = content.decode(errors="surrogateescape")
    words = line if is_own_card(line) else given_card(file("card.toml", content))
    card = own_card(words)
    assert own_card(card.id) == card, "its own line is another card"
    figures = (card.memory_bytes, card.bandwidth_bytes_per_s, card.interconnect_bytes_per_s, card.tdp_w, card.node_size, *card.peak_flops.values())
    assert all(each is None or (isfinite(each) and each > 0) for each in figures), figures
    assert all(0 <= price.low <= price.high for price in card.prices)
    return tuple(each is None for each in figures[:5]), frozenset(card.peak_flops), frozenset(price.per for price in card.prices)


SURFACE = Surface("cards", _seeds, _changed, _answer, weight=6)
