"""What a person who waits still calls usable, from ``data/service_floor.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from gpusizer.facts.types import ServiceFloor

__all__ = ["usual_floor"]


@cache
def usual_floor() -> ServiceFloor:
    """The limits that a plan without targets has.

    >>> usual_floor().ttft_s, usual_floor().tpot_s
    (10.0, 0.1)
    """
    with (Path(__file__).parent / "data" / "service_floor.toml").open("rb") as stream:
        table = tomllib.load(stream)
    return ServiceFloor(float(table["ttft_s"]), float(table["tpot_s"]), tuple(table["sources"]))
