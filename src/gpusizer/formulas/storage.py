"""Bytes that a stored tensor takes: packed elements, scales and zero points per block, and what comes once per tensor."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, formula

__all__ = ["block_format_bytes", "scaled_format_bytes"]


@formula(
    "storage.scaled_format",
    unit="bytes",
    symbols={
        "copies": "tensors",
        "rows": "rows",
        "columns": "columns",
        "bits": "bits per element",
        "block_rows": "rows per scale",
        "block_columns": "columns per scale",
        "scale_bits": "bits per scale",
        "zero_bits": "bits per zero point",
        "column_bits": "bits per column",
        "tensor_bytes": "bytes per tensor",
    },
    reference="safetensors layout of FP8, INT4 and FP4 checkpoints; DeepSeek-V3 report, section 3.3 (one F32 scale per 128 x 128 block)",
    example={
        "copies": 1,
        "rows": 576,
        "columns": 7168,
        "bits": 8,
        "block_rows": 128,
        "block_columns": 128,
        "scale_bits": 32,
        "zero_bits": 0,
        "column_bits": 0,
        "tensor_bytes": 0,
    },
)
def scaled_format_bytes(
    *,
    copies: Any,
    rows: Any,
    columns: Any,
    bits: Any,
    block_rows: Any,
    block_columns: Any,
    scale_bits: Any,
    zero_bits: Any,
    column_bits: Any,
    tensor_bytes: Any,
) -> Any:
    """Bytes of equal matrices whose elements are packed row by row and share a scale per block.

    Parameters
    ----------
    copies : int
        How many matrices of this shape. [tensors]
    rows, columns : int
        Shape of one matrix; a vector has one row. [elements]
    bits : int
        Bits of one element. [bits]
    block_rows, block_columns : int
        Size of the block that shares one scale; blocks at the edges are counted whole. [elements]
    scale_bits, zero_bits : int
        Bits of one block's scale and zero point. [bits]
    column_bits : int
        Bits that are stored once per column (GPTQ's group index). [bits]
    tensor_bytes : int
        Bytes that are stored once per matrix (global scales, a stored shape). [bytes]

    Returns
    -------
    int
        Bytes of all matrices together. [bytes]

    Examples
    --------
    The latent projection of DeepSeek-V3: 576 rows are four and a half blocks, hence five.

    >>> scaled_format_bytes(copies=1, rows=576, columns=7168, bits=8, block_rows=128, block_columns=128,
    ...                     scale_bits=32, zero_bits=0, column_bits=0, tensor_bytes=0)
    4129888
    """
    elements_bytes = rows * ceil_div(columns * bits, 8)
    blocks = ceil_div(rows, block_rows) * ceil_div(columns, block_columns)
    return copies * (elements_bytes + ceil_div(blocks * (scale_bits + zero_bits), 8) + ceil_div(columns * column_bits, 8) + tensor_bytes)


@formula(
    "storage.block_format",
    unit="bytes",
    symbols={"copies": "tensors", "rows": "rows", "columns": "columns", "block_elements": "elements per block", "block_bytes": "bytes per block"},
    reference="ggml-org/llama.cpp: ggml/src/ggml-common.h, the block structures; ggml/src/ggml.c:ggml_row_size",
    example={"copies": 1, "rows": 4096, "columns": 4096, "block_elements": 256, "block_bytes": 144},
)
def block_format_bytes(*, copies: Any, rows: Any, columns: Any, block_elements: Any, block_bytes: Any) -> Any:
    """Bytes of equal matrices in a format whose blocks hold elements and scales together (GGUF types).

    Parameters
    ----------
    copies : int
        How many matrices of this shape. [tensors]
    rows, columns : int
        Shape of one matrix; blocks lie along a row. [elements]
    block_elements, block_bytes : int
        What one block holds and takes. [elements, bytes]

    Returns
    -------
    int
        Bytes of all matrices together. [bytes]

    Examples
    --------
    >>> block_format_bytes(copies=1, rows=4096, columns=4096, block_elements=256, block_bytes=144)  # Q4_K: 4.5 bits an element
    9437184
    """
    return copies * rows * ceil_div(columns, block_elements) * block_bytes
