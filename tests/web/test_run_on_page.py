"""What runs, asked in every way: the same numbers on the command line, in Python, over HTTP, on the page; a stranger learns nothing of a machine."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shlex
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

import gpusizer
from command_line import run
from gpusizer import RunOnRequest
from gpusizer.errors import GpusizerError
from gpusizer.rendering.run_on import beyond_lines, run_on_table, use_parts
from gpusizer.web.job import Job
from gpusizer.web.replies import reply_to
from gpusizer.web.run_on_asked import as_command, as_query, run_on_asked

REQUESTS = [
    RunOnRequest(machine=("rtx-4090",), use=("code",), per_use=3),
    RunOnRequest(machine=("l40s:4", "8 x A100 40GB"), users=200, active_share=0.1, context_tokens=16384, use=("chat", "embedding"), per_use=2),
    RunOnRequest(machine=("rtx-3090:2",), host_memory="128GB", host_bandwidth="2xDDR5-5600", use=("reasoning",), min_speed=2.5),
    RunOnRequest(machine=("2 x 48GB,864GB/s,362TFLOPS",), engine="llama.cpp", licence="apache-2.0", use=("vision",)),
    RunOnRequest(machine=("l40s:2",), use=("chat",), with_models=("bge-m3",), per_use=2),
    RunOnRequest(machine=("rtx3060-12gb",), models=("kimi-k2-instruct", "qwen3-8b")),
]


def asked(pairs: list[tuple[str, str]], form: str = "json", language: str = "en") -> tuple[int, str]:
    """What a worker answers."""
    reply = reply_to(Job("run-on", form, language, urlencode(pairs)))
    return reply.status, reply.body.decode()


@pytest.mark.parametrize("request_", REQUESTS, ids=as_query)
def test_every_way_to_ask_gives_the_same_numbers(request_: RunOnRequest, capsys: pytest.CaptureFixture[str]) -> None:
    answer = gpusizer.run_on(request_)
    code, printed, _ = run(capsys, *shlex.split(as_command(request_))[1:], "--format", "json")
    pairs = parse_qsl(as_query(request_))
    status, told = asked(pairs)
    assert (code, status) == (0, 200)
    assert answer.to_dict() == json.loads(answer.to_json()) == json.loads(printed) == json.loads(told)

    page = " ".join(html.unescape(asked(pairs, "page")[1]).split())
    assert answer.sentence() in page
    for part in use_parts(answer.result, "en"):
        for row in run_on_table(answer.result, part.rows, "en").rows:
            assert all(cell in page for cell in row)
    assert all(line in page for line in beyond_lines(answer.result, "en"))
    assert all(row["command"] in page for row in answer.rows() if row["verdict"] != "no")
    assert as_command(request_) in page

    rows = list(csv.DictReader(io.StringIO(asked(pairs, "csv")[1])))
    assert [{name: "" if value is None else str(value) for name, value in row.items()} for row in answer.rows()] == rows
    assert answer.sentence("zh") in asked(pairs, "markdown", "zh")[1]


def test_a_body_and_a_query_ask_the_same(server: str) -> None:
    body = {"machine": ["l40s:4", "rtx-4090"], "use": ["code", "rerank"], "users": 50, "per_use": 2, "licence": None}
    sent = httpx.post(f"{server}/api/v1/run-on", json=body, timeout=60)
    query = "machine=l40s:4,rtx-4090&use=code&use=rerank&users=50&per_use=2"
    found = httpx.get(f"{server}/api/v1/run-on?{query}", timeout=60)
    assert (sent.status_code, found.status_code) == (200, 200)
    assert sent.json() == found.json()
    assert [(each["gpu"], each["count"]) for each in found.json()["machine"]] == [("l40s-48gb", 4), ("rtx4090-24gb", 1)]


@pytest.mark.parametrize("request_", REQUESTS, ids=as_query)
def test_a_question_is_its_own_address(request_: RunOnRequest) -> None:
    assert run_on_asked(parse_qsl(as_query(request_))) == request_


@pytest.mark.parametrize("machine", ["rtx-4090", "l40s:4", "m3-ultra-512gb", "48GB,864GB/s,362TFLOPS:2", "rtx-3090:2", "rtx-3090,rtx-4090:2"])
def test_each_row_leads_to_a_start_that_fits_with_the_command_that_is_shown(machine: str) -> None:
    pairs = [("machine", machine), ("per_use", "2"), ("host_memory", "64GB")]
    runs = [each for each in json.loads(asked(pairs)[1])["models"] if each["verdict"] != "no"]
    page = asked(pairs, "page")[1]
    links = [html.unescape(each) for each in re.findall(r'<th scope="row"><a href="([^"]+)', page)]
    commands = [html.unescape(each).strip() for each in re.findall(r'<pre id="command-[^>]*><code>(.*?)</code>', page, re.DOTALL)]
    assert len(links) > 4
    for link, command, row in zip(links, commands, runs, strict=True):
        start = [(name, value) for name, value in parse_qsl(urlsplit(link).query) if name != "lang"]
        fit = json.loads(reply_to(Job("fit", "json", "en", urlencode(start))).body)
        assert (fit.get("fits"), fit.get("command")) == (True, command), link
        assert (fit["deployment"]["gpu"], fit["deployment"]["devices"] or []) == (row["gpu"], row["devices"]), link
        if row["tpot_s"] is not None:  # what writes nothing keeps nothing; TEI takes no length by its command
            assert fit["max_concurrency"] == pytest.approx(row["max_concurrency"])


def test_devices_and_numbers_of_the_form_are_those_of_the_address() -> None:
    typed = [("machine", "L40S"), ("count", "4"), ("machine", "rtx 4090"), ("count", ""), ("use", "code"), ("per_use", "1")]
    written = [("machine", "l40s:4"), ("machine", "rtx 4090"), ("use", "code"), ("per_use", "1")]
    sentences = [re.findall("<h1>(.*?)</h1>", asked(each, "page")[1]) for each in (typed, written)]
    assert sentences[0] == sentences[1]
    assert "4 x L40S + 1 x RTX 4090" in sentences[0][0]


def test_a_first_visit_shows_the_form_and_no_answer() -> None:
    status, page = asked([("use", "code")], "page")
    assert status == 200
    assert "<table" not in page
    assert 'name="machine"' in page
    assert re.findall(r'value="code" (checked)', page) == ["checked"]


@pytest.mark.parametrize("words", ["here", " HERE ", "2 x here", "l40s:4,here", "here:3"])
def test_nobody_learns_what_the_server_holds(words: str, server: str) -> None:
    for found in (
        httpx.get(f"{server}/api/v1/run-on", params={"machine": words}),
        httpx.post(f"{server}/api/v1/run-on", json={"machine": words.split(",")}),
        httpx.get(f"{server}/api/v1/plan", params={"model": "qwen3-8b", "owned": words}),
    ):
        assert (found.status_code, found.json()["code"]) == (422, "here-elsewhere")
        assert "l40s:4" in found.json()["title"]
    page = httpx.get(f"{server}/run-on", params={"machine": words}, headers={"accept": "text/html", "accept-language": "en"})
    assert page.status_code == 422
    assert "command line alone" in page.text
    with pytest.raises(GpusizerError):
        RunOnRequest(machine=(words,))


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ([], "missing-field"),
        ([("use", "code")], "missing-field"),
        ([("machine", "/etc/card.toml")], "not-over-http"),
        ([("machine", "4 x /etc/card.TOML : 2")], "not-over-http"),
        ([("machine", "card.toml:2,l40s")], "not-over-http"),
        ([("machine", "l40s"), ("models", "/etc/model.gguf")], "not-over-http"),
        ([("machine", "l40s"), ("models", "/etc/passwd")], "unknown-model"),
        ([("machine", "l40s"), ("with_models", "/etc/model.gguf")], "not-over-http"),
        ([("machine", "l40s"), ("users", "3"), ("users", "4")], "given-twice"),
        ([("machine", "l40s"), ("top", "3")], "unknown-field"),
        ([("machine", "nobody sells this")], "unknown-accelerator"),
        ([("machine", "l40s:0")], "out-of-bounds"),
        ([("machine", "l40s:999999999")], "out-of-bounds"),
        ([("machine", "l40s," * 3000)], "bad-list"),
        ([("machine", "l40s"), ("use", "cooking")], "bad-choice"),
        ([("machine", "l40s"), ("host_memory", "128G")], "ambiguous-size"),
        ([("machine", "l40s"), ("host_bandwidth", "9" * 4000)], "bad-bandwidth"),
        ([("machine", "l40s"), ("per_use", "0")], "out-of-bounds"),
        ([("machine", "l40s"), ("min_speed", "nan")], "bad-rate"),
    ],
    ids=range(19),
)
def test_what_makes_no_sense_is_refused(pairs: list[tuple[str, str]], code: str) -> None:
    status, found = asked(pairs)
    assert (status, json.loads(found)["code"]) == (422, code)
    page = asked(pairs, "page")
    assert page[0] == (200 if code == "missing-field" else 422)
    assert ('role="alert"' in page[1]) == (code != "missing-field")


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "{{ 7 * 7 }}"])
@pytest.mark.parametrize("field", ["machine", "licence", "host_memory", "models"])
def test_markup_in_a_word_stays_text(name: str, field: str) -> None:
    pairs = {"machine": "rtx-4090", "use": "speech", field: name}
    page = asked(list(pairs.items()), "page")[1]
    assert "<script>alert" not in page
    assert "<img" not in page
    assert html.escape(name).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page


def test_a_name_that_nearly_fits_is_offered() -> None:
    page = asked([("machine", "rtx 4095:2"), ("use", "code")], "page")[1]
    near: list[Any] = [dict(parse_qsl(urlsplit(html.unescape(each)).query)) for each in re.findall(r'href="(/run-on\?use[^"]+)"', page)]
    assert near
    assert all(each["machine"].endswith(":2") and each["use"] == "code" for each in near)
