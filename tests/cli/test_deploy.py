"""``gpusizer deploy``: what is typed, where the file goes, and the same file over HTTP."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

from command_line import run
from gpusizer.planning.deploy import TARGETS
from gpusizer.web.job import Job
from gpusizer.web.replies import reply_to

Capture = pytest.CaptureFixture[str]
PASTED = "vllm serve Qwen/Qwen3-8B --tensor-parallel-size 2 --max-model-len 8192"


STARTS = [(each, "en") for each in TARGETS] + [("kubernetes", "zh")]


@pytest.mark.parametrize(("target", "language"), STARTS)
def test_the_command_line_json_and_the_page_hand_out_the_same_file(target: str, language: str, capsys: Capture) -> None:
    agreed(("qwen3-32b", "--gpu", "h200", "--tp", "2"), {"model": "qwen3-32b", "gpu": "h200", "tp": 2}, target, language, capsys)


def test_so_they_do_for_a_plan(capsys: Capture) -> None:
    agreed(("qwen3-32b", "--users", "200"), {"model": "qwen3-32b", "users": 200}, "compose", "en", capsys)


def agreed(words: tuple[str, ...], query: dict[str, object], target: str, language: str, capsys: Capture) -> None:
    """One file, three ways to ask for it."""
    asked = ("deploy", *words, "--target", target, "--language", language)
    code, printed, _ = run(capsys, *asked)
    _, document, _ = run(capsys, *asked, "--format", "json")
    address = urlencode({**query, "target": target})
    page = reply_to(Job("deploy", "sh" if target == "command" else "yaml", language, address))
    told = json.loads(reply_to(Job("deploy", "json", language, address)).body)
    assert (code, page.status) == (0, 200)
    assert printed == page.body.decode() == told["file"]
    assert json.loads(document) == told
    assert page.file_name == f"gpusizer-deploy-qwen3-32b.{'sh' if target == 'command' else 'yaml'}"


def test_a_start_is_named_by_flags_or_by_a_command(capsys: Capture) -> None:
    typed = ("--gpu", "h200", "--target", "kubernetes")
    _, by_flags, _ = run(capsys, "deploy", "qwen3-8b", *typed, "--tp", "2", "--max-model-len", "8192")
    _, by_command, _ = run(capsys, "deploy", *typed, "--", PASTED)
    query = urlencode({"gpu": "h200", "command": PASTED, "target": "kubernetes"})
    assert by_flags == by_command == reply_to(Job("deploy", "yaml", "en", query)).body.decode()
    assert 'nvidia.com/gpu: "2"' in by_flags


def test_each_option_of_the_plan_can_be_taken(capsys: Capture) -> None:
    _, plan, _ = run(capsys, "plan", "qwen3-8b", "--users", "100", "--format", "json")
    for option in json.loads(plan)["options"][:3]:
        _, printed, _ = run(capsys, "deploy", "qwen3-8b", "--users", "100", "--option", str(option["rank"]), "--format", "json")
        found = json.loads(printed)
        assert (found["gpu"], found["gpus"], found["replicas"]) == (option["gpu"], option["gpus"], option["replicas"])


def test_the_ending_of_a_file_may_say_what_it_holds(tmp_path: Path, capsys: Capture) -> None:
    start = ("qwen3-8b", "--gpu", "h200", "--tp", "1")
    for name, beginning in (("a.yaml", "# Qwen3-8B"), ("a.sh", "# Qwen3-8B"), ("a.json", '{\n  "schema"')):
        code, _, _ = run(capsys, "deploy", *start, "--output", str(tmp_path / name))
        assert code == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(beginning)
    code, _, said = run(capsys, "deploy", *start, "--output", str(tmp_path / "a.docx"))
    assert code == 2
    assert ".yaml" in said


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("qwen3-8b", "--gpu", "h200", "--tp", "2", "--users", "5"), 2, "--users belongs to a need"),
        (("deepseek-v3", "--gpu", "rtx-4090", "--max-gpus", "1"), 3, "gpusizer plan"),
        (("deepseek-v3", "--gpu", "h200", "--tp", "1"), 3, "gpusizer fit"),
        (("qwen3-8b", "--option", "999"), 2, "--option"),
        (("qwen3-8b", "--target", "helm"), 2, "production-stack"),
        (("deepseek-v3", "--gpu", "h100", "--target", "compose"), 2, "--target kubernetes"),
        (("qwen3-8b", "--engine", "mlx", "--gpu", "m4-max-128gb", "--target", "compose"), 2, "--target"),
        (("qwen3-8b", "--gpu", "h200", "--tp", "1", "--registry", "x; reboot", "--target", "compose"), 2, "--registry"),
        (("--gpu", "h200", "--", "nothing"), 2, "gpusizer:"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(words: tuple[str, ...], code: int, said: str, capsys: Capture) -> None:
    found, printed, error = run(capsys, "deploy", *words)
    assert (found, printed) == (code, "")
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_stranger_names_no_file_and_nothing_twice() -> None:
    for query, code in (
        ("model=/etc/passwd", "unknown-model"),
        ("model=a.gguf", "not-over-http"),
        ("model=qwen3-8b&option=1&option=2", "given-twice"),
    ):
        found = reply_to(Job("deploy", "yaml", "en", query))
        assert (found.status, json.loads(found.body)["code"]) == (422, code)
    mixed = reply_to(Job("deploy", "sh", "en", "model=qwen3-8b&target=compose"))
    assert mixed.status == 422


def test_the_page_leads_to_what_starts_its_answer() -> None:
    page = reply_to(Job("plan", "page", "en", "model=qwen3-32b&users=200")).body.decode()
    for target in ("command", "compose", "kubernetes", "production-stack", "kserve", "ray"):
        assert f"target={target}" in page
    several = reply_to(Job("plan", "page", "en", "model=deepseek-v3&gpus=h100-sxm-80gb")).body.decode()
    assert "target=kubernetes" in several
    assert "target=compose" not in several


def test_so_does_the_page_of_a_start_that_starts() -> None:
    asked = "model=qwen3-8b&gpu=h200&tp=2"
    page = reply_to(Job("fit", "page", "en", asked)).body.decode()
    links = [html.unescape(each) for each in re.findall(r'href="(/deploy[^"]+)"', page)]
    assert len(links) == len(TARGETS)
    for link in links:
        path, _, query = link.partition("?")
        assert reply_to(Job("deploy", path.rpartition(".")[2], "en", query.removesuffix("&lang=en"))).status == 200
    assert "/deploy" not in reply_to(Job("fit", "page", "en", "model=deepseek-v3&gpu=h200&tp=1")).body.decode()
