"""Memory of ``generate()``: a cache that grows by concatenation, what a step needs, and the widest moment of all."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum

__all__ = [
    "dynamic_cache_bytes",
    "expanded_latent_step_bytes",
    "generate_peak_bytes",
    "kept_blocks_bytes",
    "last_logits_bytes",
    "regrown_layer_bytes",
    "selected_experts_bytes",
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
    symbols={
        "requests": "requests",
        "tokens": "tokens",
        "heads": "heads",
        "key_dim": "elements",
        "head_elements": "elements",
        "element_bytes": "bytes",
    },
    reference=_REFERENCE + "src/transformers/models/deepseek_v3/modeling_deepseek_v3.py, DeepseekV3Attention.expand_kv",
    example={"requests": 1, "tokens": 8192, "heads": 128, "key_dim": 192, "head_elements": 256, "element_bytes": 2},
)
def expanded_latent_step_bytes(*, requests: Any, tokens: Any, heads: Any, key_dim: Any, head_elements: Any, element_bytes: Any) -> Any:
    """Keys and values of all heads of one layer, made anew from the latent in every step.

    The up-projection writes the unrotated part of the keys and the values in one tensor; whole keys are another.

    Parameters
    ----------
    requests, tokens : int
        Rows of the batch and their length. [requests], [tokens]
    heads : int
        Heads of this rank. [heads]
    key_dim : int
        Width of a whole key. [elements]
    head_elements : int
        What the up-projection writes for one head: its unrotated key and its value. [elements]
    element_bytes : int
        Bytes of one element. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    DeepSeek-V3: 112 KiB a token.

    >>> expanded_latent_step_bytes(requests=1, tokens=1, heads=128, key_dim=192, head_elements=256, element_bytes=2) / 2**10
    112.0
    """
    return requests * tokens * heads * (key_dim + head_elements) * element_bytes


@formula(
    "memory.transformers.selected_experts",
    unit="bytes",
    symbols={"requests": "requests", "top_k": "experts", "expert_bytes": "bytes"},
    reference=_REFERENCE + "src/transformers/integrations/moe.py, batched_mm_experts_forward, which generate() turns to after the prompt",
    example={"requests": 4, "top_k": 8, "expert_bytes": 9437184},
)
def selected_experts_bytes(*, requests: Any, top_k: Any, expert_bytes: Any) -> Any:
    """Weights of the experts that a step's tokens chose, copied once for each token and expert.

    Parameters
    ----------
    requests : int
        Tokens of the step, one for each request. [requests]
    top_k : int
        Experts of a token. [experts]
    expert_bytes : int
        All matrices of one expert on this rank. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    gpt-oss-20b in BF16, one request; 0.20 GB were measured:

    >>> selected_experts_bytes(requests=1, top_k=4, expert_bytes=3 * 2880 * 2880 * 2) / 1e9
    0.1990656
    """
    return requests * top_k * expert_bytes


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
    "memory.transformers.peak",
    unit="bytes",
    symbols={
        "block_bytes": "bytes",
        "attention_bytes": "bytes",
        "mask_bytes": "bytes",
        "whole_prompt_bytes": "bytes",
        "step_bytes": "bytes",
        "logits_bytes": "bytes",
    },
    reference="the widest of four moments; " + _REFERENCE + "src/transformers/generation/utils.py; src/transformers/cache_utils.py, update",
    example={
        "block_bytes": 876000000,
        "attention_bytes": 400000000,
        "mask_bytes": 67108864,
        "whole_prompt_bytes": 0,
        "step_bytes": 67108864,
        "logits_bytes": 3078144,
    },
)
def generate_peak_bytes(
    *, block_bytes: Any, attention_bytes: Any, mask_bytes: Any, whole_prompt_bytes: Any, step_bytes: Any, logits_bytes: Any
) -> Any:
    """The widest moment beside weights and cache: feed-forward or attention of the last layer over the prompt, a step, its logits.

    Parameters
    ----------
    block_bytes : int
        A feed-forward block over the whole prompt. [bytes]
    attention_bytes : int
        Attention over the whole prompt. [bytes]
    mask_bytes : int
        Masks, kept over all layers. [bytes]
    whole_prompt_bytes : int
        Keys and values that layers with a window keep of the prompt until the first step. [bytes]
    step_bytes : int
        A layer's cache while it grows, keys and values made from latents, experts that were chosen. [bytes]
    logits_bytes : int
        Logits of the last position. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> moments = {"block_bytes": 900, "attention_bytes": 400, "step_bytes": 64, "logits_bytes": 3}
    >>> generate_peak_bytes(**moments, mask_bytes=67, whole_prompt_bytes=33)
    1000
    """
    return maximum(block_bytes + mask_bytes + whole_prompt_bytes, attention_bytes + mask_bytes + whole_prompt_bytes, step_bytes, logits_bytes)


@formula(
    "memory.transformers.kept_blocks",
    unit="bytes",
    symbols={"rounding_bytes": "bytes", "share": "share", "of_bytes": "bytes"},
    reference="PyTorch's caching allocator; both constants fitted, the line's sources name how many set-ups were measured, and their range",
    example={"rounding_bytes": 178257920, "share": 0.2, "of_bytes": 4000000000},
)
def kept_blocks_bytes(*, rounding_bytes: Any, share: Any, of_bytes: Any) -> Any:
    """What the allocator holds and nobody uses: weights rounded up to its segments, and a share of what comes and goes.

    Parameters
    ----------
    rounding_bytes : int
        Beside the weights, whatever the batch. [bytes]
    share : float
        Of what comes and goes. [share]
    of_bytes : int
        Cache and widest moment. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> kept_blocks_bytes(rounding_bytes=178257920, share=0.2, of_bytes=4000000000) / 1e9
    0.97825792
    """
    return rounding_bytes + share * of_bytes
