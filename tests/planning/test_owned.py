"""Plans on GPUs that are there: no others, no more of them, nothing to order."""

from __future__ import annotations

import pytest

from gpusizer.errors import GpusizerError
from gpusizer.i18n import text
from gpusizer.planning.nearest import nearest_of
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request, from_query, to_query
from gpusizer.rendering.mail import mail_words
from gpusizer.rendering.plan import plan_sentence
from gpusizer.rendering.plan_document import PlanDocument
from gpusizer.rendering.report.cover import Cover
from gpusizer.web.job import PAGE, Job
from gpusizer.web.plan import page as plan_page
from report_reader import Page

NEED = {"model": "qwen3-32b", "concurrency": 32, "input_tokens": 4096, "output_tokens": 1024}


def asked(**fields: object) -> Request:
    return Request(**{**NEED, **fields})  # type: ignore[arg-type]


def test_only_what_is_there_and_no_more_of_it() -> None:
    plan = make_plan(asked(owned=("l40s:4", "8 x A100 40GB")))
    most = {"l40s-48gb": 4, "a100-sxm-40gb": 8}
    assert {option.gpu for option in plan.options} == set(most)
    for option in plan.options:
        assert option.gpus <= most[option.gpu]
        assert option.gpus_to_order == 0
        assert option.cost is None
        assert option.purchase is None


def test_the_same_answer_as_when_they_are_named_with_that_limit() -> None:
    """What is there changes what is paid, not what fits."""
    there = make_plan(asked(owned=("a100-40gb:8",))).options[0]
    named = make_plan(asked(gpus=("a100-40gb",), max_gpus=8)).options[0]
    assert (there.gpus, there.launch, there.held_requests) == (named.gpus, named.launch, named.held_requests)
    assert there.performance == named.performance


def test_too_few_are_refused_with_the_number_that_would_do() -> None:
    plan = make_plan(asked(owned=("l40s:1",)))
    assert not plan.options
    assert plan.rejected


def test_a_price_is_not_spoken_of() -> None:
    sentence = plan_sentence(make_plan(asked(owned=("l40s:4",))), "en")
    assert "price" not in sentence
    assert "4 x L40S" in sentence or "2 x L40S" in sentence
    assert "not known" not in next(line for line in mail_words(make_plan(asked(owned=("l40s:4",))), "en").splitlines() if "order" in line.lower())


@pytest.mark.parametrize(("language", "words"), [("en", "there already"), ("zh", "已有")])
def test_its_report_asks_for_no_price(language: str, words: str) -> None:
    plan = make_plan(asked(owned=("l40s:4",)))
    page = Page(PlanDocument(plan, language, cover=Cover()).html)
    for row in ("purchase", "rent"):
        assert page.row(text("report", f"row-{row}", language))[0] == words
    for risk in ("risk-no-rent", "risk-no-purchase"):
        assert text("report", risk, language, option="").strip("：: ") not in page.words()


def test_it_comes_back_from_an_address() -> None:
    request = asked(owned=("4 x L40S", "2xH100"))
    assert request.owned == ("L40S:4", "H100:2")
    assert from_query(to_query(request)) == request


def test_a_named_part_is_one_of_those_that_are_there() -> None:
    """What a page's link to one option asks: of all that is there this kind, still no more of it and nothing to order."""
    plan = make_plan(asked(owned=("l40s:4", "a100-40gb:8"), gpus=("l40s",)))
    assert {(option.gpu, option.gpus_to_order) for option in plan.options} == {("l40s-48gb", 0)}
    with pytest.raises(GpusizerError):
        make_plan(asked(owned=("l40s:4",), gpus=("h200",)))


def test_its_page_links_to_each_option() -> None:
    job = Job("plan", PAGE, "en", query="model=qwen3-32b&concurrency=32&owned=l40s%3A4&owned=a100-40gb%3A8")
    assert "L40S" in plan_page(job)


def test_where_they_do_not_do_the_nearest_that_does_is_named() -> None:
    found = nearest_of(make_plan(asked(model="deepseek-v3", owned=("l40s:4",))))
    assert found is not None
    assert "owned" in found.lifted
