"""How serving engines use memory: one module for each, found by id and loaded when first asked for."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from gpusizer.errors import UnknownIdError

if TYPE_CHECKING:
    from gpusizer.engines.base.engine import Engine

__all__ = ["engine_ids", "engine_name", "get_engine"]

# id -> module; each module has one ``ENGINE``.
_MODULES = {
    "vllm": "vllm.engine",
    "sglang": "sglang.engine",
    "tensorrt-llm": "tensorrt_llm.engine",
    "llama.cpp": "llama_cpp.engine",
    "ollama": "llama_cpp.ollama",
    "transformers": "transformers.engine",
}
_NAMES = {"vllm": "vLLM", "sglang": "SGLang", "tensorrt-llm": "TensorRT-LLM", "ollama": "Ollama", "transformers": "Transformers", "mindie": "MindIE"}
_ALIASES = {
    "trtllm": "tensorrt-llm",
    "tensorrt_llm": "tensorrt-llm",
    "trt-llm": "tensorrt-llm",
    "llamacpp": "llama.cpp",
    "llama-cpp": "llama.cpp",
    "hf": "transformers",
}

# Engines that people name and that use memory by rules of their own -> the nearest that is modelled.
_NOT_MODELLED = {
    "lmdeploy": "vllm",
    "turbomind": "vllm",
    "mindie": "vllm",
    "vllm-ascend": "vllm",
    "tgi": "vllm",
    "text-generation-inference": "vllm",
    "fastdeploy": "vllm",
    "xllm": "vllm",
    "lightllm": "sglang",
    "ktransformers": "sglang",
    "sglang-jax": "sglang",
    "deepspeed-mii": "transformers",
    "exllama": "llama.cpp",
    "exllamav2": "llama.cpp",
    "exllamav3": "llama.cpp",
    "tabbyapi": "llama.cpp",
    "ik_llama.cpp": "llama.cpp",
    "koboldcpp": "llama.cpp",
    "lm-studio": "llama.cpp",
    "mlx": "llama.cpp",
    "mlx-lm": "llama.cpp",
    "mlc-llm": "llama.cpp",
    "tensorrt": "tensorrt-llm",
}


def engine_ids() -> tuple[str, ...]:
    """Every engine that can be asked, the default first."""
    return tuple(_MODULES)


def engine_name(id: str) -> str:
    """The name of an engine as its makers write it; the id where they write it so.

    >>> engine_name("tensorrt-llm"), engine_name("llama.cpp")
    ('TensorRT-LLM', 'llama.cpp')
    """
    return _NAMES.get(id, id)


@cache
def get_engine(id: str) -> Engine:
    """The engine of an id or alias.

    Parameters
    ----------
    id : str
        "vllm", "sglang", "tensorrt-llm", "llama.cpp", "ollama" or "transformers", any letter case.

    Returns
    -------
    Engine
        Loaded when first asked for.

    Examples
    --------
    >>> get_engine("vLLM").id
    'vllm'
    """
    key = id.lower()
    key = _ALIASES.get(key, key)
    if key in _NOT_MODELLED:
        raise UnknownIdError("engine-not-modelled", id=id, nearest=[_NOT_MODELLED[key]])
    if key not in _MODULES:
        raise UnknownIdError("unknown-engine", id=id, nearest=get_close_matches(key, _MODULES, 3, 0.5))
    try:
        module = import_module(f"gpusizer.engines.{_MODULES[key]}")
    except ModuleNotFoundError as missing:
        raise UnknownIdError("unknown-engine", id=id, nearest=["vllm"]) from missing
    engine: Engine = module.ENGINE
    return engine
