"""Flags of ``fit`` by the names that each engine gives them, and the deployment that they make. A flag of another engine is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.engines.base.version import checked_version
from gpusizer.errors import FlagError, UnknownIdError
from gpusizer.units import parse_bytes, parse_share, parse_tokens

__all__ = ["FLAGS", "LaunchFlag", "checked_deployment", "deployment_from_flags"]

MAX_RANKS = 1 << 14
MAX_TOKENS = 1 << 28
VLLM, SGLANG, TRTLLM, LLAMA, OLLAMA, HF = "vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama", "transformers"


@dataclass(frozen=True, slots=True)
class LaunchFlag:
    """One flag.

    Parameters
    ----------
    option : str
        As the engine spells it.
    kind : str
        "count", "tokens", "bytes", "share", "switch" or "word".
    target : str
        Field of a deployment, or a key of its ``flags`` (the option's own name with ``_``) where it is empty.
    engines : tuple of str
        Who knows it; empty for all.
    """

    option: str
    kind: str
    target: str
    engines: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name as a Python word."""
        return self.option.lstrip("-").replace("-", "_")

    def read(self, value: Any) -> Any:
        """The value in its own type; refused outside its bounds."""
        if value is None or self.kind == "switch":
            return value
        if self.kind == "share":
            return parse_share(value)
        if self.kind == "bytes":
            return parse_bytes(value)
        if self.kind == "word":
            if not isinstance(value, str) or not value or len(value) > 200 or not value.isprintable():
                raise FlagError("bad-word", option=self.option, found=str(value)[:40])
            return value
        low = -1 if self.name == "n_gpu_layers" else 0 if self.target in ("speculative_tokens", "") else 1
        high = MAX_TOKENS if self.kind == "tokens" else MAX_RANKS if self.target in ("tp", "pp", "dp", "ep", "dcp", "gpus") else 1 << 24
        if isinstance(value, str) and value.strip() == "-1" and low == -1:
            return -1
        number = parse_tokens(value)
        if not low <= number <= high:
            raise FlagError("out-of-bounds", option=self.option, low=low, high=high, found=str(value)[:40])
        return number


FLAGS: tuple[LaunchFlag, ...] = (
    LaunchFlag("--gpus", "count", "gpus"),
    LaunchFlag("--tp", "count", "tp"),
    LaunchFlag("--pp", "count", "pp"),
    LaunchFlag("--dp", "count", "dp"),
    LaunchFlag("--ep", "count", "ep"),
    LaunchFlag("--dcp", "count", "dcp", (VLLM,)),
    LaunchFlag("--enable-expert-parallel", "switch", "ep_all", (VLLM,)),
    LaunchFlag("--max-model-len", "tokens", "max_model_len", (VLLM, HF)),
    LaunchFlag("--max-num-seqs", "count", "max_num_seqs", (VLLM, HF)),
    LaunchFlag("--max-num-batched-tokens", "tokens", "max_num_batched_tokens", (VLLM,)),
    LaunchFlag("--gpu-memory-utilization", "share", "memory_fraction", (VLLM,)),
    LaunchFlag("--kv-cache-dtype", "word", "kv_precision", (VLLM, SGLANG, TRTLLM)),
    LaunchFlag("--quantization", "word", "quantization", (VLLM, SGLANG)),
    LaunchFlag("--block-size", "count", "block_size", (VLLM,)),
    LaunchFlag("--enforce-eager", "switch", "enforce_eager", (VLLM,)),
    LaunchFlag("--num-speculative-tokens", "count", "speculative_tokens", (VLLM,)),
    LaunchFlag("--kv-cache-memory-bytes", "bytes", "", (VLLM,)),
    LaunchFlag("--num-redundant-experts", "count", "", (VLLM,)),
    LaunchFlag("--max-loras", "count", "", (VLLM,)),
    LaunchFlag("--max-lora-rank", "count", "", (VLLM,)),
    LaunchFlag("--language-model-only", "switch", "", (VLLM,)),
    LaunchFlag("--disable-hybrid-kv-cache-manager", "switch", "", (VLLM,)),
    LaunchFlag("--context-length", "tokens", "max_model_len", (SGLANG,)),
    LaunchFlag("--max-running-requests", "count", "max_num_seqs", (SGLANG,)),
    LaunchFlag("--chunked-prefill-size", "tokens", "max_num_batched_tokens", (SGLANG,)),
    LaunchFlag("--mem-fraction-static", "share", "memory_fraction", (SGLANG,)),
    LaunchFlag("--page-size", "count", "block_size", (SGLANG,)),
    LaunchFlag("--disable-cuda-graph", "switch", "enforce_eager", (SGLANG,)),
    LaunchFlag("--cuda-graph-max-bs", "count", "", (SGLANG,)),
    LaunchFlag("--speculative-num-draft-tokens", "count", "speculative_tokens", (SGLANG,)),
    LaunchFlag("--max-seq-len", "tokens", "max_model_len", (TRTLLM,)),
    LaunchFlag("--max-batch-size", "count", "max_num_seqs", (TRTLLM,)),
    LaunchFlag("--max-num-tokens", "tokens", "max_num_batched_tokens", (TRTLLM,)),
    LaunchFlag("--free-gpu-memory-fraction", "share", "memory_fraction", (TRTLLM,)),
    LaunchFlag("--tokens-per-block", "count", "block_size", (TRTLLM,)),
    LaunchFlag("--n-gpu-layers", "count", "", (LLAMA, OLLAMA)),
    LaunchFlag("--ctx-size", "tokens", "", (LLAMA,)),
    LaunchFlag("--ubatch-size", "count", "max_num_batched_tokens", (LLAMA,)),
    LaunchFlag("--batch-size", "count", "", (LLAMA,)),
    LaunchFlag("--parallel", "count", "max_num_seqs", (LLAMA,)),
    LaunchFlag("--cache-type-k", "word", "", (LLAMA,)),
    LaunchFlag("--cache-type-v", "word", "", (LLAMA,)),
    LaunchFlag("--flash-attn", "word", "", (LLAMA,)),
    LaunchFlag("--tensor-split", "word", "", (LLAMA,)),
    LaunchFlag("--n-cpu-moe", "count", "", (LLAMA,)),
    LaunchFlag("--cpu-moe", "switch", "", (LLAMA,)),
    LaunchFlag("--kv-unified", "switch", "", (LLAMA,)),
    LaunchFlag("--swa-full", "switch", "", (LLAMA,)),
    LaunchFlag("--split-mode", "word", "", (LLAMA,)),
    LaunchFlag("--override-tensor", "word", "", (LLAMA,)),
    LaunchFlag("--no-kv-offload", "switch", "", (LLAMA,)),
    LaunchFlag("--no-op-offload", "switch", "", (LLAMA,)),
    LaunchFlag("--mmproj", "word", "", (LLAMA,)),
    LaunchFlag("--fit", "word", "", (LLAMA,)),
    LaunchFlag("--devices", "word", "", (LLAMA, OLLAMA)),
    LaunchFlag("--kv-cache-type", "word", "", (OLLAMA,)),
    LaunchFlag("--flash-attention", "word", "", (OLLAMA,)),
    LaunchFlag("--prefill-chunk-size", "count", "", (HF,)),
    LaunchFlag("--num-ctx", "tokens", "max_model_len", (OLLAMA,)),
    LaunchFlag("--num-parallel", "count", "max_num_seqs", (OLLAMA,)),
    LaunchFlag("--attn-implementation", "word", "", (HF,)),
)
"""Every flag of ``fit`` beside the model, the device and the engine."""

_FIELDS = {field.name for field in fields(Deployment)}


def deployment_from_flags(
    *,
    model: str,
    gpu: str,
    engine: str = "vllm",
    engine_version: str | None = None,
    precision: str = "checkpoint",
    kv_precision: str = "auto",
    flags: Mapping[str, Any],
) -> Deployment:
    """One start from the flags that somebody typed.

    Parameters
    ----------
    model, gpu, engine : str
        Ids or aliases.
    engine_version : str or None
        The newest known without.
    precision, kv_precision : str
        Of the weights and of the cache.
    flags : mapping
        Values by :attr:`LaunchFlag.name`; None is "not given".

    Returns
    -------
    Deployment
        What the engine is asked.

    Raises
    ------
    FlagError
        A flag of another engine, a value outside its bounds, a layout that does not make the number of GPUs.
    """
    engine_id = get_engine(engine).id
    chosen: dict[str, Any] = {"kv_precision": kv_precision}
    further: dict[str, Any] = {}
    for flag in FLAGS:
        value = flag.read(flags.get(flag.name))
        if value is None or value is False:
            continue
        if flag.engines and engine_id not in flag.engines:
            raise FlagError("option-elsewhere", option=flag.option, engines=list(flag.engines), engine=engine_id)
        if flag.target:
            chosen[flag.target] = value
        else:
            further[flag.name] = value
    quantization = chosen.pop("quantization", None)
    if quantization is not None and precision == "checkpoint":
        precision = _precision_of(quantization)
    gpus, whole = chosen.pop("gpus", None), chosen.pop("ep_all", False)
    layout = _layout(model, gpu, engine_id, precision, chosen, gpus)
    chosen |= {"tp": layout.tp, "pp": layout.pp}
    if whole:
        chosen["ep"] = chosen["tp"] * chosen.get("dp", 1)
    return Deployment(
        model=model, gpu=gpu, engine=engine_id, engine_version=checked_version(engine_version), precision=precision, flags=further, **_known(chosen)
    )


def _known(chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in chosen.items() if name in _FIELDS}


def _precision_of(words: str) -> str:
    from gpusizer.architecture.precision.precision_words import precision_of_words

    found, _ = precision_of_words(words)
    if found is None:
        raise UnknownIdError("unknown-precision", id=words, nearest=[])
    return found


def _layout(model: str, gpu: str, engine_id: str, precision: str, chosen: Mapping[str, Any], gpus: int | None) -> Layout:
    """The layout that was said; with a number of GPUs alone, the widest tensor-parallel cut that is legal."""
    said = Layout(chosen.get("tp", 1), chosen.get("pp", 1), chosen.get("dp", 1), 1)
    if gpus is None or said.gpus == gpus:
        return said
    if said.gpus != 1 and gpus % said.gpus:
        raise FlagError("gpus-not-layout", gpus=gpus, layout_gpus=said.gpus)
    if "tp" in chosen and "pp" in chosen:
        raise FlagError("gpus-not-layout", gpus=gpus, layout_gpus=said.gpus)
    if "tp" in chosen or "dp" in chosen:
        return Layout(said.tp, gpus // (said.tp * said.dp), said.dp)
    if "pp" in chosen:
        return Layout(gpus // said.pp, said.pp)
    from gpusizer.architecture.load import load_architecture
    from gpusizer.architecture.precision.requantise import with_precision
    from gpusizer.facts.catalog import accelerator

    choices = get_engine(engine_id).layouts(with_precision(load_architecture(model), precision), accelerator(gpu), gpus)
    legal = [choice.layout for choice in choices if choice.reason is None and choice.layout.ep == 1]
    return legal[0] if legal else Layout(gpus)


_COUNTS = {"tp": MAX_RANKS, "pp": MAX_RANKS, "dp": MAX_RANKS, "ep": MAX_RANKS, "dcp": MAX_RANKS, "max_model_len": MAX_TOKENS}
_COUNTS |= {"max_num_seqs": 1 << 24, "max_num_batched_tokens": MAX_TOKENS, "block_size": 1 << 24, "speculative_tokens": 1 << 24}


def checked_deployment(deployment: Deployment) -> Deployment:
    """A deployment that was built by hand, within the bounds of the command line.

    Parameters
    ----------
    deployment : Deployment
        One start of one engine.

    Returns
    -------
    Deployment
        The same.

    Raises
    ------
    FlagError
        A number that is none, or out of bounds.

    Examples
    --------
    >>> checked_deployment(Deployment(model="qwen3-8b", gpu="h200-sxm-141gb", max_model_len=-5))
    Traceback (most recent call last):
    gpusizer.errors.FlagError: out-of-bounds: option='max_model_len', low=1, high=268435456, found='-5'
    """
    for name, high in _COUNTS.items():
        value, low = getattr(deployment, name), 0 if name == "speculative_tokens" else 1
        if value is None and name.startswith(("max_", "block")):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FlagError("out-of-bounds", option=name, low=low, high=high, found=str(value)[:40])
    share = deployment.memory_fraction
    if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):  # not a number compares with nothing
        raise FlagError("out-of-bounds", option="memory_fraction", low=0, high=1, found=str(share)[:40])
    for name in ("model", "gpu", "engine", "precision", "kv_precision"):
        value = getattr(deployment, name)
        if not isinstance(value, str) or not 0 < len(value) <= 4096:
            raise FlagError("bad-word", option=name, found=str(value)[:40])
    checked_version(deployment.engine_version)
    return deployment
