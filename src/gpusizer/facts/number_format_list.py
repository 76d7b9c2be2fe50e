"""Number formats as facts: how many bits, what range, and what their scales cost on top."""

from __future__ import annotations

from functools import cache

from gpusizer.facts.number_formats import GGUF_BLOCKS, SCALED
from gpusizer.facts.types import NumberFormat

__all__ = ["read_number_formats"]

_IEEE = ("IEEE 754-2019",)
_BF16 = ("Google Brain floating point; Intel BFLOAT16 numerics definition (2018)",)
_TF32 = ("NVIDIA A100 architecture white paper (2020)",)
_OCP8 = ("OCP 8-bit floating point specification 1.0 (2023)",)
_OCP_MX = ("OCP microscaling formats specification 1.0 (2023)",)
_NVFP4 = ("NVIDIA NVFP4 in TensorRT Model Optimizer: an E4M3 scale per 16 elements, an FP32 scale per tensor",)
_GGML = ("ggml-org/llama.cpp: ggml/src/ggml-common.h",)
_TWO = ("two's complement",)

# id, name, bits, bits with scales, sign, exponent, mantissa bits, largest value, kind, sources
_PLAIN: tuple[tuple[str, str, float, float, int | None, int | None, int | None, float | None, str, tuple[str, ...]], ...] = (
    ("fp32", "FP32", 32, 32, 1, 8, 23, (2 - 2**-23) * 2.0**127, "float", _IEEE),
    ("tf32", "TF32", 19, 32, 1, 8, 10, (2 - 2**-10) * 2.0**127, "float", _TF32),
    ("fp16", "FP16", 16, 16, 1, 5, 10, 65504.0, "float", _IEEE),
    ("bf16", "BF16", 16, 16, 1, 8, 7, (2 - 2**-7) * 2.0**127, "float", _BF16),
    ("fp8_e4m3", "FP8 E4M3", 8, 8, 1, 4, 3, 448.0, "float", _OCP8),
    ("fp8_e5m2", "FP8 E5M2", 8, 8, 1, 5, 2, 57344.0, "float", _OCP8),
    ("int8", "INT8", 8, 8, 1, None, 7, 127.0, "integer", _TWO),
    ("int4", "INT4", 4, 4, 1, None, 3, 7.0, "integer", _TWO),
    ("int4_group128", "INT4, FP16 scale per 128", 4, 4 + 16 / 128, 1, None, 3, 7.0, "block", ("AWQ and GPTQ checkpoints, group_size 128",)),
    ("fp8_block128", "FP8 E4M3, FP32 scale per 128 x 128", 8, 8 + 32 / 128**2, 1, 4, 3, 448.0, "block", ("DeepSeek-V3 report, section 3.3",)),
)

_BLOCK_ELEMENTS: dict[str, tuple[str, int, int, int, float, tuple[str, ...]]] = {
    "mxfp4": ("MXFP4 (E2M1)", 1, 2, 1, 6.0, _OCP_MX),
    "mxfp6": ("MXFP6 (E3M2)", 1, 3, 2, 28.0, _OCP_MX),
    "mxfp8": ("MXFP8 (E4M3)", 1, 4, 3, 448.0, _OCP_MX),
    "nvfp4": ("NVFP4 (E2M1)", 1, 2, 1, 6.0, _NVFP4),
}


@cache
def read_number_formats() -> tuple[NumberFormat, ...]:
    """Plain formats, formats with a scale per block, GGUF types.

    >>> [(each.id, each.bits_with_scales) for each in read_number_formats() if each.id in ("mxfp4", "nvfp4", "q4_k")]
    [('mxfp4', 4.25), ('nvfp4', 4.5), ('q4_k', 4.5)]
    """
    plain = [NumberFormat(*row) for row in _PLAIN]
    blocks = [
        NumberFormat(name, title, bits, bits + scale / elements, sign, exponent, mantissa, largest, "block", sources)
        for name, (bits, elements, scale, _) in SCALED.items()
        for title, sign, exponent, mantissa, largest, sources in [_BLOCK_ELEMENTS[name]]
    ]
    known = {each.id for each in (*plain, *blocks)}
    plain_names = {"f32", "f16", "f64", "bf16", "i8", "i16", "i32", "i64"}
    gguf = [
        NumberFormat(name, f"GGUF {name.upper()}", 8 * size / elements, 8 * size / elements, None, None, None, None, "block", _GGML)
        for name, (_, elements, size) in GGUF_BLOCKS.items()
        if name not in known | plain_names
    ]
    return (*plain, *blocks, *gguf)
