"""The three options that one compares first: each is what its name says, among options that are as sure as the recommended one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from gpusizer.planning.picks import CHEAPEST, FEWEST_GPUS, RECOMMENDED, ROOMIEST, WITHIN_REACH, Pick, picks
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.prices import in_dollars
from gpusizer.planning.rank import comparable_rent
from gpusizer.planning.request import Request
from gpusizer.planning.types import FITS, Option, Plan

REQUESTS = {
    "large": Request(model="deepseek-v3", users=1000),
    "middle": Request(model="qwen3-32b", users=200, context_tokens=8192),
    "one-part": Request(model="qwen3-8b", concurrency=1, gpus=("rtx4090-24gb",)),
    "no-price": Request(model="qwen3-32b", concurrency=20, gpus=("h200-nvl-141gb", "hygon-bw1100-144gb")),
    "placed": Request(model="qwen3-8b", concurrency=4, engine="llama.cpp"),
    "chinese": Request(model="deepseek-v3", users=1000, market="cn-domestic"),
    "by-gpus": Request(model="qwen3-32b", concurrency=50, sort="gpus"),
    "percentile": Request(model="qwen3-32b", request_rate=2.0, ttft_p95_s=3.0, gpus=("h200-sxm-141gb", "h100-sxm-80gb", "l40s-48gb")),
}


@cache
def plan_of(name: str) -> Plan:
    return make_plan(REQUESTS[name])


def picked(plan: Plan, kind: str) -> Option:
    found = [each.option for each in picks(plan) if kind in each.kinds]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("name", REQUESTS)
def test_three_kinds_each_once_and_no_option_twice(name: str) -> None:
    found = picks(plan_of(name))
    kinds = [kind for each in found for kind in each.kinds]
    assert kinds[0] in (CHEAPEST, FEWEST_GPUS)
    assert set(kinds[1:]) == {RECOMMENDED, ROOMIEST}
    assert len(kinds) == 3
    ranks = [each.option.rank for each in found]
    assert len(ranks) == len(set(ranks))
    assert picked(plan_of(name), RECOMMENDED) is plan_of(name).best


@pytest.mark.parametrize("name", REQUESTS)
def test_no_pick_is_less_sure_than_the_recommended(name: str) -> None:
    plan = plan_of(name)
    best = plan.options[0]
    for option in (each.option for each in picks(plan)):
        assert option.verdict == FITS or best.verdict != FITS
        assert option.accelerator.status != "announced" or best.accelerator.status == "announced"
        assert not option.slow or best.slow
        assert option.accelerator.domestic or plan.request.market != "cn-domestic" or not best.accelerator.domestic
        if plan.request.is_simulated and best.simulated is not None and not best.simulated.missed:
            assert option.simulated is not None
            assert not option.simulated.missed


def worthy(plan: Plan) -> Sequence[Option]:
    """Options that fit, are on sale, quick enough and inside one server: those that nothing speaks against."""
    return [
        option
        for option in plan.options
        if option.verdict == FITS
        and option.accelerator.status == "shipping"
        and not option.slow
        and option.nodes == 1
        and (option.accelerator.sold_in is None)
    ]


@pytest.mark.parametrize("name", ["large", "middle", "placed", "by-gpus"])
def test_nothing_worthy_with_a_known_rent_is_cheaper_than_the_cheapest(name: str) -> None:
    plan = plan_of(name)
    cheapest = comparable_rent(picked(plan, CHEAPEST), plan.request)
    rents = [comparable_rent(option, plan.request) for option in worthy(plan)]
    assert len([rent for rent in rents if rent < float("inf")]) > 3
    assert cheapest <= min(rents)


def test_the_cheapest_by_purchase_where_no_rent_is_known() -> None:
    plan = plan_of("middle")
    unrented = replace(plan, options=tuple(replace(option, cost=None) for option in plan.options))
    price = in_dollars(picked(unrented, CHEAPEST).purchase)  # type: ignore[arg-type]
    assert price is not None
    assert price == min(in_dollars(option.purchase) or 0 for option in worthy(unrented) if option.purchase is not None)


def test_without_any_price_the_fewest_gpus() -> None:
    plan = plan_of("by-gpus")
    unpriced = replace(plan, options=tuple(replace(option, cost=None, purchase=None) for option in plan.options))
    assert picked(unpriced, FEWEST_GPUS).gpus == min(option.gpus for option in worthy(unpriced))


@pytest.mark.parametrize("name", ["large", "middle", "by-gpus"])
def test_the_roomiest_holds_most_of_what_is_within_reach(name: str) -> None:
    plan = plan_of(name)
    best, roomiest = plan.options[0], picked(plan, ROOMIEST)
    reach = WITHIN_REACH * comparable_rent(best, plan.request)
    assert comparable_rent(roomiest, plan.request) <= reach
    assert roomiest.held_requests_low >= best.held_requests_low
    assert all(option.held_requests_low <= roomiest.held_requests_low for option in worthy(plan) if comparable_rent(option, plan.request) <= reach)


def test_without_a_price_of_the_recommended_twice_its_memory_is_within_reach() -> None:
    plan = plan_of("by-gpus")
    unpriced = replace(plan, options=tuple(replace(option, cost=None, purchase=None) for option in plan.options))
    best, roomiest = unpriced.options[0], picked(unpriced, ROOMIEST)
    assert roomiest.gpus * roomiest.accelerator.memory_bytes <= WITHIN_REACH * best.gpus * best.accelerator.memory_bytes
    assert roomiest.held_requests_low >= best.held_requests_low


def test_one_option_is_one_pick_with_all_names() -> None:
    plan = plan_of("one-part")
    assert picks(plan) == (Pick((CHEAPEST, RECOMMENDED, ROOMIEST), plan.options[0]),)


def test_no_options_no_picks() -> None:
    assert picks(replace(plan_of("one-part"), options=())) == ()
