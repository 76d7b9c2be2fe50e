"""Plans with targets, prices and alternatives: what is promised is kept, and what cannot be kept is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpusizer
from gpusizer.architecture.load import load_architecture
from gpusizer.cli.failures import error_line
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import GpusizerError, InputError
from gpusizer.performance.batch import FEW, Ask, predict_many
from gpusizer.performance.predict import predict
from gpusizer.performance.types import Load
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.verdict import make_fit

CARDS = ("h100-sxm-80gb", "h200-sxm-141gb", "l40s-48gb", "rtx4090-24gb", "a100-sxm-80gb")
SMALL = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def plan(**request: Any) -> dict[str, Any]:
    return gpusizer.plan(Request(**request)).to_dict()


@SMALL
@given(st.sampled_from(["qwen3-8b", "qwen3-30b-a3b"]), st.integers(1, 200), st.floats(0.008, 0.08), st.floats(0.1, 3))
def test_targets_are_kept_or_it_is_said_why_not(model: str, concurrency: int, tpot: float, ttft: float) -> None:
    answer = plan(model=model, concurrency=concurrency, input_tokens=1000, output_tokens=200, tpot_s=tpot, ttft_s=ttft, gpus=CARDS)
    for option in answer["options"]:
        assert option["tpot_s"] <= tpot * (1 + 1e-9)
        assert option["ttft_s"] <= ttft * (1 + 1e-9)
        assert option["max_concurrency_low"] >= concurrency
    late = [each for each in answer["rejected"] if each["code"] == "too-slow"]
    for each in late:
        assert each["parameters"]["best_tpot_ms"] > 1000 * tpot or each["parameters"]["best_ttft_s"] > ttft
    assert {each["gpu"] for each in (*answer["options"], *answer["rejected"])} == set(CARDS)


@SMALL
@given(st.sampled_from(CARDS), st.integers(8, 300), st.floats(0.012, 0.06))
def test_a_harder_target_never_takes_fewer_gpus(gpu: str, concurrency: int, tpot: float) -> None:
    def gpus(target: float) -> float:
        options = plan(model="qwen3-8b", concurrency=concurrency, input_tokens=1000, output_tokens=200, tpot_s=target, gpus=(gpu,))["options"]
        return options[0]["gpus"] if options else float("inf")

    assert gpus(tpot) <= gpus(tpot / 1.5) * 1.2  # the search tries numbers of replicas in steps


def test_together_and_one_by_one_give_the_same() -> None:
    found = make_plan(Request(model="deepseek-v3", concurrency=64, context_tokens=4096))
    load = Load(3000, 1096, concurrency=64)
    asks = [Ask(each.accelerator, each.launch, each.replicas, each.fit) for each in found.options if each.performance is not None]
    asks += [ask._replace(replicas=ask.replicas + more) for more in (1, 2) for ask in asks]
    assert len(asks) > FEW  # computed as columns
    for ask, together in zip(asks, predict_many(found.architecture, asks, load), strict=True):
        assert together is not None
        alone = predict(found.architecture, ask.accelerator, ask.deployment, load, replicas=ask.replicas, fit=ask.fit)
        for name in ("ttft_s", "tpot_s", "output_tokens_per_s"):
            assert getattr(together, name).value == pytest.approx(getattr(alone, name).value, rel=1e-9)


def test_too_many_arrivals_are_refused_with_the_rate_that_can_be_held() -> None:
    answer = plan(model="qwen3-32b", request_rate=500, input_tokens=2000, output_tokens=500, gpus=("h100",), max_gpus=8)
    assert not answer["options"]
    refused = answer["rejected"][0]
    assert refused["code"] == "cannot-hold-rate"
    limit = refused["parameters"]["limit"]
    assert 0 < limit < 500
    again = plan(model="qwen3-32b", request_rate=limit * 0.9, input_tokens=2000, output_tokens=500, gpus=("h100",), max_gpus=8)
    assert again["options"], "nine tenths of what can be held is held"


def test_an_overloaded_loop_says_so_instead_of_a_number() -> None:
    verdict = make_fit(Deployment(model="qwen3-8b", gpu="l40s-48gb", max_model_len=4096))
    device, fit = verdict.accelerator, verdict.fit
    model = load_architecture("qwen3-8b")
    calm = predict(model, device, fit.deployment, Load(1000, 200, request_rate_per_s=0.5), fit=fit)
    assert calm.regime != "overloaded"
    flood = predict(model, device, fit.deployment, Load(1000, 200, request_rate_per_s=1e4), fit=fit)
    assert flood.regime == "overloaded"
    assert flood.limit_requests_per_s == pytest.approx(calm.limit_requests_per_s)
    assert any(notice.code == "overloaded" for notice in flood.notices)


def test_requests_in_flight_follow_from_rate_and_time() -> None:
    answer = plan(model="qwen3-8b", request_rate=5, input_tokens=1000, output_tokens=200, gpus=("h100",))
    option = answer["options"][0]
    seconds = option["ttft_s"] + 199 * option["tpot_s"]
    assert answer["request"]["concurrency"] == pytest.approx(5 * seconds, abs=1)  # Little's law
    assert "5 requests per second" in answer["sentence"]["en"]


def test_nothing_beats_what_stands_on_the_front() -> None:
    options = plan(model="qwen3-32b", concurrency=32, context_tokens=4096)["options"]
    front = [each for each in options if each["pareto"]]
    assert front
    for each in front:
        for other in (option for option in options if option["tpot_s"] is not None):
            assert not (other["gpus_to_order"] <= each["gpus_to_order"] and other["tpot_s"] < each["tpot_s"] * (1 - 1e-9))


@pytest.mark.parametrize("sort", ["gpus", "cost", "speed"])
def test_the_order_is_the_one_that_was_asked_for(sort: str) -> None:
    options = plan(model="qwen3-32b", concurrency=8, context_tokens=4096, sort=sort, gpus=CARDS)["options"]
    native = [each for each in options if not each["warnings"]]
    assert len(native) > 2
    if sort == "speed":
        speeds = [each["tpot_s"] for each in native]
        assert speeds == sorted(speeds)
    if sort == "gpus":
        sizes = [each["gpus"] for each in native]
        assert sizes == sorted(sizes)
    if sort == "cost":
        rents = [each["cost"]["amount"] for each in native if each["cost"]]
        assert rents == sorted(rents)


def test_own_prices_come_before_the_catalogue_s(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('currency = "USD"\ndate = "2026-11-20"\n[h200]\nhour = 1.25\ndevice = 30000\n', encoding="utf-8")
    option = plan(model="deepseek-v3", concurrency=10, context_tokens=2048, gpus=("h200",), prices=str(file))["options"][0]
    assert option["cost"]["amount"] == 8 * 1.25
    assert option["purchase"]["amount"] == 8 * 30000
    assert option["cost"]["kind"] == "own"
    assert option["cost_per_million_tokens"] == pytest.approx(10 / option["output_tokens_per_s"] / 3600 * 1e6)


@pytest.mark.parametrize(("written", "currency"), [("CNY", "CNY"), ("usd", "USD"), ("JPY", "JPY"), ("Eur", "EUR")])
def test_own_prices_win_in_any_currency(tmp_path: Path, written: str, currency: str) -> None:
    """The catalogue has rent and purchase of an H100 in USD, which it prefers among its own prices."""
    file = tmp_path / "prices.toml"
    file.write_text(f'currency = "{written}"\n[h100-sxm-80gb]\nhour = 15\ndevice = 200000\n', encoding="utf-8-sig")
    option = plan(model="qwen3-8b", concurrency=1, context_tokens=512, gpus=("h100-sxm-80gb",), prices=str(file))["options"][0]
    for cost, amount in ((option["cost"], 15), (option["purchase"], 200000 * option["gpus_to_order"])):
        assert (cost["amount"], cost["currency"], cost["kind"]) == (amount, currency, "own")


def test_a_table_may_have_its_own_currency_and_date(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('[h100]\nhour = "15.5"\ncurrency = "eur"\ndate = 2026-11-20\n[h200]\nhour = 3\n', encoding="utf-8")
    options = plan(model="qwen3-8b", concurrency=1, context_tokens=512, gpus=("h100-sxm-80gb", "h200"), prices=str(file))["options"]
    found = {each["gpu"]: (each["cost"]["amount"], each["cost"]["currency"], each["cost"]["date"]) for each in options}
    assert found == {"h100-sxm-80gb": (15.5, "EUR", "2026-11-20"), "h200-sxm-141gb": (3, "USD", "")}


def test_a_price_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    for amount in (2, 13):
        file.write_text(f"[h200]\nhour = {amount}\n", encoding="utf-8")
        option = plan(model="qwen3-8b", concurrency=1, context_tokens=512, gpus=("h200",), prices=str(file))["options"][0]
        assert option["cost"]["amount"] == amount


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("not toml [", "prices-unreadable"),
        ("\xff", "prices-unreadable"),
        ("a = " + "[" * 100_000, "prices-unreadable"),
        ("[h200]\nhour = " + "9" * 5000, "prices-unreadable"),
        ("[h200]\nhour = 0x" + "F" * 4000, "prices-bad-amount"),
        ("[h200]\nhour = -1", "prices-bad-amount"),
        ("[h200]\nhour = nan", "prices-bad-amount"),
        ("[h200]\nhour = inf", "prices-bad-amount"),
        ("[h200]\nhour = true", "prices-bad-amount"),
        ("[h200]\nhour = [3]", "prices-bad-amount"),
        ("[h200]\nhours = 1.5", "prices-unknown-key"),
        ("[h200]\nhour = 1\nhour_price = 1.5", "prices-unknown-key"),
        ("h200 = 3", "prices-unknown-word"),
        ("date = [3]\n[h200]\nhour = 1", "prices-unknown-word"),
        ("[h200]", "prices-empty-table"),
        ('[h200]\ncurrency = "CNY"', "prices-empty-table"),
        ("[h200]\nhour = 1\n[H200-SXM-141GB]\nhour = 2", "prices-device-twice"),
        ('currency = ["CNY"]\n[h200]\nhour = 1', "prices-bad-currency"),
        ('currency = "yuan"\n[h200]\nhour = 1', "prices-bad-currency"),
        ('[h200]\nhour = 1\ncurrency = "元"', "prices-bad-currency"),
        ("", "prices-empty"),
        ('currency = "CNY"', "prices-empty"),
        ("[no-such-card]\nhour = 1", "unknown-accelerator"),
    ],
    ids=lambda words: words[:24],
)
def test_a_broken_price_file_is_one_clear_error(tmp_path: Path, words: str, code: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(words.encode("latin-1") if words == "\xff" else words.encode("utf-8"))
    with pytest.raises(InputError) as caught:
        plan(model="qwen3-8b", concurrency=1, gpus=("h200",), prices=str(file))
    assert caught.value.code == code
    if code in ("prices-bad-amount", "prices-unknown-key", "prices-empty-table", "prices-device-twice"):
        assert all("h200" in error_line(caught.value, language).lower().partition("prices.toml")[2] for language in ("en", "zh"))


def test_several_precisions_and_engines_stand_side_by_side() -> None:
    options = plan(model="qwen3-32b", concurrency=8, context_tokens=4096, precision="checkpoint,int4", engine="vllm,sglang", gpus=("h100", "l40s"))[
        "options"
    ]
    seen = {(each["gpu"], each["engine"], each["precision"]) for each in options}
    assert seen == {
        (gpu, engine, precision) for gpu in ("h100-sxm-80gb", "l40s-48gb") for engine in ("vllm", "sglang") for precision in ("checkpoint", "int4")
    }
    with pytest.raises(GpusizerError):
        plan(model="qwen3-32b", concurrency=8, precision="checkpoint,nonsense")


def test_saturation_is_at_least_what_the_load_gets() -> None:
    for option in plan(model="qwen3-32b", concurrency=4, context_tokens=4096, gpus=CARDS)["options"]:
        assert option["saturated"]["output_tokens_per_s"]["value"] >= option["output_tokens_per_s"] * 0.99
