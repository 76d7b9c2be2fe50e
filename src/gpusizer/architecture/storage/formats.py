"""The stored form of a tensor: bits of an element, scales and zero points per block, and the bytes that follow from a shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from gpusizer.facts.number_formats import FORK_BLOCKS, GGUF_BLOCKS, PLAIN_BITS, SCALED
from gpusizer.formulas.storage import block_format_bytes, scaled_format_bytes

__all__ = ["StorageFormat", "element_bytes", "gguf_format", "integer_groups", "plain_dtype", "plain_format", "scaled_format"]

_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "f16": "fp16", "float32": "fp32", "float": "fp32", "f32": "fp32"}
_PLAIN = frozenset({"bf16", "fp16", "fp32"})


def plain_dtype(name: object) -> str | None:
    """Our name of a plain number format, however frameworks spell it; None of what is none.

    >>> plain_dtype("torch.bfloat16"), plain_dtype("half"), plain_dtype("FP32"), plain_dtype("fp8"), plain_dtype(None)
    ('bf16', 'fp16', 'fp32', None, None)
    """
    word = str(name).lower().removeprefix("torch.")
    known = _DTYPES.get(word, word)
    return known if known in _PLAIN else None


def element_bytes(dtype: str) -> int:
    """Bytes of one element of what a model computes in: 16 bits unless it is FP32. [bytes per element]

    >>> element_bytes("fp32"), element_bytes("bf16")
    (4, 2)
    """
    return 4 if plain_dtype(dtype) == "fp32" else 2


@dataclass(frozen=True, slots=True)
class StorageFormat:
    """The stored form of a tensor: elements of ``bits`` and scales per block.

    Parameters
    ----------
    id : str
        "bf16", "fp8", "fp8_block", "nvfp4", "mxfp4", "int4_g128", "q4_k" ...
    bits : int
        Bits of one element. Block formats (GGUF) give 0 and use ``block_elements`` and ``block_bytes``.
    rows, columns : int
        Size of the block that shares one scale; 0 columns means the whole row, 0 rows and 0 columns the whole tensor.
    scale_bits, zero_bits : int
        Bits of one block's scale and zero point.
    tensor_bytes : int
        Bytes once per tensor (a global scale).
    block_elements, block_bytes : int
        Elements and bytes of one block of a block format.
    column_bits : int
        Bits once per column (GPTQ's group index).

    Examples
    --------
    >>> StorageFormat("fp8_block", 8, 128, 128, scale_bits=32).bytes_of((576, 7168))
    4129888
    """

    id: str
    bits: int
    rows: int = 1
    columns: int = 0
    scale_bits: int = 0
    zero_bits: int = 0
    tensor_bytes: int = 0
    block_elements: int = 0
    block_bytes: int = 0
    column_bits: int = 0

    def bytes_of(self, shape: tuple[int, ...], copies: int = 1) -> int:
        """Exact bytes of ``copies`` tensors of ``shape``, scales included.

        Parameters
        ----------
        shape : tuple of int
            As stored; the last dimension is the row that blocks lie along. [elements]
        copies : int
            How many tensors of this shape. [tensors]

        Returns
        -------
        int
            Bytes of all copies together. [bytes]
        """
        return _bytes_of(self, shape, copies)

    @property
    def quantised(self) -> bool:
        """Whether elements need a scale, or are smaller than 16 bits."""
        return bool(self.block_elements > 1 or self.scale_bits or self.tensor_bytes or 0 < self.bits < 16)


@lru_cache(maxsize=8192)
def _bytes_of(form: StorageFormat, shape: tuple[int, ...], copies: int) -> int:
    rows, columns = prod(shape[:-1]), shape[-1] if shape else 1
    if form.block_elements:
        return int(block_format_bytes(copies=copies, rows=rows, columns=columns, block_elements=form.block_elements, block_bytes=form.block_bytes))
    return int(
        scaled_format_bytes(
            copies=copies,
            rows=rows,
            columns=columns,
            bits=form.bits,
            block_rows=form.rows or max(rows, 1),
            block_columns=form.columns or max(columns, 1),
            scale_bits=form.scale_bits,
            zero_bits=form.zero_bits,
            column_bits=form.column_bits,
            tensor_bytes=form.tensor_bytes,
        )
    )


@lru_cache(maxsize=64)
def plain_format(dtype: str) -> StorageFormat:
    """A format without scales.

    >>> plain_format("bf16").bytes_of((4096, 4096)), plain_format("fp32").bits
    (33554432, 32)
    """
    return StorageFormat(dtype, PLAIN_BITS[dtype])


@lru_cache(maxsize=16)
def scaled_format(id: str, input_scale_bytes: int = 0) -> StorageFormat:
    """A block-scaled float: "mxfp4", "mxfp8", "nvfp4"; some checkpoints store a scale for the layer's input as well.

    >>> scaled_format("mxfp4").bytes_of((32, 32)), scaled_format("nvfp4").bytes_of((16, 16))
    (544, 148)
    """
    bits, columns, scale_bits, tensor_bytes = SCALED[id]
    return StorageFormat(id, bits, 1, columns, scale_bits=scale_bits, tensor_bytes=tensor_bytes + input_scale_bytes)


def integer_groups(bits: int, group: int, *, scale_bits: int = 16, zero_bits: int = 0, tensor_bytes: int = 0, column_bits: int = 0) -> StorageFormat:
    """Integers with a scale per group of a row; ``group`` 0 is the whole row.

    >>> integer_groups(4, 128).bytes_of((4096, 4096)) * 8 / 4096**2
    4.125
    """
    name = f"int{bits}_g{group}" if group else f"int{bits}"
    return StorageFormat(name, bits, 1, group, scale_bits=scale_bits, zero_bits=zero_bits, tensor_bytes=tensor_bytes, column_bits=column_bits)


@lru_cache(maxsize=64)
def gguf_format(type_name: str) -> StorageFormat:
    """A GGUF type by its name in lower case, of llama.cpp or of its fork.

    >>> gguf_format("q6_k").bytes_of((1, 256)), gguf_format("iq6_k").bytes_of((1, 256))
    (210, 212)
    """
    elements, block_bytes = FORK_BLOCKS[type_name] if type_name in FORK_BLOCKS else GGUF_BLOCKS[type_name][1:]
    return StorageFormat(type_name, 0, block_elements=elements, block_bytes=block_bytes)
