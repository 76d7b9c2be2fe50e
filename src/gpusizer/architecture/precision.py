"""How many bytes a stored tensor takes: the format of its elements, its scales, and which tensors a checkpoint leaves unquantised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpusizer.architecture.types import Tensor

__all__ = ["Quantization", "StorageFormat"]


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


@dataclass(frozen=True)
class Quantization:
    """Which format each tensor has; built by ``readers/quantization.py`` from ``quantization_config``."""

    method: str | None
    default: StorageFormat
    rules: Mapping[str, StorageFormat] = field(default_factory=dict)

    def format_of(self, path: str, tensor: Tensor) -> StorageFormat:
        """Format of the tensor stored under ``path`` (layer prefix and tensor name)."""
        raise NotImplementedError
