"""The suite itself: what breaks is found, shrunk and told apart by its place; what refuses in a line is no failure."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest
from hypothesis import strategies as st

from fuzz import guard
from fuzz.apart import fuzz_apart
from fuzz.guard import FailedError, tried
from fuzz.laws import hold_for_band, hold_for_numbers, read_back
from fuzz.loop import fuzz
from fuzz.surface import Surface
from fuzz.surfaces import SURFACES, share_of
from gpusizer.errors import InputError, UnreadableFileError


def fed_to(answer: Callable[[bytes], Hashable]) -> Surface:
    """A surface of its own that takes any bytes."""
    return Surface("toy", lambda: [b"seed"], lambda known: st.binary(max_size=12) | st.sampled_from(known), answer, weight=1)


def breaks(content: bytes) -> Hashable:
    if b"\x07" in content:
        raise KeyError("nobody foresaw it")
    if len(content) > 6:
        raise UnreadableFileError("not-json", path="x")
    return len(content)


def test_what_breaks_is_found_and_shrunk() -> None:
    found = fuzz(fed_to(breaks), 500, number=1)
    ((content, words),) = found.failures.values()
    assert content == b"\x07"
    assert "KeyError" in words
    assert set(found.answers) == {*range(7), "not-json"}


def test_equal_numbers_bring_equal_inputs() -> None:
    def told(number: int) -> list[bytes]:
        contents: list[bytes] = []
        fuzz(fed_to(len), 100, number, before=contents.append)
        return contents

    assert told(5) == told(5) != told(6)


def endless(content: bytes) -> Hashable:
    while True:
        try:
            len(content)
        except Exception:
            continue


def large(content: bytes) -> Hashable:
    return len(bytearray(guard.MOST_MEMORY_BYTES + (40 << 20)))


def net(content: bytes) -> Hashable:
    raise InputError("unreadable-config", path="x", detail="KeyError", place="readers/x:1")


def wordless(content: bytes) -> Hashable:
    raise InputError("no-such-code")


@pytest.mark.parametrize(
    ("answer", "words"), [(endless, "no end within"), (large, "memory"), (net, "net: unreadable-config"), (wordless, "no line of words")]
)
def test_what_is_no_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch, answer: Callable[[bytes], Hashable], words: str) -> None:
    monkeypatch.setattr(guard, "MOST_CPU_S", 0.2)
    guard.forget_peak()
    with pytest.raises(FailedError, match=words):
        tried(fed_to(answer), b"")


def test_a_refusal_in_a_line_is_its_code() -> None:
    assert tried(fed_to(breaks), b"1234567") == "not-json"


@pytest.mark.parametrize("words", ['{"a": NaN}', '{"a": Infinity}', "{"])
def test_what_is_no_json_is_no_answer(words: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        read_back(words)


def test_negative_figures_and_bands_in_disorder_are_no_answers() -> None:
    hold_for_numbers({"a": [{"b": 0}], "error": -1}, signed=("error",))
    hold_for_band("kv_cache_pool_bytes", -2, -1, 0, fits=False)
    for wrong in ({"a": [{"b": -1}]}, {"a": float("inf")}):
        with pytest.raises(AssertionError):
            hold_for_numbers(wrong)
    for name, low, value, high, fits in (("kv_cache_pool_bytes", -2, -1, 1, True), ("weights_bytes", -1, 0, 1, False), ("x", 1, 0, 2, True)):
        with pytest.raises(AssertionError):
            hold_for_band(name, low, value, high, fits=fits)


def test_a_process_of_its_own_feeds_as_this_one_does() -> None:
    surface = SURFACES["traces"]
    apart, peak = fuzz_apart(surface, 200, 3, None)
    assert apart == fuzz(surface, 200, 3)
    assert b"" in apart.answers.values()
    assert 20 << 20 < peak < 200 << 20


def test_shares_are_the_whole() -> None:
    assert 10_000 <= sum(share_of(surface, 10_000) for surface in SURFACES.values()) < 10_000 + len(SURFACES)
    assert share_of(SURFACES["gguf"], 100, ["gguf"]) == 100
