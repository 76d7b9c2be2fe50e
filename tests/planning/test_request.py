"""A request reads what people type, refuses what is out of bounds, and survives every way of writing it down."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpusizer.errors import InputError, UnitError
from gpusizer.planning.need import need_of
from gpusizer.planning.request import FIELDS, Request, from_mapping, from_query, to_arguments, to_mapping, to_query

WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "word": WORDS,
    "gpu": st.sampled_from(["h200", "RTX 4090 48GB", "48GB;864GB/s;362TFLOPS", "24GiB;300GB/s;vendor=NVIDIA", "昇腾 910B3"]),
    "owned": st.sampled_from(["l40s:4", "4 x L40S", "2xH100", "48GB;864GB/s:2", "RTX 3090"]),
    "count": st.integers(1, 10**9),
    "tokens": st.integers(1, 2**28),
    "bytes": st.integers(1, 2**42),
    "share": st.floats(1e-6, 1).map(lambda share: round(share, 6)).filter(lambda share: share > 0),
    "rate": st.floats(1e-3, 1e6),
    "seconds": st.integers(1, 10**7).map(lambda ms: ms / 1000),
    "currency": st.sampled_from(["usd", "CNY", "EUR", "rmb"]),
    "drafts": st.sampled_from(["auto", "off", "mtp", "MTP:2", "3", "eagle3:4:Org/Draft-1.0"]),
}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    values: dict[str, Any] = {"model": draw(WORDS)}
    for field in FIELDS[1:]:
        one: st.SearchStrategy[Any]
        if not draw(st.booleans()):
            continue
        one = st.sampled_from(field.choices) if field.choices else STRATEGIES[field.kind]
        if field.name == "engine_version":
            one = one.map(lambda word: word[:60] + "1")  # a version has a number
        several = st.lists(one.filter(lambda word: "," not in word), min_size=1, max_size=3)
        values[field.name] = tuple(draw(several)) if field.many else draw(one)
    return Request(**values)


@given(requests())
def test_a_request_survives_json_and_query(request: Request) -> None:
    assert from_mapping(json.loads(json.dumps(to_mapping(request)))) == request
    assert from_mapping(json.loads(json.dumps(to_mapping(request, defaults=True)))) == request
    assert from_query(to_query(request)) == request


@given(requests())
def test_a_request_survives_a_file_of_settings(request: Request) -> None:
    """Written down as TOML by hand, one key a line, and read by the library."""
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in to_mapping(request).items()]
    assert from_mapping(tomllib.loads("\n".join(lines))) == request


@given(requests())
def test_a_request_survives_the_command_line(request: Request) -> None:
    import click

    from gpusizer.cli.request_options import request_parameters

    command = click.Command("plan", params=request_parameters("en"))
    arguments = to_arguments(request)
    # The model comes first; a word that begins with "-" needs the shell's "--", which to_arguments leaves to its caller.
    assume(not any(word.startswith("-") for word in (arguments[0], *arguments[2::2])))
    values = command.make_context("plan", list(arguments)).params
    assert from_mapping(values) == request


def test_what_people_type() -> None:
    typed = {"users": "1,000", "active_share": "2%", "context_tokens": "128k", "ttft_s": "500ms", "tpot_s": "50ms", "request_rate": "2.5/s"}
    request = from_mapping({"model": "m", **typed})
    assert (request.users, request.active_share, request.context_tokens) == (1000, 0.02, 131072)
    assert (request.ttft_s, request.tpot_s, request.request_rate) == (0.5, 0.05, 2.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 0),
        ("concurrency", -3),
        ("concurrency", "-3"),
        ("concurrency", "ten"),
        ("concurrency", 1.5),
        ("concurrency", True),
        ("concurrency", 10**30),
        ("concurrency", "9" * 5000),
        ("users", float("nan")),
        ("users", float("inf")),
        ("active_share", "0%"),
        ("active_share", "300%"),
        ("context_tokens", "80G"),
        ("context_tokens", "-1"),
        ("context_tokens", 2**60),
        ("request_rate", "nan"),
        ("request_rate", -1),
        ("ttft_s", "0s"),
        ("ttft_s", "soon"),
        ("sort", "beauty"),
        ("model", ""),
        ("model", "a\0b"),
        ("model", "x" * 10000),
        ("gpus", [1.5, None]),
    ],
)
def test_what_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        from_mapping({"model": "m", name: value})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("query", ["model=m&model=n", "users=5", "model=m&userz=5"])
def test_queries_that_are_refused(query: str) -> None:
    with pytest.raises(InputError):
        from_query(query)


def test_the_article_s_knowledge_base_is_had_by_name() -> None:
    need = need_of(Request(model="m", scenario="knowledge-base"))
    assert (need.users, need.concurrency, need.context_tokens) == (1000, 10, 2048)  # the article's example


def test_users_times_share_is_rounded_up_and_concurrency_comes_first() -> None:
    assert need_of(Request(model="m", users=1000, active_share=0.07)).concurrency == 70
    assert need_of(Request(model="m", users=101, active_share=0.01)).concurrency == 2
    assert need_of(Request(model="m", users=1)).concurrency == 1
    assert need_of(Request(model="m", users=1000, concurrency=3)).concurrency == 3


def test_two_of_three_token_counts_give_the_third() -> None:
    need = need_of(Request(model="m", input_tokens=1500, context_tokens=2048))
    assert (need.input_tokens, need.output_tokens, need.context_tokens) == (1500, 548, 2048)
    need = need_of(Request(model="m", input_tokens=100, output_tokens=28))
    assert need.context_tokens == 128
    alone = need_of(Request(model="m", context_tokens=4096))
    assert alone.input_tokens + alone.output_tokens == 4096
    with pytest.raises(InputError):
        need_of(Request(model="m", input_tokens=100, output_tokens=100, context_tokens=300))
    with pytest.raises(InputError):
        need_of(Request(model="m", input_tokens=300, context_tokens=200))


def test_numbers_of_python_and_json_are_seconds() -> None:
    assert Request(model="qwen3-8b", ttft_s=2, tpot_s=0.05).ttft_s == 2.0
    assert from_mapping({"model": "qwen3-8b", "tpot_s": 0.05}).tpot_s == 0.05
    with pytest.raises(UnitError):
        from_mapping({"model": "qwen3-8b", "tpot_s": "0.05"})
