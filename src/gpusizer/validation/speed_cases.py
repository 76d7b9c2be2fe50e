"""One measured performance case -> what was run: model, device, layout, engine and load, by what an operator knew before.

Where a figure came from is no input of a prediction: ``id``, ``source``, ``notes``, ``log``, ``measured`` and ``derived`` are never read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.gguf_mixes import mix_of
from gpusizer.architecture.precision.precision_words import precision_of_words
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import plain_format, scaled_format
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.types import LatentAttention, Notice
from gpusizer.engines import find_declaration, get_engine
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.releases import release_on
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.catalog import model_entry
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.performance.device_speeds import generation
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.types import Host, Load, Performance, PrefillPool
from gpusizer.validation.corpora import with_unsaid
from gpusizer.validation.devices import devices_of
from gpusizer.validation.gguf_precisions import OWN_MIX, local_precision
from gpusizer.validation.hosted_experts import with_hosted_experts
from gpusizer.validation.hosts import host_of
from gpusizer.validation.memory_cases import check_numbers, whole
from gpusizer.validation.models import model_of
from gpusizer.validation.speed_flags import drafts_of, launch_of
from gpusizer.validation.speed_layouts import run_layout
from gpusizer.validation.speed_load import load_of

__all__ = ["KNOWN_BEFORE", "PerformanceCase", "client_words", "performance_case", "question_of", "speed_of"]

KNOWN_BEFORE = (
    "date", "model", "quantization", "gpu", "gpu_count", "engine", "engine_version", "parallelism", "disaggregated", "isl", "osl", "concurrency",
    "batch_size", "request_rate", "num_prompts", "max_concurrency", "length_spread", "speculative", "flags", "host",
)  # fmt: skip
"""The fields that a prediction may use."""

_ENGINES = (
    ("trt", "tensorrt-llm"),
    ("tensorrt", "tensorrt-llm"),
    ("vllm", "vllm"),
    ("sglang", "sglang"),
    ("mindie", "mindie"),
    ("llama", "llama.cpp"),
    ("ollama", "ollama"),
    ("ktransformers", "llama.cpp"),  # the same files and formats; routed experts are computed where they lie, in host memory
)
_FORKS = ("ik_llama.cpp",)
_EXPERTS_ON_HOST = "ktransformers"


@dataclass(frozen=True)
class PerformanceCase:
    """A measured run as a prediction can be asked about it.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of the run.
    accelerator : Accelerator
        The device.
    deployment : Deployment
        One replica, or one decode worker.
    load : Load
        What all replicas together served.
    replicas : int
        Equal copies of the deployment.
    prefill : PrefillPool or None
        Workers that only computed prompts.
    host : Host or None
        Memory beside the cards, and what lay in it.
    date : str
        Day or month of the run, empty where it is not known.
    notices : tuple of Notice
        What was taken for granted.
    """

    architecture: Architecture
    accelerator: Accelerator
    deployment: Deployment
    load: Load
    replicas: int = 1
    prefill: PrefillPool | None = None
    host: Host | None = None
    date: str = ""
    notices: tuple[Notice, ...] = ()


def performance_case(row: Mapping[str, Any]) -> PerformanceCase | Notice:
    """The run that a measured performance case describes, or why it cannot be told.

    Parameters
    ----------
    row : mapping
        A case in the format of measured performance cases; whatever is not in ``KNOWN_BEFORE`` is not read.

    Returns
    -------
    PerformanceCase or Notice
        The run; or a code with its parameters.
    """
    known = {name: row.get(name) for name in KNOWN_BEFORE}
    try:
        check_numbers(known)
        return _case(known)
    except InputError as error:
        return Notice(error.code, dict(error.parameters))


def speed_of(case: PerformanceCase) -> Performance:
    """The prediction for a measured run."""
    return answer(question_of(case))


def question_of(case: PerformanceCase) -> Question:
    """What the prediction for a measured run is asked."""
    return Question(
        case.architecture, case.accelerator, case.deployment, case.load, replicas=case.replicas, prefill=case.prefill, host=case.host, built=case.date
    )


def client_words(flags: object) -> str:
    """Settings of the load generator as words that rules look for.

    >>> client_words({"client": {"request-rate": "inf", "max-concurrency": 64}})
    'max-concurrency=64 request-rate=inf'
    """
    client = flags.get("client") if isinstance(flags, Mapping) else None
    pairs = sorted((str(name)[:80], str(value)[:80]) for name, value in list(client.items())[:100]) if isinstance(client, Mapping) else []
    return " ".join(f"{name}={value}" for name, value in pairs)


def _case(row: Mapping[str, Any]) -> PerformanceCase:
    row = with_unsaid({**row, "client": client_words(row["flags"])})
    entry, named = _model(_model_words(str(row["model"] or "")))
    devices = devices_of(str(row["gpu"] or ""), 1, optional=False)
    engine = _engine(str(row["engine"] or ""))
    architecture, precision, similar = _precision(entry.id, str(row["quantization"] or ""), named, engine)
    row = with_unsaid({**row, "traits": _traits(architecture, devices.first)})
    run = run_layout(row, architecture, devices.first, whole(row, "gpu_count", 1 << 14) or 0, by_devices=_by_devices(engine))
    fields, flags, told_layout = launch_of(engine, row, devices)
    drafts = drafts_of(row, fields, flags)
    told: dict[str, Any] = {"kv_precision": _cache_precision(row, fields), "speculative_tokens": drafts.tokens, "fork": _fork(str(row["engine"]))}
    plain = Deployment(
        model=entry.id,
        gpu=devices.first.id,
        engine=engine,
        engine_version=_version(engine, row),
        precision=precision,
        flags=flags | ({"speculative_method": drafts.method} if drafts.tokens else {}),
        **{**fields, **told},
    )
    if _EXPERTS_ON_HOST in str(row["engine"]).lower():
        plain = with_hosted_experts(plain, architecture, devices.first, run.layout.gpus)
    host = _host(row)
    if host is not None and host.offload == "rest":
        plain = _placed(plain, architecture, devices.first, load_of(row))
    prefill = None if run.prefill is None else PrefillPool(_cut(plain, run.prefill), run.prefill_workers)
    decode = _cut(plain, told_layout.of(run.layout, str(row["parallelism"] or "")[:400]))
    load, date = replace(load_of(row), acceptance=drafts.acceptance), str(row["date"] or "")
    return PerformanceCase(architecture, devices.first, decode, load, run.replicas, prefill, host, date, (*devices.notices, *similar))


def _version(engine: str, row: Mapping[str, Any]) -> str | None:
    """As the case words it; of an engine that counts builds, the number of the build, else the newest of its day."""
    words, date = str(row["engine_version"] or "")[:200], str(row["date"] or "")[:10]
    declared = find_declaration(engine)
    if declared is None or not declared.builds:
        return words or None
    build = re.search(r"\bb(\d{4,6})\b|\((\d{4,6})\)", words)
    if build:
        return build[1] or build[2]
    return release_on(engine, f"{date}-07" if re.fullmatch(r"20\d\d", date) else date)


def _by_devices(engine: str) -> bool:
    found = find_declaration(engine)
    return found is not None and found.layout_by_devices


def _fork(words: str) -> str:
    return next((fork for fork in _FORKS if fork in words.lower()), "")


def _placed(deployment: Deployment, architecture: Architecture, accelerator: Accelerator, load: Load) -> Deployment:
    """The start with as much on full cards as they hold, by flags that its build knows; the engine's own choice where none are found."""
    declared = find_declaration(deployment.engine)
    if declared is None or not declared.takes_gguf:
        return deployment
    for context in (deployment.max_model_len, int(load.input_tokens + load.output_tokens)):  # where nobody says it, what the run needed will do
        asked = replace(deployment, max_model_len=context)
        if (found := get_engine(deployment.engine).offloaded(asked, architecture, accelerator)) is not None:
            return replace(deployment, flags=found.flags)
    return replace(deployment, flags={"fit": "on", **deployment.flags})


def _host(row: Mapping[str, Any]) -> Host | None:
    found = host_of(row["host"])
    if _EXPERTS_ON_HOST not in str(row["engine"]).lower():
        return found
    told = found or Host()
    return replace(told, offload=told.offload or "experts", weights_spread=True)


def _cut(deployment: Deployment, layout: Layout) -> Deployment:
    return replace(deployment, tp=layout.tp, pp=layout.pp, dp=layout.dp, ep=layout.ep)


def _traits(architecture: Architecture, accelerator: Accelerator) -> str:
    """Words about model and device that rules of publications look for."""
    found = {
        "experts": _has_experts(architecture),
        "latent": bool(architecture.mixers_of(LatentAttention)),
        "drafts": bool(architecture.mtp),
        generation(accelerator): True,
    }
    return " ".join(word for word, holds in found.items() if holds)


def _model_words(words: str) -> str:
    """ "DeepSeek-V3/R1" names two checkpoints of one shape; "Llama-2-70b-chat" lacks the suffix of its repository."""
    head, slash, tail = words.partition("/")
    if slash and re.search(r"\d", head) and re.fullmatch(r"[A-Za-z]*\d+(\.\d+)?", tail):
        return head
    return words


_SAME_SHAPE = frozenset(("instruct", "chat", "hf", "it", "v0.1", "bf16", "fp8", "nvfp4"))


def _model(words: str) -> tuple[ModelEntry, str | None]:
    """The entry of a name, or of the nearest one that differs only in words that leave shapes alone."""
    try:
        return model_of(words)
    except UnknownIdError as error:
        kept = _shape_words(words)
        for near in error.parameters.get("nearest", ()):
            if _shape_words(near) == kept:
                return model_entry(near), precision_of_words(words)[0]
        raise


def _shape_words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s_/:-]+", name.lower()) if word not in _SAME_SHAPE]


def _engine(words: str) -> str:
    lower = words.lower()
    return next((engine for word, engine in _ENGINES if word in lower), "vllm")


@lru_cache(maxsize=256)
def _loaded(model: str, precision: str) -> Architecture:
    architecture = load_architecture(model)
    if precision == "nvfp4" and _has_experts(architecture):
        # publishers' NVFP4 checkpoints of mixtures of experts quantise feed-forward blocks and leave attention at 16 bits
        form = scaled_format("nvfp4", 4)
        groups = {"routed_experts": form, "shared_experts": form, "dense_mlp": form}
        return replace(architecture, quantization=Quantization("nvfp4", plain_format("bf16"), None, groups), header_bytes=None)
    return with_precision(architecture, precision)


def _precision(model: str, words: str, named: str | None, engine: str) -> tuple[Architecture, str, tuple[Notice, ...]]:
    """The model as it was stored, its precision, and what that stands for."""
    stored = [name for name in weight_formats(_loaded(model, "checkpoint")) if name not in ("bf16", "fp16", "fp32")]
    told, alike = precision_of_words(words.split(",")[0].split("(")[0])
    file = find_declaration(engine)
    if file is not None and file.takes_gguf:
        recipe = local_precision(file, told or named, _loaded(model, "checkpoint"))
        if own := alike or bool(OWN_MIX.search(words)):
            recipe = mix_of(words, recipe, _loaded(model, "checkpoint"))
        notices = (Notice("similar-precision", {"found": words, "precision": recipe}),) if own else ()
        return _loaded(model, recipe), recipe, notices
    if re.search(r"as released|MXFP4", words) and "mxfp4" in stored:
        return _loaded(model, "checkpoint"), "checkpoint", ()
    wish = told or named or "checkpoint"
    if (wish in ("nvfp4", "mxfp4") and "mxfp4" in stored) or wish in stored:
        wish = "checkpoint"
    if wish in ("bf16", "fp16") and (not stored or precision_of_words(model)[0] in stored):  # a repository named after its format holds it
        wish = "checkpoint"
    return _loaded(model, wish), wish, ()


def _has_experts(architecture: Architecture) -> bool:
    return any(layer.experts for layer in architecture.layers)


def _cache_precision(row: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """As the launch words say, else as the case does, else as the publication's rule has it."""
    given = str(fields.get("kv_precision", "auto"))
    if given != "auto":
        return given
    said = re.search(r"(FP8|BF16|FP16) (?:attention and )?KV\b", str(row["quantization"] or "")[:400])
    if said:
        return said[1].lower()
    return str(row.get("cache") or "auto")
