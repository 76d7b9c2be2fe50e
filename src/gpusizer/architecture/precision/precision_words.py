"""Words for number formats, as checkpoints, engines and file headers write them, brought to a precision of :func:`with_precision`."""

from __future__ import annotations

import re

from gpusizer.architecture.precision.gguf_recipes import RECIPES
from gpusizer.architecture.precision.requantise import precision_ids
from gpusizer.facts.number_formats import GGUF_BLOCKS

__all__ = ["FORK_TYPES", "precision_of_words"]

LONGEST_WORDS = 200

# Types of forks of llama.cpp that a file may hold: the type of llama.cpp itself with the same bits per weight, or the next
# (ikawrakow/ik_llama.cpp: ggml/src/ggml-common.h). Row-interleaved variants (_R4, _R8) hold the same bits.
FORK_TYPES = {
    "iq2_ks": "iq2_xxs",
    "iq2_k": "iq2_xs",
    "iq2_kl": "iq2_s",
    "iq3_ks": "iq3_xxs",
    "iq3_k": "iq3_s",
    "iq4_kss": "iq4_xs",
    "iq4_ks": "iq4_xs",
    "iq4_k": "iq4_nl",
    "iq5_ks": "q5_k_s",
    "iq5_k": "q5_k_s",
    "iq6_k": "q6_k",
    "iq1_kt": "iq1_m",
    "iq2_kt": "iq2_xxs",
    "iq3_kt": "iq3_xxs",
    "iq4_kt": "iq4_xs",
}
_HEADER_SIZES = {"small": "_s", "medium": "_m", "large": "_l"}  # "Q4_K - Medium", as a GGUF header spells its recipe
_GGUF = re.compile(r"(?<![a-z0-9])(i?q\d_(?:[01]|k|[a-z]{1,3})(?:_[a-z]{1,3})?|tq[12]_0)(?:_r\d{1,2})?(?![a-z0-9])")
_WORDS: tuple[tuple[str, str], ...] = (
    (r"nvfp4|modelopt_fp4|(?<!mx)fp4", "nvfp4"),
    (r"w4a16|w4a8|awq|gptq|wna16|int4|4[ -]?bit|auto-?round", "int4"),
    (r"w8a8(?!.*fp8)|w8a16|int8|8[ -]?bit", "int8"),
    (r"fp8|float8|e4m3", "fp8"),
    (r"mxfp8", "mxfp8"),
    (r"bnb|bitsandbytes|nf4", "int4"),
    (r"bf16|bfloat16", "bf16"),
    (r"fp16|float16|half|f16", "fp16"),
    (r"fp32|float32|f32", "fp32"),
    (r"(?<![a-z0-9])q8(?![a-z0-9_])", "q8_0"),
    (r"(?<![a-z0-9])q4(?![a-z0-9_])", "q4_k_m"),
)


def precision_of_words(words: str) -> tuple[str | None, bool]:
    """The precision that words name, and whether it stands for a similar one.

    Parameters
    ----------
    words : str
        As a checkpoint's name, an engine's flag or a file header has it.

    Returns
    -------
    tuple of (str or None, bool)
        A precision that can be asked for, or None where the words name none; whether it is only alike in size.

    Examples
    --------
    >>> [precision_of_words(words)[0] for words in ("Q4_K - Medium", "IQ4_KS_R4 - 4.25 bpw", "w8a8-int8", "fp8", "none", "UD-Q3_K_XL")]
    ['q4_k_m', 'iq4_xs', 'int8', 'fp8', None, 'q3_k_m']
    """
    lower = words[:LONGEST_WORDS].lower()
    match = _GGUF.search(lower)
    if match:
        return _recipe(match[1], lower[match.end() :])
    if "mxfp4" in lower:
        return "mxfp4", False
    for pattern, precision in _WORDS:
        if re.search(pattern, lower):
            return precision, False
    return None, False


def _recipe(kind: str, rest: str) -> tuple[str | None, bool]:
    """A recipe of llama.cpp for a GGUF type or recipe; a publisher's own mix ("XL", a fork's type) for the one of the same bits."""
    size = re.match(r"\s*-\s*(small|medium|large)", rest)
    if size and kind + _HEADER_SIZES[size[1]] in RECIPES:
        return kind + _HEADER_SIZES[size[1]], False
    if kind in precision_ids():
        return kind, False
    base = "q8_0" if kind.startswith("q8_k") else FORK_TYPES.get(kind)
    if base:
        return base, True
    for ending in ("_m", "_s", ""):
        stem = re.sub(r"_(xl|xxl|l|m|s)$", "", kind)
        if stem + ending in RECIPES:
            return stem + ending, kind not in GGUF_BLOCKS
    return None, False
