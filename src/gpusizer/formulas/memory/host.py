"""Memory of a host beside its GPUs."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula

__all__ = ["host_buffer_bytes"]


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
