"""Which layers a pipeline stage holds, and the bands of a ledger's lines."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import floor_div, formula, maximum, minimum, rounded, where

__all__ = ["band_width_bytes", "stage_first_layer", "stage_size"]

_REFERENCE = "vllm-project/vllm@4ba787ec9: vllm/distributed/utils.py, get_pp_indices: the rest goes to the stages before the last"


@formula(
    "memory.stages.size",
    unit="layers",
    symbols={"layers": "layers", "pp": "stages", "stage": "number from 0"},
    reference=_REFERENCE,
    example={"layers": 61, "pp": 4, "stage": 2},
)
def stage_size(*, layers: Any, pp: Any, stage: Any) -> Any:
    """Layers of one pipeline stage.

    Parameters
    ----------
    layers, pp : int
        Decoder layers; stages. [layers, stages]
    stage : int
        Its number, the first is 0. [number from 0]

    Returns
    -------
    int
        Layers. [layers]

    Examples
    --------
    >>> [stage_size(layers=61, pp=4, stage=stage) for stage in range(4)]
    [15, 15, 16, 15]
    """
    rest = layers - floor_div(layers, pp) * pp
    return floor_div(layers, pp) + where(stage >= pp - 1 - rest, where(stage < pp - 1, 1, 0), 0)


@formula(
    "memory.stages.first_layer",
    unit="number from 0",
    symbols={"layers": "layers", "pp": "stages", "stage": "number from 0"},
    reference=_REFERENCE,
    example={"layers": 61, "pp": 4, "stage": 3},
)
def stage_first_layer(*, layers: Any, pp: Any, stage: Any) -> Any:
    """Number of the first layer of a pipeline stage.

    Parameters
    ----------
    layers, pp : int
        Decoder layers; stages. [layers, stages]
    stage : int
        Its number, the first is 0. [number from 0]

    Returns
    -------
    int
        Layers before it. [number from 0]

    Examples
    --------
    >>> [stage_first_layer(layers=61, pp=4, stage=stage) for stage in range(4)]
    [0, 15, 30, 46]
    """
    rest = layers - floor_div(layers, pp) * pp
    return stage * floor_div(layers, pp) + maximum(0, minimum(stage, pp - 1) - (pp - 1 - rest))


@formula(
    "memory.band.width",
    unit="bytes",
    symbols={"size_bytes": "bytes", "share": "share", "added_bytes": "bytes"},
    reference="arithmetic: a band of a share of the size, and of bytes beside it; lines of a ledger are whole bytes",
    example={"size_bytes": 1000000, "share": 0.03, "added_bytes": 0},
)
def band_width_bytes(*, size_bytes: Any, share: Any, added_bytes: Any) -> Any:
    """How far the high end of a line's band lies above the line.

    Parameters
    ----------
    size_bytes : float
        The line before it is rounded. [bytes]
    share : float
        Width of the band as a share of the size. [share]
    added_bytes : float
        Width beside it. [bytes]

    Returns
    -------
    int
        Bytes. [bytes]

    Examples
    --------
    >>> band_width_bytes(size_bytes=1000000, share=0.03, added_bytes=0)
    30000
    """
    return rounded(maximum(size_bytes * (1 + share) + added_bytes, rounded(size_bytes))) - rounded(size_bytes)
