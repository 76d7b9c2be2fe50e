"""One declaration, one bound and one meaning for each flag; the flags that people have in their commands work, or are answered with the reason."""

from __future__ import annotations

import ast
import inspect
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import gpusizer
from gpusizer.cli.main import main
from gpusizer.engines import declaration, declarations, engine_ids
from gpusizer.engines.base.flag import Effect, Flag, normal
from gpusizer.engines.base.flags import checked_deployment, flag_table, launch_from_flags
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import FlagError, InputError
from gpusizer.i18n import LANGUAGES, has

SOURCE = Path(gpusizer.__file__).parent
EVERY = [(engine, flag) for engine in engine_ids() for flag in flag_table(engine).flags]
FIELDS = {each.name for each in fields(Deployment)}


def deployment(engine: str = "vllm", **told: Any) -> Deployment:
    return Deployment("qwen3-8b", "h200-sxm-141gb", engine=engine, **told)


# ---- declarations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", engine_ids())
def test_a_spelling_means_one_flag(engine: str) -> None:
    counts = Counter(normal(spelling) for flag in flag_table(engine).flags for spelling in flag.spellings)
    assert [spelling for spelling, count in counts.items() if count > 1] == []


def test_a_flag_has_words_in_both_languages_or_a_caveat() -> None:
    for engine, flag in EVERY:
        if flag.effect in (Effect.MEMORY, Effect.SPEED):
            assert all(has("flag", flag.target, language) for language in LANGUAGES), (engine, flag.spelling)
        assert (flag.effect is Effect.UNCOUNTED) == bool(flag.caveat), (engine, flag.spelling)
        assert not flag.caveat or has("warning", flag.caveat), flag.caveat


BOUNDED = ("max_num_seqs", "max_model_len", "max_num_batched_tokens", "block_size", "tp")


@pytest.mark.parametrize(
    ("engine", "flag"),
    [
        (engine, flag)
        for engine, flag in EVERY
        if flag.target in BOUNDED and flag.spelling.startswith("-") and not (flag.target == "tp" and declaration(engine).layout_by_devices)
    ],
    ids=lambda each: each if isinstance(each, str) else each.target,
)
def test_a_number_has_one_bound_whatever_the_way_in(engine: str, flag: Flag) -> None:
    """Command line, Python and measured cases end at the same number."""
    from gpusizer.validation.devices import devices_of
    from gpusizer.validation.flags import engine_fields

    name = flag.target
    most = int(flag.high)
    cards = devices_of("H200", 1, optional=True)

    def from_case(value: int) -> dict[str, Any]:
        return engine_fields(engine, {}, {flag.name: value}, cards)[0]

    assert getattr(launch_from_flags(deployment(engine), {flag.spelling: str(most)}).deployment, name) == most
    assert getattr(checked_deployment(deployment(engine, **{name: most})), name) == most
    assert from_case(most)[name] == most
    for way in (
        lambda: launch_from_flags(deployment(engine), {flag.spelling: str(most + 1)}),
        lambda: checked_deployment(deployment(engine, **{name: most + 1})),
        lambda: from_case(most + 1),
    ):
        with pytest.raises(InputError):
            way()


def reads() -> Iterator[tuple[str, str]]:
    """(folder, name) of every further flag that an engine's code reads by name."""
    for path in (SOURCE / "engines").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name) and node.args):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            holder = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            literal = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            reader = called in ("flag", "whole") or (called == "get" and holder.endswith("flags")) or called in ("_number", "_graph_flag")
            if literal and (reader or (called in ("_flag", "_whole", "_format") and "flags" in ast.unparse(node.args[0]))):
                yield path.relative_to(SOURCE / "engines").parts[0], literal[0]


def test_every_flag_that_an_engine_reads_is_declared() -> None:
    names: dict[str, set[str]] = {folder: set() for folder, _ in reads()}
    for declared in declarations():
        names[declared.module.split(".")[-2]] = names.get(declared.module.split(".")[-2], set()) | {
            flag.target for flag in flag_table(declared.id).counted
        }
    names["base"] = {flag.target for _, flag in EVERY}
    names["base"] |= {"visible_gpus"}  # how many devices a pasted command may see
    # what Ollama hands llama.cpp by llama.cpp's names, and fields of a deployment that older starts carry as flags
    names["llama_cpp"] |= {"parallel", "ubatch_size", "num_parallel", "context_length"}
    names["vllm"] |= {"kv_cache_memory"}
    names["transformers"] |= {"dtype"}
    names["sglang"] |= {"disable_cuda_graph", "enable_dp_attention", "cuda_graph_sizes"}  # the last: how many --cuda-graph-bs names
    found = {(folder, name) for folder, name in reads() if name not in names[folder]}
    assert not found


def test_nothing_that_nobody_typed_stands_among_the_flags() -> None:
    for name in ("similar_precision", "engine_date", "share_chosen", "captures_prefill", "device_memory_bytes", "stream-interval"):
        assert name not in FIELDS - {"similar_precision", "device_memory_bytes"}
        assert all(flag.target != name for _, flag in EVERY)
    fit = gpusizer.fit(deployment("sglang", tp=2)).result
    known = {flag.target for flag in flag_table("sglang").flags}
    assert set(fit.deployment.flags) <= known


def test_no_engine_is_named_in_a_condition_outside_its_folder() -> None:
    ids = set(engine_ids())
    found = []
    for path in SOURCE.rglob("*.py"):
        place = path.relative_to(SOURCE).parts
        if place[0] in ("engines", "performance") and (place[0] == "performance" or place[1] not in ("base", "__init__.py")):
            continue  # an engine's own folder; speeds have constants by engine
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and any(isinstance(each, ast.Constant) and each.value in ids for each in ast.walk(node)):
                found.append((str(path.relative_to(SOURCE)), ast.unparse(node)))
    assert [each for each in found if not each[0].startswith(("rendering/workbook", "validation/speed_cases"))] == []


def test_help_asks_no_engine(capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    code = "import sys; from gpusizer.cli.main import main; main(['--help']); print([m for m in sys.modules if 'gpusizer.engines' in m])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip().endswith("[]")


def test_a_module_that_is_missing_inside_an_engine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpusizer.engines import get_engine, register, unregister
    from gpusizer.engines.base.declaration import Declaration

    register(Declaration(id="broken", module="gpusizer.no_such_module", flags="gpusizer.engines.vllm.flags"))
    try:
        with pytest.raises(ModuleNotFoundError):
            get_engine("broken")
    finally:
        unregister("broken")


def test_unknown_flags_and_flags_of_others_are_refused_in_python_too() -> None:
    for flags, code in (({"no_such": 1}, "unknown-option"), ({"ctx_size": 1}, "option-elsewhere"), ({"max_loras": "many"}, "bad-count")):
        with pytest.raises(InputError) as refused:
            checked_deployment(deployment(flags=flags))
        assert refused.value.code == code


# ---- what people have in their commands --------------------------------------------------------------------------------

NEUTRAL = "neutral"
HOST = "host"
VISION = "qwen2.5-vl-7b-instruct"
# flags -> "neutral", "host", the code of a warning, or a field of the deployment (also in "flags") and its value
TRIED: list[tuple[str, Any]] = [
    ("--kv-cache-memory-bytes 2GiB", {"kv_cache_memory_bytes": 2 << 30}),
    ("--kv-cache-memory 2GiB", {"kv_cache_memory_bytes": 2 << 30}),
    ("--language-model-only", {"language_model_only": True}),
    ("--max-loras 2 --max-lora-rank 32 --enable-lora", {"max_loras": 2, "max_lora_rank": 32, "enable_lora": True}),
    ("--quantization awq", {"precision": "int4"}),
    ("--quantization fp8", {"precision": "fp8"}),
    ("--enable-expert-parallel --tp 2", {"ep": 2}),
    ("--tp 2 --pp 2 --dp 2", {"tp": 2, "pp": 2, "dp": 2}),
    ("--tp 4 --ep 4", {"ep": 4}),
    ("--tp 8 --dcp 1", {"tp": 8, "dcp": 1}),
    ("--enforce-eager", {"enforce_eager": True}),
    ("--max-model-len 4096", {"max_model_len": 4096}),
    ("--max-num-seqs 16", {"max_num_seqs": 16}),
    ("--max-num-batched-tokens 4096", {"max_num_batched_tokens": 4096}),
    ("--block-size 32", {"block_size": 32}),
    ("--num-speculative-tokens 2", {"speculative_tokens": 2}),
    ("--gpu-memory-utilization 0.8", {"memory_fraction": 0.8}),
    ("--kv-cache-dtype fp8", {"kv_precision": "fp8"}),
    ("--mem-fraction-static 0.8 --engine sglang", {"memory_fraction": 0.8}),
    ("--context-length 4096 --engine sglang", {"max_model_len": 4096}),
    ("--tensor-parallel-size 2", {"tp": 2}),
    ("--tp-size 2 --engine sglang", {"tp": 2}),
    ("--tp-size 4 --dp-size 2 --enable-dp-attention --engine sglang", {"tp": 2, "dp": 2}),
    ("--dtype half", {"precision": "fp16"}),
    ("--dtype bfloat16", {"precision": "checkpoint"}),
    ("--cpu-offload-gb 4", {"cpu_offload_gb": 4.0}),
    ("--limit-mm-per-prompt image=0,video=0", {"limit_mm_per_prompt": {"image": 0, "video": 0}}),
    ('--limit-mm-per-prompt {"image":2}', {"limit_mm_per_prompt": {"image": 2}}),
    ('--mm-processor-kwargs {"max_pixels":1003520}', {"mm_processor_kwargs": {"max_pixels": 1003520}}),
    ('--mm-processor-kwargs {"do_pan_and_scan":true}', "not-counted-images"),
    ('--speculative-config {"method":"mtp","num_speculative_tokens":3}', {"speculative_tokens": 3, "speculative_method": "mtp"}),
    ('--compilation-config {"cudagraph_mode":"PIECEWISE"}', {"compilation_config": {"cudagraph_mode": "PIECEWISE"}}),
    ("--cudagraph-capture-sizes 1 2 4", {"cudagraph_capture_sizes": [1, 2, 4]}),
    ("--max-cudagraph-capture-size 64", {"max_cudagraph_capture_size": 64}),
    ('--hf-overrides {"max_position_embeddings":65536}', {"max_model_len": 65536}),
    ('--hf-overrides {"num_experts":4}', "not-counted-keys"),
    ('--rope-scaling {"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":32768}', {"max_model_len": 131072}),
    ("--enable-lora", {"enable_lora": True}),
    ("--decode-context-parallel-size 1 --tp 2", {"dcp": 1}),
    ("--data-parallel-size-local 1", NEUTRAL),
    ("--kv-offloading-size 32", HOST),
    ("--enable-eplb", "not-counted-buffers"),
    ("--mamba-ssm-cache-dtype float16", {"mamba_ssm_cache_dtype": "float16"}),
    ("--swap-space 4", HOST),
    ("--trust-remote-code", NEUTRAL),
    ("--host 0.0.0.0", NEUTRAL),
    ("--port 8000", NEUTRAL),
    ("--served-model-name a b", NEUTRAL),
    ("--distributed-executor-backend ray", NEUTRAL),
    ("--load-format dummy", NEUTRAL),
    ("--enable-prefix-caching", {"enable_prefix_caching": True}),
    ("--no-enable-prefix-caching", {"enable_prefix_caching": False}),
    ("--enable-chunked-prefill", NEUTRAL),
    ("--async-scheduling", {"async_scheduling": True}),
    ("--reasoning-parser qwen3", NEUTRAL),
    ("--tool-call-parser hermes", NEUTRAL),
    ("--attention-backend FLASHINFER", {"attention_backend": "FLASHINFER"}),
    ('--kv-transfer-config {"kv_connector":"NixlConnector"}', NEUTRAL),
    ("--calculate-kv-scales", NEUTRAL),
    ("--max-seq-len-to-capture 8192", NEUTRAL),
    ("-tp 2", {"tp": 2}),
    ("-pp 2", {"pp": 2}),
    ("-dp 2", {"dp": 2}),
    ("--runner pooling", {"runner": "pooling"}),
    ("--task embed", {"task": "embed"}),
    ("--task transcription", "not-counted-use"),
]


def answered(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code = main([*words, "--format", "json"])
    out, err = capsys.readouterr()
    assert code in (0, 3), (words, err)
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize(("words", "expected"), TRIED, ids=[words for words, _ in TRIED])
@pytest.mark.parametrize("pasted", [False, True], ids=["typed", "pasted"])
def test_flags_that_people_have_in_their_commands(capsys: pytest.CaptureFixture[str], words: str, expected: Any, *, pasted: bool) -> None:
    start = words.split()
    if pasted and "--engine" in start:
        launch, start = ["--", "python", "-m", "sglang.launch_server", "--model-path", "Qwen/Qwen3-8B"], start[:-2]
    else:
        launch = ["--", "vllm", "serve", "Qwen/Qwen3-8B"]
    context = [] if "max_model_len" in (expected if isinstance(expected, dict) else ()) or "sglang" in words else ["--max-model-len", "8192"]
    before = ["fit", "--gpu", "4090"] if pasted else ["fit", "qwen3-8b", "--gpu", "4090"]
    found = answered(capsys, *before, *(launch if pasted else []), *context, *start) if not pasted else None
    if pasted:
        code = main([*before, "--format", "json", *launch, *context, *start])
        out, err = capsys.readouterr()
        assert code in (0, 3), (words, err)
        found = json.loads(out)
    assert found is not None
    warned = {warning["code"]: str(warning["parameters"]) for warning in found["warnings"]}
    spelling = start[0]
    if expected == NEUTRAL:
        assert spelling in warned["flags-neutral"]
    elif expected == HOST:
        assert spelling in warned["flags-host-memory"]
    elif isinstance(expected, str):
        assert spelling in warned[expected]
    else:
        told = {**found["deployment"], **found["deployment"]["flags"]}
        assert {name: told[name] for name in expected} == expected
        assert not {"flag-unknown", "flag-unknown-alone"} & warned.keys()


# A flag, the model that shows it, and whether the cache of a card grows (+), shrinks (-) or stays (0) with it.
MOVED = [
    ("--cpu-offload-gb 4", "qwen3-8b", "+"),
    ("--enable-lora --max-loras 8 --max-lora-rank 64", "qwen3-8b", "-"),
    ("--max-cudagraph-capture-size 8", "qwen3-8b", "+"),
    ("--cudagraph-capture-sizes 1 2 4", "qwen3-8b", "+"),
    ('--compilation-config {"cudagraph_mode":"NONE"}', "qwen3-8b", "+"),
    ("-O0", "qwen3-8b", "+"),
    ("--language-model-only", VISION, "+"),
    ("--limit-mm-per-prompt image=0,video=0", VISION, "+"),
    ('--speculative-config {"method":"mtp","num_speculative_tokens":1}', "qwen3.6-35b-a3b", "-"),
    ("--kv-offloading-size 32", "qwen3-8b", "0"),
    ("--swap-space 16", "qwen3-8b", "0"),
]


@pytest.mark.parametrize(("words", "model", "direction"), MOVED, ids=[words for words, _, _ in MOVED])
def test_flags_that_change_memory_are_counted(capsys: pytest.CaptureFixture[str], words: str, model: str, direction: str) -> None:
    start = ("fit", model, "--gpu", "h100-sxm-80gb", "--max-model-len", "8192")
    plain, changed = answered(capsys, *start), answered(capsys, *start, *words.split())
    moved = changed["per_gpu"]["kv_cache_pool_bytes"] - plain["per_gpu"]["kv_cache_pool_bytes"]
    assert {"+": moved > 0, "-": moved < 0, "0": moved == 0}[direction], moved


def test_offloaded_weights_leave_the_card_by_as_much_as_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """4 GiB to the host are 4 GiB more of cache; no more than the layers can go."""
    start = ("fit", "qwen3-8b", "--gpu", "h100-sxm-80gb", "--max-model-len", "8192")
    plain, some, all_of_it = (answered(capsys, *start, *more)["per_gpu"] for more in ((), ("--cpu-offload-gb", "4"), ("--cpu-offload-gb", "9999")))
    assert plain["weights_bytes"] - some["weights_bytes"] == 4 << 30
    assert some["kv_cache_pool_bytes"] - plain["kv_cache_pool_bytes"] == pytest.approx(4 << 30, rel=0.001)
    assert 2 * 151_936 * 4096 * 2 <= all_of_it["weights_bytes"] < 3 << 30  # embedding and head stay


def test_a_context_that_is_left_to_the_engine_fits(capsys: pytest.CaptureFixture[str]) -> None:
    start = ("fit", "llama-3.1-8b-instruct", "--gpu", "rtx4090-24gb")
    whole, auto = answered(capsys, *start), answered(capsys, *start, "--max-model-len", "auto")
    assert (whole["fits"], auto["fits"]) == (False, True)
    assert auto["deployment"]["max_model_len"] == whole["reason"]["parameters"]["longest_tokens"]


def test_data_parallelism_of_sglang() -> None:
    """With attention data parallelism 16 and 16 are 16 GPUs; without it they are 16 copies of 16."""
    shared = launch_from_flags(deployment("sglang"), {"--tp": "16", "--dp": "16", "--enable-dp-attention": True})
    assert shared.deployment.layout.gpus == 16
    copies = launch_from_flags(deployment("sglang"), {"--tp": "16", "--dp": "16"})
    assert copies.deployment.layout.gpus == 16
    assert copies.notices[0].parameters["gpus"] == 256
    with pytest.raises(FlagError):
        launch_from_flags(deployment("sglang"), {"--tp": "6", "--dp": "4", "--enable-dp-attention": True})


@pytest.mark.parametrize("value", ["", "x" * 30_000, "\x1b[31m", "{" * 5000, "[" * 5000, "1e999", "nan", "-7", "9" * 400, '{"a":' * 500])
def test_hostile_values_are_refused_or_read_but_never_break(value: str) -> None:
    codes = set()
    for _, flag in EVERY:
        try:
            flag.read(value)
        except InputError as refused:
            codes.add(refused.code)
    assert all(has("error", code) for code in codes)
    assert codes


def test_flags_live_in_the_folder_of_their_engine() -> None:
    for declared in declarations():
        module = import_module(declared.flags)
        folder = Path(inspect.getfile(import_module(declared.module))).parent
        assert Path(inspect.getfile(module)).parent == folder
        assert all(isinstance(flag, Flag) for flag in module.FLAGS)


def test_flags_given_in_python_are_settled_like_typed_ones() -> None:
    drafts = {"speculative_config": {"method": "mtp", "num_speculative_tokens": 3}, "hf_overrides": {"max_position_embeddings": 8192}}
    typed = launch_from_flags(deployment(), {f"--{name.replace('_', '-')}": json.dumps(value) for name, value in drafts.items()}).deployment
    assert checked_deployment(deployment(flags=drafts)) == typed
    assert (typed.speculative_tokens, typed.max_model_len, typed.flags) == (3, 8192, {"speculative_method": "mtp"})
    both = checked_deployment(deployment("llama.cpp", pp=2, max_num_seqs=4, flags={"ctx_size": 8192, "n_gpu_layers": "20"}))
    assert (both.pp, both.max_num_seqs, both.max_model_len, both.flags) == (2, 4, 2048, {"n_gpu_layers": 20})
    ranks = checked_deployment(deployment("sglang", dp=8, flags={"cuda_graph_max_bs": 8}))
    assert (ranks.tp, ranks.dp, ranks.flags) == (1, 8, {"cuda_graph_max_bs": 8})
