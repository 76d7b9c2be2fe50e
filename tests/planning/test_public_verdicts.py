"""Public statements "this runs there" and "this does not", each as the launch that it speaks of, against the verdict of ``fit``.

``public-verdicts.jsonl``: ``says`` in our words, ``starts`` the truth, ``deployment`` the launch, ``source`` who says so.
"""

from __future__ import annotations

from typing import Any

import pytest

import gpusizer
from conftest import DATA, lines_of
from gpusizer import Deployment
from gpusizer.errors import GpusizerError, UnknownIdError

STATEMENTS = lines_of(DATA / "public-verdicts.jsonl")


def starts(deployment: Deployment) -> bool:
    """Whether it starts; what is refused in words does not, a name that is unknown is no verdict."""
    try:
        return gpusizer.fit(deployment).fits
    except UnknownIdError:
        raise
    except GpusizerError:
        return False


@pytest.mark.parametrize("row", STATEMENTS, ids=[row["id"] for row in STATEMENTS])
def test_fit_says_what_is_known(row: dict[str, Any]) -> None:
    assert starts(Deployment(**row["deployment"])) == row["starts"], (row["says"], row["source"])


def test_the_statements_speak_of_both() -> None:
    assert len({row["id"] for row in STATEMENTS}) == len(STATEMENTS) >= 15
    assert sum(row["starts"] for row in STATEMENTS) >= 10
    assert sum(not row["starts"] for row in STATEMENTS) >= 10
    assert all(row["source"] for row in STATEMENTS)


def test_the_fp8_cache_of_eight_h20_holds_what_the_16_bit_cache_does_not() -> None:
    """DeepSeek-R1 in FP8 on 8 x H20 96 GB at a share of 0.97: of eight requests of 17k the 16-bit cache holds most, the FP8 cache all."""
    launch = {"model": "deepseek-r1", "gpu": "h20-sxm-96gb", "tp": 8, "memory_fraction": 0.97, "max_model_len": 17408, "max_num_seqs": 8}
    wide, narrow = (gpusizer.fit(Deployment(**launch, kv_precision=kv)).to_dict() for kv in ("auto", "fp8"))  # type: ignore[arg-type]
    assert 6 <= wide["max_concurrency"] < 8
    assert narrow["max_concurrency"] >= 8
    assert narrow["kv_cache"]["tokens"] == pytest.approx(2 * wide["kv_cache"]["tokens"], rel=0.01)
