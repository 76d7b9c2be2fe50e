"""Whatever formula an answer names, ``explain`` has it: nobody is sent to a name that leads nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

import gpusizer
from gpusizer.cli.main import main
from gpusizer.engines import writing_engines
from gpusizer.engines.base.types import Deployment

PLANS = (
    ("plan", "qwen3-30b-a3b", "--concurrency", "64", "--input-tokens", "2k", "--output-tokens", "500"),
    ("plan", "deepseek-v3", "--users", "2000", "--active-share", "0.05", "--context-tokens", "16k", "--gpu", "h200"),
    ("plan", "llama-3.1-70b-instruct", "--concurrency", "8", "--context-tokens", "8k", "--engine", "sglang"),
)
LOAD = ("--concurrency", "10", "--context-tokens", "2k", "--precision", "bf16")
ARTICLES = tuple(("plan", model, "--method", "article", *LOAD) for model in ("deepseek-v3", "qwen3-8b"))


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    code = main([*words, "--format", "json"])
    out, err = capsys.readouterr()
    assert code in (0, 3), err  # 3: an answer too, that it does not fit
    return json.loads(out)


def formulas_in(data: Any) -> Iterator[str]:
    """Every id under a key ``formula``, however deep."""
    match data:
        case dict():
            for key, value in data.items():
                if key == "formula" and value:
                    yield value
                else:
                    yield from formulas_in(value)
        case list():
            for value in data:
                yield from formulas_in(value)


def explained(capsys: pytest.CaptureFixture[str], named: set[str]) -> None:
    for id in sorted(named):
        for language in ("en", "zh"):
            found = answer(capsys, "explain", id, "--language", language)
            assert found["id"] == id
            assert found["name"], id
            assert found["expression"], id
            assert found["reference"], id


@pytest.mark.parametrize("words", PLANS)
def test_of_a_plan_with_its_speeds(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    found = answer(capsys, *words)
    named = set(formulas_in(found))
    assert len(named) > 20
    assert {each.partition(".")[0] for each in named} >= {"memory", "serving"}
    explained(capsys, named)


@pytest.mark.parametrize("engine", writing_engines())
def test_of_a_fit_with_every_engine(capsys: pytest.CaptureFixture[str], engine: str) -> None:
    named: set[str] = set()
    for model, gpu in (("qwen3-30b-a3b", "h200"), ("deepseek-v2-lite", "rtx4090"), ("qwen3-30b-a3b", "m3-ultra-512gb")):
        named |= set(formulas_in(answer(capsys, "fit", model, "--gpu", gpu, "--engine", engine)))
    assert len(named) > 4
    explained(capsys, named)


@pytest.mark.parametrize("words", ARTICLES)
def test_of_the_article(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    """Its table in words names two sums that its data has as figures."""
    named = set(formulas_in(answer(capsys, *words)["article"]))
    assert named
    assert main([*words]) == 0
    shown = set(re.findall(r"\barticle(?:\.\w+)+", capsys.readouterr().out))
    assert {"article.user", "article.total"} <= shown
    explained(capsys, named | shown)


def test_of_remedies(capsys: pytest.CaptureFixture[str]) -> None:
    """What a change would come to has a ledger of its own."""
    remedies = gpusizer.fit(Deployment("llama-3.1-70b-instruct", "h100-sxm-80gb")).remedies
    assert remedies
    explained(capsys, {line.formula for remedy in remedies for rank in remedy.fit.ranks for line in rank.items if line.formula})
