"""Answers as they are read: strangers' strings stay harmless in every form, tables stay whole on narrow terminals, warnings reach the reader."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gpusizer
from gpusizer import Deployment, Request
from gpusizer.cli.main import main
from gpusizer.engines import engine_ids, get_engine
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


@pytest.mark.parametrize(
    "words",
    [
        "[x][y]", "![a][b]", "[x](y)", "[x]: https://example.org", "[[x]](y)", "__bold__", "a _em_ b", "_a", "**b**", "~~s~~", "https://e.org/a_b",
        "WWW.e.org", "a@b.org", "<https://e.org>", "<b>x</b>", "`c`", "&lt;b&gt;", "a\\", "\\_x_", "[a]\\(b)", "!\\[a](b)", "*_x_*",
    ],
)  # fmt: skip
def test_markdown_marks_in_words_stay_words(words: str) -> None:
    """What a reader of CommonMark with GitHub's additions would act on is escaped, and taking the escapes away gives the words back."""
    written = render(Document({}, [Paragraph(f"model {words} here")]), "markdown").strip()
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "§", written)
    assert not re.search(r"[*`~]|\]\(|\]\[|\]:|!\[|__|\b_|_\b|://|www\.|\w@\w|<|&(?!lt;|amp;)", bare, re.IGNORECASE), written
    assert html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", written)) == f"model {words} here"


def test_markdown_leaves_names_with_an_underscore_readable() -> None:
    assert render(Document({}, [Paragraph("kv_cache of vllm@4ba787ec9: [1] [2]")]), "markdown") == "kv_cache of vllm@4ba787ec9: [1] [2]\n"


PRINTABLE = [name for name in EVIL if name.isprintable()] + [
    "a\\'\"; touch pwned; #",
    "\\\"'$(touch pwned)`touch pwned`",
    "a'; touch pwned; '",
    'a"; touch pwned; "',
    "$'a\\'; touch pwned; #'",
    "=ls",
    "%self",
    "~root",
    "a b  c",
    "{touch,pwned}",
    "*?[a-z]",
    "!touch ^a^b",
    "a&&touch pwned||b",
    "模型 é",
    "trailing\\",
]
HIDDEN = [
    *(name for name in EVIL if not name.isprintable()),
    "a\n'; touch pwned; #",
    "a\x1b'; touch pwned; #",
    "a\u202e'; touch pwned; #",
    "a\u200b'; touch pwned; #",
    "a\xa0'; touch pwned; #",
    "a\udcff'; touch pwned; #",
    "a\r\ntouch pwned",
]
SHELLS = {
    "sh": ("sh", "-c"),
    "bash": ("bash", "-c"),
    "bash --posix": ("bash", "--posix", "-c"),
    "dash": ("dash", "-c"),
    "zsh": ("zsh", "-f", "-c"),
    "mksh": ("mksh", "-c"),
    "busybox": ("busybox", "sh", "-c"),
    "fish": ("fish", "--no-config", "-c"),
}
ENGINES = engine_ids()


@cache
def launches() -> list[tuple[str | None, list[str]]]:
    """Launch commands of every engine under every name: as a line, and word by word."""
    starts = [Deployment(model=name, gpu="rtx4090-24gb", engine=engine) for name in PRINTABLE for engine in ENGINES]
    return [(command_line(each), get_engine(each.engine).command(each)) for each in starts]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_a_launch_command_back(tmp_path: Path, shell: str) -> None:
    """The shell itself splits the line: a hostile name is one word, or part of one, and nothing runs."""
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{SHELLS[shell][0]} is not installed here")
    script = "\n".join(f"printf '%s\\0' {line}; printf '\\0'" for line, _ in launches())
    answer = subprocess.run([*SHELLS[shell], script], capture_output=True, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, check=True)
    read = [each.split("\0") for each in answer.stdout.decode("utf-8").removesuffix("\0\0").split("\0\0")]
    assert read == [words for _, words in launches()]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("name", PRINTABLE, ids=range(len(PRINTABLE)))
def test_a_launch_command_is_one_line_that_names_the_model_once(name: str) -> None:
    for engine in ENGINES:
        line = command_line(Deployment(model=name, gpu="rtx4090-24gb", engine=engine))
        assert line is not None
        assert line.isprintable()
        words = shlex.split(line)
        if engine in ("vllm", "sglang", "tensorrt-llm"):
            assert words.count(name) == 1
        if engine == "transformers":
            code = words[words.index("-c") + 1]
            compile(code, "command", "exec")
            assert code.count("from_pretrained") == 1
            assert json.dumps(name) in code


@pytest.mark.parametrize("name", HIDDEN, ids=range(len(HIDDEN)))
def test_a_name_that_no_line_shows_gets_a_sentence_and_no_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Shells differ in how such characters are written: what one of them reads as a word, another runs."""
    model = evil_model(tmp_path, name)
    for arguments in commands(model)[:2]:
        assert main([*arguments, "--format", "json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        found = answer.get("options", [answer])[0]
        assert found["command"] is None
        assert "no-launch-command" in [each["code"] for each in found["warnings"]]
        for form in ("text", "markdown"):
            assert main([*arguments, "--format", form]) == 0
            out = capsys.readouterr().out
            assert "no launch command" in " ".join(out.split())
            assert "vllm serve" not in out


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
    from gpusizer.rendering.plan_document import PlanDocument

    monkeypatch.setattr(terminal, "_screen", lambda: (width, False))
    plan = make_plan(Request(model="deepseek-v3", gpus=("h200-sxm-141gb", "a100-sxm-80gb", "rtx4090-24gb", "p100-sxm-16gb"), concurrency=10))
    for block in PlanDocument(plan, language, detail=True).blocks:
        if not isinstance(block, Table):
            continue
        lines = terminal.write(Document({}, [block])).splitlines()
        assert max(map(cell_len, lines)) <= width
        drawn, _, left_out = "\n".join(lines).partition("\n  … ")
        forms = [form for form in (block, block.narrow) if form is not None]
        assert any(loses_no_word(form, drawn, " ".join(left_out.split())) for form in forms), lines


def loses_no_word(table: Table, drawn: str, left_out: str) -> bool:
    """Whether every word of a table is drawn; a column is drawn whole, or named among those that are left out (of a narrow form: not drawn)."""
    letters, titles = "".join(drawn.split()), "".join(drawn.split("─")[0].split())
    for place, column in enumerate(table.columns):
        words = re.findall(r"[\x21-\x7e]+|[\u2e80-\uffef]", column.title)
        if column.title in left_out or (column.spare and not all(word in titles for word in words)):
            continue
        cells = " ".join([column.title, *(row[place] for row in table.rows)])
        if any(len(word) <= 24 and word not in letters for word in re.findall(r"[\x21-\x7e]+|[\u2e80-\uffef]", cells)):
            return False
    return True


def test_numbers_of_a_spreadsheet_stay_numbers() -> None:
    table = Table((Column("n", right=True),), [["-12.5"], ["-0"], ["=1+1"], ["+1"], ["@x"], ["\t=x"]])
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
