"""First version: fp8 with blocks and exclusion lists. Replaced soon by every dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.formats import StorageFormat, plain_format
from gpusizer.architecture.patterns import ModulePatterns
from gpusizer.architecture.precision import Quantization, Rule
from gpusizer.architecture.types import Notice

__all__ = ["read_quantization"]


def read_quantization(config: Mapping[str, Any], dtype: str) -> tuple[Quantization, tuple[Notice, ...]]:
    """The format of every tensor, from a configuration (top level, ``text_config`` inside it or not) and its main number format."""
    plain = plain_format(dtype)
    text = config.get("text_config")
    block = config.get("quantization_config") or (text.get("quantization_config") if isinstance(text, Mapping) else None)
    if not isinstance(block, Mapping):
        return Quantization(None, plain), ()
    method = str(block.get("quant_method", ""))
    size = block.get("weight_block_size")
    excluded = ModulePatterns([*(block.get("modules_to_not_convert") or ()), *(block.get("ignored_layers") or ()), "eh_proj"], floating=True)
    linear = StorageFormat("fp8", 8, 0, 0, scale_bits=32)
    if isinstance(size, (list, tuple)) and len(size) == 2:
        linear = StorageFormat("fp8_block", 8, int(size[0]), int(size[1]), scale_bits=32)
    if method != "fp8":
        return Quantization(method, plain), (Notice("unknown-quantization", {"method": method}),)
    return Quantization(method, plain, linear, {"lm_head": plain}, (Rule(excluded, None),)), excluded.notices
