"""What a seasoned engineer would buy: questions that are asked in public, with the source that answers them (``buyer-questions.jsonl``).

A row states its need in full, so that no default decides. Its rule is one or more of

* ``first``: the first option is one of these accelerators, with GPUs between these two numbers;
* ``options``: for each of these accelerators there is an option with GPUs between these two numbers;
* ``none``: these accelerators get no option;
* ``command``: what the command of every option says.

``asked_zh`` is there where the question is one of those asked in Chinese.
"""

from __future__ import annotations

from typing import Any

import pytest

import gpusizer
from conftest import DATA, lines_of
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.request import from_mapping

QUESTIONS = lines_of(DATA / "buyer-questions.jsonl")
NEED = ("concurrency", "input_tokens", "output_tokens", "context_tokens")
RULES = ("first", "options", "none")


def asked(row: dict[str, Any]) -> list[dict[str, Any]]:
    options: list[dict[str, Any]] = gpusizer.plan(from_mapping(row["request"])).to_dict()["options"]
    return options


@pytest.mark.parametrize("row", QUESTIONS, ids=[row["id"] for row in QUESTIONS])
def test_the_answer_is_what_an_engineer_would_buy(row: dict[str, Any]) -> None:
    options = asked(row)
    if "first" in row:
        assert options, row["asked"]
        first = options[0]
        least, most = row["first"].get(first["gpu"], (1, 0))
        assert least <= first["gpus"] <= most, (first["gpu"], first["gpus"], row["asked"])
    best = {option["gpu"]: option for option in reversed(options)}
    for gpu, (least, most) in row.get("options", {}).items():
        assert gpu in best, (gpu, row["asked"])
        assert least <= best[gpu]["gpus"] <= most, (gpu, best[gpu]["gpus"], row["asked"])
    for gpu in row.get("none", ()):
        assert gpu not in best, (gpu, row["asked"])
    for option in options:
        assert row.get("command", "") in option["command"], row["asked"]


def test_every_question_states_its_need_its_rule_and_its_source() -> None:
    assert len({row["id"] for row in QUESTIONS}) == len(QUESTIONS) >= 30
    assert sum("asked_zh" in row for row in QUESTIONS) >= 10
    for row in QUESTIONS:
        assert any(name in row["request"] for name in NEED[1:]), row["id"]
        assert "concurrency" in row["request"], row["id"]
        assert any(row.get(name) for name in RULES), row["id"]
        assert all(":" in source for source in row["source"]), row["id"]
        for gpu in (*row.get("first", ()), *row.get("options", ()), *row.get("none", ())):
            assert accelerator(gpu).id == gpu
