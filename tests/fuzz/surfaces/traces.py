"""Traces of arrivals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise

from hypothesis import strategies as st

from fuzz.given import file
from fuzz.mutate import changed_bytes, changed_json, changed_lines, json_bytes, mixed
from fuzz.surface import Surface
from gpusizer.performance.simulation.trace import NAMES, read_trace

_LINE = b'{"arrival_s": 10.5, "input_tokens": 100, "output_tokens": 20}'
_ROWS = st.sampled_from(
    [b"1,2,3", b"0,100,20", b"1e9,1,1", b"nan,1,1", b'"1","2","3"', b"1,2", b"1,2,3,4", b"-1,2,3", b'"', b"1,2.5,3", b"1,1e300,3"]
)


def _seeds() -> list[bytes]:
    return [
        _LINE,
        _LINE + b'\n{"arrival_s": 11, "input_tokens": 7.0, "output_tokens": 1, "user": "x"}\n',
        ",".join(NAMES).encode() + b"\n0,1,2\n1,2,3\n",
    ]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    rows = changed_json([_LINE], NAMES).map(json_bytes) | _ROWS
    return mixed((1, changed_bytes(known)), (2, changed_lines(known, rows)))


def _answer(content: bytes) -> Hashable:
    found = read_trace(file("trace", content))
    assert len(found.arrival_s) == len(found.input_tokens) == len(found.output_tokens) > 0
    assert found.arrival_s[0] == 0
    assert all(before <= after for before, after in pairwise(found.arrival_s))
    assert min(found.input_tokens) > 0
    assert min(found.output_tokens) > 0
    return min(len(found.arrival_s), 4)


SURFACE = Surface("traces", _seeds, _changed, _answer, weight=5)
