"""The API over HTTP: the numbers of the command line, copies that stay good, languages, forms, and the headers of every response."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import zipfile
from typing import Any

import httpx
import pytest

from command_line import DOES_NOT_FIT, run
from gpusizer.planning.request import from_mapping, to_arguments, to_query

API = "/api/v1"
ADDRESSES = (
    *(
        "/",
        "/answer?model=qwen3-8b",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/static/gpusizer.css",
        "/static/nobody.css",
        "/nowhere",
        "/api/nowhere",
    ),
    *(f"{API}/plan?model=qwen3-8b&top=1", f"{API}/plan", f"{API}/plan.xlsx?model=qwen3-8b&gpus=h200", f"{API}/models/nobody", "/?model=nobody"),
)

REQUESTS: tuple[dict[str, Any], ...] = (
    {"model": "qwen3-8b", "users": 300},
    {"model": "deepseek-v3", "concurrency": 10, "context_tokens": 2048, "gpus": ["h200-sxm-141gb", "h20-96gb"]},
    {"model": "qwen3-32b", "users": 1000, "active_share": 0.02, "ttft_s": 2, "tpot_s": 0.05, "vendor": "nvidia", "max_gpus": 16},
    {"model": "llama-3.3-70b-instruct", "precision": "fp8", "kv_precision": "fp8", "engine": "sglang", "market": "cn", "sort": "cost", "max_gpus": 8},
    {"model": "deepseek-v3", "gpus": ["rtx-4090-24gb"], "max_gpus": 1},
)


@pytest.mark.parametrize("wish", REQUESTS, ids=lambda wish: wish["model"])
def test_a_request_has_the_numbers_of_the_command_line(capsys: pytest.CaptureFixture[str], server: str, wish: dict[str, Any]) -> None:
    """Typed as a query, as JSON with numbers, and as JSON with words."""
    request = from_mapping(wish)
    code, out, _ = run(capsys, "plan", *to_arguments(request), "--format", "json")
    assert code in (0, DOES_NOT_FIT)
    asked = [httpx.get(f"{server}{API}/plan?{to_query(request)}", timeout=60)]
    in_words = {name: str(value) if name in ("users", "max_gpus", "context_tokens") else value for name, value in wish.items()}
    asked += [httpx.post(f"{server}{API}/plan", json=body, timeout=60) for body in (wish, in_words, {**wish, "currency": None})]
    for found in asked:
        assert found.status_code == 200, found.text[:300]
        assert found.json() == json.loads(out)


def test_a_start_has_the_numbers_of_the_command_line(capsys: pytest.CaptureFixture[str], server: str) -> None:
    _, out, _ = run(capsys, "fit", "deepseek-v3", "--gpu", "h200", "--tp", "8", "--max-model-len", "32k", "--format", "json")
    flags: dict[str, Any] = {"tensor-parallel-size": 8, "max-model-len": "32k"}
    for found in (
        httpx.get(f"{server}{API}/fit", params={"model": "deepseek-v3", "gpu": "h200", **flags}, timeout=60),
        httpx.post(f"{server}{API}/fit", json={"model": "deepseek-v3", "gpu": "h200", "flags": flags}, timeout=60),
    ):
        assert found.json() == json.loads(out)


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("models/deepseek-v3", ("models", "show", "deepseek-v3")),
        ("models?filter=moe+mla", ("models", "list", "--filter", "moe mla")),
        ("accelerators?vendor=nvidia&memory=%3E%3D80GB", ("accelerators", "list", "--vendor", "nvidia", "--memory", ">=80GB")),
        ("accelerators/H200", ("accelerators", "show", "H200")),
        ("engines/vllm", ("engines", "show", "vllm")),
        ("scenarios", ("scenarios", "list")),
        ("formulas/article.activation.dense", ("explain", "article.activation.dense")),
    ],
)
@pytest.mark.parametrize(("ending", "form"), [("", "json"), (".json", "json"), (".md", "markdown"), (".csv", "csv")])
def test_the_catalogue_is_that_of_the_command_line(
    capsys: pytest.CaptureFixture[str], server: str, path: str, arguments: tuple[str, ...], ending: str, form: str
) -> None:
    """Under the API and as the twin of a page."""
    code, out, _ = run(capsys, *arguments, "--format", form)
    assert code == 0
    name, _, query = path.partition("?")
    for root in (f"{API}/", "/") if ending else (f"{API}/",):
        found = httpx.get(f"{server}{root}{name}{ending}?{query}")
        assert found.json() == json.loads(out) if form == "json" else found.text.strip() == out.strip()


def test_a_pasted_configuration_is_a_model(server: str) -> None:
    config: dict[str, Any] = {
        "model_type": "llama",
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
    }
    config |= {"num_key_value_heads": 8, "vocab_size": 128256, "head_dim": 64, "torch_dtype": "bfloat16", "_name_or_path": "org/My-Model"}
    config |= {"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True, "max_position_embeddings": 131072}
    written = json.dumps(config)
    wish: dict[str, Any] = {"users": 50, "gpus": ["h200"]}
    answers = [httpx.post(f"{server}{API}/plan", json={**wish, "config": each}).json() for each in (config, written)]
    answers.append(httpx.get(f"{server}{API}/plan", params={**wish, "config": written}).json())
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["model"]["name"] == "My-Model"
    assert answers[0]["model"]["total_params"] == 1_235_814_400  # Llama-3.2-1B, whose shape this is
    name = answers[0]["model"]["id"]
    assert httpx.get(f"{server}{API}/plan", params={**wish, "model": name}).status_code == 422  # nobody names what somebody else has pasted


def test_a_time_needs_its_unit_in_a_query_and_is_seconds_in_json(server: str) -> None:
    query = httpx.get(f"{server}{API}/plan", params={"model": "qwen3-8b", "ttft_s": "2"})
    assert (query.status_code, query.json()["code"]) == (422, "time-without-unit")
    wish = {"model": "qwen3-8b", "gpus": ["h200"]}
    answers = [httpx.post(f"{server}{API}/plan", json={**wish, "ttft_s": each}).json() for each in (2, 2.0, "2s", "2000ms")]
    assert answers[0]["request"]["ttft_s"] == 2
    assert all(each == answers[0] for each in answers)


@pytest.mark.parametrize("path", [f"{API}/plan?model=qwen3-8b&gpus=h200", f"{API}/models", "/", "/models.csv", "/static/gpusizer.css"])
def test_a_copy_stays_good(server: str, path: str) -> None:
    first = httpx.get(server + path, timeout=60)
    tag = first.headers["etag"]
    for wish in (tag, tag.removeprefix("W/"), f'"other", {tag}'):
        again = httpx.get(server + path, headers={"If-None-Match": wish})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in again.headers
    assert httpx.get(server + path, headers={"If-None-Match": tag[:-3] + '"'}, timeout=60).status_code == 200
    joint = "&" if "?" in path else "?"
    if "/static/" not in path:
        assert httpx.get(f"{server}{path}{joint}lang=zh", headers={"If-None-Match": tag}, timeout=60).status_code == 200


def test_a_refusal_is_no_copy(server: str) -> None:
    found = httpx.get(f"{server}{API}/plan?model=nobody-knows-it")
    assert found.status_code == 422
    assert "etag" not in found.headers
    assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ADDRESSES)
def test_head_says_what_get_would(server: str, path: str) -> None:
    asked = {"Accept-Encoding": "identity"}
    head, get = httpx.head(server + path, headers=asked, timeout=60), httpx.get(server + path, headers=asked, timeout=60)
    assert head.content == b""
    assert head.status_code == get.status_code
    if path != "/metrics":
        assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))


def test_text_is_packed_for_those_who_take_it(server: str) -> None:
    path = f"{server}{API}/accelerators"
    plain = httpx.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with httpx.stream("GET", path, headers={"Accept-Encoding": "br, gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["vary"]
    assert len(raw) < len(plain.content) / 4
    assert gzip.decompress(raw) == plain.content
    assert "content-encoding" not in httpx.get(path, headers={"Accept-Encoding": "gzip;q=0"}).headers


@pytest.mark.parametrize("path", ADDRESSES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_every_response_has_its_headers_and_no_cookie(server: str, path: str, method: str) -> None:
    found = httpx.request(method, server + path, timeout=60, headers={"Origin": "https://evil.example", "Cookie": "a=b"})
    policy = dict(each.strip().partition(" ")[::2] for each in found.headers["content-security-policy"].split(";"))
    assert policy.pop("style-src").startswith("'self'")
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["referrer-policy"] == "no-referrer"
    assert found.headers["cross-origin-opener-policy"] == found.headers["cross-origin-resource-policy"] == "same-origin"
    assert "permissions-policy" in found.headers
    for name in ("set-cookie", "server", "access-control-allow-origin"):
        assert name not in found.headers
    for name in found.headers:
        assert len(found.headers.get_list(name)) == 1, name


def test_a_method_that_is_not_answered_says_which_are(server: str) -> None:
    found = httpx.put(f"{server}{API}/plan")
    assert (found.status_code, found.headers["allow"], found.json()["code"]) == (405, "GET, HEAD, POST", "no-such-method")
    assert httpx.post(f"{server}{API}/models", json={}).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("asked", "header", "answered"),
    [
        ("", "", "en"),
        ("zh", "", "zh"),
        ("en", "zh", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "de,en;q=0.5,zh;q=0.4", "en"),
        ("", "ja", "en"),
    ],
)
def test_the_language_is_the_one_that_was_asked_for(server: str, asked: str, header: str, answered: str) -> None:
    """Answers, refusals, and what no address answers."""
    headers, query = {"Accept-Language": header}, {"lang": asked} if asked else {}
    texts = [httpx.get(f"{server}{API}/plan.txt", params={"model": "qwen3-8b", "gpus": "h200", **query}, headers=headers).text]
    texts += [httpx.get(server + path, params=query, headers=headers).json()["detail"] for path in (f"{API}/plan", "/nowhere")]
    texts += [httpx.delete(f"{server}{API}/plan", params=query, headers=headers).json()["detail"]]
    for words in texts:
        assert bool(re.search("[\u4e00-\u9fff]", words)) == (answered == "zh"), words[:200]


def test_a_problem_has_the_code_and_the_words_of_the_command_line(capsys: pytest.CaptureFixture[str], server: str) -> None:
    for wish in ({"model": "deepsek-v3"}, {"model": "qwen3-8b", "users": "many"}, {"model": "qwen3-8b", "context_tokens": "128kb"}):
        options = [word for name, value in wish.items() if name != "model" for word in (f"--{name.replace('_', '-')}", value)]
        _, _, err = run(capsys, "plan", wish["model"], *options)
        found = httpx.get(f"{server}{API}/plan", params=wish).json()
        assert f"gpusizer: {found['detail']}\n" == err
        assert found["type"].endswith(found["code"])
        assert found["parameters"]


@pytest.mark.parametrize("ending", ["xlsx", "csv", "md"])
def test_files_are_named_after_what_they_hold(server: str, ending: str) -> None:
    found = httpx.get(f"{server}{API}/plan.{ending}", params={"model": "deepseek-ai/DeepSeek-V3", "gpus": "h200"}, timeout=60)
    assert found.headers["content-disposition"] == f'attachment; filename="gpusizer-plan-deepseek-ai-DeepSeek-V3.{ending}"'
    if ending == "xlsx":
        assert "xl/workbook.xml" in zipfile.ZipFile(io.BytesIO(found.content)).namelist()


def test_a_report_carries_one_style_and_the_policy_names_it(server: str) -> None:
    found = httpx.get(f"{server}/report", params={"model": "deepseek-v3", "users": 500}, timeout=60)
    if found.status_code == 404:
        pytest.skip("there is no form html yet")
    styles = re.findall(rb"<style>(.*?)</style>", found.content, re.S)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0]).digest()).decode()
    assert f"'sha256-{digest}'" in found.headers["content-security-policy"]
    assert b"<script" not in found.content
    assert b" style=" not in found.content
    assert found.headers["content-disposition"].startswith("inline;")


def test_a_browser_gets_a_page_where_there_is_none(server: str) -> None:
    asked = {"Accept": "text/html,application/xhtml+xml"}
    for path in ("/nowhere", "/models/nobody-knows-it", "/report?model=nobody-knows-it", "/?lang=xx"):
        found = httpx.get(server + path, headers=asked, timeout=60)
        assert 400 <= found.status_code < 500
        assert found.headers["content-type"].startswith("text/html")
        assert 'role="alert"' in found.text
    assert httpx.get(f"{server}{API}/nowhere", headers=asked).headers["content-type"] == "application/problem+json"


def test_a_form_that_is_posted_is_a_query(server: str) -> None:
    asked: dict[str, Any] = {"model": "qwen3-8b", "gpus": ["h200", "h20"], "users": "1,000"}
    posted = httpx.post(f"{server}{API}/plan", data=asked, timeout=60)
    assert posted.json() == httpx.get(f"{server}{API}/plan", params=asked, timeout=60).json()
