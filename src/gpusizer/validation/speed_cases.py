"""One measured performance case -> what was run: model, device, layout, engine and load, by what an operator knew before.

``measured``, ``derived``, ``log`` and ``notes`` are never read.
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
from gpusizer.architecture.precision.requantise import Quantization, checkpoint_bytes, with_precision
from gpusizer.architecture.storage.formats import plain_format, scaled_format
from gpusizer.architecture.types import LatentAttention, MixtureOfExperts, Notice
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.catalog import model_entry
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.performance.device_speeds import generation
from gpusizer.performance.types import Load, PrefillSide
from gpusizer.validation.devices import devices_of
from gpusizer.validation.memory_cases import whole
from gpusizer.validation.models import model_of

__all__ = ["KNOWN_BEFORE", "PerformanceCase", "performance_case"]

KNOWN_BEFORE = (
    "id", "source", "date", "model", "quantization", "gpu", "gpu_count", "engine", "engine_version", "parallelism", "disaggregated", "isl", "osl",
    "concurrency", "batch_size", "request_rate", "speculative",
)  # fmt: skip
"""The fields that a prediction may use."""

_ENGINES = (
    ("trt", "tensorrt-llm"),
    ("tensorrt", "tensorrt-llm"),
    ("vllm", "vllm"),
    ("sglang", "sglang"),
    ("mindie", "mindie"),
    ("llama", "llama.cpp"),
)
_UNTOLD_LENGTH = 300.0  # a case that gives neither length: short chat
_QUIET_CONCURRENCY = 4.0  # a case with a rate that was low but not printed


@dataclass(frozen=True)
class PerformanceCase:
    """A measured run as a prediction can be asked about it; ``replicas`` are equal copies of the deployment."""

    id: str
    architecture: Architecture
    accelerator: Accelerator
    deployment: Deployment
    load: Load
    replicas: int = 1
    prefill: PrefillSide | None = None
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
    try:
        return _case({name: row.get(name) for name in KNOWN_BEFORE})
    except InputError as error:
        return Notice(error.code, dict(error.parameters))


def _case(row: Mapping[str, Any]) -> PerformanceCase:
    notices: list[Notice] = []
    entry, named = _model(_model_words(str(row["model"] or "")))
    devices = devices_of(str(row["gpu"] or ""), 1, optional=False)
    notices.extend(devices.notices)
    engine = _engine(str(row["engine"] or ""))
    architecture, precision = _precision(entry.id, str(row["quantization"] or ""), named)
    count = whole(row, "gpu_count", 1 << 14) or 0
    layout, prefill, replicas = _layout(row, architecture, devices.first, count)
    cache = _cache_precision(engine, row, architecture, devices.first)
    drafts = _drafts(row, architecture, layout)
    if drafts and "MTP" not in str(row["speculative"]):
        notices.append(Notice("speculation-inferred", {"drafts": drafts}))
    plain = Deployment(
        model=entry.id,
        gpu=devices.first.id,
        engine=engine,
        engine_version=str(row["engine_version"] or "") or None,
        precision=precision,
        kv_precision=cache,
        speculative_tokens=drafts,
        max_num_batched_tokens=_recipe_budget(engine, row, architecture, drafts, layout) if _is_inferencex(row) else None,
        run_date=str(row["date"] or ""),
        flags={} if (interval := _stream_interval(engine, row)) == "1" else {"stream_interval": interval},
    )
    deployment = _cut(plain, layout)
    side = PrefillSide(_cut(plain, prefill[0]), prefill[1]) if prefill is not None else None
    return PerformanceCase(str(row["id"]), architecture, devices.first, deployment, _load(row), replicas, side, tuple(notices))


def _cut(deployment: Deployment, cut: Mapping[str, int]) -> Deployment:
    return replace(deployment, tp=cut["tp"], pp=cut["pp"], dp=cut["dp"], ep=cut["ep"])


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
    return next((engine for word, engine in _ENGINES if word in lower), "vllm" if "in-house" not in lower else "sglang")


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


# SemiAnalysisAI/InferenceX, benchmarks/*.sh as of 2025-11 to 2026-04: on Blackwell its servers cache in FP8 (vLLM with latent attention does not),
# SGLang computes prompts in chunks of 32,768 tokens. TensorRT-LLM gets ``--max_num_tokens``: 20,000 and so on where attention is grouped; with latent
# attention one prompt beside what decodes, (drafts + 1) x batch + ISL + 64, which from 64af5a771 (2026-01-21) on is 8,192 at least without drafts.
_RECIPE_CHUNK, _RECIPE_TOKENS, _RECIPE_LEAST, _RECIPE_LEAST_FROM = 32768, 20000, 8192, "2026-01-21"


def _recipe_budget(engine: str, row: Mapping[str, Any], architecture: Architecture, drafts: int, layout: Mapping[str, int]) -> int | None:
    """Most tokens of a step, as the public recipe of a run sets them; None where it leaves them to the engine."""
    if engine == "sglang":
        return _RECIPE_CHUNK
    if engine != "tensorrt-llm" or row["disaggregated"]:
        return None
    if not _is_latent(architecture):
        return _RECIPE_TOKENS
    batch = int(_number(row["concurrency"]) or 1)
    if drafts:
        batch = max(batch // layout["dp"], 1) * (drafts + 1)
    tokens = batch + int(_number(row["isl"]) or 0) + 64
    return max(tokens, _RECIPE_LEAST) if not drafts and str(row["date"]) >= _RECIPE_LEAST_FROM else tokens


def _stream_interval(engine: str, row: Mapping[str, Any]) -> str:
    """The public recipes of TensorRT-LLM and SGLang hand over 10 tokens at once; the vendor's table and LoadGen have no server in between."""
    if _is_vendor_table(row) or str(row["source"]).startswith("mlcommons/"):
        return "999999"
    return "10" if _is_inferencex(row) and engine in ("tensorrt-llm", "sglang") else "1"


def _is_latent(architecture: Architecture) -> bool:
    return any(isinstance(mixer, LatentAttention) for layer in architecture.layers for mixer in layer.mixers)


def _cache_precision(engine: str, row: Mapping[str, Any], architecture: Architecture, accelerator: Accelerator) -> str:
    """Quantised checkpoints for TensorRT-LLM carry an FP8 cache; others cache in 16 bits unless said or known from the public recipe."""
    words = str(row["quantization"] or "")
    if re.search(r"FP8 (?:attention and )?KV|attention and KV", words):
        return "fp8"
    quantised = re.search(r"fp8|fp4", words, re.IGNORECASE) is not None
    if (
        engine == "tensorrt-llm" and quantised
    ):  # MXFP4 as its publisher released it has no scales for a cache: 16 bits, except where recipes ask for FP8
        return "auto" if re.search(r"MXFP4", words) and generation(accelerator) != "blackwell" else "fp8"
    if _is_inferencex(row) and quantised and generation(accelerator) == "blackwell" and not (engine == "vllm" and _is_latent(architecture)):
        return "fp8"
    return "auto"


_LAYOUT = re.compile(r"(moetp|tp|pp|dp|ep)(\d{1,4})")


def _cuts(words: str) -> dict[str, int]:
    found = {"tp": 1, "pp": 1, "dp": 1, "ep": 1}
    for name, number in _LAYOUT.findall(words):
        found[name] = max(int(number), 1)
    if "expert-parallel" in words:
        found["ep"] = found["tp"] * found["dp"]
    return found


def _layout(
    row: Mapping[str, Any], architecture: Architecture, accelerator: Accelerator, count: int
) -> tuple[dict[str, int], tuple[dict[str, int], int] | None, int]:
    """(layout of one replica or of a decode worker, (layout, number) of prefill workers, replicas)."""
    words = str(row["parallelism"] or "")
    pairs = re.search(r"prefill (\d+)x\(([^)]*)\) \+ decode (\d+)x\(([^)]*)\)", words)
    if pairs:
        prefill = _legal(_cuts(pairs[2]), architecture)
        return _legal(_cuts(pairs[4]), architecture), (prefill, int(pairs[1])), int(pairs[3])
    if "1P1D" in words:
        return {"tp": 1, "pp": 1, "dp": 4, "ep": 4}, ({"tp": 1, "pp": 4, "dp": 1, "ep": 1}, 1), 1
    if "chunked-pipeline" in words:
        return {"tp": 1, "pp": 1, "dp": 32, "ep": 32}, ({"tp": 1, "pp": 4, "dp": 1, "ep": 1}, 8), 1
    if not _LAYOUT.search(words):
        tp = _smallest(architecture, accelerator)
        return {"tp": tp, "pp": 1, "dp": 1, "ep": 1}, None, max(count // tp, 1)
    cut = _cuts(words.split(" or ")[0])
    if _is_vendor_table(row) and cut["tp"] > 1 and cut["dp"] == 1 and _has_experts(architecture):
        cut = {"tp": 1, "pp": cut["pp"], "dp": cut["tp"], "ep": cut["tp"]}
    if _indivisible(cut, architecture):
        return _rack(cut["tp"] * cut["dp"])
    found = _legal(_run_layout(row, cut), architecture)
    copies = re.search(r"x(\d+) replicas", words)
    return found, None, int(copies[1]) if copies else 1


def _run_layout(row: Mapping[str, Any], cut: dict[str, int]) -> dict[str, int]:
    """What was run where a table multiplied its columns.

    The silicon table gives "tp4 ep4" runs of four GPUs as sixteen (tensor times expert parallelism); the run's own name in ``source`` still says
    which. Only a name that contradicts the product is heeded, and data-parallel attention stays what it was.
    """
    named = re.search(r"_tp(\d+)_ep(\d+)_\d+$", str(row["source"] or ""))
    expert_tp = cut.pop("moetp", 0)
    gpus = cut["tp"] * cut["dp"]
    ran = int(named[1]) if named else gpus
    doubled = not named and expert_tp == cut["ep"] > 1 and gpus == cut["ep"] ** 2 and gpus > 8
    if (named and gpus == ran * int(named[2]) and int(named[2]) > 1) or doubled:
        gpus = ran if named else cut["ep"]
        attention_dp = cut["dp"] > 1 and cut["tp"] == 1
        return {
            "tp": 1 if attention_dp else gpus,
            "dp": gpus if attention_dp else 1,
            "ep": min(int(named[2]) if named else gpus, gpus),
            "pp": cut["pp"],
        }
    return cut


def _legal(cut: dict[str, int], architecture: Architecture) -> dict[str, int]:
    """A width that heads cannot be cut by (72) is that of data-parallel attention with experts spread over all."""
    cut.pop("moetp", None)
    if _indivisible(cut, architecture):
        return {"tp": 1, "dp": cut["tp"] * cut["dp"], "ep": cut["tp"] * cut["dp"], "pp": cut["pp"]}
    return cut


def _indivisible(cut: Mapping[str, int], architecture: Architecture) -> bool:
    heads = {getattr(mixer, "heads", 0) for layer in architecture.layers for mixer in layer.mixers} - {0}
    return cut["tp"] > _PROMPT_RANKS and any(number % cut["tp"] for number in heads)


_PROMPT_RANKS = 8


def _rack(gpus: int) -> tuple[dict[str, int], tuple[dict[str, int], int] | None, int]:
    """A rack told as one tensor-parallel group that heads cannot be cut by: some workers only computed prompts, a third of the GPUs is assumed."""
    workers = max(gpus // 3 // _PROMPT_RANKS, 1)
    ranks = max(gpus - workers * _PROMPT_RANKS, 1)
    prompts = {"tp": 1, "pp": 1, "dp": _PROMPT_RANKS, "ep": _PROMPT_RANKS}
    return {"tp": 1, "pp": 1, "dp": ranks, "ep": ranks}, (prompts, workers), 1


def _smallest(architecture: Architecture, accelerator: Accelerator) -> int:
    need = checkpoint_bytes(architecture, mtp=False) / (0.8 * accelerator.memory_bytes)
    return next((tp for tp in (1, 2, 4, 8) if tp >= need), 8) if need <= 8 else ceil(need)


# NVIDIA/TensorRT-LLM@00f3768 and @03e27c7, perf-overview.md, "Reproducing Benchmarked Results": mixtures of experts run with
# ``enable_attention_dp`` (the tables call it TP or DEP); the number of requests of a run follows from its lengths, and all are queued at once.
_TABLE_REQUESTS = {(128, 128): 30000, (2048, 128): 3000, (128, 2048): 3000, (1000, 1000): 3000, (500, 2000): 3000, (1024, 1024): 3000}
_TABLE_REQUESTS |= {(20000, 2000): 1000, (32768, 1024): 1000, (1024, 32768): 1000}
_TABLE_OTHERWISE = 1500


def _is_vendor_table(row: Mapping[str, Any]) -> bool:
    return "perf-overview" in str(row["source"])


def _has_experts(architecture: Architecture) -> bool:
    return any(isinstance(block, MixtureOfExperts) for layer in architecture.layers for block in layer.feed_forwards)


def _is_inferencex(row: Mapping[str, Any]) -> bool:
    """Runs of the public sweeps are dated; in-house runs of the same table are not."""
    return "silicon_sample" in str(row["source"]) and bool(row["date"])


# SemiAnalysisAI/InferenceX@5d517074c, @0aae52d4c (nvidia-master.yaml, keys ending in "-trt-mtp"): three drafts, one with data-parallel attention.
# The table that carries the runs has no column for it. The image of these recipes is 1.2.0rc6.post3; with the image before it they first ran on
# 2026-01-14, while the recipes without drafts had run until 2025-12.
_DRAFT_IMAGE, _SHARED_IMAGE, _DRAFTS_FROM = "1.2.0rc6.post3", "1.1.0rc2.post2", "2026-01-14"


def _drafts(row: Mapping[str, Any], architecture: Architecture, layout: Mapping[str, int]) -> int:
    words = str(row["speculative"] or "")
    told = re.search(r"MTP[- ](\d)|(\d) draft", words)
    if "MTP" in words:
        return int(told[1] or told[2]) if told else 1
    version = str(row["engine_version"] or "")
    if not (_is_inferencex(row) and architecture.mtp and not row["disaggregated"]):
        return 0
    if version == _DRAFT_IMAGE or (version == _SHARED_IMAGE and str(row["date"]) >= _DRAFTS_FROM):
        return 1 if layout["dp"] > 1 else 3
    return 0


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _load(row: Mapping[str, Any]) -> Load:
    isl, osl = _number(row["isl"]), _number(row["osl"])
    inferencex = _is_inferencex(row)
    scale = 0.9 if inferencex else 1.0  # its client draws lengths evenly from 0.8 to 1.0 of the nominal ones
    input_tokens = (isl or osl or _UNTOLD_LENGTH) * scale
    output_tokens = (osl or isl or _UNTOLD_LENGTH) * scale
    natural = not inferencex and "silicon_sample" not in str(row["source"]) and not _round(isl) and not _round(osl)
    spread = 0.064 if inferencex else (0.9 if natural else 0.0)
    base = Load(input_tokens, output_tokens, length_spread=spread)
    concurrency = _number(row["concurrency"])
    if concurrency is not None:
        return replace(base, concurrency=concurrency, first_burst_share=0.1)
    batch = row["batch_size"]
    if _number(batch) is not None:
        return replace(base, burst=_number(batch))
    rate = row["request_rate"]
    if _number(rate) is not None:
        return replace(base, request_rate_per_s=_number(rate))
    words = f"{batch or ''} {rate or ''}"
    many = re.search(r"burst of (\d+)", words)
    if many:
        return replace(base, burst=float(many[1]))
    if _is_vendor_table(row):
        return replace(base, concurrency=float(_TABLE_REQUESTS.get((int(isl or 0), int(osl or 0)), _TABLE_OTHERWISE)))
    if "finite" in words:
        return replace(base, concurrency=_QUIET_CONCURRENCY)
    return replace(base, concurrency=inf)


def _round(tokens: float | None) -> bool:
    """A length that somebody chose: 128, 1000, 2048, or a few tokens less, as clients cut them."""
    if tokens is None:
        return False
    return any(0 <= mark - tokens <= max(6, mark * 0.003) for step in (500, 1024, 128) for mark in (ceil(tokens / step) * step,)) or tokens < 110
