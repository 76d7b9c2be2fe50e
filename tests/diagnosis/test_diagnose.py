"""From a log back to the plan: measured beside predicted, why it ended so, and remedies that hold when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from test_log_reading import FAILED, KILLED, REQUEST, START

import gpusizer
from command_line import ANSWERED, DOES_NOT_FIT, refused, run
from conftest import shared_lines
from gpusizer.architecture.types import Notice
from gpusizer.diagnosis.diagnose import diagnose
from gpusizer.diagnosis.reader import grammars, read_log
from gpusizer.diagnosis.row import Given, row_of
from gpusizer.engines.base.log_lines import UNTOLD
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import UnreadableFileError
from gpusizer.i18n import LANGUAGES, has
from gpusizer.planning.improvements import Cost
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.diagnose import diagnosis_document
from gpusizer.rendering.fit import log_lines
from gpusizer.rendering.render import form_names, render
from gpusizer.units import GiB
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import KNOWN_BEFORE
from gpusizer.validation.validate import validate

GIVEN = Given(model="qwen3-8b", gpus=("l40s-48gb",))
TORCH = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 44.40 GiB of which 900.00 MiB is free. "
    "Including non-PyTorch memory, this process has 43.50 GiB memory in use. Of the allocated memory 42.00 GiB is allocated by PyTorch, and "
    "200.00 MiB is reserved by PyTorch but unallocated.\n"
)


def told(text: str, given: Given = GIVEN) -> Any:
    return diagnose([text.encode()], given)


def data(text: str, given: Given = GIVEN) -> dict[str, Any]:
    return dict(diagnosis_document(told(text, given), "en").data)


def log_of(deployment: Deployment) -> str:
    """What the engine would print if the prediction were right to the last digit."""
    return "vLLM API server version 0.13.0\n" + "".join(each.line.replace(UNTOLD, "9") + "\n" for each in log_lines(make_fit(deployment).fit))


def test_a_log_that_says_what_was_predicted_agrees_everywhere() -> None:
    start = Deployment("qwen3-14b", "l40s-48gb", engine_version="0.13.0", max_model_len=32768)
    found = told(log_of(start), Given("qwen3-14b", ("l40s-48gb",)))
    measured = {name: each for name, each in found.compared.items() if each.measured is not None}
    assert {"weights_bytes", "kv_cache_pool_bytes", "kv_cache_tokens", "max_concurrency", "fits"} <= set(measured)
    assert all(each.inside for each in measured.values())
    assert found.row["max_model_len"] == 32768  # told by the line of its concurrency
    assert not [each.code for each in found.findings if "predicted" in each.code]


@pytest.mark.parametrize("text", [START, FAILED, log_of(Deployment("qwen3-8b", "l40s-48gb", engine_version="0.13.0", max_num_seqs=1024))])
def test_each_remedy_holds_when_it_is_asked_for(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = data(text)
    assert found["remedies"]
    tokens = found["measured"].get("kv_cache_tokens")
    for each in found["remedies"]:
        assert tokens is None or each["kv_cache_tokens"] > tokens
        code, out, _ = run(capsys, "fit", "--gpu", "l40s-48gb", "--engine-version", "0.13.0", "--format", "json", "--", each["command"])
        fit = json.loads(out)
        assert code == ANSWERED
        before, after = found["predicted"]["quantities"]["kv_cache_pool_bytes"]["value"], fit["quantities"]["kv_cache_pool_bytes"]["value"]
        if each["cost"] != "hardware":
            assert after - before == pytest.approx(each["frees_bytes"], abs=0.35 * (1 << 30)), each["change"]


def test_remedies_are_in_the_order_of_what_they_cost() -> None:
    order = [each.name.lower() for each in Cost]
    costs = [order.index(each["cost"]) for each in data(START)["remedies"]]
    assert costs == sorted(costs)
    assert costs[0] == 0


def test_the_difference_from_the_prediction_is_carried_over() -> None:
    """Somebody else holds eight gigabytes: every remedy has so much less than the prediction alone says."""
    less = START.replace("22.81 GiB", "14.81 GiB").replace("166,096", "107,840").replace("5.07x", "3.29x")
    whole, held = (told(text).improvements for text in (START, less))
    both = [(a, b) for a in whole for b in held if a.code == b.code and a.launch.layout.gpus == b.launch.layout.gpus]
    assert both
    for before, after in both:
        assert after.kv_cache_tokens < before.kv_cache_tokens
        assert after.frees_bytes == before.frees_bytes
    assert "less-than-predicted" in [each.code for each in told(less).findings]


def test_what_failed_in_reality_although_predicted_to_fit_gets_remedies_that_free_what_was_missing() -> None:
    found = told(START[: START.index("(EngineCore_DP0 pid=9) INFO 11-02 10:01:40")] + TORCH)
    assert (found.outcome, found.failed) == ("out-of-memory", True)
    codes = [each.code for each in found.findings]
    assert {"allocation-failed", "failed-although"} <= set(codes)
    assert found.improvements
    missing_bytes = (1.5 - 900 / 1024) * (1 << 30)
    assert all(each.frees_bytes >= missing_bytes for each in found.improvements)


def test_a_cache_that_is_told_in_tokens_alone_says_how_long_a_context_may_be() -> None:
    """The log of vLLM issue 13061: the engine names the tokens that its cache holds, and they are what the remedy offers."""
    text = (
        "Loading model weights took 13.9476 GB\nValueError: The model's max seq len (131072) is larger than the maximum number of tokens that can be "
        "stored in KV cache (81536). Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.\n"
    )
    given = Given("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", ("rtx4090-24gb",), engine_version="0.7.2", flags={"tp": 2})
    found = told(text, given)
    assert Notice("request-beyond-cache", {"length": 131_072, "held": 81_536}) in found.findings
    shorter = next(each for each in found.improvements if each.code == "shorter-context")
    assert shorter.launch.max_model_len == shorter.kv_cache_tokens == 81_536


def test_settings_that_are_enough_together_are_offered_together() -> None:
    text = (
        "vLLM API server version 0.11.0\nModel loading took 61.0400 GiB and 20.8 seconds\nAvailable KV cache memory: -0.72 GiB\n"
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.\n"
    )
    found = told(text, Given("Qwen/Qwen2.5-32B-Instruct", ("a100-sxm-80gb",), flags={"max_model_len": 32768}))
    both = next(each for each in found.improvements if each.code == "more-of-the-card-shorter-context")
    share, context = both.launch.memory_fraction, both.launch.max_model_len
    assert share is not None
    assert context is not None
    room_bytes = (share - 0.9) * 80 * GiB - 0.72 * GiB  # what the engine was short of, and what the larger share adds
    assert context * 64 * 2 * 8 * 128 * 2 == pytest.approx(room_bytes, rel=0.02)  # 64 layers, keys and values, 8 heads of 128, 16 bits


def test_cards_of_several_kinds_are_all_named() -> None:
    devices = ["NVIDIA GeForce RTX 5090", "NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"]
    lines = [f"  Device {number}: {name}, compute capability 8.9, VMM: yes" for number, name in enumerate(devices)]
    buffers = [f"load_tensors:        CUDA{number} model buffer size =  5000.00 MiB" for number in range(3)]
    found = data("\n".join(["build: 5331 (abc)", *lines, "print_info: general.name     = Qwen3 32B", *buffers]), Given())
    assert "1 x RTX 5090 + 2 x RTX 4090" in found["sentence"]["en"]


def test_memory_that_ends_while_it_serves_is_no_failed_start() -> None:
    for text, code in ((START + REQUEST + TORCH, "torch-out-of-memory-serving"), (START + REQUEST + KILLED, "host-killed")):
        found = told(text)
        assert (found.outcome, found.failed) == ("starts-then-out-of-memory", False)
        assert code in [each.code for each in found.told.record.events]
        assert data(text)["outcome"] == "starts"


def test_a_log_that_ends_behind_its_cache_got_past_its_memory() -> None:
    found = data(START[: START.index("(EngineCore_DP0 pid=9) INFO 11-02 10:01:40")])
    assert found["outcome"] == "starts"
    assert "kV" not in found["sentence"]["zh"]
    assert found["findings"][0]["code"] == "outcome-pool-allocated"
    assert data(START[: START.index("(EngineCore_DP0 pid=9) INFO 11-02 10:01:10")])["outcome"] == "unknown"


def test_what_is_missing_is_said_and_what_was_measured_is_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(START)
    code, out, _ = run(capsys, "diagnose", str(log), "--format", "json")
    found = json.loads(out)
    assert (code, found["predicted"]) == (ANSWERED, None)
    assert [each["code"] for each in found["warnings"]] == ["log-without-gpu"]
    assert "--gpu" in found["warnings"][0]["sentence"]["en"]
    assert found["measured"]["kv_cache_tokens"] == 166_096
    unnamed = data(START.replace("Qwen/Qwen3-8B", "/app/model"), Given(gpus=("l40s",)))
    assert [each["code"] for each in unnamed["warnings"]] == ["log-model-unknown"]
    assert data(START.replace("Qwen/Qwen3-8B", "/data/models/Qwen3-8B/"), Given(gpus=("l40s",)))["predicted"] is not None


@pytest.mark.parametrize("text", ["", "hello\n", "x" * 100_000, "INFO:     Application startup complete.\n" * 3, "\x00" * 5000])
def test_a_log_that_says_nothing_is_said_to_be_so(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text(text)
    assert "nothing that an engine says" in refused(capsys, "diagnose", str(log))


def test_exit_codes_and_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "failed.log"
    log.write_text(FAILED)
    assert run(capsys, "diagnose", str(log))[0] == DOES_NOT_FIT
    assert "not a log" in refused(capsys, "diagnose", str(tmp_path))
    assert "not a log" in refused(capsys, "diagnose", str(tmp_path / "none.log"))
    assert "llama.cpp" in refused(capsys, "diagnose", str(log), "--n-gpu-layers", "10")  # typed before the log told which engine it was


def test_flags_and_a_pasted_command_fill_and_override(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(START)
    typed = run(capsys, "diagnose", str(log), "--gpu", "h100", "--tp", "2", "--max-model-len", "16k", "--enforce-eager", "--format", "json")[1]
    command = ("--", "vllm", "serve", "Qwen/Qwen3-8B", "-tp", "2", "--max-model-len", "16384", "--enforce-eager")
    pasted = run(capsys, "diagnose", str(log), "--gpu", "h100", "--format", "json", *command)[1]
    first, second = json.loads(typed), json.loads(pasted)
    assert first["predicted"] == second["predicted"]
    assert (first["gpus"], first["flags"]["max_model_len"], first["flags"]["enforce_eager"]) == (2, 16384, True)
    assert first["predicted"]["items"]


def test_the_python_face_gives_what_the_command_line_gives(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(START)
    said = json.loads(run(capsys, "diagnose", str(log), "--gpu", "l40s", "--max-num-seqs", "64", "--format", "json")[1])
    for source in (log, START.splitlines(), [START.encode()]):
        answer = gpusizer.diagnose(source, gpu="l40s", flags={"max_num_seqs": 64})
        assert json.loads(answer.to_json()) == said == answer.to_dict()
    assert not answer.failed


def test_the_row_is_a_case_that_validate_predicts_alike(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log, cases = tmp_path / "vllm.log", tmp_path / "cases.jsonl"
    log.write_text(START)
    assert run(capsys, "diagnose", str(log), "--gpu", "l40s", "--format", "jsonl", "--output", str(cases))[0] == ANSWERED
    row = json.loads(cases.read_text())
    assert set(KNOWN_BEFORE) <= set(row)
    (case,) = json.loads(run(capsys, "validate", str(cases), "--format", "json")[1])["cases"]
    found = data(START, Given(gpus=("l40s",)))["compared"]
    assert {name: each["predicted"] for name, each in case["quantities"].items()} == {
        name: round(each["predicted"]) if name.endswith(("_bytes", "_tokens")) else each["predicted"] for name, each in found.items()
    }
    assert case["quantities"]["fits"]["measured"] is True


HOSTILE = (
    "(EngineCore pid=1) ERROR ValueError: No available memory for the cache blocks. "
    "<script>alert(1)</script> =cmd|' /C calc'!A0 [x](http://y) `$(id)`\n"
)


@pytest.mark.parametrize("form", form_names())
@pytest.mark.parametrize("language", LANGUAGES)
def test_words_of_a_log_stay_words(form: str, language: str) -> None:
    found = told(START + FAILED + HOSTILE, Given(model="<b>x</b>\x1b[31m|`;rm -rf ~`", gpus=("l40s",)))
    answer = render(diagnosis_document(found, language), form)
    assert "\x1b" not in answer
    if form == "html":
        assert "<script>alert" not in answer
        assert "<b>x" not in answer
    if form == "markdown":
        assert "<script>" not in answer
        assert "](http" not in answer


def test_everything_that_a_log_may_tell_has_words() -> None:
    codes = {code for grammar in grammars() for each in grammar.patterns for code in (each.event, each.event_serving) if code}
    assert len(codes) > 60
    assert {code for code in codes for language in LANGUAGES if not has("log-event", code, language)} == set()


def published() -> Iterable[tuple[dict[str, Any], str]]:
    for row in shared_lines("starts.jsonl"):
        yield row, row["log"].replace(" | ", "\n")


@pytest.mark.shared
def test_published_logs_name_their_engine_and_measure_what_their_rows_say() -> None:
    """A row that is read back gives ``validate`` the figures of the row itself, and never another."""
    read, compared_figures = 0, 0
    for row, text in published():
        reading = read_log([text.encode()])
        engine = reading.told.engine
        if engine is None or not reading.told.moved:
            continue  # a table, or a remark
        read += 1
        assert engine == row["engine"] or {engine, row["engine"]} <= {"llama.cpp", "ollama"}, row["id"]
        again = row_of(engine, reading.told.record, Given())
        mine, theirs = measured_memory(again), measured_memory(row)
        for name in set(mine) & set(theirs):
            compared_figures += 1
            assert mine[name] == pytest.approx(theirs[name], rel=2e-3, abs=1), (row["id"], name)
    assert read > 380
    assert compared_figures > 1_900


@pytest.mark.shared
def test_published_logs_with_what_their_rows_know_are_predicted_as_the_rows() -> None:
    """The row of a log, with the launch fields that only the publisher knew, is predicted to the byte as the publisher's own."""
    held = 0
    for row, text in [each for number, each in enumerate(published()) if number % 25 == 0]:
        reading = read_log([text.encode()])
        if reading.told.engine is None or not reading.told.moved:
            continue
        again = row_of(reading.told.engine, reading.told.record, Given())
        filled = {**again, **{name: row.get(name) for name in KNOWN_BEFORE}}
        (mine,), (theirs,) = validate([filled]).cases, validate([row]).cases
        assert {name: each.predicted for name, each in mine.quantities.items()} == {name: each.predicted for name, each in theirs.quantities.items()}
        held += 1
    assert held > 10


@pytest.mark.shared
def test_published_logs_are_diagnosed_without_a_defect() -> None:
    """With the model and the GPU of their rows: every form of the answer is written, whatever they hold."""
    for row, text in [each for number, each in enumerate(published()) if number % 25 == 3]:
        try:
            found = diagnose([text.encode()], Given(model=row["model"], gpus=()))
        except UnreadableFileError:
            continue  # a table, or a remark
        assert render(diagnosis_document(found, "en"), "text")
        assert json.loads(render(diagnosis_document(found, "zh"), "json"))["measured"] == dict(found.measured)


def test_over_how_many_gpus_a_model_is_cut_is_told_by_the_weights_of_one() -> None:
    """A log without its arguments: half the weights of Qwen3-14B on a GPU are those of two; a third is nobody's."""
    lines = "INFO Model loading took {} GiB memory and 9.0 seconds\nINFO GPU KV cache size: 400,000 tokens\n"
    halved = data(lines.format(13.8), Given("qwen3-14b", ("l40s-48gb",)))
    assert (halved["gpus"], [each["code"] for each in halved["warnings"]]) == (2, ["log-layout-inferred"])
    assert halved["compared"]["weights_bytes"]["inside"]
    other = data(lines.format(9.2), Given("qwen3-14b", ("l40s-48gb",)))
    assert (other["gpus"], other["remedies"], other["findings"][-1]["code"]) == (None, [], "prediction-far")
    said = data(lines.format(13.8), Given("qwen3-14b", ("l40s-48gb",), flags={"--tensor-parallel-size": 1}))
    assert (said["gpus"], said["warnings"]) == (1, [])


def test_what_failed_for_another_reason_gets_no_advice_on_memory() -> None:
    text = START[: START.index("(EngineCore_DP0 pid=9) INFO 11-02 10:01:10")]
    found = told(
        text
        + "(EngineCore_DP0 pid=9) ERROR [core.py:842] EngineCore failed to start.\n(EngineCore_DP0 pid=9) ModuleNotFoundError: No module named 'x'\n"
    )
    assert found.failed
    assert found.improvements == ()


def test_a_card_that_is_not_free_gets_the_share_that_is() -> None:
    text = START[: START.index("(EngineCore_DP0 pid=9) INFO 11-02 10:00:40")] + (
        "(EngineCore_DP0 pid=9) ERROR [core.py:842] ValueError: Free memory on device cuda:0 (35.2/44.39 GiB) on startup is less than desired GPU "
        "memory utilization (0.9, 39.95 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.\n"
    )
    (only,) = told(text).improvements
    assert (only.code, only.parameters["after"]) == ("less-of-the-card", 0.79)
    assert only.fit.fits


def test_memory_that_ends_while_it_serves_gets_a_smaller_share_of_the_card() -> None:
    found = told(START + REQUEST + TORCH)
    assert found.improvements
    assert "less-of-the-card" in [each.code for each in found.improvements]
    assert all(each.frees_bytes >= (1.5 - 900 / 1024) * (1 << 30) for each in found.improvements)


def test_how_many_cards_there_are_may_be_said_in_any_way() -> None:
    lines = "INFO GPU KV cache size: 400,000 tokens\n"
    ways = (
        Given("qwen3-14b", ("l40s-48gb",), flags={"--gpus": 2}),
        Given("qwen3-14b", ("l40s-48gb", "l40s-48gb")),
        Given("qwen3-14b", ("l40s-48gb",), flags={"tp": 2}),
        Given("qwen3-14b", ("l40s-48gb",), command=("vllm serve x -tp 2",)),
    )
    found = [data(lines, each) for each in ways]
    assert [(each["gpus"], each["predicted"]["kv_cache"]) for each in found] == [(2, found[0]["predicted"]["kv_cache"])] * 4
    assert found[0]["predicted"]["per_gpu"]["weights_bytes"] < 16e9
