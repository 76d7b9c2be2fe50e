"""A plan in a program or a notebook: rows for a data frame, files by their ending, short words for what is printed, errors that read as sentences."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pytest

import gpusizer
from gpusizer import Deployment, FitAnswer, GpusizerError, PlanAnswer, Request, RunOnAnswer, RunOnRequest, SimulationRequest
from gpusizer.errors import FlagError, InputError
from gpusizer.facts.catalog import model_entry

NEED = Request("qwen3-8b", concurrency=4, context_tokens=4096, gpus=("h100", "h20", "p100"))


@pytest.fixture(scope="module")
def plan() -> PlanAnswer:
    return gpusizer.plan(NEED)


def test_an_option_says_what_one_asks_of_it(plan: PlanAnswer) -> None:
    option, data = plan.options[0], plan.to_dict()["options"][0]
    assert (option.gpu, option.ttft_s, option.tpot_s, option.output_tokens_per_s) == tuple(
        data[name] for name in ("gpu", "ttft_s", "tpot_s", "output_tokens_per_s")
    )


def test_rows_are_flat_records(plan: PlanAnswer) -> None:
    rows = plan.rows()
    assert len({tuple(row) for row in rows}) == 1
    assert all(isinstance(value, str | int | float | None) for row in rows for value in row.values())
    assert [row["gpu"] for row in rows if row["verdict"] != "no"] == [option.gpu for option in plan.options]
    assert "p100-sxm-16gb" in [row["gpu"] for row in rows if row["verdict"] == "no"]


def test_what_is_printed_is_short(plan: PlanAnswer) -> None:
    fit = gpusizer.fit(Deployment("qwen3-8b", "h100-sxm-80gb"))
    assert isinstance(fit, FitAnswer)
    run = gpusizer.simulate(SimulationRequest(fit.launch, burst=2, input_tokens=100, output_tokens=10))
    for shown in (plan, plan.result, plan.options[0], fit, fit.result, run):
        assert len(repr(shown)) < 300
        assert "\n" not in repr(shown)
    assert "h100-sxm-80gb" in repr(plan.options[0])
    assert "Qwen3-8B" in repr(plan)
    assert "starts" in repr(fit)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_notebook_shows_a_small_table_and_no_stranger_s_tags(tmp_path: Path) -> None:
    evil = "<script>alert(1)<x>&amp;"
    (tmp_path / evil).mkdir()
    (tmp_path / evil / "config.json").write_text(json.dumps(dict(model_entry("qwen3-8b").config)), encoding="utf-8")
    plan = gpusizer.plan(replace(NEED, model=str(tmp_path / evil)))
    parser = _Tags()
    parser.feed(plan._repr_html_())
    assert set(parser.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert parser.tags.count("tr") == 1 + min(len(plan.options), 8)
    assert any(evil in words for words in parser.words)
    parser.tags.clear()
    parser.feed(gpusizer.fit(Deployment(str(tmp_path / evil), "h100-sxm-80gb"))._repr_html_())
    assert set(parser.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("name", ["plan.txt", "plan.csv", "plan.html", "plan.json", "plan.md", "plan.xlsx"])
def test_a_file_has_the_form_that_its_ending_says(plan: PlanAnswer, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    plan.save(target)
    assert list(tmp_path.iterdir()) == [target]
    if name.endswith("xlsx"):
        book = openpyxl.load_workbook(target)
        assert "out_sentence" in book.defined_names
        return
    words = target.read_text(encoding="utf-8")
    if name.endswith("json"):
        assert json.loads(words) == json.loads(plan.to_json())
    elif name.endswith("csv"):
        assert [row["gpu"] for row in csv.DictReader(words.splitlines())] == [row["gpu"] for row in plan.rows()]
    else:
        assert plan.sentence() in words.replace("## ", "")
        assert "\x1b" not in words


@pytest.mark.parametrize("name", ["plan.docx", "plan", "plan.svg"])
def test_an_ending_that_no_form_has_is_refused_and_nothing_is_written(plan: PlanAnswer, tmp_path: Path, name: str) -> None:
    with pytest.raises(FlagError) as refused:
        plan.save(tmp_path / name)
    assert ".xlsx" in refused.value.parameters["expected"]
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_leaves_what_was_there(plan: PlanAnswer, tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    target.write_text("before", encoding="utf-8")
    target.chmod(0o444)
    with pytest.raises(InputError):
        plan.save(target)
    assert target.read_text(encoding="utf-8") == "before"


def test_an_error_reads_as_a_sentence_and_keeps_its_code() -> None:
    with pytest.raises(GpusizerError) as refused:
        gpusizer.load_architecture("deepsek-v3")
    assert str(refused.value).startswith('there is no model "deepsek-v3"; did you mean deepseek-v3')
    assert (refused.value.code, refused.value.exit_code) == ("unknown-model", 2)


def test_an_uncaught_error_ends_in_its_sentence() -> None:
    program = "import gpusizer; gpusizer.plan(gpusizer.Request('qwen3-8b', concurrency=-1))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    last = done.stderr.strip().splitlines()[-1]
    assert "expected" in last
    assert "out-of-bounds" not in last


@pytest.fixture(scope="module")
def runs() -> RunOnAnswer:
    return gpusizer.run_on(RunOnRequest(machine=("rtx-3090:2", "48GB,864GB/s,362TFLOPS"), use=("code", "embedding"), per_use=3))


def test_what_runs_is_flat_records_and_a_small_table(runs: RunOnAnswer) -> None:
    rows = runs.rows()
    assert len({tuple(row) for row in rows}) == 1
    assert all(isinstance(value, str | int | float | None) for row in rows for value in row.values())
    assert [row["model"] for row in rows if row["verdict"] != "no"] == [each["model"] for each in runs.to_dict()["models"] if each["command"]]
    assert json.loads(runs.to_json()) == runs.to_dict()
    assert runs.sentence() in repr(runs)
    assert len(repr(runs)) < 300
    parser = _Tags()
    parser.feed(runs._repr_html_())
    assert set(parser.tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert parser.tags.count("tr") == 1 + len(runs.result.rows)


def test_the_longest_context_is_a_record_for_each_number_of_requests() -> None:
    start = Deployment("qwen3-32b", "h100-sxm-80gb", max_model_len=1024)
    answer = gpusizer.largest_context(start)
    rows = answer.rows()
    assert [row["requests"] for row in rows] == [2**place for place in range(len(rows))]
    assert answer.to_dict()["rows"] == rows
    assert json.loads(answer.to_json()) == answer.to_dict()
    assert gpusizer.fit(replace(start, max_model_len=rows[0]["context_tokens"])).fits
    assert answer.sentence() in repr(answer)
    parser = _Tags()
    parser.feed(answer._repr_html_())
    assert parser.tags.count("tr") == 1 + len(rows)
