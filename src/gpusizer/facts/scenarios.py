"""Scenarios: what people size for, from ``data/scenarios.toml``."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path

from gpusizer.errors import UnknownIdError
from gpusizer.facts.types import Scenario

__all__ = ["find_scenario", "read_scenarios"]


@cache
def read_scenarios() -> tuple[Scenario, ...]:
    """Every scenario, in the order of the file."""
    with (Path(__file__).parent / "data" / "scenarios.toml").open("rb") as stream:
        table = tomllib.load(stream)
    return tuple(
        Scenario(
            id=name,
            input_tokens=entry["input_tokens"],
            output_tokens=entry["output_tokens"],
            users=entry["users"],
            active_share=entry["active_share"],
            active_share_range=(entry["active_share_range"][0], entry["active_share_range"][1]),
            sources=tuple(entry["sources"]),
            departments=tuple(entry.get("departments", ())),
        )
        for name, entry in table.items()
    )


def find_scenario(name: str) -> Scenario:
    """The scenario with this id, any letter case.

    >>> find_scenario("Knowledge-Base").users
    1000
    """
    known = {each.id: each for each in read_scenarios()}
    wanted = name.strip().lower().replace("_", "-") if len(name) <= 100 else ""
    if wanted not in known:
        raise UnknownIdError("unknown-scenario", id=name, nearest=difflib.get_close_matches(wanted, known, 3, 0.5))
    return known[wanted]
