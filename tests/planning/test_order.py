"""The order of options, what a part is sold as, prices in one currency, and the Chinese market.

Expected answers are those of public sources: DeepSeek-R1 in FP8 on one server of 8 x H200 (vllm-project/recipes), gpt-oss-120b on one H100
(openai/gpt-oss), one small card for 8 billion parameters. Rates are those of the Federal Reserve's H.10.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpusizer.cli.main import main
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.rates import read_rates
from gpusizer.facts.vendors import find_vendors, read_vendors
from gpusizer.i18n import text
from gpusizer.planning.devices import devices_of
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.prices import ALIKE, placed_rent, rent_of
from gpusizer.planning.request import Request
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.plan import plan_sentence
from gpusizer.rendering.plan_data import plan_data
from gpusizer.rendering.plan_options import options_table

FEW = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
R1 = {"model": "deepseek-r1", "concurrency": 10, "input_tokens": 7168, "output_tokens": 1024}
SMALL = {"model": "qwen3-8b", "concurrency": 4, "input_tokens": 3072, "output_tokens": 1024}
DENSE = {"model": "qwen3-32b", "concurrency": 32, "input_tokens": 8192, "output_tokens": 1024}


def plan(**request: Any) -> Plan:
    return planned(Request(**request))


@cache
def planned(request: Request) -> Plan:
    return make_plan(request)


def data(**request: Any) -> dict[str, Any]:
    return plan_data(plan(**request))


def ids(request: Request) -> set[str]:
    return {each.id for each in devices_of(request)}


def place(found: Plan, gpu: str) -> int:
    return next(option.rank for option in found.options if option.accelerator.id == gpu)


# ---- what a part is sold as ---------------------------------------------------------------------------------------------


def test_every_part_has_a_class_and_these_are_the_surprising_ones() -> None:
    sold = {each.id: each.sold_as for each in accelerators()}
    assert set(sold.values()) == {"data-centre", "workstation", "gaming", "edge", "hobby", "cloud-only", "announced"}
    surprising = {
        "rtxpro6000-server-96gb": "workstation",
        "a10g-24gb": "cloud-only",  # Amazon's alone
        "mi300a-128gb": "data-centre",  # shared memory, yet no desktop
        "gh200-96gb": "data-centre",
        "rtx6000d-84gb": "workstation",
        "r9700-32gb": "workstation",
        "arc-pro-b60-24gb": "workstation",
        "rtx4090-24gb": "gaming",
        "rx7900xtx-24gb": "gaming",
        "rtx3090-24gb": "hobby",  # not sold new
        "rtx4090-48gb": "hobby",  # rebuilt boards
        "rtx2080ti-22gb": "hobby",
        "rtx5090-laptop-24gb": "hobby",
        "v100-sxm-32gb": "hobby",
        "p40-24gb": "hobby",
        "mi50-32gb": "hobby",
        "quadro-rtx8000-48gb": "hobby",
        "gb10-128gb": "edge",
        "jetson-thor-128gb": "edge",
        "ryzen-ai-max-395-128gb": "edge",
        "m4-max-128gb": "edge",
        "rubin-sxm-288gb": "announced",
        "ascend950dt-96gb": "announced",
        "ascend950pr-112gb": "data-centre",
        "tpu-v6e-32gb": "cloud-only",
    }
    assert {gpu: sold[gpu] for gpu in surprising} == surprising


def test_without_being_asked_a_plan_looks_at_what_can_be_bought_for_serving() -> None:
    usual = devices_of(Request(model="qwen3-8b"))
    assert {each.sold_as for each in usual} == {"data-centre", "workstation", "gaming"}
    for kind in ("edge", "hobby", "cloud-only", "announced"):
        more = devices_of(Request(model="qwen3-8b", include=(kind,)))
        assert {each.sold_as for each in more} - {each.sold_as for each in usual} == {kind}
        assert {each.id for each in usual} < {each.id for each in more}


@pytest.mark.parametrize("gpu", ["jetson-thor-128gb", "m4-max-128gb", "rtx3090-24gb", "a10g-24gb", "v100-sxm-32gb"])
def test_a_name_is_always_considered(gpu: str) -> None:
    assert ids(Request(model="qwen3-8b", gpus=(gpu,))) == {gpu}


@FEW
@given(st.lists(st.sampled_from(["edge", "hobby", "cloud-only", "announced"]), min_size=1, unique=True), st.sampled_from(["global", "cn"]))
def test_including_a_class_never_removes_an_option(classes: list[str], market: str) -> None:
    few = {(option.accelerator.id, option.verdict) for option in plan(**SMALL, market=market).options}
    assert few <= {(option.accelerator.id, option.verdict) for option in plan(**SMALL, market=market, include=tuple(classes)).options}


# ---- the order that somebody would buy in -----------------------------------------------------------------------------------


def test_deepseek_r1_goes_to_one_server_of_eight_h200() -> None:
    found = plan(**R1)
    first = found.options[0]
    assert (first.accelerator.id, first.gpus, first.nodes) == ("h200-sxm-141gb", 8, 1)
    assert found.options[1].accelerator.sold_as == "data-centre"


def test_gpt_oss_goes_to_one_h100() -> None:
    first = plan(model="gpt-oss-120b", concurrency=4, input_tokens=4096, output_tokens=1024).options[0]
    assert first.accelerator.id.startswith("h100-")
    assert first.gpus == 1


def test_a_small_model_goes_to_one_small_card_and_a_4090_is_near() -> None:
    found = plan(**SMALL)
    first = found.options[0]
    assert first.gpus == 1
    assert first.accelerator.id in ("l4-24gb", "a10-24gb", "l20-48gb", "l40s-48gb", "l40-48gb", "a40-48gb")
    assert place(found, "rtx4090-24gb") <= 12, "it is among the options that are shown"
    assert place(found, "b300-sxm-288gb") > place(found, "rtx4090-24gb"), "twenty times as dear is no better for eight billion parameters"


@pytest.mark.parametrize("request_", [R1, SMALL, DENSE], ids=["r1", "small", "dense"])
def test_classes_come_in_their_order(request_: dict[str, Any]) -> None:
    found = plan(**request_)
    first = found.options[0]
    assert first.accelerator.sold_as == "data-centre"
    assert first.accelerator.sold_in is None
    assert not first.accelerator.old
    inside = [option for option in found.options if option.verdict == "fits" and option.nodes == 1]
    cheapest = min(option.rank for option in inside if option.accelerator.sold_as == "data-centre")
    assert all(option.rank > cheapest for option in inside if option.accelerator.sold_as != "data-centre")


def test_tight_options_come_after_all_that_fit() -> None:
    found = plan(**DENSE)
    verdicts = [option.verdict for option in found.options]
    assert verdicts == sorted(verdicts), "fits before tight"


def test_nobody_is_offered_six_machines_in_a_pipeline() -> None:
    found = plan(**R1)
    assert all(option.layout.gpus <= 2 * option.accelerator.node_size or option.accelerator.whole_nodes for option in found.options)
    left_out = {each.accelerator.id: each for each in found.rejected if each.reason.code == "nobody-runs-it"}
    assert "gh200-96gb" in left_out or "gh200-144gb" in left_out
    named = plan(**R1, gpus=("gh200-144gb",))
    assert [option.accelerator.id for option in named.options], "a part that is named is shown all the same"


def test_a_replica_spans_servers_not_the_deployment() -> None:
    need = {"concurrency": 1024, "input_tokens": 4096, "output_tokens": 1024}
    answer = data(model="qwen3-32b", **need, gpus=("h100-sxm-80gb", "h200-sxm-141gb"))
    assert any(option["nodes"] > 1 for option in answer["options"])
    reasons = [option["why_not_first"]["code"] for option in answer["options"] if option["why_not_first"]]
    assert "runner-up-crosses-network" not in reasons
    two = data(**R1, gpus=("h200-sxm-141gb", "h100-sxm-80gb"))
    crossing = next(option for option in two["options"] if option["gpu"] == "h100-sxm-80gb")
    assert crossing["why_not_first"] == {**crossing["why_not_first"], "code": "runner-up-crosses-network", "parameters": {"nodes": 2}}


# ---- the orders that were asked for -----------------------------------------------------------------------------------------


def known_rents(found: Plan) -> list[float]:
    ranked = [option for option in found.options if option.verdict == "fits" and option.cost is not None and option.cost.kind in ALIKE]
    country = found.request.country
    return [float(option.cost.amount) for option in ranked if option.cost is not None and option.cost.market in (None, country)]


@FEW
@given(st.sampled_from(["qwen3-8b", "qwen3-32b", "llama-3.3-70b-instruct"]), st.integers(1, 64), st.sampled_from(["global", "cn"]))
def test_by_cost_the_known_rents_ascend(model: str, concurrency: int, market: str) -> None:
    found = plan(model=model, concurrency=concurrency, input_tokens=2048, output_tokens=512, sort="cost", market=market)
    inside = [option for option in found.options if option.nodes == 1 and not option.slow]
    rents = known_rents(Plan(found.request, found.need, found.model, found.architecture, tuple(inside), (), ()))
    assert rents == sorted(rents)
    sizes = [option.gpus for option in plan(model=model, concurrency=concurrency, input_tokens=2048, output_tokens=512, sort="gpus").options]
    assert sizes[0] == min(sizes)


def test_by_cost_not_forty_gaming_cards_and_by_speed_not_eighty_gpus() -> None:
    cheap = plan(**R1, sort="cost").options[0]
    assert cheap.gpus <= 16
    assert cheap.accelerator.sold_as != "gaming"
    for request in (R1, SMALL):
        quick = plan(**request, sort="speed").options
        assert quick[0].gpus <= 8
        times = [option.performance.tpot_s.value for option in quick if option.performance is not None and option.nodes == 1]
        assert times == sorted(times)


def test_rent_is_of_the_cards_that_work() -> None:
    option = next(each for each in plan(**DENSE, gpus=("h100-sxm-80gb",)).options if each.verdict == "fits")
    assert option.cost is not None
    assert option.gpus < option.gpus_to_order == 8
    price = next(price for price in accelerator("h100-sxm-80gb").prices if price.kind == "on-demand")
    assert option.cost.amount == option.gpus * price.low
    assert option.purchase is not None
    assert option.purchase.amount == 8 * 30000
    tray = rent_of(accelerator("gb200-186gb"), 1)
    assert tray is not None
    assert tray.amount == 4 * next(price.low for price in accelerator("gb200-186gb").prices if price.kind == "rent-3-years")


def test_a_part_without_a_rent_stands_where_its_purchase_price_puts_it() -> None:
    """An hour rents for about a ten-thousandth of what the card costs: the middle of the parts that have both."""
    l20 = placed_rent(accelerator("l20-48gb"), 1)
    assert l20 is not None
    assert 5000 / 20000 < l20 * 2 < 5000 / 2000
    assert placed_rent(accelerator("gh200-96gb"), 1) is None


def test_every_runner_up_has_a_reason_in_words_of_both_languages() -> None:
    for request in ({**R1}, {**SMALL, "include": ("edge", "hobby", "cloud-only", "announced")}, {**DENSE, "market": "cn"}, {**SMALL, "sort": "cost"}):
        for option in data(**request)["options"][1:]:
            sentence = option["why_not_first"]["sentence"]
            assert "runner-up" not in sentence["en"] + sentence["zh"], sentence
            assert "?" not in sentence["en"], sentence


# ---- money ------------------------------------------------------------------------------------------------------------------


def test_rates_have_a_date_and_a_source_and_are_those_of_the_bulletin() -> None:
    rates = read_rates()
    assert rates.date == "2026-06"
    assert "H.10" in rates.source
    assert float(rates.per_usd["CNY"]) == 6.7758
    assert float(rates.between("CNY", "EUR") or 0) == pytest.approx(0.8684 / 6.7758)
    assert rates.between("USD", "XXX") is None


@pytest.mark.parametrize("currency", ["USD", "CNY", "eur"])
def test_a_column_has_one_currency_and_says_what_was_converted(currency: str) -> None:
    answer = data(**SMALL, currency=currency)
    costs = [cost for option in answer["options"] for cost in (option["cost"], option["purchase"]) if cost is not None]
    assert {cost["currency"] for cost in costs} == {currency.upper()} == {answer["request"]["currency"]}
    converted = [cost for cost in costs if cost["converted"] is not None]
    assert converted
    for cost in converted:
        old = cost["converted"]
        assert old["currency"] != cost["currency"]
        assert old["date"] == read_rates().date
        assert float(cost["amount"]) == pytest.approx(float(old["low"]) * float(old["rate"]), rel=1e-3)
        assert cost["source"]
        assert cost["date"]
    assert {warning["code"] for warning in answer["warnings"]} >= {"prices-converted"}


def test_the_same_plan_in_another_currency_has_the_same_order() -> None:
    dollars, yuan = plan(**SMALL), plan(**SMALL, currency="CNY")
    assert [option.accelerator.id for option in dollars.options] == [option.accelerator.id for option in yuan.options]


def test_an_unknown_currency_is_refused_with_those_that_have_a_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "qwen3-8b", "--concurrency", "1", "--currency", "gold"]) == 2
    assert "CNY" in capsys.readouterr().err


def test_own_prices_stay_in_their_currency_and_the_rest_follows(tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_text('currency = "CNY"\n[h200]\nhour = 20\n', encoding="utf-8")
    answer = data(**SMALL, gpus=("h200", "h100-sxm-80gb"), prices=str(file))
    found = {option["gpu"]: option["cost"] for option in answer["options"]}
    assert (found["h200-sxm-141gb"]["amount"], found["h200-sxm-141gb"]["currency"]) == (20 * 1, "CNY")
    assert (found["h100-sxm-80gb"]["currency"], found["h100-sxm-80gb"]["converted"]["currency"]) == ("CNY", "USD")
    asked = data(**SMALL, gpus=("h200",), prices=str(file), currency="USD")["options"][0]["cost"]
    assert float(asked["amount"]) == pytest.approx(20 / 6.7758, rel=1e-3)


def test_a_price_that_nobody_knows_is_said_and_pushes_no_part_out() -> None:
    found = plan(**R1)
    unknown = [option for option in found.options if option.cost is None and option.purchase is None]
    assert unknown
    assert unknown[0].rank < len(found.options)
    assert text("ui", "price-unknown", "en") in json.dumps(options_table(found, found.options, "en").rows)


# ---- China ------------------------------------------------------------------------------------------------------------------


def test_in_china_a_plan_offers_what_can_be_bought_there_at_prices_of_there() -> None:
    found = plan(**R1, market="cn")
    assert all(option.accelerator.china["available"] in ("yes", "special") for option in found.options)
    assert {"h20-sxm-96gb", "h20-sxm-141gb", "ascend910c-128gb"} <= {option.accelerator.id for option in found.options}
    first = found.options[0]
    assert first.accelerator.id.startswith("h20-")
    assert first.gpus == 8
    costs = [cost for option in found.options for cost in (option.cost, option.purchase) if cost is not None]
    assert costs
    assert {(cost.currency, cost.market, cost.converted) for cost in costs} == {("CNY", "cn", None)}
    assert all(cost.date and cost.source for cost in costs)


def test_h200_needs_a_licence_and_comes_after_what_is_made_for_china() -> None:
    found = plan(**R1, market="cn")
    assert place(found, "h200-sxm-141gb") > place(found, "h20-sxm-96gb")
    assert place(plan(**R1), "h20-sxm-141gb") > place(plan(**R1), "h200-sxm-141gb")


def test_chinese_makers_come_first_where_that_is_asked_for_and_alone_by_their_word() -> None:
    first = plan(**DENSE, market="cn-domestic").options
    domestic = [option.accelerator.domestic for option in first if option.verdict == "fits" and option.nodes == 1 and not option.slow]
    assert domestic == sorted(domestic, reverse=True)
    assert domestic[0]
    alone = plan(**DENSE, market="cn", vendor="国产").options
    assert alone
    assert all(option.accelerator.domestic for option in alone)


def test_a_server_under_contract_is_paid_whole() -> None:
    one, nine = (rent_of(in_china("ascend910b3-64gb"), gpus) for gpus in (1, 9))
    assert one is not None
    assert nine is not None
    assert (one.kind, one.amount * 2) == ("server-1-year", nine.amount)
    assert float(one.amount) * 720 == pytest.approx(15000, rel=0.01)  # 1.5 thousand yuan for ten hours: 15,000 a month


def in_china(gpu: str) -> Any:
    return devices_of(Request(model="qwen3-8b", market="cn", gpus=(gpu,)))[0]


# ---- words for makers -------------------------------------------------------------------------------------------------------

WORDS = [(vendor.name, word) for vendor in read_vendors().values() for word in vendor.words]


@pytest.mark.parametrize(("name", "word"), WORDS, ids=[word for _, word in WORDS])
def test_every_word_for_a_maker_means_the_same(name: str, word: str) -> None:
    assert find_vendors(word) == find_vendors(word.upper()) == (name,)
    theirs = {each.id for each in accelerators() if each.vendor == name and each.usual}
    if theirs:
        assert ids(Request(model="qwen3-8b", vendor=word)) == ids(Request(model="qwen3-8b", vendor=name)) == theirs


@pytest.mark.parametrize(
    ("chinese", "english"),
    [
        *(("华为", "Huawei"), ("昇腾", "Ascend"), ("海光", "Hygon"), ("沐曦", "MetaX"), ("摩尔线程", "Moore Threads"), ("寒武纪", "Cambricon")),
        *(("昆仑芯", "Kunlunxin"), ("百度", "Baidu"), ("天数智芯", "Iluvatar"), ("燧原", "Enflame"), ("英伟达", "NVIDIA"), ("苹果", "Apple")),
        *(("超威", "AMD"), ("英特尔", "Intel"), ("谷歌", "Google"), ("国产", "domestic")),
    ],
)
def test_both_languages_name_the_same_devices(chinese: str, english: str) -> None:
    assert ids(Request(model="qwen3-8b", vendor=chinese)) == ids(Request(model="qwen3-8b", vendor=english)) != set()


@pytest.mark.parametrize(("word", "code"), [("huawie", "unknown-vendor"), ("壁仞", "vendor-without-parts")])
def test_a_maker_that_is_not_there_is_refused_with_others(word: str, code: str) -> None:
    with pytest.raises(GpusizerError) as caught:
        devices_of(Request(model="qwen3-8b", vendor=word))
    assert caught.value.code == code
    assert caught.value.parameters["nearest"]
    assert "Huawei" in caught.value.parameters["nearest"]


def test_the_sentence_of_a_chinese_plan_is_of_that_world() -> None:
    found = plan(**R1, market="cn", vendor="昇腾")
    best: Option | None = found.best
    assert best is not None
    assert "Ascend" in plan_sentence(found, "zh")
    assert best.gpus == 16
