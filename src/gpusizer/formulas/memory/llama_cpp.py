"""Buffers of llama.cpp: cells of its caches, and what one micro-batch needs while it is computed."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from gpusizer.formulas.core import ceil_div, formula, minimum

__all__ = [
    "cache_of_layers_bytes",
    "compute_buffer_bytes",
    "context_cells",
    "float_rows_bytes",
    "kv_buffer_bytes",
    "mask_bytes",
    "pooled_cells",
    "scores_bytes",
    "sequence_state_bytes",
    "window_cells",
]


@formula(
    "memory.llama_cpp.context_cells",
    unit="cells",
    symbols={"context_tokens": "tokens", "streams": "streams", "padding": "cells"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-context.cpp, n_ctx and n_ctx_seq",
    example={"context_tokens": 65535, "streams": 1, "padding": 256},
)
def context_cells(*, context_tokens: Any, streams: Any, padding: Any) -> Any:
    """Cells of one stream of the cache: its share of the context, filled up to whole paddings.

    Parameters
    ----------
    context_tokens : int
        Context of all sequences together. [tokens]
    streams : int
        Streams that have cells of their own; 1 where all sequences share one. [streams]
    padding : int
        What the cells are a multiple of. [cells]

    Returns
    -------
    int
        Cells of a stream. [cells]

    Examples
    --------
    >>> context_cells(context_tokens=65535, streams=1, padding=256)
    65536
    """
    return ceil_div(context_tokens, streams * padding) * padding


@formula(
    "memory.llama_cpp.window_cells",
    unit="cells",
    symbols={"cells": "cells", "window": "tokens", "sequences": "sequences", "micro_batch": "tokens", "padding": "cells"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-kv-cache-iswa.cpp, size_swa",
    example={"cells": 8192, "window": 1024, "sequences": 4, "micro_batch": 512, "padding": 256},
)
def window_cells(*, cells: Any, window: Any, sequences: Any, micro_batch: Any, padding: Any) -> Any:
    """Cells of one stream for layers with a sliding window: the windows of the sequences that share it and the tokens being computed.

    Parameters
    ----------
    cells : int
        Cells of a layer that sees everything. [cells]
    window, micro_batch : int
        Tokens of the window and of the micro-batch. [tokens]
    sequences : int
        Sequences that share the stream. [sequences]
    padding : int
        What the cells are a multiple of. [cells]

    Returns
    -------
    int
        Cells of a stream. [cells]

    Examples
    --------
    gemma-4-12b with four sequences, as its log prints:

    >>> window_cells(cells=8192, window=1024, sequences=4, micro_batch=512, padding=256)
    4608
    """
    return ceil_div(minimum(cells, window * sequences + micro_batch), padding) * padding


@formula(
    "memory.llama_cpp.pooled_cells",
    unit="cells",
    symbols={"cells": "cells", "ratio": "tokens per row", "padding": "cells"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-kv-cache-dsv4.cpp",
    example={"cells": 65536, "ratio": 4, "padding": 256},
)
def pooled_cells(*, cells: Any, ratio: Any, padding: Any) -> Any:
    """Cells of one stream where so many tokens share a row.

    Parameters
    ----------
    cells : int
        Cells of the context. [cells]
    ratio : int
        Tokens that share a row. [tokens per row]
    padding : int
        What the cells are a multiple of. [cells]

    Returns
    -------
    int
        Cells of a stream. [cells]

    Examples
    --------
    >>> pooled_cells(cells=65536, ratio=4, padding=256), pooled_cells(cells=65536, ratio=128, padding=256)
    (16384, 512)
    """
    return ceil_div(ceil_div(cells, ratio), padding) * padding


@formula(
    "memory.llama_cpp.kv_buffer",
    unit="bytes",
    symbols={"cells": "cells", "streams": "streams", "row_bytes": "bytes per cell", "layers": "layers"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-kv-cache.cpp, llama_kv_cache",
    example={"cells": 32768, "streams": 1, "row_bytes": 612, "layers": 61},
)
def kv_buffer_bytes(*, cells: Any, streams: Any, row_bytes: Any, layers: Any) -> Any:
    """Keys and values of equal layers for all cells.

    Parameters
    ----------
    cells : int
        Cells of a stream. [cells]
    streams : int
        Streams. [streams]
    row_bytes : float
        Keys and values of one cell in one layer, block scales included. [bytes per cell]
    layers : int
        Layers. [layers]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    DeepSeek-R1, keys only in Q8_0; the log says 1166.62 MiB.

    >>> round(kv_buffer_bytes(cells=32768, streams=1, row_bytes=612, layers=61) / 2**20, 2)
    1166.62
    """
    return cells * streams * row_bytes * layers


@formula(
    "memory.llama_cpp.sequence_state",
    unit="bytes",
    symbols={"state_elements": "elements", "convolution_elements": "elements", "sequences": "sequences", "layers": "layers"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-memory-recurrent.cpp; hparams n_embd_r and n_embd_s, both F32",
    example={"state_elements": 786432, "convolution_elements": 30720, "sequences": 1, "layers": 48},
)
def sequence_state_bytes(*, state_elements: Any, convolution_elements: Any, sequences: Any, layers: Any) -> Any:
    """Recurrent state (S) and convolution columns (R) of all sequences in FP32.

    Parameters
    ----------
    state_elements, convolution_elements : int
        Elements of one sequence in one layer. [elements]
    sequences : int
        Sequences. [sequences]
    layers : int
        Layers. [layers]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    48 gated-delta layers of 48 heads of 128 x 128; a log says 149.62 MiB.

    >>> sequence_state_bytes(state_elements=786432, convolution_elements=30720, sequences=1, layers=48) / 2**20
    149.625
    """
    return (state_elements + convolution_elements) * 4 * sequences * layers


@formula(
    "memory.llama_cpp.scores",
    unit="bytes",
    symbols={"heads": "heads", "tokens": "tokens", "cells": "cells"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-graph.cpp, build_attn_mha without flash attention",
    example={"heads": 64, "tokens": 512, "cells": 8192},
)
def scores_bytes(*, heads: Any, tokens: Any, cells: Any) -> Any:
    """Attention scores of one layer in FP32; only without flash attention.

    Parameters
    ----------
    heads : int
        Query heads. [heads]
    tokens : int
        Tokens of the micro-batch. [tokens]
    cells : int
        Cells of the cache. [cells]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> scores_bytes(heads=64, tokens=512, cells=8192) // 2**20
    1024
    """
    return heads * tokens * cells * 4


@formula(
    "memory.llama_cpp.mask",
    unit="bytes",
    symbols={"cells": "cells", "tokens": "tokens", "element_bytes": "bytes per element"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-graph.cpp, build_attn_inp_kq_mask",
    example={"cells": 32768, "tokens": 512, "element_bytes": 6},
)
def mask_bytes(*, cells: Any, tokens: Any, element_bytes: Any) -> Any:
    """Mask of the micro-batch over all cells.

    Parameters
    ----------
    cells : int
        Cells of the cache, all kinds of layers together. [cells]
    tokens : int
        Tokens of the micro-batch. [tokens]
    element_bytes : int
        4 in FP32, 2 in FP16, 6 where both live at once. [bytes per element]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> mask_bytes(cells=32768, tokens=512, element_bytes=6) // 2**20
    96
    """
    return cells * tokens * element_bytes


@formula(
    "memory.llama_cpp.float_rows",
    unit="bytes",
    symbols={"tokens": "tokens", "width": "elements"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-graph.cpp; activations are FP32",
    example={"tokens": 512, "width": 128256},
)
def float_rows_bytes(*, tokens: Any, width: Any) -> Any:
    """Rows of activations or logits in FP32.

    Parameters
    ----------
    tokens : int
        Rows. [tokens]
    width : int
        Elements of a row, all tensors that live together. [elements]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    Logits of Llama-3.1-8B for a micro-batch:

    >>> float_rows_bytes(tokens=512, width=128256) / 2**20
    250.5
    """
    return tokens * width * 4


@formula(
    "memory.llama_cpp.compute_buffer",
    unit="bytes",
    symbols={
        "inputs_bytes": "bytes",
        "attention_bytes": "bytes",
        "feed_forward_bytes": "bytes",
        "copied_weights_bytes": "bytes",
        "output_bytes": "bytes",
        "gaps_bytes": "bytes",
    },
    reference="ggml-org/llama.cpp@0c1e57098: ggml/src/ggml-alloc.c, the largest moment of one graph and the gaps in its memory",
    example={
        "inputs_bytes": 37748736,
        "attention_bytes": 0,
        "feed_forward_bytes": 394264576,
        "copied_weights_bytes": 0,
        "output_bytes": 0,
        "gaps_bytes": 0,
    },
)
def compute_buffer_bytes(
    *, inputs_bytes: Any, attention_bytes: Any, feed_forward_bytes: Any, copied_weights_bytes: Any, output_bytes: Any, gaps_bytes: Any
) -> Any:
    """The widest moment of one micro-batch on one device.

    Parameters
    ----------
    inputs_bytes : int
        Masks and embeddings, with their copies where several micro-batches are under way. [bytes]
    attention_bytes, feed_forward_bytes : int
        Rows that mixers and feed-forward blocks have made, the residual stream among them. [bytes]
    copied_weights_bytes : int
        Weights and caches of the host while a GPU works with them. [bytes]
    output_bytes : int
        Logits and what they are made from. [bytes]
    gaps_bytes : int
        Freed memory between tensors into which nothing fitted. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    First card of a model with a feed-forward width of 53,248; its log says 412 MiB.

    >>> compute_buffer_bytes(inputs_bytes=36 * 2**20, attention_bytes=0, feed_forward_bytes=376 * 2**20, copied_weights_bytes=0,
    ...                      output_bytes=0, gaps_bytes=0) // 2**20
    412
    """
    return inputs_bytes + attention_bytes + feed_forward_bytes + copied_weights_bytes + output_bytes + gaps_bytes


@formula(
    "memory.llama_cpp.cache_of_layers",
    unit="bytes",
    symbols={"layers": "bytes"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-kv-cache.cpp; layers by memory.llama_cpp.kv_buffer and sequence_state",
    example={"full_layers": 1073741824, "window_layers": 134217728},
)
def cache_of_layers_bytes(**layers: Any) -> Any:
    """Cache of the layers of one device, by kind of layer.

    Parameters
    ----------
    **layers : int
        All layers of a kind together. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> cache_of_layers_bytes(full_layers=1073741824, window_layers=134217728)
    1207959552
    """
    return reduce(add, layers.values())
