"""Charts say what the plan says, in both languages, for readers who do not see them too, and hold nothing that a page's policy forbids."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from charted import REQUESTS, SVG, charts_of, hostile, plan_of, read
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment
from gpusizer.planning.memory_lines import in_flight
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.charts import cost_chart, latency_chart, memory_bar, memory_chart, queue_chart, stylesheet
from gpusizer.rendering.charts.svg import FALLBACK

LANGUAGES = ("en", "zh")
EVERY = [(name, language) for name in REQUESTS for language in LANGUAGES]


@cache
def drawn(name: str, language: str) -> dict[str, str]:
    return dict(charts_of(plan_of(name), language))


def marked(svg: str, name: str) -> list[ElementTree.Element]:
    return [each for each in read(svg).iter() if each.get(name) is not None]


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_each_chart_is_an_image_with_a_title_and_a_sentence_of_its_own(name: str, language: str) -> None:
    roots = [read(svg) for svg in drawn(name, language).values()]
    assert roots
    ids: list[str] = []
    for root in roots:
        title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert title is not None
        assert description is not None
        assert root.get("role") == "img"
        assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
        assert re.search(r"\d", description.text or "")
        assert ("?" in f"{title.text}{description.text}") is False  # every word of the sentence is known
        ids += [str(each.get("id")) for each in root.iter() if each.get("id")]
        if language == "zh":
            assert all(re.search("[\u4e00-\u9fff]", each.text or "") for each in (title, description))
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_no_chart_brings_a_style_or_a_script_or_asks_for_anything(name: str, language: str) -> None:
    for svg in drawn(name, language).values():
        for each in read(svg).iter():
            assert each.tag.removeprefix(SVG) in {"svg", "title", "desc", "rect", "path", "text", "circle", "polyline", "polygon"}
            assert not [key for key in each.attrib if key in ("style", "href") or key.startswith("on")]
        assert "url(" not in svg
        assert svg.count("http") == 1  # the name space


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_everything_lies_inside_the_picture(name: str, language: str) -> None:
    for svg in drawn(name, language).values():
        root = read(svg)
        width, height = (float(part) for part in str(root.get("viewBox")).split()[2:])
        for each in root.iter():
            places = [(float(each.get(x, "0")), float(each.get(y, "0"))) for x, y in (("x", "y"), ("cx", "cy"))]
            places += [(float(x), float(y)) for x, y in (pair.split(",") for pair in str(each.get("points") or "").split())]
            assert all(0 <= x <= width and 0 <= y <= height for x, y in places), ElementTree.tostring(each)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_bar_holds_the_ledger_and_as_wide_as_it_says(name: str) -> None:
    plan = plan_of(name)
    sums = per_gpu(plan.options[0].fit.ranks[plan.options[0].fit.worst].items)
    svg = drawn(name, "en")["memory-bar"]
    parts = {str(each.get("data-part")): int(str(each.get("data-bytes"))) for each in marked(svg, "data-part")}
    unused = parts.pop("cache-unused", 0)
    assert {**parts, "kv_cache_pool_bytes": parts["kv_cache_pool_bytes"] + unused} == {part: size for part, size in sums.items() if size}
    assert [int(str(each.get("data-capacity-bytes"))) for each in marked(svg, "data-capacity-bytes")] == [sum(sums.values())]
    widths = {str(each.get("data-part")): float(str(each.get("width"))) for each in marked(svg, "data-part")}
    for one, other in combinations((part for part in parts if parts[part] > sum(sums.values()) / 20), 2):
        assert widths[one] / widths[other] == pytest.approx(parts[one] / parts[other], rel=0.1)


def test_a_start_that_is_short_of_memory_shows_it_beyond_the_capacity() -> None:
    fit = make_fit(Deployment(model="qwen3-32b", gpu="l40s-48gb", max_model_len=8192)).fit
    assert not fit.fits
    svg = memory_bar(fit, "en")
    capacity = float(re.findall(r"M([\d.]+)", str(marked(svg, "data-capacity-bytes")[0].get("d")))[0])
    ends = [float(str(each.get("x"))) + float(str(each.get("width"))) for each in marked(svg, "data-part")]
    assert max(ends) > capacity
    assert "missing" in svg


def test_a_start_that_is_refused_has_no_bar() -> None:
    fit = make_fit(Deployment(model="qwen3-8b", gpu="h100-sxm-80gb", tp=7)).fit
    assert not fit.fits
    assert memory_bar(fit, "en") == ""


def test_the_bar_of_a_verdict_is_the_one_of_the_option_with_its_cache_whole() -> None:
    option = plan_of("large").options[0]
    assert memory_bar(option.fit, "zh") == memory_bar(option, "zh")
    assert not [each for each in marked(memory_bar(option, "zh"), "data-part") if each.get("data-part") == "cache-unused"]


@pytest.mark.parametrize("name", REQUESTS)
def test_memory_shows_the_load_that_is_asked_for(name: str) -> None:
    plan = plan_of(name)
    asked = marked(drawn(name, "en")["memory"], "data-concurrency")
    assert [int(str(each.get("data-concurrency"))) for each in asked] == [in_flight(plan, plan.options[0])]
    lines = marked(drawn(name, "en")["memory"], "data-context-tokens")
    assert plan.need.context_tokens in [int(str(each.get("data-context-tokens"))) for each in lines]
    for line in lines:
        places = [tuple(map(float, pair.split(","))) for pair in str(line.get("points")).split()]
        assert all(left[0] < right[0] and left[1] > right[1] for left, right in pairwise(places))  # upwards: smaller y


@pytest.mark.parametrize("name", [name for name in REQUESTS if name != "chinese"])
def test_the_speed_at_the_asked_load_is_the_plan_s_to_the_last_digit(name: str) -> None:
    option = plan_of(name).options[0]
    for quantity in ("ttft_s", "tpot_s", "output_tokens_per_s"):
        found = marked(drawn(name, "zh")["latency"], f"data-{quantity.replace('_', '-')}")
        assert [float(str(each.get(f"data-{quantity.replace('_', '-')}"))) for each in found] == [getattr(option, quantity)]


def test_targets_are_drawn_where_there_are_any() -> None:
    targets = [float(str(each.get("data-target"))) for each in marked(drawn("targets", "en")["latency"], "data-target")]
    assert targets == [2.0, 0.05]
    assert not marked(drawn("large", "en")["latency"], "data-target")


def points_of(svg: str) -> dict[int, tuple[float, float]]:
    return {
        int(str(each.get("data-rank"))): (float(str(each.get("data-amount"))), float(str(each.get("data-tpot-s"))))
        for each in marked(svg, "data-rank")
    }


@pytest.mark.parametrize("name", ["large", "middle", "llama.cpp", "ascend", "rate", "sglang"])
def test_costs_are_those_of_the_options_and_the_front_is_unbeaten(name: str) -> None:
    plan = plan_of(name)
    svg = drawn(name, "en")["cost"]
    points = points_of(svg)
    options = {option.rank: option for option in plan.options}
    assert len(points) > 1
    for rank, (amount, tpot_s) in points.items():
        cost = options[rank].cost
        assert cost is not None
        assert (amount, tpot_s) == (float(cost.amount), options[rank].tpot_s)
    front = {int(rank) for rank in str(marked(svg, "data-front")[0].get("data-front")).split()}
    unbeaten = {
        rank
        for rank, (amount, tpot_s) in points.items()
        if not any((other[0] <= amount and other[1] <= tpot_s and other != (amount, tpot_s)) for other in points.values())
    }
    assert front <= unbeaten
    assert {points[rank] for rank in front} == {points[rank] for rank in unbeaten}


def test_prices_that_are_not_drawn_are_said() -> None:
    plan = plan_of("large")
    missing = len(plan.options) - len(points_of(drawn("large", "en")["cost"]))
    assert missing > 4
    assert f"{missing - 4} more" in "".join(read(drawn("large", "en")["cost"]).itertext())


def test_purchase_where_no_rent_is_known_and_nothing_without_prices_or_speeds() -> None:
    plan = plan_of("middle")
    unrented = replace(plan, options=tuple(replace(option, cost=None) for option in plan.options))
    points = points_of(cost_chart(unrented, "en"))
    assert points
    assert all(float(option.purchase.amount) == points[option.rank][0] for option in plan.options if option.rank in points and option.purchase)
    assert cost_chart(replace(plan, options=tuple(replace(option, cost=None, purchase=None) for option in plan.options)), "en") == ""
    assert cost_chart(plan_of("one-card"), "en") == ""  # one point compares with nothing
    chinese = plan_of("chinese")
    assert chinese.options[0].performance is None
    assert latency_chart(chinese, chinese.options[0], "en") == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_words_and_nothing_else(language: str) -> None:
    for _, svg in charts_of(hostile(plan_of("middle")), language):
        assert "<script" not in svg
        assert not [each for each in read(svg).iter() if each.tag.endswith("script")]
    assert "<script>alert" in "".join(read(cost_chart(hostile(plan_of("middle")), language)).itertext())
    evil = '"><script>x</script>'
    assert "<script" not in memory_chart(plan_of("middle"), plan_of("middle").options[0], language, prefix=evil)


def test_an_empty_queue_is_an_empty_field() -> None:
    root = read(queue_chart((), "zh"))
    assert not root.findall(f"{SVG}polyline")
    assert root.find(f"{SVG}title") is not None


# ---- colours ------------------------------------------------------------------------------------------------------


def themes() -> list[dict[str, str]]:
    """Colours by name: light, and dark with what it leaves as it is."""
    light, dark = (dict(re.findall(r"(--gz-[\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", stylesheet(), re.DOTALL))
    assert set(light) == set(dark)
    return [light, dark]


def luminance(colour: str) -> float:
    """By WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def rules() -> dict[str, dict[str, str]]:
    """What the style sheet says of each class: property to name of a colour."""
    found: dict[str, dict[str, str]] = {}
    for selectors, body in re.findall(r"^(\.gz-chart \.gz-[^{]+)\{([^}]+)\}", stylesheet(), re.MULTILINE):
        for name in re.findall(r"\.gz-chart \.(gz-[\w-]+)", selectors):
            found.setdefault(name, {}).update(re.findall(r"([\w-]+): var\((--gz-[\w-]+)\)", body))
    return found


def test_the_style_sheet_says_of_every_class_what_a_lone_picture_shows() -> None:
    light = themes()[0]
    for name, attributes in FALLBACK.items():
        colours = {key: value for key, value in attributes.items() if value.startswith("#")}
        assert {key: light[colour] for key, colour in rules()[name].items()} == colours, name
    assert set(rules()) == set(FALLBACK)


@pytest.mark.parametrize("theme", [0, 1])
def test_marks_stand_out_and_words_can_be_read_on_both_grounds(theme: int) -> None:
    colours = themes()[theme]
    paper = colours["--gz-paper"]
    for name, said in rules().items():
        seen = max(contrast(colours[colour], paper) for colour in said.values())
        assert seen >= (1 if name in ("gz-grid", "gz-on") else 3), name
    for name in ("--gz-ink", "--gz-muted"):
        assert contrast(colours[name], paper) >= 4.5
    for part in ("gz-weights", "gz-kv", "gz-activation", "gz-non-torch", "gz-graphs", "gz-outside"):
        assert contrast(colours[rules()[part]["fill"]], paper) >= 4.5, part  # its words are as light as paper
    assert contrast(colours[rules()["gz-kv-free"]["fill"]], colours["--gz-ink"]) >= 4.5


def test_lines_differ_in_more_than_their_colour() -> None:
    dashes = [each.get("stroke-dasharray") for each in marked(drawn("large", "en")["memory"], "data-context-tokens")]
    assert len(dashes) == len(set(dashes)) == 4
