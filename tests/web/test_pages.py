"""The further pages: what they say is what the command line says, every link among them leads somewhere, and sources lead out safely."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from gpusizer.cli.main import main
from gpusizer.facts.accuracy import measured_accuracy
from gpusizer.facts.catalog import accelerators, model_ids, scenarios
from gpusizer.i18n import LANGUAGES, table
from gpusizer.rendering.formulas import registry
from gpusizer.web.documented import api_schema
from gpusizer.web.job import Job
from gpusizer.web.replies import reply_to

LISTS = ("models", "accelerators", "engines", "scenarios", "formulas")


class Seen(HTMLParser):
    """Links, ids and words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[dict[str, str]] = []
        self.ids: list[str] = []
        self.rows: list[list[str]] = []
        self.words = ""
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(found)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "tr":
            self.rows.append([])
            self._in_cell = False
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._in_cell:
            self.rows[-1][-1] += data


def shown(kind: str, path: str = "", query: str = "", language: str = "en") -> Seen:
    reply = reply_to(Job(kind, "page", language, query, path))
    assert reply.status == 200, (kind, path, reply.body[:300])
    return Seen(reply.body.decode())


def on_the_command_line(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", model_ids()[::12])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_model_has_the_numbers_of_the_command_line(model: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = on_the_command_line(capsys, "models", "show", model)
    words = shown("model", model, language=language).words
    for name in ("total_params", "activated_params", "kv_cache_bytes_per_token", "hidden_size"):
        assert f"{expected[name]:,}" in words, name
    for size in expected["groups"].values():
        assert not size or f"{size:,}" in words
    assert all(alias in words for alias in expected["catalogue"]["aliases"])


def test_every_model_and_every_accelerator_has_a_page() -> None:
    for model in model_ids():
        assert shown("model", model).links
    for device in accelerators():
        assert f"{device.memory_bytes:,}" in shown("accelerator", device.id).words


@pytest.mark.parametrize("device", [each.id for each in accelerators()][::15])
def test_the_page_of_an_accelerator_has_every_figure_price_and_source(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = on_the_command_line(capsys, "accelerators", "show", device)
    page = shown("accelerator", device)
    for form, peak in expected["peak_flops"].items():
        assert [row[1].strip() for row in page.rows if row[0].strip() == form.upper()] == [f"{peak / 1e12:,.4g}"]
    for price in expected["prices"]:
        assert str(price["low"]).split(".")[0] in page.words.replace(",", "")
        assert all(source in page.words for source in price["source"].split("; "))
    for unverified in expected["unverified"]:
        assert "not verified" in page.words, unverified
    marks = {each["href"] for each in page.links if each.get("class") == "mark"}
    assert marks <= {f"#{each}" for each in page.ids}


@pytest.mark.parametrize("formula", list(registry())[::8])
def test_the_page_of_a_formula_works_its_example(formula: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = on_the_command_line(capsys, "explain", formula)
    words = shown("formula", formula).words
    assert expected["expression"] in words
    assert expected["example"]["with_numbers"] in words
    assert expected["reference"] in words
    assert all(name in words for name in expected["symbols"])


@pytest.mark.parametrize("code", ["total", "context", "checkpoint", "name"])
@pytest.mark.parametrize("order", ["up", "down"])
def test_a_list_sorts_by_its_links(code: str, order: str) -> None:
    page = shown("models", query=urlencode({"filter": "qwen", "sort": code, "order": order}))
    place = {"name": 0, "total": 1, "context": 4, "checkpoint": 5}[code]
    cells = [row[place].strip().split("\n")[0] for row in page.rows[1:]]
    known = [cell for cell in cells if cell]
    assert cells[: len(known)] == known  # what is unknown stands last, whatever the order
    values = [cell.lower() if code == "name" else float(cell.replace(",", "")) for cell in known]
    if code != "name":  # a name and its id share a cell
        assert values == sorted(values, reverse=order == "down")
    assert len(known) > 10
    heads = [each["href"] for each in page.links if f"sort={code}" in each["href"]]
    assert all("filter=qwen" in each for each in heads)
    assert any(f"order={'up' if order == 'down' else 'down'}" in each for each in heads)


def test_filters_leave_what_has_every_word(capsys: pytest.CaptureFixture[str]) -> None:
    expected = on_the_command_line(capsys, "accelerators", "list", "--vendor", "huawei", "--memory", ">=64GB")["accelerators"]
    page = shown("accelerators", query=urlencode({"vendor": "Huawei", "memory": ">=64GB"}))
    assert len(page.rows) - 1 == len(expected) > 2
    assert all(each["id"] in page.words for each in expected)


def test_a_filter_that_cannot_be_read_is_said_beside_it() -> None:
    reply = reply_to(Job("accelerators", "page", "zh", "memory=much"))
    assert reply.status == 422
    assert 'aria-invalid="true"' in reply.body.decode()
    assert 'value="much"' in reply.body.decode()


@pytest.mark.parametrize("kind", ["model", "accelerator", "engine", "scenario", "formula"])
def test_a_name_that_nobody_has_gets_a_page_that_says_so(kind: str) -> None:
    for language in LANGUAGES:
        reply = reply_to(Job(kind, "page", language, "", "<b>nobody</b>"))
        assert reply.status == 404
        assert "<b>nobody" not in reply.body.decode()
        assert 'role="alert"' in reply.body.decode()


def test_the_accuracy_page_has_the_tables_of_validate() -> None:
    page = shown("accuracy")
    for each in measured_accuracy().files:
        assert f"{each.summary['coverage']['covered']} of {each.summary['coverage']['cases']} cases" in page.words
        for name, accuracy in each.summary.items():
            if name in ("by_engine", "coverage") or not accuracy["n"]:
                continue
            median, inside = (f"{100 * accuracy[key]:.1f}%" for key in ("median_abs_error", "inside_band"))
            assert any(inside in row and median in row and str(accuracy["n"]) in row for row in page.rows if len(row) > 4), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reference_has_every_address_every_input_and_every_error(language: str) -> None:
    page = shown("docs", language=language)
    schema = api_schema(language)
    for path, ways in schema["paths"].items():
        assert path in page.words
        for parameter in ways["get"].get("parameters", ()):
            assert parameter["name"] in page.words
            assert parameter.get("description", "") in page.words
    for code, words in table("error", language).items():
        assert code in page.words
        assert words in page.words
    assert any(each["href"].endswith("/openapi.json") for each in page.links)


def test_examples_of_the_reference_are_answered(server: str) -> None:
    commands = re.findall(r"curl '?(http://127\.0\.0\.1:8000[^'\s]+)", shown("docs").words)
    assert len(commands) > 12
    for each in commands:
        found = httpx.get(each.replace("http://127.0.0.1:8000", server), timeout=60)
        assert found.status_code == 200, each


def test_every_link_leads_somewhere(server: str) -> None:
    """From every page that the header names, and from one of each kind: nothing on this server is missing."""
    start = [f"/{each}" for each in ("", "fit", "accuracy", "docs", *LISTS)]
    start += ["/models/deepseek-v3", "/accelerators/h200-sxm-141gb", "/engines/llama.cpp", "/formulas/memory.kv_cache.tokens"]
    start += [f"/scenarios/{scenarios()[0].id}", "/fit?model=qwen3-14b&gpu=rtx4090-24gb", "/fit?model=qwen3-8b", "/fit?engine=sglang"]
    start += ["/run-on", "/run-on?machine=rtx-4090&use=code", "/run-on?machine=l40s:4&use=embedding"]
    kept: dict[str, str] = {}
    with httpx.Client(base_url=server, timeout=60, headers={"accept": "text/html"}) as client:
        for address in start:
            found = client.get(address, params={"lang": "zh"}) if "?" not in address else client.get(f"{address}&lang=zh")
            assert found.status_code == 200, address
            page = Seen(found.text)
            for each in page.links:
                href = each["href"]
                if href.startswith("#"):
                    assert href[1:] in page.ids, (address, href)
                elif urlsplit(href).scheme:
                    assert urlsplit(href).scheme in ("http", "https"), (address, href)
                    assert each.get("rel") == "noreferrer noopener", (address, href)
                else:
                    kept.setdefault(_sampled(href), href)
        for href in kept.values():
            assert client.get(href).status_code == 200, href


def _sampled(href: str) -> str:
    """One link stands for all of its kind: the page, the names of what is asked, and the first letters of an id."""
    parts = urlsplit(href)
    return parts.path[:16] + " ".join(sorted(each.partition("=")[0] for each in parts.query.split("&")))


def test_there_is_no_such_page_in_the_language_of_who_asks(server: str) -> None:
    for language, words in (("en", "there is no such page"), ("zh-CN", "没有这个页面")):
        found = httpx.get(f"{server}/nowhere", headers={"accept": "text/html", "accept-language": language})
        assert found.status_code == 404
        assert found.headers["content-type"].startswith("text/html")
        assert words in found.text
        assert any(urlsplit(each["href"]).path == "/fit" for each in Seen(found.text).links)
