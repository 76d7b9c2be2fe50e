"""Answers as they are read: strangers' strings stay harmless in every form, tables stay whole on narrow terminals, warnings reach the reader."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

import gpusizer
from gpusizer import Deployment, Request
from gpusizer.cli.main import main
from gpusizer.rendering.document import Column, Document, Heading, Paragraph, Table
from gpusizer.rendering.forms.text import cell_len
from gpusizer.rendering.launch import command_line
from gpusizer.rendering.render import render

EVIL = [
    "=cmd|'/c calc'!A1",
    "red\x1b[31m\x07",
    "two\nlines",
    "<script>alert(1)</script>",
    "`tick` *star* | pipe",
    "![x](http://example.org/a.png)",
    "$(touch pwned) ; rm -rf x && 'quote\"",
    "\u202eright-to-left",
    "very-long-" + "x" * 200,
]
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 8,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}


def evil_model(folder: Path, name: str, **changes: Any) -> str:
    """A checkpoint folder with a hostile name, and the same string in its configuration."""
    place = folder / name.replace("/", "_")
    place.mkdir()
    (place / "config.json").write_text(json.dumps({**CONFIG, "_name_or_path": name, f"{name}_heads": 4, **changes}), encoding="utf-8")
    return str(place)


def commands(model: str) -> list[tuple[str, ...]]:
    return [
        ("plan", model, "--gpu", "rtx4090-24gb", "--concurrency", "1", "--context-tokens", "1k"),
        ("fit", model, "--gpu", "rtx4090-24gb"),
        ("models", "check", model),
    ]


@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
def test_a_stranger_s_strings_are_harmless_in_every_form(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    model = evil_model(tmp_path, name, model_type=name, quantization_config={"quant_method": name})
    for arguments in commands(model):
        for form in ("text", "markdown", "csv", "json"):
            code = main([*arguments, "--format", form])
            out, err = capsys.readouterr()
            assert (code, err) == (0, ""), (arguments[0], form)
            controls = [character for character in out if not character.isprintable() and character != "\n"]
            assert not controls, (arguments[0], form, controls)
            if form == "json":
                json.loads(out)
            elif form == "csv":
                table = list(csv.reader(io.StringIO(out)))
                assert len({len(row) for row in table}) == 1
                assert not [cell for row in table for cell in row if cell[:1] in ("=", "@", "+") or (cell[:1] == "-" and not cell[1:2].isdigit())]
            elif form == "markdown":
                prose = [line for line in out.splitlines() if not line.startswith("    ")]  # indented lines are code
                assert not [line for line in prose if re.search(r"<\w|(?<!\\)`|\]\(", line)]
                rows = [line for line in prose if line.startswith("|")]
                assert all(len(re.findall(r"(?<!\\)\|", line)) > 2 for line in rows)


def test_table_cells_keep_their_place_in_markdown() -> None:
    document = Document({}, [Table((Column("a"), Column("b")), [["x | y \\| z", "<b>"], ["\\", "`"]])])
    lines = render(document, "markdown").splitlines()
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines} == {3}
    assert "<b>" not in render(document, "markdown")


@pytest.mark.parametrize("name", EVIL, ids=range(len(EVIL)))
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama", "transformers"])
def test_a_launch_command_is_one_line_that_a_shell_reads_back(name: str, engine: str) -> None:
    """bash itself splits the line: the hostile name is one word, or part of one, and nothing runs."""
    line = command_line(Deployment(model=name, gpu="rtx4090-24gb", engine=engine))
    assert line.isprintable()
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
    if engine in ("vllm", "sglang", "tensorrt-llm"):
        assert name in words
    if engine == "transformers":
        code = words[words.index("-c") + 1]
        compile(code, "command", "exec")
        assert code.count("from_pretrained") == 1
        assert json.dumps(name) in code
    if line.isascii() and "$'" not in line:
        assert shlex.split(line) == words


def test_a_repository_is_served_under_the_name_that_was_asked_for() -> None:
    """ "deepseek-v3-base" shares its shapes with the chat model; the command must not start the other one."""
    for asked, served in (
        ("deepseek-v3", "deepseek-ai/DeepSeek-V3"),
        ("deepseek-v3-base", "deepseek-ai/DeepSeek-V3-Base"),
        ("DEEPSEEK-AI/deepseek-v3", "deepseek-ai/DeepSeek-V3"),
    ):
        fitted = gpusizer.fit(Deployment(model=asked, gpu="h200-sxm-141gb", tp=8, max_model_len=2048)).to_dict()
        (planned,) = gpusizer.plan(Request(model=asked, gpus=("h200-sxm-141gb",))).to_dict()["options"]
        assert shlex.split(fitted["command"])[2] == shlex.split(planned["command"])[2] == served


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 240])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_tables_keep_to_a_terminal_and_lose_no_word(monkeypatch: pytest.MonkeyPatch, width: int, language: str) -> None:
    from gpusizer.planning.pipeline import make_plan
    from gpusizer.rendering.forms import text as terminal
    from gpusizer.rendering.plan import plan_document

    monkeypatch.setattr(terminal, "_screen", lambda: (width, False))
    plan = make_plan(Request(model="deepseek-v3", gpus=("h200-sxm-141gb", "a100-sxm-80gb", "rtx4090-24gb", "p100-sxm-16gb"), concurrency=10))
    for block in plan_document(plan, language).blocks:
        if not isinstance(block, Table):
            continue
        lines = terminal.write(Document({}, [block])).splitlines()
        drawn = [line for line in lines if not line.startswith("  …")]
        assert max(map(cell_len, drawn)) <= width
        left_out = next((line for line in lines if line.startswith("  …")), "")
        letters = "".join("".join(drawn).split())
        for place, column in enumerate(block.columns):
            if column.title in left_out:
                continue
            for row in block.rows:
                for word in re.findall(r"[\x21-\x7e]+|[\u2e80-\uffef]", row[place]):
                    assert len(word) > 24 or word in letters, (column.title, word)


def test_numbers_of_a_spreadsheet_stay_numbers() -> None:
    table = Table((Column("n", True),), [["-12.5"], ["-0"], ["=1+1"], ["+1"], ["@x"], ["\t=x"]])
    cells = [row[0] for row in csv.reader(io.StringIO(render(Document({}, [Heading("h"), Paragraph("p"), table]), "csv")))]
    assert cells[1:] == ["-12.5", "-0", "'=1+1", "+1", "'@x", "'=x"]


def test_what_the_engine_warns_of_is_in_the_plan_that_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    """A plan whose layers stay on the host, or whose format was widened, says so on the page, not in JSON alone."""
    assert main(["plan", "qwen3-32b", "--engine", "llama.cpp", "--precision", "int4", "--gpu", "h100-sxm-80gb", "--concurrency", "1"]) == 0
    assert "q4_k_m" in capsys.readouterr().out


def test_engines_and_cards_have_their_names_in_sentences() -> None:
    found = gpusizer.plan(Request(model="qwen3-8b", gpus=("a100-sxm-80gb", "m1-ultra-128gb"), precision="fp8")).to_dict()
    sentences = json.dumps([found["rejected"], [option["warnings"] for option in found["options"]]])
    assert "vLLM does not run on it" in sentences
    assert "A100 SXM4 80GB has no fp8 units" in sentences
