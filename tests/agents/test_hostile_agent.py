"""What comes over the protocol is a stranger's: refused in words, without a file read, a network asked or a server lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent import talk
from command_line import process
from gpusizer import hub
from gpusizer.errors import GpusizerError
from gpusizer.mcp import tools as room
from gpusizer.mcp.tools import tools

DEEP: dict[str, Any] = {}
for _ in range(200):
    DEEP = {"a": DEEP}

REFUSED = [
    ("plan", {}, "missing-field"),
    ("plan", {"model": "qwen3-8b", "modle": 1}, "unknown-field"),
    ("plan", {"model": "<script>alert(1)</script>"}, "unknown-model"),
    ("plan", {"model": "../../../../etc/passwd\0"}, "bad-word"),
    ("plan", {"model": {"a": 1}}, "bad-word"),
    ("plan", {"model": "x" * 5000}, "bad-word"),
    ("plan", {"model": "file:///etc/passwd"}, "unknown-model"),
    ("plan", {"model": "/dev/zero"}, "file-missing"),
    ("plan", {"model": "qwen3-8b", "prices": "/etc/passwd"}, "file-not-here"),
    ("plan", {"model": "qwen3-8b", "trace": "-"}, "file-not-here"),
    ("plan", {"model": "qwen3-8b", "gpus": ["h200", "/etc/card.TOML"]}, "file-not-here"),
    ("plan", {"model": "qwen3-8b", "gpus": "h200, /etc/card.toml "}, "file-not-here"),
    ("fit", {"model": "qwen3-8b", "gpu": "card.toml"}, "file-not-here"),
    ("plan", {"model": "qwen3-8b", "hub": "huggingface"}, "network-not-here"),
    ("fit", {"model": "qwen3-8b", "gpu": "h200", "hub": "huggingface"}, "network-not-here"),
    ("plan", {"model": "qwen3-8b", "concurrency": 10**400}, "out-of-bounds"),
    ("plan", {"model": "qwen3-8b", "concurrency": -1}, "out-of-bounds"),
    ("plan", {"model": "qwen3-8b", "concurrency": 1.5}, "out-of-bounds"),
    ("plan", {"model": "qwen3-8b", "concurrency": True}, "bad-word"),
    ("plan", {"model": "qwen3-8b", "ttft_s": 10**5000}, "out-of-bounds"),
    ("plan", {"model": "qwen3-8b", "gpus": 5}, "unknown-accelerator"),
    ("plan", {"model": "qwen3-8b", "gpus": {"h200": 1}}, "bad-word"),
    ("plan", {"model": "qwen3-8b", "gpus": ["h200"] * 100_000}, "bad-list"),
    ("plan", {"model": "qwen3-8b", "gpus": "h200," * 100_000}, "bad-list"),
    ("plan", {"model": "qwen3-8b", "sort": "cheapest"}, "bad-choice"),
    ("plan", {"model": "qwen3-8b", "language": "fr"}, "bad-choice"),
    ("plan", {"model": "qwen3-8b", "top": 0}, "out-of-bounds"),
    ("plan", {"model": "qwen3-8b", "detail": "maybe"}, "bad-flag-value"),
    ("fit", {"model": "qwen3-8b"}, "missing-argument"),
    ("fit", {"gpu": "h200", "command": "rm -rf /"}, "no-launcher"),
    ("fit", {"gpu": "h200", "command": "vllm serve " + "x" * 100_000}, "bad-word"),
    ("fit", {"model": "qwen3-8b", "gpu": "h200", "tp": 10**5000}, "out-of-bounds"),
    ("fit", {"model": "qwen3-8b", "gpu": "h200", "flags": DEEP}, "unknown-option"),
    ("fit", {"model": "qwen3-8b", "gpu": "h200", "flags": [1]}, "bad-json"),
    ("plan", {"model": "qwen3-8b", "owned": "h200:2,/etc/card.toml:2"}, "file-not-here"),
    ("plan", {"model": "qwen3-8b", "owned": "here"}, "here-elsewhere"),
    ("run_on", {}, "missing-field"),
    ("run_on", {"machine": []}, "missing-field"),
    ("run_on", {"machine": "here"}, "here-elsewhere"),
    ("run_on", {"machine": ["l40s:4", "2 x HERE"]}, "here-elsewhere"),
    ("run_on", {"machine": "2 x /etc/card.TOML"}, "file-not-here"),
    ("run_on", {"machine": ["l40s:2, card.toml :2"]}, "file-not-here"),
    ("run_on", {"machine": "l40s:" + "9" * 30}, "unknown-accelerator"),
    ("run_on", {"machine": "l40s:0"}, "out-of-bounds"),
    ("run_on", {"machine": ["l40s"] * 100_000}, "bad-list"),
    ("run_on", {"machine": {"l40s": 4}}, "bad-word"),
    ("run_on", {"machine": "l40s", "host_memory": "128G"}, "ambiguous-size"),
    ("run_on", {"machine": "l40s", "use": "cooking"}, "bad-choice"),
    ("run_on", {"machine": "l40s", "models": "/etc/passwd"}, "unknown-model"),
    ("run_on", {"machine": "l40s", "top": 0}, "out-of-bounds"),
    ("run_on", {"machine": "l40s", "hub": "huggingface"}, "network-not-here"),
    ("models", {"id": "../../etc/passwd"}, "unknown-model"),
    ("accelerators", {"memory": "80G"}, "ambiguous-size"),
    ("explain", {"id": "no.such.formula"}, "unknown-formula"),
]


@pytest.mark.parametrize(("name", "arguments", "code"), REFUSED, ids=range(len(REFUSED)))
def test_what_makes_no_sense_is_refused_by_its_code(name: str, arguments: dict[str, Any], code: str) -> None:
    tool = {each.name: each for each in tools(None)}[name]
    with pytest.raises(GpusizerError) as refused:
        tool.call(arguments, "en")
    assert refused.value.code == code


def test_an_error_is_code_sentence_and_hint_in_the_language_that_was_asked_for() -> None:
    calls = [("plan", {"model": "qwen3-8b", "input_tokens": "<b>\n\x1b[31m", "language": language}) for language in ("en", "zh")]
    _, (english, chinese, after) = talk([*calls, ("models", {"id": "qwen3-8b"})])
    for refused in (english, chinese):
        assert refused.failed
        found = refused.data
        assert set(found) == {"code", "sentence", "hint", "argument"}
        assert (found["code"], found["argument"]) == ("bad-tokens", "input_tokens")
        assert found["sentence"].isprintable()
        assert "Traceback" not in refused.text
        assert json.loads(refused.text) == found
    assert english.data["sentence"].isascii()
    assert not chinese.data["sentence"].isascii()
    assert not after.failed


def test_files_of_the_machine_are_no_answer(tmp_path: Path) -> None:
    """A file that is there and one that is not are told apart by nothing."""
    secret = tmp_path / "secret.toml"
    secret.write_text('memory = "48GB"\nbandwidth = "864GB/s"\n', encoding="utf-8")
    refused = [("plan", {"model": "qwen3-8b", name: value}) for name in ("prices", "trace") for value in (str(secret), str(tmp_path / "none.toml"))]
    refused += [("fit", {"model": "qwen3-8b", "gpu": value}) for value in (str(secret), str(tmp_path / "none.toml"))]
    _, answers = talk(refused)
    said = [answer.data for answer in answers]
    assert said[0::2] == said[1::2]
    assert {each["code"] for each in said} == {"file-not-here"}


def test_a_local_model_is_read_for_who_started_the_server(tmp_path: Path) -> None:
    from gpusizer.facts.catalog import model_entry

    (tmp_path / "config.json").write_text(json.dumps(dict(model_entry("qwen3-8b").config)), encoding="utf-8")
    _, (by_path, by_id) = talk([("plan", {"model": source, "concurrency": 8, "top": 1}) for source in (str(tmp_path), "qwen3-8b")])
    same = ("gpu", "gpus", "max_concurrency")
    assert [by_path.data["options"][0][name] for name in same] == [by_id.data["options"][0][name] for name in same]


def test_no_network_is_asked_whatever_a_model_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(name: str, source: str) -> str:
        asked.append(name)
        return "qwen3-8b"

    monkeypatch.setattr(hub, "look_up", look_up)
    names = ["someone/Unknown-7B", "https://huggingface.co/Qwen/Qwen3-8B", "hf://someone/x"]
    talk([("plan", {"model": name, "concurrency": 1, "top": 1}) for name in names])
    assert asked == []
    talk([("plan", {"model": names[0], "concurrency": 1, "top": 1, "hub": "huggingface"})], hub="huggingface")
    assert asked == [names[0]]


def test_a_defect_is_said_without_a_traceback_and_the_server_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(room, "make_plan", lambda request: 1 // 0)
        _, (broken, after) = talk([("plan", {"model": "qwen3-8b"}), ("models", {"id": "qwen3-8b"})])
    assert broken.failed
    assert broken.data["code"] == "defect"
    assert "Traceback" not in broken.text
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert not after.failed


OPENING = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def opened() -> subprocess.Popen[bytes]:
    """``gpusizer mcp`` after its first answer."""
    server = subprocess.Popen([sys.executable, "-m", "gpusizer", "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": OPENING}).encode() + b"\n")
    server.stdin.flush()
    assert json.loads(server.stdout.readline())["result"]["serverInfo"]["name"] == "gpusizer"
    return server


def test_lines_that_are_no_message_are_passed_over() -> None:
    server = opened()
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "nosuch", "arguments": {}}}
    lines = [b"hello", b"{}", b"[" * 100_000, b"\xff\xfe", json.dumps(call).encode(), b""]
    out, err = server.communicate(b"\n".join(lines), timeout=60)
    answers = {each["id"]: each for each in map(json.loads, out.splitlines()) if "id" in each}
    assert answers[2]["error"]["code"] == -32602
    assert b"Traceback" not in err
    assert server.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind exist on POSIX systems")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_while_it_waits(number: signal.Signals) -> None:
    server = opened()
    server.send_signal(number)
    assert server.wait(timeout=30) == -number
    server.communicate()


def test_who_lacks_the_extra_is_told_the_line_to_type() -> None:
    program = "import sys; sys.modules['mcp'] = None; from gpusizer.cli.main import main; sys.exit(main(sys.argv[1:]))"
    for language in ("en", "zh"):
        done = subprocess.run([sys.executable, "-c", program, "mcp", "--language", language], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "pip install 'gpusizer[mcp]'" in done.stderr


def test_a_wrong_hub_is_one_line() -> None:
    done = process("mcp", "--hub=elsewhere")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
