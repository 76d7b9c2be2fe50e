"""Every line of a ledger calls the formula that it names: called again with the inputs that the line shows, it gives the line's bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import engine_ids, get_engine
from gpusizer.engines.base.band import Spread
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Inputs, Item, Section
from gpusizer.facts.catalog import accelerator
from gpusizer.formulas.core import REGISTRY, Symbol, rounded
from gpusizer.formulas.memory.transformers import dynamic_cache_bytes
from gpusizer.rendering.formulas import formula_document

# One model of each kind of mixer and block: full and windowed attention, experts,
# latent, sparse latent, compressed, gated delta, state space, short convolution.
MODELS = (
    "llama-3.1-8b-instruct",
    "gemma-3-27b-it",
    "gpt-oss-20b",
    "qwen3-30b-a3b",
    "deepseek-v2-lite",
    "deepseek-v3",
    "glm-5.1",
    "deepseek-v4-flash",
    "qwen3.6-35b-a3b",
    "granite-4.0-h-small",
)
GPUS = ("h200-sxm-141gb", "rtx4090-24gb", "mi300x-192gb", "gb10-128gb", "b200-sxm-180gb", "a100-sxm-80gb")
POOLED = ("vllm", "sglang", "tensorrt-llm")

# What takes an engine beyond the plain start of every model: (engine, model, fields).
FURTHER: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *((engine, "qwen3-30b-a3b", {"precision": precision}) for engine in (*POOLED, "transformers") for precision in ("fp8", "int4", "mxfp4", "nvfp4")),
    *((engine, "qwen3-30b-a3b", {"tp": 4, "ep": 4}) for engine in POOLED),
    *((engine, "deepseek-v3", {"tp": 2, "dp": 4, "ep": 8}) for engine in POOLED),
    *((engine, "deepseek-v3", {"tp": 8, "speculative_tokens": 2}) for engine in POOLED),
    *((engine, "deepseek-v3", {"tp": 8, "pp": 2}) for engine in POOLED),
    *((engine, "llama-3.1-8b-instruct", {"speculative_tokens": 3, "flags": {"speculative_method": "eagle3"}}) for engine in ("vllm", "sglang")),
    *((engine, "llama-3.1-8b-instruct", {"flags": {"enable_lora": True, "max_loras": 4, "max_lora_rank": 64}}) for engine in ("vllm", "sglang")),
    *((engine, "llama-3.1-8b-instruct", {"enforce_eager": True}) for engine in POOLED),
    ("vllm", "llama-3.1-8b-instruct", {"engine_version": "0.10.0", "tp": 2}),
    ("vllm", "llama-3.1-8b-instruct", {"engine_version": "0.17.1", "tp": 2}),
    ("vllm", "qwen3-30b-a3b", {"engine_version": "0.19.0", "tp": 2}),
    ("vllm", "llama-3.1-8b-instruct", {"flags": {"kv_cache_memory_bytes": 1 << 33}}),
    ("vllm", "qwen3-vl-8b-instruct", {}),
    ("vllm", "deepseek-v3", {"tp": 8, "flags": {"moe_backend": "marlin"}}),
    ("sglang", "llama-3.1-8b-instruct", {"engine_version": "0.4.6", "tp": 2}),
    ("sglang", "llama-3.1-8b-instruct", {"flags": {"enable_symm_mem": True}, "tp": 2}),
    ("sglang", "llama-3.1-8b-instruct", {"flags": {"max_total_tokens": 4096}}),
    ("sglang", "glm-5.1", {"tp": 8, "engine_version": "0.5.9", "kv_precision": "fp8"}),
    *((engine, "gemma-4-e4b-it", {}) for engine in ("vllm", "sglang")),
    ("sglang", "gpt-oss-20b", {"max_num_seqs": 64, "flags": {"disable_radix_cache": True}}),
    ("sglang", "qwen3-30b-a3b", {"flags": {"similar_precision": "nvfp4"}, "precision": "nvfp4"}),
    ("tensorrt-llm", "llama-2-7b-hf", {"engine_version": "0.17"}),
    ("tensorrt-llm", "llama-3.1-8b-instruct", {"flags": {"max_tokens": 4096}}),
    *((engine, "qwen3-30b-a3b", {"precision": form}) for engine in ("llama.cpp", "ollama") for form in ("q4_k_m", "q8_0", "iq2_xs")),
    *(("llama.cpp", model, {"pp": 2, "flags": {"n_gpu_layers": 10}}) for model in ("llama-3.1-8b-instruct", "deepseek-v2-lite", "qwen3.6-35b-a3b")),
    *(("llama.cpp", "gemma-3-27b-it", {"flags": flags}) for flags in ({"cache_type_k": "q8_0", "cache_type_v": "q8_0"}, {"mmproj": "x.gguf"})),
    ("llama.cpp", "qwen3-30b-a3b", {"flags": {"fit": "on"}, "max_num_seqs": 4}),
    ("llama.cpp", "qwen3-30b-a3b", {"tp": 2}),
    ("llama.cpp", "deepseek-v3", {"pp": 8, "speculative_tokens": 1}),
    ("llama.cpp", "deepseek-v2-lite", {"flags": {"fork": "ik_llama.cpp", "mla": 3}}),
    ("transformers", "llama-3.1-8b-instruct", {"flags": {"attn_implementation": "eager"}, "max_num_seqs": 8, "max_model_len": 4096}),
    ("transformers", "deepseek-v2-lite", {"engine_version": "4.57.0", "pp": 2}),
)

# Formulas of a constant, of one for each of some things, of a share.
FITTED = ("memory.constants.fitted", "memory.constants.for_each", "memory.constants.share")


@cache
def fit(engine: str, model: str, gpu: str, fields: tuple[tuple[str, Any], ...]) -> Fit:
    given = dict(fields)
    given["flags"] = dict(given.get("flags", ()))
    architecture = with_precision(load_architecture(model), str(given.get("precision", "checkpoint")))
    return get_engine(engine).fit(Deployment(model=model, gpu=gpu, engine=engine, **given), architecture, accelerator(gpu))


def frozen(fields: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, tuple(value.items()) if isinstance(value, dict) else value) for name, value in fields.items())


def starts(engine: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for model in MODELS:
        for tp in (1, 8):
            fields = {"tp" if engine in (*POOLED, "transformers") else "pp": tp}
            yield model, "h200-sxm-141gb", fields
        for gpu in GPUS[1:]:
            yield model, gpu, {}
    for which, model, fields in FURTHER:
        if which == engine:
            yield model, "h200-sxm-141gb", fields
            yield model, "a100-sxm-80gb", fields


def lines(engine: str) -> Iterator[tuple[str, Item]]:
    for model, gpu, fields in starts(engine):
        for rank in fit(engine, model, gpu, frozen(fields)).ranks:
            for line in rank.items:
                yield f"{model} on {gpu} {fields}", line


def holds(line: Item) -> bool:
    """The named formula gives the line's bytes when it is called with the line's inputs."""
    try:
        return bool(rounded(REGISTRY[line.formula].function(**line.inputs)) == line.bytes)
    except (TypeError, KeyError):
        return False


@pytest.mark.parametrize("engine", engine_ids())
def test_every_line_calls_the_formula_that_it_names(engine: str) -> None:
    wrong = {line.id: f"{where}: {line}" for where, line in lines(engine) if not holds(line)}
    assert not wrong, wrong


@pytest.mark.parametrize("engine", engine_ids())
def test_what_is_exact_has_no_band(engine: str) -> None:
    banded = {line.id for _, line in lines(engine) if line.evidence is Evidence.EXACT and line.low_bytes < line.high_bytes}
    assert not banded


@pytest.mark.parametrize("engine", engine_ids())
def test_every_line_says_what_is_behind_a_constant(engine: str) -> None:
    """A fitted constant names itself, how many set-ups were measured, and their range."""
    silent = {line.id for _, line in lines(engine) if line.formula in FITTED and not any(": n = " in source for source in line.sources)}
    assert not silent


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_formula_that_a_line_names_can_be_explained(language: str) -> None:
    named = {line.formula for engine in engine_ids() for _, line in lines(engine)}
    assert len(named) > 10
    for formula in named:
        assert formula_document(formula, language).data["id"] == formula


def test_a_line_is_computed_on_numbers_arrays_and_symbols_alike() -> None:
    """One text of an account serves a plan, a search over columns, and a cell."""

    def line(tokens: Any) -> Item:
        inputs: Inputs = {"requests": 3, "tokens": tokens, "token_bytes": 1000, "request_bytes": 0}
        return computed("kv_cache_pool", dynamic_cache_bytes, section=Section.CACHE, band=Spread(0.25, 0.5), **inputs)

    columns = line(np.array([7, 4096]))
    for place, tokens in enumerate((7, 4096)):
        one = line(tokens)
        assert (columns.bytes[place], columns.low_bytes[place], columns.high_bytes[place]) == (one.bytes, one.low_bytes, one.high_bytes)  # type: ignore[index]
    cell = line(Symbol("tokens"))
    assert str(cell.bytes.text) == f"ROUND({dynamic_cache_bytes(requests=3, tokens=Symbol('tokens'), token_bytes=1000, request_bytes=0).text},0)"  # type: ignore[attr-defined]


def test_what_is_not_registered_cannot_be_a_line() -> None:
    with pytest.raises(ValueError, match="no registered formula"):
        computed("free", lambda *, size: size, section=Section.FREE, size=1)
