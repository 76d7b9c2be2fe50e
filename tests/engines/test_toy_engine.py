"""A new engine is one declaration and one module: it is sized, fitted, planned, shown, launched and read back without a change elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import gpusizer
from gpusizer.cli.main import main
from gpusizer.engines import engine_ids, engine_name, get_engine, register, unregister
from gpusizer.engines.base.releases import month_of, release_on
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import UnknownIdError
from gpusizer.planning.pasted import launch_of_command
from gpusizer.units import GiB
from toy_engine import DECLARED


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    register(DECLARED)
    yield
    unregister(DECLARED.id)


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code = main([*words, "--format", "json"])
    out, err = capsys.readouterr()
    assert code in (0, 3), err
    found: dict[str, Any] = json.loads(out)
    return found


def test_it_is_found_by_its_names_and_gone_afterwards() -> None:
    assert engine_ids()[0] == "vllm"
    assert get_engine("Toy-Engine").id == "toy"
    assert engine_name("toy") == "Toy"
    assert (release_on("toy", "2026-03-01"), month_of("toy", "2.0.0")) == ("1.0.0", "2026-06")
    with pytest.raises(UnknownIdError) as refused:
        get_engine("plaything")
    assert refused.value.parameters["nearest"] == ["toy"]
    unregister("toy")
    with pytest.raises(UnknownIdError):
        get_engine("toy")


def test_it_is_fitted_by_its_own_flags(capsys: pytest.CaptureFixture[str]) -> None:
    """Weights and the reserve leave the rest of the card to the cache."""
    found = answer(
        capsys,
        "fit",
        "qwen3-8b",
        "--gpu",
        "h100-sxm-80gb",
        "--engine",
        "toy",
        "--ways",
        "2",
        "--reserve-gib",
        "10",
        "--longest",
        "8k",
        "--colour",
        "red",
    )
    per_gpu = found["per_gpu"]
    assert found["deployment"]["tp"] == 2
    assert per_gpu["non_torch_bytes"] == 10 * GiB
    assert per_gpu["kv_cache_pool_bytes"] == pytest.approx(per_gpu["device_total_bytes"] - per_gpu["weights_bytes"] - 10 * GiB, abs=2 << 20)
    assert found["kv_cache"]["bytes_per_token"] == 36 * 2 * 4 * 128 * 2  # 36 layers, keys and values, 4 of 8 heads of 128, 2 bytes
    assert [each["code"] for each in found["warnings"]] == ["few-measurements", "engine-unknown-on-device", "flags-neutral"]
    assert found["command"] == "toyserve Qwen/Qwen3-8B --ways 2 --longest 8192 --reserve-gib 10"


def test_its_command_reads_back() -> None:
    start = Deployment("qwen3-8b", "h100-sxm-80gb", tp=4, engine="toy", max_model_len=4096, flags={"reserve_gib": 3.0})
    line = gpusizer.fit(start).to_dict()["command"]
    again = launch_of_command([line], gpu="h100-sxm-80gb").deployment
    assert (again.tp, again.max_model_len, again.flags, again.engine) == (4, 4096, {"reserve_gib": 3.0}, "toy")


def test_it_is_planned_and_has_speeds(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "plan", "llama-3.1-70b-instruct", "--engine", "toy", "--gpu", "h100", "--concurrency", "8", "--context-tokens", "8k")
    best = found["options"][0]
    assert best["engine"] == "toy"
    assert best["gpus"] >= 2
    assert best["tpot_s"] > 0
    assert best["command"].startswith("toyserve ")


def test_it_is_listed_shown_and_its_lines_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert "toy" in [each["id"] for each in answer(capsys, "engines", "list")["engines"]]
    assert "--reserve-gib" in answer(capsys, "engines", "show", "toy")["flags"]
    items = answer(capsys, "fit", "qwen3-8b", "--gpu", "h100", "--engine", "toy")["items"]
    for formula in {each["formula"] for each in items if each["formula"]}:
        assert main(["explain", formula]) == 0
    capsys.readouterr()
    assert main(["fit", "--help"]) == 0
    assert "--reserve-gib" in capsys.readouterr().out
