"""A server of known pace is measured: what is found is what it does, and what it will not do is said in one line."""

from __future__ import annotations

import pytest

from gpusizer.errors import InputError
from gpusizer.measuring.address import Address, parse_address
from gpusizer.measuring.load import LoadAsked, measure, reach
from gpusizer.measuring.run import MeasuredRun
from streaming_server import Pace, streaming


def measured(pace: Pace, *levels: int, key: str = "", model: str | None = None, requests: int = 6) -> list[MeasuredRun]:
    asked = LoadAsked(levels, input_tokens=300, output_tokens=12, requests=requests, seed=7)
    with streaming(pace) as address:
        return list(measure(reach(parse_address(address, key=key), model, asked), asked))


def codes(run: MeasuredRun) -> set[str]:
    return {each.code for each in run.notices}


def test_what_is_found_is_the_pace_of_the_server() -> None:
    """A pause is never shorter than was asked for; a busy machine makes it longer, so that only the lower side is exact."""
    first, four = measured(Pace(first_s=0.2, between_s=0.05), 1, 4)
    for run in (first, four):
        assert run.ttft_s is not None
        assert run.tpot_s is not None
        assert run.ttft_s >= 0.2
        assert run.tpot_s >= 0.04
        assert run.e2e_s == pytest.approx(run.ttft_s + 11 * run.tpot_s)
        assert (run.output_tokens, run.requests, run.model, run.length_spread) == (12, 6, "Qwen/Qwen3-8B", 0.0)
        assert codes(run) == set()
    assert (first.concurrency, four.concurrency) == (1, 4)
    assert first.output_tokens_per_s is not None
    assert first.e2e_s is not None
    assert first.output_tokens_per_s == pytest.approx(12 / first.e2e_s, rel=0.15)  # one after the other
    assert four.output_tokens_per_s is not None
    assert first.output_tokens_per_s < four.output_tokens_per_s <= 4 * 12 / (0.2 + 11 * 0.05)


def test_prompts_have_the_wanted_length_in_the_tokens_of_the_server_and_no_beginning_in_common() -> None:
    pace = Pace(tokens_a_word=2.7)
    (run,) = measured(pace, 2)
    assert run.input_tokens == pytest.approx(300, rel=0.02)
    assert len({prompt[:60] for prompt in pace.prompts}) == len(pace.prompts)


def test_a_server_that_knows_less_is_asked_for_less_and_that_is_said() -> None:
    (run,) = measured(Pace(chat_only=True, strict=True), 1)
    assert (run.output_tokens, codes(run)) == (12, set())
    (run,) = measured(Pace(counts=False), 1)
    assert (run.input_tokens, run.output_tokens) == (300, 12)
    assert codes(run) == {"tokens-by-packets", "prompt-tokens-assumed"}


def test_the_key_is_sent_and_never_shown() -> None:
    pace = Pace(key="sesame-123")
    (run,) = measured(pace, 1, key="sesame-123")
    assert set(pace.keys) == {"Bearer sesame-123"}
    assert "sesame" not in repr(run) + repr(parse_address("http://h", key="sesame-123"))
    with pytest.raises(InputError) as error:
        measured(Pace(key="other"), 1, key="sesame-123")
    assert (error.value.code, error.value.parameters["status"]) == ("server-refused", 401)
    assert "sesame" not in str(error.value)


def test_requests_that_fail_are_counted_and_a_level_without_any_is_refused() -> None:
    pace = Pace()
    (whole,) = measured(pace, 1)
    before = len(pace.prompts) - 6
    (run,) = measured(Pace(most_answered=before + 4), 1)
    assert run.requests == 4
    assert {each.code: dict(each.parameters) for each in run.notices}["requests-failed"] == {"failed": 2, "requests": 6}
    assert whole.requests == 6
    with pytest.raises(InputError) as error:
        measured(Pace(most_answered=before), 1)
    assert (error.value.code, error.value.parameters["detail"][:3]) == ("level-unanswered", "503")


def test_a_model_must_be_named_where_several_are_served() -> None:
    with pytest.raises(InputError) as error:
        measured(Pace(models=("a", "b")), 1)
    assert (error.value.code, error.value.parameters["models"]) == ("server-models", ["a", "b"])
    (run,) = measured(Pace(models=("a", "b")), 1, model="b")
    assert run.model == "b"


@pytest.mark.parametrize(
    "words",
    [
        "ftp://host/v1",
        "http://",
        "http:///v1",
        "http://host:0/v1",
        "http://host:99999",
        "http://host/v1?key=1",
        "http://ho st",
        "http://h\n/v1",
        "//host",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused(words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_address(words)
    assert error.value.code == "bad-address"


def test_parts_of_addresses() -> None:
    with pytest.raises(InputError) as error:
        parse_address("http://me:secret@host/v1")
    assert error.value.code == "address-with-password"
    assert "secret" not in str(error.value)
    assert parse_address("http://[::1]:8000").words == "http://[::1]:8000/v1"
    with pytest.raises(InputError, match="key"):
        parse_address("http://host", key="a\r\nHost: other")


def test_nobody_at_home() -> None:
    with pytest.raises(InputError) as error:
        reach(Address("http", "127.0.0.1", 1, "/v1"), "m", LoadAsked((1,), 10, 2))
    assert error.value.code == "server-unreachable"
