"""Memory of a prompt in ``generate()``: the tensors alive in one layer's attention and in its feed-forward block, and masks."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum

__all__ = ["eager_scores_bytes", "expert_block_elements", "mask_bytes", "prompt_attention_bytes", "prompt_block_bytes"]

_REFERENCE = "huggingface/transformers 5.17.0 and 5.23.0: src/transformers/"


@formula(
    "memory.transformers.block",
    unit="bytes",
    symbols={
        "tokens": "tokens",
        "positions": "tokens",
        "hidden": "elements",
        "inner_elements": "elements",
        "rotary_elements": "elements",
        "element_bytes": "bytes",
    },
    reference=_REFERENCE + "models/llama/modeling_llama.py, LlamaModel.forward, LlamaDecoderLayer.forward, LlamaMLP.forward: live names counted",
    example={"tokens": 8192, "positions": 8192, "hidden": 4096, "inner_elements": 36864, "rotary_elements": 256, "element_bytes": 2},
)
def prompt_block_bytes(*, tokens: Any, positions: Any, hidden: Any, inner_elements: Any, rotary_elements: Any, element_bytes: Any) -> Any:
    """One layer's feed-forward block over a prompt.

    Four tensors of the hidden width live beside the block's own: embeddings, the layer's input, the residual and the normed state;
    besides cosines and sines, and positions in 64 bits.

    Parameters
    ----------
    tokens : int
        Of all requests together. [tokens]
    positions : int
        Of one request. [tokens]
    hidden : int
        Width of the residual stream. [elements]
    inner_elements : int
        Of one token inside the block. [elements]
    rotary_elements : int
        Cosines and sines of one position. [elements]
    element_bytes : int
        Bytes of one element. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Qwen3-8B, 8,192 tokens; 876.4 MB were measured, logits of the prompt's end included:

    >>> prompt_block_bytes(tokens=8192, positions=8192, hidden=4096, inner_elements=36864, rotary_elements=256, element_bytes=2) / 1e6
    876.67...
    """
    return tokens * (4 * hidden + inner_elements) * element_bytes + positions * (rotary_elements * element_bytes + 8)


@formula(
    "memory.transformers.experts",
    unit="elements",
    symbols={"top_k": "experts", "inner": "elements", "outer": "elements", "inner_copies": "tensors", "outer_copies": "tensors"},
    reference=_REFERENCE + "integrations/moe.py, grouped_mm_experts_forward: live names counted",
    example={"top_k": 8, "inner": 768, "outer": 2048, "inner_copies": 4, "outer_copies": 4},
)
def expert_block_elements(*, top_k: Any, inner: Any, outer: Any, inner_copies: Any, outer_copies: Any) -> Any:
    """Of one token in routed experts, where it stands once for each of its experts.

    Going in, the gathered input lives beside tensors of the inner width; coming out, beside results, weighted results, and those in the old order.

    Parameters
    ----------
    top_k : int
        Experts of a token. [experts]
    inner, outer : int
        An expert's intermediate width on this rank; width of its input and output. [elements]
    inner_copies, outer_copies : float
        Tensors of the inner width on the way in, and of the outer width, input included, on the way out. [tensors]

    Returns
    -------
    float
        Elements. [elements]

    Examples
    --------
    >>> expert_block_elements(top_k=8, inner=768, outer=2048, inner_copies=4, outer_copies=4)
    65536
    """
    return top_k * maximum(outer + inner_copies * inner, outer_copies * outer)


@formula(
    "memory.transformers.attention",
    unit="bytes",
    symbols={
        "tokens": "tokens",
        "hidden": "elements",
        "head_elements": "elements",
        "element_bytes": "bytes",
        "scores_bytes": "bytes",
    },
    reference=_REFERENCE + "integrations/sdpa_attention.py, sdpa_attention_forward: live names counted",
    example={"tokens": 32768, "hidden": 4096, "head_elements": 16384, "element_bytes": 2, "scores_bytes": 2147483648},
)
def prompt_attention_bytes(*, tokens: Any, hidden: Any, head_elements: Any, element_bytes: Any, scores_bytes: Any) -> Any:
    """One layer's attention over a prompt: embeddings, the layer's input and the normed state, and what the heads make of them.

    Parameters
    ----------
    tokens : int
        Of all requests together. [tokens]
    hidden : int
        Width of the residual stream. [elements]
    head_elements : int
        Queries, results, and keys and values where they are repeated or expanded, of one token. [elements]
    element_bytes : int
        Bytes of one element. [bytes]
    scores_bytes : int
        Scores of eager attention, or the mask in the model's own type that a fused kernel is given. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> prompt_attention_bytes(tokens=32768, hidden=4096, head_elements=16384, element_bytes=2, scores_bytes=2147483648) / 2**30
    3.75
    """
    return tokens * (3 * hidden + head_elements) * element_bytes + scores_bytes


@formula(
    "memory.transformers.mask",
    unit="bytes",
    symbols={"rows": "rows", "queries": "tokens", "keys": "tokens", "element_bytes": "bytes"},
    reference=_REFERENCE + "masking_utils.py, sdpa_mask, eager_mask, _ignore_causal_mask_sdpa",
    example={"rows": 4, "queries": 8192, "keys": 8192, "element_bytes": 1},
)
def mask_bytes(*, rows: Any, queries: Any, keys: Any, element_bytes: Any) -> Any:
    """One mask of queries by keys.

    Parameters
    ----------
    rows : int
        Requests with a mask of their own; one where all share it. [rows]
    queries, keys : int
        Tokens of the prompt, and those that they may see. [tokens]
    element_bytes : int
        One byte for a fused kernel, the model's own type for eager attention. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> mask_bytes(rows=4, queries=8192, keys=8192, element_bytes=1) // 2**20
    256
    """
    return rows * queries * keys * element_bytes


@formula(
    "memory.transformers.eager_scores",
    unit="bytes",
    symbols={"requests": "requests", "heads": "heads", "queries": "tokens", "keys": "tokens", "score_bytes": "bytes"},
    reference=_REFERENCE + "models/llama/modeling_llama.py and models/gpt_oss/modeling_gpt_oss.py, eager_attention_forward: live names counted",
    example={"requests": 1, "heads": 64, "queries": 8192, "keys": 8192, "score_bytes": 6},
)
def eager_scores_bytes(*, requests: Any, heads: Any, queries: Any, keys: Any, score_bytes: Any) -> Any:
    """Scores of the whole prompt in one layer, with eager attention only.

    Parameters
    ----------
    requests, heads, queries, keys : int
        Rows of the batch, heads of this rank, tokens of the prompt and those that they may see. [requests], [heads], [tokens]
    score_bytes : int
        Of one score in all its copies: scores, FP32 softmax and its result; with sinks three copies in the model's own type. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> eager_scores_bytes(requests=1, heads=64, queries=8192, keys=8192, score_bytes=6) / 2**30
    24.0
    """
    return requests * heads * queries * keys * score_bytes
