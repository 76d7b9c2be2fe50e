"""What several engines do to the values of flags before they become a deployment: drafts, overridden contexts, other uses than generation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_TOKENS
from gpusizer.errors import FlagError

__all__ = ["attention_ranks", "context_of_overrides", "drafts_of", "for_generation", "listed", "only_graph_words", "partition_of"]

MOST_DRAFTS = 256
_GENERATES = ("auto", "generate", "none", "draft")
_GRAPH_WORDS = ("cudagraph_mode", "cudagraph_capture_sizes", "max_cudagraph_capture_size")
_CONTEXT_WORDS = ("max_position_embeddings", "rope_scaling", "rope_parameters", "original_max_position_embeddings", "text_config")
_SILENT_WORDS = ("architectures", "rope_theta", "torch_dtype", "dtype", "tie_word_embeddings", "trust_remote_code")


def drafts_of(values: dict[str, Any], settings: object) -> list[Notice]:
    """Draft tokens, method and draft model out of ``--speculative-config``.

    >>> values = {}
    >>> drafts_of(values, {"method": "mtp", "num_speculative_tokens": 2}), values
    ([], {'speculative_tokens': 2, 'speculative_method': 'mtp'})
    """
    if isinstance(settings, Mapping):
        tokens = settings.get("num_speculative_tokens", 1)
        if isinstance(tokens, bool) or not isinstance(tokens, int) or not 0 <= tokens <= MOST_DRAFTS:
            raise FlagError("out-of-bounds", option="num_speculative_tokens", low=0, high=MOST_DRAFTS, found=str(tokens)[:40])
        values.setdefault("speculative_tokens", tokens)
        draft, method = settings.get("model"), settings.get("method")
        values.setdefault("speculative_method", str(method or "draft")[:40].lower())
        if isinstance(draft, str) and draft:
            values.setdefault("speculative_model", draft[:200])
    return []


def for_generation(values: dict[str, Any], *names: str) -> list[Notice]:
    """Other uses than generation (pooling, embedding) are said: they are not predicted."""
    asked = [(name, str(values.pop(name))) for name in names if name in values]
    return [Notice("not-counted-use", {"flag": f"--{name} {word[:40]}"}) for name, word in asked if word.lower() not in _GENERATES]


def context_of_overrides(values: dict[str, Any], flag: str, overrides: object) -> list[Notice]:
    """The longest context that overrides of the configuration give, unless one was asked for; other keys are said.

    >>> values = {}
    >>> context_of_overrides(values, "--hf-overrides", {"rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768}})
    []
    >>> values
    {'max_model_len': 131072}
    """
    if not isinstance(overrides, Mapping):
        return []
    inner = overrides.get("text_config")
    found = [_context_of(each) for each in (overrides, inner if isinstance(inner, Mapping) else {})]
    context = max(found)
    if context:
        values.setdefault("max_model_len", context)
    words = {*overrides, *(inner if isinstance(inner, Mapping) else ())}
    scaled = {"rope_scaling", "rope_parameters"} & words if not context and "max_model_len" not in values else set()
    others = sorted(str(word)[:40] for word in (words - {*_CONTEXT_WORDS, *_SILENT_WORDS}) | scaled)
    return [Notice("not-counted-keys", {"flag": flag, "keys": ", ".join(others[:8])})] if others else []


def _context_of(config: Mapping[str, Any]) -> int:
    scaling = config.get("rope_scaling") or config.get("rope_parameters")
    longest = config.get("max_position_embeddings")
    if isinstance(scaling, Mapping):
        base = scaling.get("original_max_position_embeddings") or longest
        factor = scaling.get("factor")
        if _number(base) and _number(factor):
            longest = _number(base) * _number(factor)
    size = _number(longest)
    return round(size) if 1 <= size <= MAX_TOKENS else 0


def _number(value: object) -> float:
    """A sensible number, else 0."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1 << 40 else 0.0


def only_graph_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of compilation that say which graphs are captured."""
    found = {name: settings[name] for name in _GRAPH_WORDS if name in settings}
    if settings.get("use_cudagraph") is False:
        found.setdefault("cudagraph_mode", "NONE")
    return found


def partition_of(values: dict[str, Any]) -> None:
    """Layers of each pipeline stage, "16,32", as numbers."""
    partition = values.get("pp_layer_partition")
    if isinstance(partition, str):
        if not re.fullmatch(r"\d{1,4}(,\d{1,4}){0,255}", partition):
            raise FlagError("bad-flag-value", flag="pp_layer_partition", found=partition[:40])
        values["pp_layer_partition"] = tuple(int(part) for part in partition.split(","))


def attention_ranks(values: dict[str, Any], flag: str, *, attention: bool) -> list[Notice]:
    """What data parallelism means to engines whose tensor-parallel size counts all ranks.

    With attention data parallelism its ranks divide the tensor-parallel size; without it they are copies of the whole engine.

    >>> values = {"tp": 16, "dp": 16}
    >>> attention_ranks(values, "--dp-size", attention=True), values
    ([], {'tp': 1, 'dp': 16})
    """
    ranks, tp = values.get("dp", 1), values.get("tp", 1)
    if ranks == 1:
        return []
    if attention:
        if tp % ranks:
            raise FlagError("dp-not-in-tp", option=flag, dp=ranks, tp=tp)
        values["tp"] = tp // ranks
        return []
    del values["dp"]
    return [Notice("copies", {"flag": flag, "copies": ranks, "gpus": ranks * tp * values.get("pp", 1)})]


def listed(words: object) -> list[str]:
    """Words joined by commas, one by one.

    >>> listed("CUDA0, CUDA1")
    ['CUDA0', 'CUDA1']
    """
    return [part.strip() for part in str(words).split(",") if part.strip()]
