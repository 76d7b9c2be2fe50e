"""Models beside the language model and replicas in reserve: no memory from nowhere, no request more than alone, every printed command starts."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from math import ceil

import pytest

import gpusizer
from command_line import run
from gpusizer.engines import engine_ids, get_engine
from gpusizer.engines.base.device import visible_bytes
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import FlagError, InputError, UnknownIdError
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.companions import OWN, SHARED, Companion, Stack, companions_on
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.request import Request
from gpusizer.planning.types import Option, Plan
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.companions import companions_data
from gpusizer.units import GB

ENCODERS = ("bge-m3", "bge-reranker-v2-m3")
DEPARTMENT = (*ENCODERS, "whisper-large-v3")
WRITERS = ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama", "transformers")


def sized(gpu: str, *models: str, engine: str = "vllm") -> tuple[Companion, ...]:
    found = companions_on(accelerator(gpu), models, engine)
    assert isinstance(found, tuple)
    return found


@pytest.fixture(scope="module")
def department() -> Plan:
    return make_plan(Request("qwen3-8b", users=100, with_models=DEPARTMENT, spare=1))


def of_device(plan: Plan, gpu: str) -> Option:
    return next(option for option in plan.options if option.accelerator.id == gpu)


# ---- what a companion holds --------------------------------------------------------------------------------------------


def test_an_encoder_holds_what_askers_saw() -> None:
    """bge-m3 takes 1.1 GB of weights in FP16 (asked and printed by many), and no server of it more than a few GB beside them."""
    (encoder,) = sized("rtx4090-24gb", "bge-m3")
    weights = encoder.fit.quantities["weights_bytes"].value
    assert weights == pytest.approx(1.1 * GB, rel=0.1)
    assert weights < encoder.held_bytes < weights + 3 * GB


@pytest.mark.parametrize("gpu", ["l4-24gb", "h200-sxm-141gb", "mi300x-192gb", "ascend-910b3-64gb", "gb10-128gb"])
def test_a_companion_holds_no_more_than_its_gpu_and_no_less_than_its_share(gpu: str) -> None:
    for each in sized(gpu, *DEPARTMENT, "qwen3-embedding-0.6b", "qwen3-4b"):
        assert each.fit.fits
        assert 0 < each.held_bytes <= each.room_bytes <= each.accelerator.memory_bytes
        assert each.held_bytes >= int((each.launch.memory_fraction or 0) * visible_bytes(each.accelerator))


def test_a_companion_with_a_cache_gets_no_larger_share_than_its_texts_need() -> None:
    (writer,) = sized("h100-sxm-80gb", "qwen3-4b")
    share = writer.launch.memory_fraction
    assert share is not None
    assert writer.fit.low_concurrency >= 4
    smaller = make_fit(writer.launch.changed(memory_fraction=share - 0.01)).fit
    assert not smaller.fits or smaller.low_concurrency < 4


def test_what_embeds_is_run_by_who_pools() -> None:
    for engine in WRITERS:
        (encoder,) = sized("l40s-48gb", "qwen3-embedding-0.6b", engine=engine)
        assert encoder.launch.engine in ("vllm", "tei", "transformers")


# ---- where it lies ---------------------------------------------------------------------------------------------------------


def test_companions_are_spread_over_the_gpus_of_a_replica() -> None:
    found = sized("h200-sxm-141gb", *DEPARTMENT)
    stack = Stack(found, SHARED)
    assert stack.beside_bytes(1) == sum(each.held_bytes for each in found)
    assert stack.beside_bytes(8) == max(each.held_bytes for each in found)
    numbers = [each.number for each in stack.on_gpus(8, 16)]
    assert len(set(numbers)) == len(found)
    assert max(numbers) == 7
    fullest = [stack.beside_bytes(gpus) for gpus in range(1, 9)]
    assert fullest == sorted(fullest, reverse=True)


def test_own_gpus_hold_all_and_are_as_few_as_that_takes() -> None:
    found = sized("l4-24gb", *DEPARTMENT, "qwen3-4b")
    stack = Stack(found, OWN)
    assert stack.beside_bytes(1) == 0
    assert stack.own_gpus >= ceil(sum(each.held_bytes for each in found) / found[0].accelerator.memory_bytes)
    held: dict[int, int] = {}
    for each in stack.on_gpus(2, 6):
        held[each.number] = held.get(each.number, 0) + each.companion.held_bytes
    assert set(held) == set(range(6, 6 + stack.own_gpus))
    assert all(size <= found[0].room_bytes for size in held.values())


@pytest.mark.parametrize("engine", WRITERS)
def test_a_companion_never_frees_memory_nor_adds_to_the_cache(engine: str) -> None:
    bare = Deployment("qwen3-8b", "l40s-48gb", engine=engine, max_model_len=8192, precision="q4_k_m" if engine in ("llama.cpp", "ollama") else "bf16")
    alone = make_fit(bare).fit
    before = alone
    for count in range(1, 4):
        beside = make_fit(replace(bare, with_models=DEPARTMENT[:count]))
        after = beside.fit
        assert after.kv_cache.tokens <= before.kv_cache.tokens
        held = next(line for line in after.ranks[after.worst].items if line.id == "models_beside")
        assert held.bytes == sum(each.companion.held_bytes for each in beside.companions)
        before = after
    assert before.free_bytes + held.bytes <= alone.free_bytes or before.kv_cache.tokens < alone.kv_cache.tokens


def test_every_engine_counts_what_lies_beside() -> None:
    for engine in engine_ids():
        gpu = "m4-max-128gb" if engine == "mlx" else "h200-sxm-141gb"
        launch = Deployment("qwen3-8b" if engine != "tei" else "bge-m3", gpu, engine=engine, max_model_len=4096)
        bare = get_engine(engine).judge(launch, *_read(launch))
        assert bare.fits, engine
        beside = get_engine(engine).judge(launch.changed(beside_bytes=10 * GB), *_read(launch))
        smaller = beside.kv_cache.tokens < bare.kv_cache.tokens  # a pool of what is free
        assert smaller or bare.free_bytes - beside.free_bytes == 10 * GB, engine


def _read(launch: Deployment):  # type: ignore[no-untyped-def]
    from gpusizer.architecture.load import load_architecture

    return load_architecture(launch.model), accelerator(launch.gpu)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_shares_of_a_gpu_add_up_to_no_more_than_the_gpu(engine: str) -> None:
    plan = make_plan(Request("qwen3-8b", users=60, with_models=DEPARTMENT, engine=engine, gpus=("l40s-48gb", "h100-sxm-80gb", "rtx4090-24gb")))
    assert plan.options
    for option in plan.options:
        sums = per_gpu(option.fit.ranks[option.fit.worst].items)
        assert sum(sums.values()) == option.accelerator.memory_bytes
        by_gpu: dict[int, int] = {}
        for each in option.companions:
            if each.placed == SHARED:
                by_gpu[each.number] = by_gpu.get(each.number, 0) + each.companion.held_bytes
        assert max(by_gpu.values(), default=0) == option.launch.beside_bytes
        assert option.launch.beside_bytes <= sums["outside_budget_bytes"]
        if engine == "vllm" and by_gpu:  # others take a share of what is free
            fractions = sum(each.companion.launch.memory_fraction or 0 for each in option.companions if each.number == option.layout.gpus - 1)
            assert (option.fit.deployment.memory_fraction or 0) + fractions <= 1
        assert option.fit.free_bytes >= 0


# ---- the plan --------------------------------------------------------------------------------------------------------------


def test_without_companions_and_reserve_a_plan_is_what_it_was() -> None:
    bare = gpusizer.plan(Request("qwen3-32b", users=400)).to_json()
    assert gpusizer.plan(Request("qwen3-32b", users=400, with_models=(), spare=0)).to_json() == bare
    assert all(not each["companions"] and each["spare_replicas"] == 0 for each in json.loads(bare)["options"])


def test_a_stack_counts_every_gpu_once(department: Plan) -> None:
    assert department.options
    for option in department.options:
        own = {each.number for each in option.companions if each.placed == OWN}
        assert option.gpus == option.layout.gpus * (option.replicas + option.spare_replicas) + len(own)
        assert len(option.companions) == len(DEPARTMENT)
        shared = {each.number for each in option.companions} - own
        assert all(number < option.layout.gpus for number in shared)
        assert not (own and shared)
        assert option.cost is None or option.cost.per == "hour"


def test_sharing_and_own_gpus_are_chosen_by_the_gpus_that_they_take(department: Plan) -> None:
    placed = {option.companions[0].placed for option in department.options}
    assert placed == {SHARED, OWN}
    for option in department.options:
        alone = make_plan(Request("qwen3-8b", users=100, spare=1, gpus=(option.accelerator.id,))).options[0]
        stack = Stack(tuple(each.companion for each in option.companions), OWN)
        assert alone.gpus <= option.gpus <= alone.gpus + stack.own_gpus
        if option.companions[0].placed == OWN and option.verdict == alone.verdict:
            assert option.gpus == alone.gpus + stack.own_gpus


@pytest.mark.parametrize("spare", [1, 2, 5])
def test_a_reserve_costs_exactly_its_replicas(spare: int) -> None:
    request = Request("qwen3-32b", users=2000, gpus=("h100-sxm-80gb",))
    bare, kept = make_plan(request).options[0], make_plan(replace(request, spare=spare)).options[0]
    assert kept.gpus == kept.layout.gpus * (kept.replicas + spare)
    if kept.layout == bare.layout:
        assert kept.gpus - bare.gpus == spare * bare.layout.gpus
        assert (kept.held_requests_low, kept.ttft_s, kept.tpot_s, kept.output_tokens_per_s) == (
            bare.held_requests_low,
            bare.ttft_s,
            bare.tpot_s,
            bare.output_tokens_per_s,
        )
        assert kept.purchase is not None
        assert bare.purchase is not None
        assert kept.purchase.amount / kept.gpus_to_order == bare.purchase.amount / bare.gpus_to_order
    lost_one = make_plan(replace(request, spare=spare, max_gpus=kept.gpus - kept.layout.gpus))
    assert not lost_one.options or lost_one.options[0].gpus < kept.gpus


def test_a_limit_on_gpus_counts_the_whole_stack() -> None:
    request = Request("deepseek-v3", users=1000, gpus=("h200-sxm-141gb",))
    assert make_plan(replace(request, max_gpus=8)).options
    refused = make_plan(replace(request, max_gpus=8, spare=1))
    assert not refused.options
    assert refused.rejected[0].reason.code == "more-than-max-gpus"
    assert refused.rejected[0].reason.parameters["gpus"] == 16
    assert refused.nearest is not None
    assert refused.nearest.option.gpus == 16


def test_twice_the_load_carries_the_same_stack(department: Plan) -> None:
    for row in department.sensitivity:
        assert row.option is None or (len(row.option.companions) == len(DEPARTMENT) and row.option.spare_replicas == 1)


def test_targets_and_companions_go_together() -> None:
    plan = make_plan(Request("qwen3-8b", users=200, tpot_s=0.05, with_models=ENCODERS, gpus=("l40s-48gb",)))
    assert plan.options
    assert len(plan.options[0].companions) == 2
    assert plan.options[0].tpot_s is not None
    assert plan.options[0].tpot_s <= 0.05


# ---- commands ----------------------------------------------------------------------------------------------------------------


def test_printed_commands_of_a_stack_start(department: Plan) -> None:
    seen = set()
    for option in department.options:
        for each, data in zip(option.companions, companions_data(option.companions), strict=True):
            if each.companion.launch.engine == "transformers":
                continue  # a line of Python
            words = shlex.split(str(data["command"]))
            launch = launch_of_command(words, gpu=option.accelerator.id).deployment
            fit = make_fit(launch).fit
            assert fit.fits
            assert launch.memory_fraction == each.companion.launch.memory_fraction
            assert fit.ranks[0].items == each.companion.fit.ranks[0].items
            seen.add(launch.engine)
    assert "vllm" in seen


def test_fit_confirms_the_language_model_of_a_stack_with_the_printed_command() -> None:
    option = of_device(make_plan(Request("qwen3-8b", users=100, with_models=ENCODERS, gpus=("l40s-48gb",))), "l40s-48gb")
    from gpusizer.rendering.launch import command_line

    line = command_line(option.launch)
    assert line is not None
    launch = launch_of_command(shlex.split(line), gpu="l40s-48gb", flags={"--with": ["bge-m3,bge-reranker-v2-m3"]}).deployment
    found = make_fit(launch)
    assert found.fit.fits
    assert [each.companion.held_bytes for each in found.companions] == [each.companion.held_bytes for each in option.companions]
    assert found.fit.ranks[0].items == option.fit.ranks[0].items


def test_ports_and_gpus_of_commands_do_not_meet(department: Plan) -> None:
    for option in department.options:
        lines = [str(each["command"]) for each in companions_data(option.companions)]
        ports = [line.rpartition("--port ")[2] for line in lines if "--port" in line]
        assert len(set(ports)) == len(ports)


# ---- one start -----------------------------------------------------------------------------------------------------------------


def test_fit_lowers_the_share_that_was_left_open_and_keeps_one_that_was_said() -> None:
    bare = Deployment("qwen3-8b", "rtx4090-24gb", max_model_len=2048, precision="fp8", with_models=ENCODERS)
    lowered = make_fit(bare)
    share = lowered.launch.memory_fraction
    assert lowered.fit.fits
    assert share is not None
    assert share < 0.92
    said = make_fit(replace(bare, memory_fraction=0.92))
    assert not said.fit.fits
    assert said.fit.reason is not None
    assert said.fit.reason.code == "budget-above-free"


def test_fit_says_that_a_companion_is_too_large() -> None:
    found = make_fit(Deployment("qwen3-0.6b", "l4-24gb", max_model_len=2048, with_models=("llama-3.3-70b-instruct",)))
    assert not found.fit.fits
    assert found.fit.reason is not None
    assert found.fit.reason.code == "companion-does-not-run"
    plan = make_plan(Request("qwen3-0.6b", concurrency=1, gpus=("l4-24gb",), with_models=("llama-3.3-70b-instruct",)))
    assert not plan.options
    assert plan.rejected[0].reason.code == "companion-does-not-run"


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(UnknownIdError, match="no-such-embedder"):
        make_plan(Request("qwen3-8b", concurrency=1, with_models=("no-such-embedder",)))
    with pytest.raises(InputError) as found:
        Request("qwen3-8b", with_models=("bge-m3",) * 9)
    assert found.value.code == "bad-list"
    with pytest.raises(FlagError) as alone:
        make_plan(Request("qwen3-8b", concurrency=1, disaggregate="on", spare=1))
    assert alone.value.code == "not-with-workers"


def test_a_negative_reserve_is_refused() -> None:
    with pytest.raises(FlagError):
        Request("qwen3-8b", spare=-1)


# ---- forms -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_answer_names_every_model_with_its_command(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    beside = [f"--with={each}" for each in DEPARTMENT]
    code, printed, _ = run(capsys, "plan", "qwen3-8b", "--users", "100", *beside, "--spare", "1", "--gpu", "l40s", "--language", language)
    assert code == 0
    whole = " ".join(printed.split())
    for each in ("BAAI/bge-m3", "BAAI/bge-reranker-v2-m3", "openai/whisper-large-v3"):
        assert each in whole
    assert "1+1 x TP1" in whole


def test_fit_answers_alike_in_python_and_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["qwen3-8b", "--gpu", "l40s-48gb", "--max-model-len", "8192", "--with", "bge-m3,whisper-large-v3"]
    _, printed, _ = run(capsys, "fit", *words, "--format", "json")
    start = Deployment("qwen3-8b", "l40s-48gb", max_model_len=8192, with_models=("bge-m3", "whisper-large-v3"))
    told = json.loads(printed)
    ours = gpusizer.fit(start).to_dict()
    assert told["companions"] == ours["companions"]
    assert told["per_gpu"] == ours["per_gpu"]
    assert told["command"] == ours["command"]
    assert [each["model"] for each in told["companions"]] == ["bge-m3", "whisper-large-v3"]
