"""Memory of ``generate()``: a cache that grows by concatenation, and the widest moment of a prompt or a step."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum

__all__ = [
    "dynamic_cache_bytes",
    "eager_scores_bytes",
    "expanded_latent_step_bytes",
    "generate_peak_bytes",
    "last_logits_bytes",
    "regrown_layer_bytes",
]

_REFERENCE = "huggingface/transformers 5.23.0: "


@formula(
    "memory.transformers.cache",
    unit="bytes",
    symbols={"requests": "requests", "tokens": "tokens", "token_bytes": "bytes per token", "request_bytes": "bytes per request"},
    reference=_REFERENCE + "src/transformers/cache_utils.py, DynamicCache",
    example={"requests": 4, "tokens": 8192, "token_bytes": 131072, "request_bytes": 0},
)
def dynamic_cache_bytes(*, requests: Any, tokens: Any, token_bytes: Any, request_bytes: Any) -> Any:
    """Cache of a batch at its full length, every request padded to the longest.

    Parameters
    ----------
    requests : int
        Rows of the batch. [requests]
    tokens : int
        Length of a request. [tokens]
    token_bytes, request_bytes : int
        What one token takes over all layers, and what a request takes whatever its length (windows, states). [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Llama-3.1-8B:

    >>> dynamic_cache_bytes(requests=4, tokens=8192, token_bytes=131072, request_bytes=0) / 2**30
    4.0
    """
    return requests * (tokens * token_bytes + request_bytes)


@formula(
    "memory.transformers.regrown_layer",
    unit="bytes",
    symbols={"requests": "requests", "tokens": "tokens", "tensor_bytes": "bytes per token"},
    reference=_REFERENCE + "src/transformers/cache_utils.py, DynamicLayer.update",
    example={"requests": 4, "tokens": 8192, "tensor_bytes": 2048},
)
def regrown_layer_bytes(*, requests: Any, tokens: Any, tensor_bytes: Any) -> Any:
    """The wider of one layer's two cached tensors, which exists twice while a token is appended.

    Parameters
    ----------
    requests, tokens : int
        Rows of the batch and their length. [requests], [tokens]
    tensor_bytes : int
        Bytes of one token in that tensor. [bytes per token]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> regrown_layer_bytes(requests=4, tokens=8192, tensor_bytes=2048) // 2**20
    64
    """
    return requests * tokens * tensor_bytes


@formula(
    "memory.transformers.expanded_latent",
    unit="bytes",
    symbols={"requests": "requests", "tokens": "tokens", "heads": "heads", "key_dim": "elements", "value_dim": "elements", "element_bytes": "bytes"},
    reference=_REFERENCE + "src/transformers/models/deepseek_v3/modeling_deepseek_v3.py, DeepseekV3Attention.forward",
    example={"requests": 1, "tokens": 8192, "heads": 128, "key_dim": 192, "value_dim": 128, "element_bytes": 2},
)
def expanded_latent_step_bytes(*, requests: Any, tokens: Any, heads: Any, key_dim: Any, value_dim: Any, element_bytes: Any) -> Any:
    """Keys and values of all heads of one layer, made anew from the latent in every step.

    Parameters
    ----------
    requests, tokens : int
        Rows of the batch and their length. [requests], [tokens]
    heads : int
        Heads of this rank. [heads]
    key_dim, value_dim : int
        Width of a key and of a value head. [elements]
    element_bytes : int
        Bytes of one element. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    DeepSeek-V3: 80 KiB a token.

    >>> expanded_latent_step_bytes(requests=1, tokens=1, heads=128, key_dim=192, value_dim=128, element_bytes=2) / 2**10
    80.0
    """
    return requests * tokens * heads * (key_dim + value_dim) * element_bytes


@formula(
    "memory.transformers.last_logits",
    unit="bytes",
    symbols={"requests": "requests", "vocabulary": "elements", "element_bytes": "bytes"},
    reference=_REFERENCE + "src/transformers/generation/utils.py: logits_to_keep = 1, then a copy in FP32",
    example={"requests": 4, "vocabulary": 128256, "element_bytes": 2},
)
def last_logits_bytes(*, requests: Any, vocabulary: Any, element_bytes: Any) -> Any:
    """Logits of the last position and their copy in FP32.

    Parameters
    ----------
    requests : int
        Rows of the batch. [requests]
    vocabulary : int
        Rows of the head. [elements]
    element_bytes : int
        Bytes of one element. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> last_logits_bytes(requests=4, vocabulary=128256, element_bytes=2)
    3078144
    """
    return requests * vocabulary * (element_bytes + 4)


@formula(
    "memory.transformers.eager_scores",
    unit="bytes",
    symbols={"requests": "requests", "heads": "heads", "tokens": "tokens", "element_bytes": "bytes"},
    reference=_REFERENCE + "eager_attention_forward: scores, and a softmax in FP32",
    example={"requests": 1, "heads": 32, "tokens": 8192, "element_bytes": 2},
)
def eager_scores_bytes(*, requests: Any, heads: Any, tokens: Any, element_bytes: Any) -> Any:
    """Scores of the whole prompt in one layer, with eager attention only.

    Parameters
    ----------
    requests, heads, tokens : int
        Rows of the batch, heads of this rank, tokens of the prompt. [requests], [heads], [tokens]
    element_bytes : int
        Bytes of one element. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> eager_scores_bytes(requests=1, heads=32, tokens=8192, element_bytes=2) / 2**30
    12.0
    """
    return requests * heads * tokens * tokens * (element_bytes + 4)


@formula(
    "memory.transformers.peak",
    unit="bytes",
    symbols={"prompt_bytes": "bytes", "attention_bytes": "bytes", "step_bytes": "bytes", "logits_bytes": "bytes"},
    reference="the widest of four moments; " + _REFERENCE + "src/transformers/generation/utils.py",
    example={"prompt_bytes": 1200000000, "attention_bytes": 0, "step_bytes": 67108864, "logits_bytes": 3078144},
)
def generate_peak_bytes(*, prompt_bytes: Any, attention_bytes: Any, step_bytes: Any, logits_bytes: Any) -> Any:
    """The widest moment beside weights and cache.

    Parameters
    ----------
    prompt_bytes : int
        One decoder block over the whole prompt. [bytes]
    attention_bytes : int
        Scores of eager attention. [bytes]
    step_bytes : int
        A layer's cache while it grows, and keys and values made from latents. [bytes]
    logits_bytes : int
        Logits of the last position. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> generate_peak_bytes(prompt_bytes=1200000000, attention_bytes=0, step_bytes=67108864, logits_bytes=3078144)
    1200000000
    """
    return maximum(prompt_bytes, attention_bytes, step_bytes, logits_bytes)
