"""Memory of a host beside its GPUs."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula

__all__ = ["host_buffer_bytes", "hosted_experts_bytes", "pinned_bytes"]


@formula(
    "memory.host.buffer",
    unit="bytes",
    symbols={"embedded_bytes": "bytes", "masks_bytes": "bytes", "copies": "micro-batches", "computed_bytes": "bytes"},
    reference="ggml-org/llama.cpp@0c1e57098: src/llama-graph.cpp, build_inp_embd; ggml/src/ggml-backend.cpp, copies of inputs",
    example={"embedded_bytes": 14680064, "masks_bytes": 16777216, "copies": 4, "computed_bytes": 0},
)
def host_buffer_bytes(*, embedded_bytes: Any, masks_bytes: Any, copies: Any, computed_bytes: Any) -> Any:
    """Buffer of the host beside GPUs: embedded rows and masks of a micro-batch, masks once for each that is under way.

    Parameters
    ----------
    embedded_bytes, masks_bytes : int
        Rows looked up in the embedding; masks of one micro-batch. [bytes]
    copies : int
        Micro-batches under way at once. [micro-batches]
    computed_bytes : int
        What layers or experts need that the processor computes. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    DeepSeek-R1 over eight cards; its log says 78.02 MiB.

    >>> host_buffer_bytes(embedded_bytes=14680064, masks_bytes=16777216, copies=4, computed_bytes=0) / 2**20
    78.0
    """
    return embedded_bytes + copies * masks_bytes + computed_bytes


@formula(
    "memory.host.experts",
    unit="bytes",
    symbols={"stored_bytes": "bytes", "share": "share"},
    reference="kvcache-ai/ktransformers: kt-kernel/README.md: the host holds the experts that the GPUs do not, once for all ranks",
    example={"stored_bytes": 226_000_000_000, "share": 0.75},
)
def hosted_experts_bytes(*, stored_bytes: Any, share: Any) -> Any:
    """Routed experts that the processor computes.

    Parameters
    ----------
    stored_bytes : int
        All routed experts in the format of the host. [bytes]
    share : float
        Of them that lie there.

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> hosted_experts_bytes(stored_bytes=226_000_000_000, share=0.75)
    169500000000.0
    """
    return stored_bytes * share


@formula(
    "memory.host.pinned",
    unit="bytes",
    symbols={"one_bytes": "bytes", "gpus": "GPUs"},
    reference="vllm-project/vllm: vllm/model_executor/models/utils.py, maybe_offload_to_cpu; sgl-project/sglang: srt/utils/offloader.py: every rank "
    "pins what it moves",
    example={"one_bytes": 10737418240, "gpus": 2},
)
def pinned_bytes(*, one_bytes: Any, gpus: Any) -> Any:
    """Weights that GPUs moved to pinned memory of the host.

    Parameters
    ----------
    one_bytes : int
        Of one GPU. [bytes]
    gpus : int
        Those of a pipeline stage, which move as much each. [GPUs]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> pinned_bytes(one_bytes=10737418240, gpus=2)
    21474836480
    """
    return one_bytes * gpus
