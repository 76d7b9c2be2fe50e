"""From rows to blocks: pages, blocks of a request by kind of layer, and what a pool of blocks holds."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, floor, floor_div, formula, maximum, minimum

__all__ = [
    "blocks_of_chunk",
    "blocks_of_context",
    "blocks_of_group",
    "blocks_of_window",
    "hybrid_block_tokens",
    "page_bytes",
    "pool_blocks",
    "pool_bytes",
    "pool_concurrency",
    "pool_tokens",
    "pool_tokens_by_group",
]


@formula(
    "memory.kv_cache.page",
    unit="bytes per block and layer",
    symbols={"block_tokens": "tokens", "token_bytes": "bytes per row", "ratio": "tokens per row", "alignment_bytes": "bytes"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/kv_cache_interface.py, page_size_bytes",
    example={"block_tokens": 256, "token_bytes": 584, "ratio": 4, "alignment_bytes": 576},
)
def page_bytes(*, block_tokens: Any, token_bytes: Any, ratio: Any, alignment_bytes: Any) -> Any:
    """Bytes of one block of one layer.

    Parameters
    ----------
    block_tokens : int
        Tokens of context in a block. [tokens]
    token_bytes : int
        Bytes of one row. [bytes]
    ratio : int
        Tokens that share a row, 1 without compression. [tokens]
    alignment_bytes : int
        What a page is a multiple of. [bytes]

    Returns
    -------
    int
        Bytes of the page. [bytes]

    Examples
    --------
    >>> page_bytes(block_tokens=256, token_bytes=584, ratio=4, alignment_bytes=576)
    37440
    """
    return ceil_div(ceil_div(block_tokens, ratio) * token_bytes, alignment_bytes) * alignment_bytes


@formula(
    "memory.kv_cache.hybrid_block",
    unit="tokens",
    symbols={"state_bytes": "bytes", "token_bytes": "bytes per token", "alignment": "tokens"},
    reference="vllm-project/vllm@4ba787ec9: vllm/platforms/interface.py, _align_hybrid_block_size",
    example={"state_bytes": 2146304, "token_bytes": 2048, "alignment": 16},
)
def hybrid_block_tokens(*, state_bytes: Any, token_bytes: Any, alignment: Any) -> Any:
    """Block of the attention layers of a hybrid: long enough that one page holds a state.

    Parameters
    ----------
    state_bytes : int
        Largest state of one layer and request. [bytes]
    token_bytes : int
        Cache of one token in one attention layer. [bytes]
    alignment : int
        Tokens that the kernel's block is a multiple of. [tokens]

    Returns
    -------
    int
        Tokens of a block. [tokens]

    Examples
    --------
    Qwen3.6-35B-A3B on one GPU:

    >>> hybrid_block_tokens(state_bytes=2146304, token_bytes=2048, alignment=16)
    1056
    """
    return alignment * ceil_div(state_bytes, alignment * token_bytes)


@formula(
    "memory.kv_cache.blocks_of_context",
    unit="blocks",
    symbols={"context_tokens": "tokens", "block_tokens": "tokens"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/kv_cache_interface.py, FullAttentionSpec.max_memory_usage_bytes",
    example={"context_tokens": 8192, "block_tokens": 16},
)
def blocks_of_context(*, context_tokens: Any, block_tokens: Any) -> Any:
    """Blocks that one request needs in a layer that keeps every token.

    Parameters
    ----------
    context_tokens, block_tokens : int
        Length of the request; tokens of a block. [tokens]

    Returns
    -------
    int
        Blocks. [blocks]

    Examples
    --------
    >>> blocks_of_context(context_tokens=8192, block_tokens=16)
    512
    """
    return ceil_div(context_tokens, block_tokens)


@formula(
    "memory.kv_cache.blocks_of_window",
    unit="blocks",
    symbols={"context_tokens": "tokens", "window": "tokens", "in_flight_tokens": "tokens", "block_tokens": "tokens"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/kv_cache_interface.py, SlidingWindowSpec.max_memory_usage_bytes",
    example={"context_tokens": 1048576, "window": 128, "in_flight_tokens": 8192, "block_tokens": 64},
)
def blocks_of_window(*, context_tokens: Any, window: Any, in_flight_tokens: Any, block_tokens: Any) -> Any:
    """Blocks that are reserved for one request in a sliding-window layer: the window, the tokens in flight, and one for the edge.

    Parameters
    ----------
    context_tokens, window : int
        Length of the request and of the window. [tokens]
    in_flight_tokens : int
        Tokens that may be computed before blocks are freed. [tokens]
    block_tokens : int
        Tokens of a block. [tokens]

    Returns
    -------
    int
        Blocks. [blocks]

    Examples
    --------
    >>> blocks_of_window(context_tokens=1048576, window=128, in_flight_tokens=8192, block_tokens=64)
    131
    """
    return ceil_div(minimum(window - 1 + in_flight_tokens, context_tokens), block_tokens) + 1


@formula(
    "memory.kv_cache.blocks_of_chunk",
    unit="blocks",
    symbols={"context_tokens": "tokens", "chunk": "tokens", "in_flight_tokens": "tokens", "block_tokens": "tokens"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/kv_cache_interface.py, ChunkedLocalAttentionSpec.max_memory_usage_bytes",
    example={"context_tokens": 131072, "chunk": 8192, "in_flight_tokens": 8192, "block_tokens": 16},
)
def blocks_of_chunk(*, context_tokens: Any, chunk: Any, in_flight_tokens: Any, block_tokens: Any) -> Any:
    """Blocks that are reserved for one request in a layer of chunked local attention.

    Parameters
    ----------
    context_tokens, chunk : int
        Length of the request and of a chunk. [tokens]
    in_flight_tokens : int
        Tokens that may be computed before blocks are freed. [tokens]
    block_tokens : int
        Tokens of a block. [tokens]

    Returns
    -------
    int
        Blocks. [blocks]

    Examples
    --------
    >>> blocks_of_chunk(context_tokens=131072, chunk=8192, in_flight_tokens=8192, block_tokens=16)
    1024
    """
    return ceil_div(minimum(chunk + in_flight_tokens, context_tokens), block_tokens)


@formula(
    "memory.kv_cache.pool",
    unit="bytes",
    symbols={"blocks": "blocks", "block_bytes": "bytes per block"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/core/kv_cache_utils.py, get_kv_cache_config: tensors of whole blocks",
    example={"blocks": 27707, "block_bytes": 2097152},
)
def pool_bytes(*, blocks: Any, block_bytes: Any) -> Any:
    """The pool as it is allocated: whole blocks over all layers of one GPU.

    Parameters
    ----------
    blocks : int
        Blocks of the pool. [blocks]
    block_bytes : int
        One block over all layers. [bytes per block]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> pool_bytes(blocks=27707, block_bytes=2097152)
    58105790464
    """
    return blocks * block_bytes


@formula(
    "memory.kv_cache.blocks_of_group",
    unit="blocks",
    symbols={
        "context_tokens": "tokens",
        "kept_tokens": "tokens",
        "kept_steps": "steps",
        "in_flight_tokens": "tokens",
        "block_tokens": "tokens",
        "added_blocks": "blocks",
    },
    reference="memory.kv_cache.blocks_of_context, blocks_of_window and blocks_of_chunk in one: what is kept is without end, or ends with the window",
    example={
        "context_tokens": 1048576,
        "kept_tokens": 127,
        "kept_steps": 1,
        "in_flight_tokens": 8192,
        "block_tokens": 64,
        "added_blocks": 1,
    },
)
def blocks_of_group(*, context_tokens: Any, kept_tokens: Any, kept_steps: Any, in_flight_tokens: Any, block_tokens: Any, added_blocks: Any) -> Any:
    """Blocks that one request needs in a group of layers of any kind.

    Parameters
    ----------
    context_tokens : int
        Length of the request. [tokens]
    kept_tokens : int
        Tokens that the layers keep beside those in flight; beyond any length for layers that keep all. [tokens]
    kept_steps : int
        1 where tokens in flight are kept beside them, else 0. [steps]
    in_flight_tokens : int
        Tokens that may be computed before blocks are freed. [tokens]
    block_tokens : int
        Tokens of a block. [tokens]
    added_blocks : int
        Blocks beside these: one for the edge of a window, those of a state. [blocks]

    Returns
    -------
    int
        Blocks. [blocks]

    Examples
    --------
    >>> blocks_of_group(context_tokens=1048576, kept_tokens=127, kept_steps=1, in_flight_tokens=8192, block_tokens=64, added_blocks=1)
    131
    """
    return ceil_div(minimum(kept_tokens + kept_steps * in_flight_tokens, context_tokens), block_tokens) + added_blocks


@formula(
    "memory.kv_cache.pool_blocks",
    unit="blocks",
    symbols={"pool_bytes": "bytes", "block_bytes": "bytes per block"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/core/kv_cache_planning.py, get_num_blocks",
    example={"pool_bytes": 62396137472, "block_bytes": 2097152},
)
def pool_blocks(*, pool_bytes: Any, block_bytes: Any) -> Any:
    """Whole blocks that fit into the memory left for the cache.

    Parameters
    ----------
    pool_bytes, block_bytes : int
        Memory for the cache; bytes of a block over all layers that share it. [bytes]

    Returns
    -------
    int
        Blocks, none where nothing is left. [blocks]

    Examples
    --------
    >>> pool_blocks(pool_bytes=62396137472, block_bytes=2097152)
    29752
    """
    return maximum(0, floor_div(pool_bytes, block_bytes))


@formula(
    "memory.kv_cache.concurrency",
    unit="requests",
    symbols={"blocks": "blocks", "blocks_per_request": "blocks"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/core/kv_cache_planning.py, get_max_concurrency_for_kv_cache_config",
    example={"blocks": 29750, "blocks_per_request": 512},
)
def pool_concurrency(*, blocks: Any, blocks_per_request: Any) -> Any:
    """Requests of full length that the pool holds at once.

    Parameters
    ----------
    blocks, blocks_per_request : int
        Blocks of the pool; blocks that a request of the longest context needs in all groups. [blocks]

    Returns
    -------
    float
        Requests. [requests]

    Examples
    --------
    >>> round(pool_concurrency(blocks=29750, blocks_per_request=512), 2)
    58.11
    """
    return blocks / blocks_per_request


@formula(
    "memory.kv_cache.tokens",
    unit="tokens",
    symbols={"blocks": "blocks", "blocks_per_request": "blocks", "context_tokens": "tokens"},
    reference='vllm-project/vllm@4ba787ec9: vllm/v1/core/kv_cache_planning.py, "GPU KV cache size" since 0.20.2',
    example={"blocks": 29750, "blocks_per_request": 512, "context_tokens": 8192},
)
def pool_tokens(*, blocks: Any, blocks_per_request: Any, context_tokens: Any) -> Any:
    """Tokens that the pool holds in requests of full length.

    Parameters
    ----------
    blocks, blocks_per_request : int
        Blocks of the pool and of one request. [blocks]
    context_tokens : int
        Length of a request. [tokens]

    Returns
    -------
    int
        Tokens. [tokens]

    Examples
    --------
    >>> pool_tokens(blocks=29750, blocks_per_request=512, context_tokens=8192)
    476000
    """
    return floor(blocks * context_tokens / blocks_per_request)


@formula(
    "memory.kv_cache.tokens_by_group",
    unit="tokens",
    symbols={"blocks": "blocks", "groups": "groups", "block_tokens": "tokens", "context_parallel": "ranks"},
    reference='vllm-project/vllm@bc150f502: vllm/v1/core/kv_cache_utils.py, "GPU KV cache size" up to 0.20.1',
    example={"blocks": 15998, "groups": 7, "block_tokens": 16, "context_parallel": 1},
)
def pool_tokens_by_group(*, blocks: Any, groups: Any, block_tokens: Any, context_parallel: Any) -> Any:
    """Tokens as older versions print them: blocks shared out evenly over the groups of layers.

    Parameters
    ----------
    blocks : int
        Blocks of the pool. [blocks]
    groups : int
        Groups of layers that draw from the pool. [groups]
    block_tokens : int
        Tokens of a block. [tokens]
    context_parallel : int
        Ranks that share one token's cache. [ranks]

    Returns
    -------
    int
        Tokens. [tokens]

    Examples
    --------
    gemma-3-27b on one H100, as its log prints:

    >>> pool_tokens_by_group(blocks=15998, groups=7, block_tokens=16, context_parallel=1)
    36560
    """
    return floor_div(blocks, groups) * block_tokens * context_parallel
