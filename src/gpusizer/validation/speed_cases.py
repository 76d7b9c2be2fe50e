"""One measured performance case -> what was run: model, device, layout, engine and load, by what an operator knew before.

Where a figure came from is no input of a prediction: ``id``, ``source``, ``notes``, ``log``, ``measured`` and ``derived`` are never read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, inf
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.precision_words import precision_of_words
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import plain_format, scaled_format
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.types import LatentAttention, Notice
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.catalog import model_entry
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.performance.device_speeds import generation
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.types import Load, Performance, PrefillPool
from gpusizer.validation.corpora import with_unsaid
from gpusizer.validation.devices import Devices, devices_of
from gpusizer.validation.flags import engine_fields
from gpusizer.validation.memory_cases import check_numbers, whole
from gpusizer.validation.models import model_of
from gpusizer.validation.speed_layouts import run_layout

__all__ = ["KNOWN_BEFORE", "PerformanceCase", "performance_case", "speed_of"]

KNOWN_BEFORE = (
    "date", "model", "quantization", "gpu", "gpu_count", "engine", "engine_version", "parallelism", "disaggregated", "isl", "osl", "concurrency",
    "batch_size", "request_rate", "num_prompts", "max_concurrency", "speculative", "flags", "host",
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
)
_UNTOLD_LENGTH = 300.0  # a case that gives neither length: short chat [tokens]
_PROMPTS_PER_CUSTOMER = 10  # length of a run where it is not said: clients send ten times as many prompts as may be in flight
_NATURAL_SPREAD = 0.9  # lengths of real requests: standard deviation over mean (ShareGPT and the data sets of MLPerf: 0.8 to 1.1)
# Keys of the YAML file of TensorRT-LLM that name what a launch word names elsewhere.
_DOTTED = {"kv_cache_config.dtype": "kv_cache_dtype", "kv_cache_config.free_gpu_memory_fraction": "free_gpu_memory_fraction"}
_NOT_THE_ENGINE = frozenset({"client", "env"})


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
    question = Question(
        case.architecture, case.accelerator, case.deployment, case.load, replicas=case.replicas, prefill=case.prefill, built=case.date
    )
    return answer(question)


def _case(row: Mapping[str, Any]) -> PerformanceCase:
    row = with_unsaid({**row, "lengths": f"{row['isl']}/{row['osl']}"})
    entry, named = _model(_model_words(str(row["model"] or "")))
    devices = devices_of(str(row["gpu"] or ""), 1, optional=False)
    engine = _engine(str(row["engine"] or ""))
    architecture, precision = _precision(entry.id, str(row["quantization"] or ""), named)
    row = with_unsaid({**row, "traits": _traits(architecture, devices.first)})
    run = run_layout(row, architecture, devices.first, whole(row, "gpu_count", 1 << 14) or 0)
    fields, flags = _launch(engine, row, devices)
    plain = Deployment(
        model=entry.id,
        gpu=devices.first.id,
        engine=engine,
        engine_version=str(row["engine_version"] or "") or None,
        precision=precision,
        flags=flags,
        **{**fields, "kv_precision": _cache_precision(row, fields), "speculative_tokens": _drafts(row, fields)},
    )
    prefill = None if run.prefill is None else PrefillPool(_cut(plain, run.prefill), run.prefill_workers)
    return PerformanceCase(
        architecture, devices.first, _cut(plain, run.layout), _load(row), run.replicas, prefill, str(row["date"] or ""), devices.notices
    )


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


def _launch(engine: str, row: Mapping[str, Any], devices: Devices) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields and further flags of the start from the launch words of the case; its layout is told elsewhere."""
    given = row["flags"] if isinstance(row["flags"], Mapping) else {}
    words = {
        _DOTTED.get(str(name), re.sub(r"[-.]", "_", str(name))): value
        for name, value in given.items()
        if name not in _NOT_THE_ENGINE and value is not None
    }
    fields: dict[str, Any] = {}
    flags: dict[str, Any] = {}
    if engine != "mindie":
        fields, flags = engine_fields(engine, {}, words, devices)
    if row.get("stream_interval"):
        flags["stream_interval"] = row["stream_interval"]
    layout = ("tp", "pp", "dp", "ep", "dcp", "max_model_len")  # the length that a request needs decides, not the longest that may come
    return {name: value for name, value in fields.items() if name not in layout}, flags


def _model_words(words: str) -> str:
    """ "DeepSeek-V3/R1" names two checkpoints of one shape; "Llama-2-70b-chat" lacks the suffix of its repository."""
    head, slash, tail = words.partition("/")
    if slash and re.fullmatch(r"[A-Za-z]*\d+(\.\d+)?", tail):
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


def _precision(model: str, words: str, named: str | None) -> tuple[Architecture, str]:
    stored = [name for name in weight_formats(_loaded(model, "checkpoint")) if name not in ("bf16", "fp16", "fp32")]
    if re.search(r"as released|MXFP4", words) and "mxfp4" in stored:
        return _loaded(model, "checkpoint"), "checkpoint"
    wish = precision_of_words(words.split(",")[0].split("(")[0])[0] or named
    if (wish in ("nvfp4", "mxfp4") and "mxfp4" in stored) or wish is None or wish in stored or (wish in ("bf16", "fp16") and not stored):
        wish = "checkpoint"
    return _loaded(model, wish), wish


def _has_experts(architecture: Architecture) -> bool:
    return any(layer.experts for layer in architecture.layers)


def _cache_precision(row: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    """As the launch words say, else as the case does, else as the publication's rule has it."""
    given = str(fields.get("kv_precision", "auto"))
    if given != "auto":
        return given
    if re.search(r"FP8 (?:attention and )?KV|attention and KV", str(row["quantization"] or "")):
        return "fp8"
    return str(row.get("cache") or "auto")


def _drafts(row: Mapping[str, Any], fields: Mapping[str, Any]) -> int:
    words = str(row["speculative"] or "")
    told = re.search(r"MTP[- ](\d)|(\d) draft", words)
    if "MTP" in words:
        return int(told[1] or told[2]) if told else 1
    return int(fields.get("speculative_tokens") or row.get("drafts") or 0)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _prompts(row: Mapping[str, Any]) -> float | None:
    """How many requests the whole run had. [requests]"""
    flags = row["flags"] if isinstance(row["flags"], Mapping) else {}
    client = flags.get("client")
    return _number(row["num_prompts"]) or (_number(client.get("num-prompts")) if isinstance(client, Mapping) else None)


def _load(row: Mapping[str, Any]) -> Load:
    isl, osl = _number(row["isl"]), _number(row["osl"])
    scale = _number(row.get("length_scale")) or 1.0
    spread = _number(row.get("length_spread")) or (0.0 if _round(isl) or _round(osl) else _NATURAL_SPREAD)
    base = Load((isl or osl or _UNTOLD_LENGTH) * scale, (osl or isl or _UNTOLD_LENGTH) * scale, length_spread=spread)
    concurrency = _number(row["concurrency"])
    if concurrency is not None:
        prompts = _prompts(row) or _PROMPTS_PER_CUSTOMER * concurrency
        return replace(base, concurrency=concurrency, first_burst_share=min(concurrency / prompts, 1.0))
    batch, rate = row["batch_size"], row["request_rate"]
    if _number(batch) is not None:
        return replace(base, burst=_number(batch))
    if _number(rate) is not None:
        return replace(base, request_rate_per_s=_number(rate))
    many = re.search(r"burst of (\d{1,9})", f"{batch or ''} {rate or ''}")
    if many:
        return replace(base, burst=float(many[1]))
    return replace(base, concurrency=inf)


def _round(tokens: float | None) -> bool:
    """A length that somebody chose: 128, 1000, 2048, or a few tokens less, as clients cut them."""
    if tokens is None:
        return False
    return any(0 <= mark - tokens <= max(6, mark * 0.003) for step in (500, 1024, 128) for mark in (ceil(tokens / step) * step,)) or tokens < 110
