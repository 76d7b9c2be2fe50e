"""``gpusizer simulate`` as a stranger uses it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from command_line import ANSWERED, DOES_NOT_FIT, process, refused, run

SMALL = ("simulate", "qwen3-8b", "--gpu", "h100-sxm-80gb", "--max-model-len", "8k", "--requests", "60")
FLAGS = {"llama.cpp": ("--ctx-size", "32k", "--precision", "q4_k_m"), "sglang": ("--context-length", "8k"), "tensorrt-llm": ("--max-seq-len", "8k")}
FIGURES = {"mean", "p50", "p90", "p95", "p99"}


def trace_of(folder: Path, name: str = "trace.jsonl", gap_s: float = 0.2, count: int = 50) -> str:
    rows = [{"arrival_s": gap_s * number, "input_tokens": 500, "output_tokens": 40} for number in range(count)]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder / name)


@pytest.mark.parametrize(
    "arrivals", [("--request-rate", "4/s"), ("--concurrency", "8"), ("--burst", "20"), ("--request-rate", "4", "--arrivals", "constant")]
)
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm", "llama.cpp"])
def test_every_kind_of_arrival_with_every_engine(capsys: pytest.CaptureFixture[str], arrivals: tuple[str, ...], engine: str) -> None:
    lengths = ("--input-tokens", "500", "--output-tokens", "40")
    flags = FLAGS.get(engine, ("--max-model-len", "8k"))
    words = ("simulate", "qwen3-8b", "--gpu", "h100-sxm-80gb", *flags, "--requests", "20", "--engine", engine, *arrivals, *lengths)
    code, out, err = run(capsys, *words, "--format", "json")
    assert (code, err) == (ANSWERED, "")
    found = json.loads(out)
    assert found["schema"] == "gpusizer.simulate/1"
    assert found["requests"] == 20
    assert found["sustainable_per_s"] > 0
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        assert set(found[name]) == FIGURES
        assert 0 < found[name]["p50"] <= found[name]["p90"] <= found[name]["p99"]
    assert found["e2e_s"]["mean"] == pytest.approx(found["ttft_s"]["mean"] + 39 * found["tpot_s"]["mean"])
    assert (found["offered_per_s"] is not None) == ("--request-rate" in arrivals)
    assert 0 < len(found["queue"]) <= 200
    assert 0 < found["peak_kv_share"] <= 1


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", ["text", "markdown", "csv"])
def test_people_read_it_in_both_languages(capsys: pytest.CaptureFixture[str], language: str, form: str) -> None:
    code, out, err = run(capsys, *SMALL, "--request-rate", "3", "--ttft", "1s", "--tpot", "40ms", "--language", language, "--format", form)
    assert (code, err) == (ANSWERED, "")
    assert "TTFT" in out
    assert "?" not in out


def test_a_trace_is_run_as_it_stands_and_the_same_twice(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = (*SMALL[:-2], "--trace", trace_of(tmp_path), "--format", "json")
    first, second = run(capsys, *words)[1], run(capsys, *words)[1]
    assert first == second
    found = json.loads(first)
    assert (found["requests"], found["preemptions"]) == (50, 0)
    assert found["offered_per_s"] == pytest.approx(5)


def test_several_runs_stand_side_by_side_wherever_they_are_computed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    traces = ("--trace", trace_of(tmp_path, "calm.jsonl"), "--trace", trace_of(tmp_path, "wild.jsonl", gap_s=0.01))
    words = (*SMALL[:-2], *traces, "--replicas", "1,2", "--format", "json")
    here = json.loads(run(capsys, *words)[1])
    there = json.loads(run(capsys, *words, "--jobs", "2")[1])
    assert here == there
    assert here["schema"] == "gpusizer.simulations/1"
    runs = {(Path(each["load"]["trace"]).stem, each["deployment"]["replicas"]): each for each in here["simulations"]}
    assert len(runs) == 4
    assert runs["wild", 2]["ttft_s"]["p90"] < runs["wild", 1]["ttft_s"]["p90"]
    code, out, _ = run(capsys, *words[:-2])
    assert code == ANSWERED
    assert out.count("calm.jsonl") == 2


def test_overload_is_said_with_what_can_be_held(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, *SMALL, "--request-rate", "5000", "--format", "json")
    found = json.loads(out)
    assert found["overloaded"]
    assert found["offered_per_s"] > found["sustainable_per_s"]
    assert [each["code"] for each in found["warnings"]].count("overloaded") == 1


def test_a_deployment_that_does_not_start_is_no_simulation(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "simulate", "deepseek-v3", "--gpu", "h100-sxm-80gb", "--concurrency", "1", "--format", "json")
    assert (code, err) == (DOES_NOT_FIT, "")
    found = json.loads(out)
    assert (found["fits"], found["requests"], found["ttft_s"]) == (False, None, None)
    assert found["reason"]["code"]


def test_a_pasted_command_and_workers_for_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("simulate", "--gpu", "h200-sxm-141gb", "--request-rate", "2", "--requests", "40")
    code, out, _ = run(capsys, *words, "--prefill-workers", "1", "--format", "json", "--", "vllm serve Qwen/Qwen3-8B --max-model-len 8192")
    assert code == ANSWERED
    assert json.loads(out)["deployment"]["gpus"] == 2


def test_the_picture_is_plain_svg(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *SMALL, "--burst", "30", "--format", "svg", "--language", "zh")
    assert code == ANSWERED
    root = ElementTree.fromstring(out)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 2


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "--request-rate"),
        (("--request-rate", "1", "--burst", "3"), "--burst"),
        (("--request-rate", "-1"), "--request-rate"),
        (("--request-rate", "nan"), "--request-rate"),
        (("--burst", "0"), "--burst"),
        (("--burst", "2000000"), "--burst"),
        (("--concurrency", "1e99"), "--concurrency"),
        (("--request-rate", "1", "--replicas", "1,x"), "--replicas"),
        (("--request-rate", "1", "--replicas", "100000"), "--replicas"),
        (("--request-rate", "1", "--arrivals", "weibull"), "--arrivals"),
        (("--request-rate", "1", "--input-tokens", "100k"), "102,656"),
        (("--request-rate", "1", "--backend", "slurm"), "--backend"),
        (("--request-rate", "1", "--jobs", "0"), "--jobs"),
        (("--trace", "/no/such/file"), "/no/such/file"),
        (("--request-rate", "1", "--length-spread", "x"), "x"),
        (("--request-rate", "1", "--mem-fraction-static", "0.8"), "--mem-fraction-static"),
    ],
    ids=str,
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_makes_no_sense_is_refused_by_name(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], named: str, language: str) -> None:
    assert named in refused(capsys, *SMALL, *words, "--language", language)


@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_a_cluster_without_its_package_is_refused(capsys: pytest.CaptureFixture[str], backend: str) -> None:
    pytest.importorskip("joblib")
    try:
        __import__({"dask": "distributed", "ray": "ray"}[backend])
    except ImportError:
        assert backend in refused(capsys, *SMALL, "--request-rate", "1", "--backend", backend)
    else:
        pytest.skip(f"{backend} is installed")


def test_no_bar_is_drawn_where_nobody_looks() -> None:
    done = process(*SMALL[:-2], "--burst", "10")
    assert (done.returncode, done.stderr) == (ANSWERED, b"")
