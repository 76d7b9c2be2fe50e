"""Memory of mlx-lm: a cache that grows by whole blocks of rows, and the widest moment of a prompt."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, formula, maximum

__all__ = ["grown_cache_bytes", "prompt_peak_bytes"]

_REFERENCE = "ml-explore/mlx-lm@d78bf58e2 (0.32.0): "


@formula(
    "memory.mlx.cache",
    unit="bytes",
    symbols={
        "requests": "requests",
        "tokens": "tokens",
        "step": "tokens",
        "token_bytes": "bytes per token",
        "request_bytes": "bytes per request",
        "held_bytes": "bytes",
    },
    reference=_REFERENCE + "mlx_lm/models/cache.py, KVCache.update_and_fetch; mlx_lm/server.py, --prompt-cache-bytes",
    example={"requests": 4, "tokens": 8000, "step": 256, "token_bytes": 131072, "request_bytes": 0, "held_bytes": 0},
)
def grown_cache_bytes(*, requests: Any, tokens: Any, step: Any, token_bytes: Any, request_bytes: Any, held_bytes: Any) -> Any:
    """Cache of requests at their full length, each grown by whole steps of rows, or what the server may hold for later, where that is more.

    Parameters
    ----------
    requests : int
        Rows of the batch. [requests]
    tokens : int
        Length of a request. [tokens]
    step : int
        Rows by which a cache grows. [tokens]
    token_bytes, request_bytes : int
        What one token takes over all layers, and what a request takes beside (windows, states). [bytes]
    held_bytes : int
        Bound of the caches in use and those kept for later, 0 where nobody set it. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Llama-3.1-8B; 8,000 tokens take 32 steps of 256:

    >>> grown_cache_bytes(requests=4, tokens=8000, step=256, token_bytes=131072, request_bytes=0, held_bytes=0) / 2**30
    4.0
    """
    return maximum(requests * (ceil_div(tokens, step) * step * token_bytes + request_bytes), held_bytes)


@formula(
    "memory.mlx.peak",
    unit="bytes",
    symbols={
        "layers_at_once": "layers",
        "tokens": "tokens",
        "layer_elements": "elements",
        "element_bytes": "bytes",
        "scores_bytes": "bytes",
        "whole_prompt_bytes": "bytes",
        "logits_bytes": "bytes",
    },
    reference=_REFERENCE + "mlx_lm/generate.py, generate_step: a piece of the prompt is evaluated at once; layers in flight were measured",
    example={
        "layers_at_once": 2.3,
        "tokens": 2048,
        "layer_elements": 65024,
        "element_bytes": 2,
        "scores_bytes": 0,
        "whole_prompt_bytes": 0,
        "logits_bytes": 911616,
    },
)
def prompt_peak_bytes(
    *, layers_at_once: Any, tokens: Any, layer_elements: Any, element_bytes: Any, scores_bytes: Any, whole_prompt_bytes: Any, logits_bytes: Any
) -> Any:
    """What lives beside weights and cache while a piece of a prompt is read.

    Arrays are made when they are needed and freed when the GPU is done with them, so that those of more than one layer live at a time.

    Parameters
    ----------
    layers_at_once : float
        Layers whose arrays live at a time. [layers]
    tokens : int
        Of the piece, all prompts together. [tokens]
    layer_elements : int
        Every array that the widest layer makes of one token. [elements]
    element_bytes : int
        Bytes of one element. [bytes]
    scores_bytes : int
        Scores of attention that no kernel fuses. [bytes]
    whole_prompt_bytes : int
        Rows that layers with a window hold beyond it. [bytes]
    logits_bytes : int
        Logits of the last positions. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    Qwen3-4B, 2,048 tokens; 0.67 to 0.79 GB were measured:

    >>> zeros = {"scores_bytes": 0, "whole_prompt_bytes": 0, "logits_bytes": 911616}
    >>> prompt_peak_bytes(layers_at_once=2.3, tokens=2048, layer_elements=65024, element_bytes=2, **zeros) / 1e9
    0.613...
    """
    return layers_at_once * tokens * layer_elements * element_bytes + scores_bytes + whole_prompt_bytes + logits_bytes
