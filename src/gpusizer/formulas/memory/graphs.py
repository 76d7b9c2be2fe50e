"""What captured graphs hold."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula

__all__ = ["cuda_graph_bytes", "pooled_graph_bytes", "split_buffers_bytes"]


@formula(
    "memory.budget.cuda_graphs",
    unit="bytes",
    symbols={"graphs": "graphs", "layers": "layers", "more_layers": "layers", "bytes_per_graph_and_layer": "bytes"},
    reference="fitted to start-up logs; vllm-project/vllm@4ba787ec9: vllm/config/vllm.py, _set_cudagraph_sizes",
    example={"graphs": 102, "layers": 32, "more_layers": 13, "bytes_per_graph_and_layer": 200000},
)
def cuda_graph_bytes(*, graphs: Any, layers: Any, more_layers: Any, bytes_per_graph_and_layer: Any) -> Any:
    """Memory of captured CUDA graphs.

    Parameters
    ----------
    graphs : int
        Captured batch sizes, both modes together. [graphs]
    layers : int
        Layers of this rank. [layers]
    more_layers : float
        What embedding, head and sampler weigh beside them. [layers]
    bytes_per_graph_and_layer : float
        Fitted. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> cuda_graph_bytes(graphs=102, layers=32, more_layers=13, bytes_per_graph_and_layer=200000)
    918000000
    """
    return graphs * (layers + more_layers) * bytes_per_graph_and_layer


@formula(
    "memory.budget.pooled_graphs",
    unit="bytes",
    symbols={"fixed_bytes": "bytes", "graphs": "graphs", "layers": "layers", "bytes_per_graph_and_layer": "bytes"},
    reference="fitted to start-up logs; sgl-project/sglang 0.5.23: python/sglang/srt/model_executor/runner",
    example={"fixed_bytes": 64424509, "graphs": 36, "layers": 48, "bytes_per_graph_and_layer": 188743},
)
def pooled_graph_bytes(*, fixed_bytes: Any, graphs: Any, layers: Any, bytes_per_graph_and_layer: Any) -> Any:
    """Memory of captured graphs that share one pool.

    Parameters
    ----------
    fixed_bytes : int
        The pool, buffers that are made with the first graph. [bytes]
    graphs : int
        Captured batch sizes. [graphs]
    layers : int
        Layers of this rank. [layers]
    bytes_per_graph_and_layer : float
        Fitted. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    Qwen3-30B-A3B on one H100, 36 sizes; its log says 0.34 GB.

    >>> round(pooled_graph_bytes(fixed_bytes=64424509, graphs=36, layers=48, bytes_per_graph_and_layer=188743) / 2**30, 2)
    0.36
    """
    return fixed_bytes + graphs * layers * bytes_per_graph_and_layer


@formula(
    "memory.steps.split_buffers",
    unit="bytes",
    symbols={"splits": "parts", "tokens": "tokens", "width": "elements", "tp": "ranks", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/attention/backends/flash_attn.py, max_num_splits; FlashAttention 3: out_accum",
    example={"splits": 32, "tokens": 512, "width": 4096, "tp": 1, "element_bytes": 4},
)
def split_buffers_bytes(*, splits: Any, tokens: Any, width: Any, tp: Any, element_bytes: Any) -> Any:
    """Partial results of attention that is captured with a fixed number of parts of the context.

    Parameters
    ----------
    splits : int
        Parts of the context that may be worked on side by side. [parts]
    tokens : int
        The largest batch that is captured whole. [tokens]
    width : int
        Outputs of all heads of one layer. [elements]
    tp : int
        Ranks that share the heads. [ranks]
    element_bytes : int
        Of a partial result. [bytes per element]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    Llama-3.1-8B on one H100; graphs of the same start take 0.15 GiB less on two ranks.

    >>> split_buffers_bytes(splits=32, tokens=512, width=4096, tp=1, element_bytes=4) / 2**30
    0.25
    """
    return splits * tokens * width / tp * element_bytes
