"""What loading leaves on one GPU: the stored tensors by group, and what is made beside them."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from gpusizer.formulas.core import formula, minimum

__all__ = ["group_sum_bytes", "offloaded_bytes", "unlisted_bytes"]


@formula(
    "memory.weights.group_sum",
    unit="bytes",
    symbols={"groups": "bytes"},
    reference="arithmetic: this rank's tensors by parameter group; bytes of each tensor by storage.scaled_format or storage.block_format",
    example={"attention": 3758096384, "linear_attention": 134217728, "indexer": 67108864},
)
def group_sum_bytes(**groups: Any) -> Any:
    """Stored tensors of one line of the ledger: its parameter groups together.

    Parameters
    ----------
    **groups : int
        This rank's bytes of each parameter group. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> group_sum_bytes(attention=3758096384, linear_attention=134217728, indexer=67108864)
    3959422976
    """
    return reduce(add, groups.values())


@formula(
    "memory.weights.unlisted",
    unit="bytes",
    symbols={"published_bytes": "bytes", "listed_bytes": "bytes"},
    reference="arithmetic: size of the published checkpoint less what its configuration tells of",
    example={"published_bytes": 16582000000, "listed_bytes": 15000000000},
)
def unlisted_bytes(*, published_bytes: Any, listed_bytes: Any) -> Any:
    """What a published checkpoint holds beyond its configuration.

    Parameters
    ----------
    published_bytes, listed_bytes : int
        Size of the files; all tensors that the configuration tells of. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> unlisted_bytes(published_bytes=16582000000, listed_bytes=15000000000)
    1582000000
    """
    return published_bytes - listed_bytes


@formula(
    "memory.weights.offloaded",
    unit="bytes",
    symbols={"asked_bytes": "bytes", "layers_bytes": "bytes"},
    reference="vllm-project/vllm: vllm/model_executor/models/utils.py, maybe_offload_to_cpu: parameters of decoder layers until so much is gone",
    example={"asked_bytes": 10 * 2**30, "layers_bytes": 28000000000},
)
def offloaded_bytes(*, asked_bytes: Any, layers_bytes: Any) -> Any:
    """Weights that lie in host memory instead of on a GPU, as what the GPU is spared.

    Parameters
    ----------
    asked_bytes, layers_bytes : int
        What was asked for; the decoder layers of this GPU. [bytes]

    Returns
    -------
    int
        Bytes, below nothing. [bytes]

    Examples
    --------
    >>> offloaded_bytes(asked_bytes=10 * 2**30, layers_bytes=28000000000)
    -10737418240
    """
    return -minimum(asked_bytes, layers_bytes)
