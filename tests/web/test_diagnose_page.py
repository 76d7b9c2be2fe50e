"""A log over HTTP: the command line's own answer, as text, JSON or a form; nothing of the machine is touched, and nothing of the log is trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from command_line import run
from gpusizer.web.job import PAGE, Job
from gpusizer.web.replies import reply_to

LOG = """\
(APIServer pid=1) INFO 11-02 10:00:00 [api_server.py:1912] vLLM API server version 0.11.2
(EngineCore_DP0 pid=9) INFO 11-02 10:00:40 [gpu_model_runner.py:2653] Model loading took 15.2683 GiB memory and 9.0 seconds
(EngineCore_DP0 pid=9) INFO 11-02 10:01:10 [gpu_worker.py:298] Available KV cache memory: -2.81 GiB
(EngineCore_DP0 pid=9) ERROR ValueError: No available memory for the cache blocks. <script>alert(1)</script>
"""
BESIDE = {"model": "qwen3-8b", "gpu": "l40s-48gb", "max-model-len": "16384"}


def asked(body: dict[str, Any], form: str = "json") -> tuple[int, Any]:
    reply = reply_to(Job("diagnose", form, "en", body=json.dumps(body).encode()))
    return reply.status, json.loads(reply.body) if form == "json" else reply.body.decode()


def test_json_a_query_and_the_command_line_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(LOG)
    code, out, _ = run(capsys, "diagnose", str(log), "--model", "qwen3-8b", "--gpu", "l40s-48gb", "--max-model-len", "16384", "--format", "json")
    assert code == 3
    status, found = asked({"log": LOG, **BESIDE})
    assert (status, found) == (200, json.loads(out))
    together = {"log": LOG, "model": "qwen3-8b", "gpu": ["l40s-48gb"], "flags": {"max-model-len": 16384}}
    assert asked(together) == (200, found)
    reply = reply_to(Job("diagnose", "json", "en", urlencode({"log": LOG, **BESIDE})))
    assert json.loads(reply.body) == found


def test_a_server_takes_a_log_as_text(server: str) -> None:
    answer = httpx.post(f"{server}/api/v1/diagnose", content=LOG.encode(), headers={"Content-Type": "text/plain"}, params=BESIDE)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "refused")
    assert answer.json()["measured"]["weights_bytes"] == pytest.approx(15.2683 * (1 << 30), rel=1e-6)
    elsewhere = httpx.post(f"{server}/api/v1/fit", content=LOG.encode(), headers={"Content-Type": "text/plain"})
    assert elsewhere.status_code == 415
    assert httpx.post(f"{server}/api/v1/diagnose", content=b"x" * 2_100_000, headers={"Content-Type": "text/plain"}).status_code == 413
    page = httpx.post(f"{server}/diagnose", data={"log": LOG, "model": "qwen3-8b", "gpu": "l40s"}, headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "No available memory" in page.text


def test_the_page_asks_answers_and_escapes() -> None:
    empty = reply_to(Job("diagnose", PAGE, "zh"))
    assert (empty.status, "textarea" in empty.body.decode()) == (200, True)
    page = reply_to(Job("diagnose", PAGE, "en", urlencode({"log": LOG, **BESIDE}))).body.decode()
    assert 'data-verdict="no"' in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    wrong = reply_to(Job("diagnose", PAGE, "en", urlencode({"log": "hello"})))
    assert wrong.status == 422
    assert 'role="alert"' in wrong.body.decode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing-field"),
        ({"log": " "}, "missing-field"),
        ({"log": 5}, "missing-field"),
        ({"log": LOG, "model": "/etc/model.json"}, "not-over-http"),
        ({"log": LOG, "gpu": "/etc/card.toml"}, "not-over-http"),
        ({"log": LOG, "engine": "nothing"}, "unknown-engine"),
        ({"log": LOG, "n-gpu-layers": 3}, "option-elsewhere"),
        ({"log": "x" * 100_000}, "log-says-nothing"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_code(body: dict[str, Any], code: str) -> None:
    status, found = asked(body)
    assert (status, found["code"]) == (422, code)
