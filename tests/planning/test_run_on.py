"""What runs on machines that people have: what ran when somebody measured it, what fits when it is started as printed, and how lists move."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from conftest import shared_lines
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.errors import FlagError, GpusizerError
from gpusizer.facts.catalog import model_ids
from gpusizer.facts.model_sizes import ENGINES, PRECISIONS, model_sizes
from gpusizer.planning.asked_start import asked_start
from gpusizer.planning.owned import owned
from gpusizer.planning.run_on.answer import run_on
from gpusizer.planning.run_on.request import RunOnRequest, from_mapping
from gpusizer.planning.run_on.types import RunOn
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.forms.json import plain
from gpusizer.rendering.launch import command_line
from gpusizer.rendering.run_on import run_on_data
from gpusizer.validation.speed_cases import performance_case

MACHINES: dict[str, dict[str, Any]] = {
    "one 4090 and 128 GB": {"machine": ("rtx 4090",), "host_memory": "128GB", "host_bandwidth": "2xDDR5-5600"},
    "two kinds of servers": {"machine": ("l40s:4", "8 x A100 40GB"), "concurrency": 8},
    "Mac Studio": {"machine": ("m3-ultra-512gb",)},
    "DGX Spark": {"machine": ("gb10",)},
    "Atlas server": {"machine": ("ascend910b4-32gb:8",), "concurrency": 8},
    "a 4090 beside a 3090": {"machine": ("rtx 4090", "rtx3090-24gb")},
    "three 3090": {"machine": ("3 x RTX 3090",)},
    "a notebook": {"machine": ("rtx4060-laptop-8gb",), "host_memory": "32GB"},
    "H200 server": {"machine": ("h200:8",), "concurrency": 64},
    "MI300X server": {"machine": ("mi300x:8",), "concurrency": 32},
    "two RTX PRO 6000": {"machine": ("rtxpro6000-ws-96gb:2",), "concurrency": 4},
}


@cache
def answer_for(name: str) -> RunOn:
    return run_on(RunOnRequest(**MACHINES[name], per_use=4))


def ids(answer: RunOn) -> set[str]:
    return {row.model.id for row in answer.rows}


@pytest.mark.parametrize("name", MACHINES)
def test_each_that_runs_fits_when_it_is_started_as_printed(name: str) -> None:
    """The command of a row, pasted behind ``fit``, gives the row's own verdict and bytes."""
    answer = answer_for(name)
    assert answer.rows
    for row in answer.rows:
        start = row.start
        assert start is not None
        line = command_line(start.launch)
        assert line is not None
        assert start.gpus <= start.group.gpus
        if start.launch.engine == "transformers":  # a program of its own, not a command line
            assert make_fit(start.launch).fit.fits
            continue
        told = asked_start(
            row.model.id, start.group.devices or [start.group.accelerator.id] * start.gpus, command=shlex.split(line), named={}, flags={}
        ).deployment
        told = replace(told, precision=start.launch.precision, host_memory_bytes=start.launch.host_memory_bytes)
        fit = make_fit(told).fit
        assert fit.fits, (row.model.id, line, fit.reason)
        assert fit.kv_cache.tokens == start.fit.kv_cache.tokens, (row.model.id, line)
        assert sum(item.bytes for item in fit.ranks[fit.worst].items) == sum(item.bytes for item in start.fit.ranks[start.fit.worst].items)


@pytest.mark.shared
def test_what_ran_on_somebodys_machine_runs() -> None:
    """Single-user runs that people measured: none of these models is refused on the machine that ran it."""
    refused, seen = [], set()
    for row in shared_lines("local-speeds.jsonl"):
        case = performance_case(row)
        assert not isinstance(case, Notice)
        host, start = row.get("host") or {}, case.deployment
        memory = host.get("memory_gb") if isinstance(host, dict) else None
        key = (start.model, start.gpu, start.layout.gpus, memory)
        if key in seen or (host and memory is None):
            continue
        seen.add(key)
        machine = f"{start.gpu}:{start.layout.gpus}"
        asked = {"machine": (machine,), "models": (start.model,), "context_tokens": 2048, "host_memory": f"{memory}GB" if memory else None}
        if not run_on(from_mapping(asked)).rows:
            refused.append((start.model, machine, memory))
    assert len(seen) > 200
    assert len(refused) <= 0.02 * len(seen), refused


def test_more_gpus_run_no_less() -> None:
    """Four of a card run every model that one of them runs, and a larger one first."""
    one, four = (run_on(RunOnRequest(machine=(f"l40s:{count}",), models=("qwen3-8b", "qwen3-32b", "llama-3.3-70b-instruct"))) for count in (1, 4))
    assert ids(one) <= ids(four)
    first = [run_on(RunOnRequest(machine=(f"l40s:{count}",), use=("chat",), per_use=1)).rows[0].model.total_params for count in (1, 4)]
    assert first[0] < first[1]


def test_host_memory_runs_more_and_takes_its_bytes() -> None:
    bare, host = (run_on(RunOnRequest(machine=("rtx 4090",), models=("gpt-oss-120b",), host_memory=memory)) for memory in (None, "128GB"))
    assert [row.verdict for row in (*bare.rows, *bare.beyond)] == ["no"]
    (row,) = host.rows
    assert row.verdict == "offloaded"
    data = plain(run_on_data(host))["models"][0]
    whole = model_sizes()["gpt-oss-120b"].weights_bytes["checkpoint"]
    assert data["gpu_bytes"] < 24 * 2**30 < whole < data["gpu_bytes"] + data["host_bytes"]


def test_unequal_cards_of_one_machine_work_together() -> None:
    """70 billion parameters in four bits take more than either card has, and less than both."""
    answer = run_on(RunOnRequest(machine=("rtx 4090", "rtx3090-24gb"), models=("llama-3.3-70b-instruct",)))
    (row,) = answer.rows
    assert row.start is not None
    assert row.start.group.devices == ("rtx4090-24gb", "rtx3090-24gb")
    assert len(row.start.fit.ranks) == 2
    for alone in ("rtx 4090", "rtx3090-24gb"):
        other = run_on(RunOnRequest(machine=(alone,), models=("llama-3.3-70b-instruct",))).rows
        assert not other or other[0].start is None or PRECISIONS.index(other[0].start.launch.precision) > PRECISIONS.index(row.start.launch.precision)


def test_models_beside_take_their_share() -> None:
    alone, beside = (
        run_on(RunOnRequest(machine=("l40s:2",), models=("qwen3-32b",), with_models=names)) for names in ((), ("bge-m3", "bge-reranker-v2-m3"))
    )
    one, other = alone.rows[0].start, beside.rows[0].start
    assert one is not None
    assert other is not None
    assert other.fit.kv_cache.tokens < one.fit.kv_cache.tokens
    assert len(other.companions) == 2
    share = max(each.companion.gpu_share for each in other.companions)
    assert (other.fit.deployment.memory_fraction or 0) + share <= 1


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"disk_bytes": 1000}, "larger-than-disk"),
        ({"min_speed": 1e8}, "slower-than-asked"),
        ({"with_models": ("deepseek-v3",)}, "companion-does-not-run"),
        ({"concurrency": 10**9}, "more-than-max-gpus"),
    ],
)
def test_where_nothing_runs_the_limit_is_named_and_no_remedy_breaks_it(limit: dict[str, Any], code: str) -> None:
    answer = run_on(RunOnRequest(machine=("l40s",), models=("qwen3-0.6b",), **limit))
    assert not answer.rows
    (row,) = answer.beyond
    assert row.reason is not None
    assert row.reason.code == code
    assert not row.remedies


@pytest.mark.parametrize("engine", ["sglang", "tensorrt-llm", "vllm", "llama.cpp", "ollama"])
def test_an_engine_that_is_asked_for_serves(engine: str) -> None:
    answer = run_on(RunOnRequest(machine=("h100:8",), engine=engine, use=("chat",), per_use=2))
    assert {row.start.launch.engine for row in answer.rows if row.start} == {engine}


def test_layers_stay_in_one_machine() -> None:
    """Two boxes of their own are two engines, unless one spans them over its network."""
    answer = run_on(RunOnRequest(machine=("gb10:2",), per_use=4))
    for row in answer.rows:
        assert row.start is not None
        assert row.start.gpus == 1 or row.start.launch.engine == "vllm"


def test_limits_are_kept() -> None:
    quick = run_on(RunOnRequest(machine=("rtx 4090",), use=("code",), min_speed=100))
    for row in quick.rows:
        assert row.start is not None
        assert row.start.performance is not None
        assert 1 / row.start.performance.tpot_s.value >= 100
        assert "code" in row.model.uses
    free = run_on(RunOnRequest(machine=("rtx 4090",), licence="apache-2.0", use=("chat",)))
    assert {row.model.licence for row in free.rows} == {"apache-2.0"}
    small = run_on(RunOnRequest(machine=("rtx 4090",), disk_bytes=6 * 10**9, use=("chat",)))
    assert all(model_sizes()[row.model.id].weights_bytes[row.start.launch.precision] <= 6e9 for row in small.rows if row.start)


def test_more_at_once_and_longer_contexts_run_no_more() -> None:
    rows = [
        run_on(RunOnRequest(machine=("h100:1",), models=("qwen3-32b", "qwen3-8b"), concurrency=many, context_tokens=tokens)).rows
        for many, tokens in ((1, 4096), (64, 4096), (64, 32768))
    ]
    assert len(rows[0]) >= len(rows[1]) >= len(rows[2])
    for row in rows[1]:
        assert row.start is not None
        assert row.start.fit.max_concurrency * row.start.replicas >= 64


def test_what_is_said_to_help_helps() -> None:
    """The machine that "would run" a model runs it."""
    answer = run_on(RunOnRequest(machine=("l40s:2",), use=("reasoning",), per_use=2))
    helped = [(row, remedy) for row in answer.beyond for remedy in row.remedies if remedy.code == "have-gpus"]
    assert helped
    for row, remedy in helped:
        said = remedy.parameters
        wider = run_on(RunOnRequest(machine=(f"{said['gpu']}:{said['gpus']}",), models=(row.model.id,)))
        assert row.model.id in ids(wider)


def test_the_table_of_sizes_is_what_the_library_counts() -> None:
    table = model_sizes()
    assert set(table) == set(model_ids())
    for model_id in sorted(table)[::13]:
        stored = load_architecture(model_id)
        for precision in PRECISIONS:
            assert table[model_id].weights_bytes[precision] == checkpoint_bytes(with_precision(stored, precision), mtp=False), (model_id, precision)
        assert table[model_id].engines == tuple(each for each in ENGINES if get_engine(each).unknown_mixer(stored) is None)


def test_json_has_what_the_contract_names() -> None:
    data = json.loads(json.dumps(plain(run_on_data(answer_for("two kinds of servers")))))
    assert data["schema"] == "gpusizer.run-on/1"
    assert data["machine"] == [{"gpu": "l40s-48gb", "count": 4}, {"gpu": "a100-sxm-40gb", "count": 8}]
    fields = {
        "model",
        "precision",
        "engine",
        "verdict",
        "context_tokens",
        "max_concurrency",
        "gpu_bytes",
        "host_bytes",
        "ttft_s",
        "tpot_s",
        "command",
        "reason",
    }
    assert data["models"]
    for model in data["models"]:
        assert fields <= set(model)
        assert model["verdict"] in ("fits", "tight", "offloaded", "no")
        assert (model["verdict"] == "no") == (model["command"] is None)


@pytest.mark.parametrize(
    ("words", "name", "count"),
    [
        ("l40s:4", "l40s", 4),
        ("4xl40s", "l40s", 4),
        ("4 x 4090", "4090", 4),
        ("5090 x2", "5090", 2),
        ("2x2080ti", "2080ti", 2),
        ("2 RTX 3090", "RTX 3090", 2),
        ("A100×8", "A100", 8),
    ],
)
def test_devices_and_their_number_as_people_write_them(words: str, name: str, count: int) -> None:
    assert owned(words) == (name, count)


@pytest.mark.parametrize("words", ["l40s:0", "0xl40s", "l40s:1000000", ":4", "4x", "", "nonsense-card:2", "l40s:4:4"])
def test_what_is_no_machine_is_refused(words: str) -> None:
    with pytest.raises(GpusizerError):
        _ = RunOnRequest(machine=(words,)).machines


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(GpusizerError):
        from_mapping({"machine": ("l40s:4",), "licence": "no-such-licence", "concurency": 4})
    with pytest.raises(FlagError):
        RunOnRequest(machine=("l40s:4",), use=("poetry",))
