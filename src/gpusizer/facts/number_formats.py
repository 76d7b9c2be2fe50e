"""Sizes of number formats, once: bits of plain types, elements and bytes of GGUF blocks, and the scales of today's small floats.

``GGUF_BLOCKS`` follows the block structures of ggml-org/llama.cpp (``ggml/src/ggml-common.h``) and the type numbers of ``ggml/include/ggml.h``;
``SCALED`` follows the OCP Microscaling specification 1.0 (MXFP4, MXFP8) and NVIDIA's NVFP4 (a byte per 16 elements and an F32 per tensor).
"""

from __future__ import annotations

from functools import cache

from gpusizer.facts.types import NumberFormat

__all__ = ["FORK_BLOCKS", "GGUF_BLOCKS", "PLAIN_BITS", "SAFETENSORS_BITS", "SCALED", "read_number_formats"]

# Plain types: bits of one element.
PLAIN_BITS: dict[str, int] = {
    "fp64": 64,
    "fp32": 32,
    "tf32": 32,  # 19 bits are used, 32 are stored
    "fp16": 16,
    "bf16": 16,
    "fp8": 8,
    "fp4": 4,
    "int64": 64,
    "int32": 32,
    "int16": 16,
    "int8": 8,
    "int4": 4,
    "bool": 8,
}

# Block-scaled types: bits of one element, elements that share a scale, bits of the scale, bytes once per tensor.
SCALED: dict[str, tuple[int, int, int, int]] = {
    "mxfp4": (4, 32, 8, 0),
    "mxfp6": (6, 32, 8, 0),
    "mxfp8": (8, 32, 8, 0),
    "nvfp4": (4, 16, 8, 4),
}

# Element types of a safetensors header: bits of one element.
SAFETENSORS_BITS: dict[str, int] = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}

# GGUF types: number in the file, elements of a block, bytes of a block.
GGUF_BLOCKS: dict[str, tuple[int, int, int]] = {
    "f32": (0, 1, 4),
    "f16": (1, 1, 2),
    "q4_0": (2, 32, 18),
    "q4_1": (3, 32, 20),
    "q5_0": (6, 32, 22),
    "q5_1": (7, 32, 24),
    "q8_0": (8, 32, 34),
    "q8_1": (9, 32, 36),
    "q2_k": (10, 256, 84),
    "q3_k": (11, 256, 110),
    "q4_k": (12, 256, 144),
    "q5_k": (13, 256, 176),
    "q6_k": (14, 256, 210),
    "q8_k": (15, 256, 292),
    "iq2_xxs": (16, 256, 66),
    "iq2_xs": (17, 256, 74),
    "iq3_xxs": (18, 256, 98),
    "iq1_s": (19, 256, 50),
    "iq4_nl": (20, 32, 18),
    "iq3_s": (21, 256, 110),
    "iq2_s": (22, 256, 82),
    "iq4_xs": (23, 256, 136),
    "i8": (24, 1, 1),
    "i16": (25, 1, 2),
    "i32": (26, 1, 4),
    "i64": (27, 1, 8),
    "f64": (28, 1, 8),
    "iq1_m": (29, 256, 56),
    "bf16": (30, 1, 2),
    "tq1_0": (34, 256, 54),
    "tq2_0": (35, 256, 66),
    "mxfp4": (39, 32, 17),
    "nvfp4": (40, 64, 36),
    "q1_0": (41, 128, 18),
    "q2_0": (42, 64, 18),
}

# Types of a fork, ikawrakow/ik_llama.cpp (ggml/src/ggml-common.h): elements and bytes of a block; a scale for each row beside them is left out.
# Interleaved rows (_R4, _R8) hold the same bytes, but for those of one bit.
FORK_BLOCKS: dict[str, tuple[int, int]] = {
    "iq1_s_r4": (32, 6),
    "iq1_m_r4": (32, 7),
    "iq1_kt": (256, 56),
    "iq2_kt": (256, 68),
    "iq3_kt": (256, 100),
    "iq4_kt": (256, 128),
    "iq2_ks": (256, 70),
    "iq2_k": (256, 76),
    "iq2_kl": (256, 86),
    "iq3_ks": (256, 102),
    "iq3_k": (256, 110),
    "iq4_kss": (256, 128),
    "iq4_ks": (256, 136),
    "iq4_k": (256, 144),
    "iq5_ks": (256, 168),
    "iq5_k": (256, 176),
    "iq6_k": (256, 212),
    "q6_0": (32, 26),
}

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
