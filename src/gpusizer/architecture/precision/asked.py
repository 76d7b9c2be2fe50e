"""The precision that somebody asks for in their own words: "awq", "w4a8", "4bit", "UD-Q4_K_XL", "1.58bit" ... as one of :func:`precision_ids`.

What a word stands for is said; a format that no engine here runs is refused with what to take instead, an unknown word with near ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.gguf_mixes import mix_of
from gpusizer.architecture.precision.gguf_recipes import RECIPES, is_gguf_mix
from gpusizer.architecture.precision.mlx_formats import MLX_BITS, MLX_IDS, is_mlx
from gpusizer.architecture.precision.precision_words import FORK_TYPES
from gpusizer.architecture.precision.requantise import precision_ids, with_precision
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.gguf_files import published_file
from gpusizer.facts.number_formats import GGUF_BLOCKS

__all__ = ["LONGEST_WORDS", "AskedPrecision", "asked_precision", "recipe_of_size"]

LONGEST_WORDS = 80

# Other names of the very same format: nothing needs to be said.
_SAME: Mapping[str, str] = {
    **dict.fromkeys(("auto", "none", "native", "original", "default", "as_published"), "checkpoint"),
    **dict.fromkeys(("f16", "half", "float16", "fp16"), "fp16"),
    **dict.fromkeys(("bfloat16", "16bit"), "bf16"),
    **dict.fromkeys(("f32", "float", "float32", "32bit"), "fp32"),
    **dict.fromkeys(("float8", "fp8_e4m3", "fp8_e4m3fn", "e4m3", "f8", "fp8_w8a8", "w8a8_fp8"), "fp8"),
    "i8": "int8",
    "i4": "int4",
    "fp4": "nvfp4",
    "w4a4_nvfp4": "nvfp4",
    "modelopt_fp4": "nvfp4",
    "w4a4_mxfp4": "mxfp4",
}
# Methods and layouts: what they store.
_STORED: Mapping[str, str] = {
    **dict.fromkeys(("awq", "gptq", "autoround", "auto_round", "marlin", "w4a16", "w4", "wna16", "4bit", "bnb", "bitsandbytes", "nf4"), "int4"),
    **dict.fromkeys(("awq_int4", "awq_4bit", "awq_marlin", "gptq_int4", "gptq_4bit", "gptq_marlin", "int4_awq", "int4_gptq"), "int4"),
    **dict.fromkeys(("int4_autoround", "int4_auto_round", "bnb_4bit", "bnb_nf4", "4bit_bnb", "unsloth_bnb_4bit", "hqq", "uint4"), "int4"),
    **dict.fromkeys(("w8a8", "w8a8_int8", "int8_w8a8", "w8a16", "w8", "8bit", "gptq_int8", "gptq_8bit", "awq_int8", "awq_8bit"), "int8"),
    **dict.fromkeys(("bnb_8bit", "8bit_bnb", "int8_gptq", "smoothquant", "eetq", "uint8"), "int8"),
    **dict.fromkeys(("fp8_dynamic", "fp8_static", "fp8_tensorwise", "fp8_kv", "fp8_e5m2", "ptpc_fp8"), "fp8"),
    **dict.fromkeys(("q8", "q8_k_xl"), "q8_0"),
    **dict.fromkeys(("q4", "q4_k", "gguf"), "q4_k_m"),
    **dict.fromkeys(("q5", "q5_k", "5bit"), "q5_k_m"),
    **dict.fromkeys(("q3", "q3_k", "3bit"), "q3_k_m"),
    **dict.fromkeys(("q6", "6bit"), "q6_k"),
    **dict.fromkeys(("q2", "2bit"), "q2_k"),
    **dict.fromkeys(("1.58bit", "1bit", "1.5bit"), "ud_iq1_s"),
    "1.73bit": "ud_iq1_m",
    "2.22bit": "ud_iq2_xxs",
    "2.51bit": "ud_q2_k_xl",
    "iq4": "iq4_xs",
    "iq3": "iq3_m",
    "iq2": "iq2_m",
    "iq1": "iq1_m",
}
_EIGHT_BIT_STEPS = frozenset({"w4a8", "w4a8_int8", "w4a8_fp8", "w4afp8", "w4aint8", "int4_w4a8"})  # 4-bit weights, 8-bit activations
# Formats of engines that are not modelled: those engines, and what is nearest here.
_ELSEWHERE: tuple[tuple[str, str, str], ...] = (
    (r"exl2", "ExLlamaV2 (TabbyAPI)", "exl2"),
    (r"exl3", "ExLlamaV3 (TabbyAPI)", "exl3"),
)
# What a GGUF file holds in the place of a format that it lacks.
_AS_GGUF: Mapping[str, str] = {"int4": "q4_k_m", "int8": "q8_0", "fp8": "q8_0", "fp8_block": "q8_0", "mxfp8": "q8_0"}
# What MLX makes of a format that it lacks; GGUF recipes become groups of about as many bits.
_AS_MLX: Mapping[str, str] = {
    "int4": "mlx_4bit",
    **dict.fromkeys(("int8", "fp8", "fp8_block"), "mlx_8bit"),
    **{name: f"mlx_{name}" for name in ("mxfp4", "mxfp8", "nvfp4")},
}
_MLX_WORD = re.compile(r"(?<![a-z])mlx(?![a-z])")
# A publisher's own mix, by what is left of its word without "_xl": the recipe of the same bits.
_OWN_BASE: Mapping[str, str] = {"q2_k": "q2_k", "q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m", "q6_k": "q6_k", "q8_k": "q8_0"}
_LARGE = {"q2_k_l": "q2_k", "q4_k_l": "q4_k_m", "q5_k_l": "q5_k_m", "q6_k_l": "q6_k"}  # embedding and head at 8 bits
_BEGUN = re.compile(r"^(?:smol|mix)_")  # how a publisher begins the names of mixes of the fork's types
_FORK_ROWS = re.compile(r"_r\d{1,2}$")  # rows interleaved: the same bits
_SAME_FILE = 0.005  # share by which the file of a recipe may differ from its size: metadata, a word for GB that is GiB's
_NEAR_BITS = 1.3  # bits per weight by which a recipe may differ from the word and still be tried against a published size


@dataclass(frozen=True, slots=True)
class AskedPrecision:
    """A precision that can be counted, and what must be said of the word that asked for it (None where the word is its own name)."""

    precision: str
    notice: Notice | None = None


def asked_precision(words: str, *, gguf: bool = False, mlx: bool = False, model: Architecture | None = None) -> AskedPrecision:
    """What somebody means by a word for a precision.

    Parameters
    ----------
    words : str
        As typed, in any letter case.
    gguf : bool
        The engine reads GGUF files: a format that such a file cannot hold becomes the GGUF type of the same bits.
    mlx : bool
        The engine reads checkpoints of MLX: a format that those cannot hold becomes groups of the same bits.
    model : Architecture or None
        As stored; own mixes of publishers depend on it.

    Returns
    -------
    AskedPrecision
        One of :func:`precision_ids` or two joined by "+", and a notice.

    Raises
    ------
    UnknownIdError
        ``unknown-precision`` with near words.
    InputError
        ``precision-elsewhere``: a format of an engine that is not modelled.

    Examples
    --------
    >>> [asked_precision(words).precision for words in ("awq", "W8A8", "w4a8", "half", "8bit", "q3_k_xl", "GPTQ-Int4", "fp8")]
    ['int4', 'int8', 'int4', 'fp16', 'int8', 'q3_k_m', 'int4', 'fp8']
    >>> asked_precision("4bit", gguf=True).precision, asked_precision("4bit", mlx=True).precision, asked_precision("MLX 6bit").precision
    ('q4_k_m', 'mlx_4bit', 'mlx_6bit')
    """
    name = _plain(words)
    if is_mlx(name) or _MLX_WORD.search(name):
        return _of_mlx(words, name)
    found = _asked(words, name, gguf=gguf, model=model)
    return _for_mlx(words, found, model) if mlx else found


def _asked(words: str, name: str, *, gguf: bool, model: Architecture | None) -> AskedPrecision:
    """What a word means that does not name MLX."""
    for pattern, engine, kind in _ELSEWHERE:
        if re.search(rf"(?<![a-z]){pattern}(?![a-z])", name):
            raise InputError("precision-elsewhere", id=words[:LONGEST_WORDS], engine=engine, kind=kind, precision=_nearest_bits(name))
    known = name in precision_ids() or is_gguf_mix(name)
    if known or name in _SAME:
        precision = name if known else _SAME[name]
        return _for_gguf(words, precision, model, said=False) if gguf else AskedPrecision(precision)
    if name in _EIGHT_BIT_STEPS:
        found = AskedPrecision("int4", Notice("eight-bit-activations", {"found": words, "precision": "int4"}))
        return _for_gguf(words, "int4", model, said=True) if gguf else found
    if name in _STORED and not _STORED[name].startswith("ud_"):
        precision = _STORED[name]
        return _for_gguf(words, precision, model, said=True) if gguf else AskedPrecision(precision, _taken(words, precision))
    own = _own_mix(_STORED.get(name, name))
    if own is None:
        raise UnknownIdError("unknown-precision", id=words[:LONGEST_WORDS], nearest=_near(name))
    return _stand_in(words, own, model)


def _plain(words: str) -> str:
    """The word in lower case, its parts joined by "_"; Chinese remarks around it drop out."""
    lower = unicodedata.normalize("NFKC", words[:LONGEST_WORDS]).strip().lower()
    lower = re.sub(r"比特|位|(?<=\d)[\s_-]+bits?\b|(?<=\d)bits\b", "bit", lower)
    lower = re.sub(r"量化|精度|格式|版本?|[()\[\]]", "", lower)
    return re.sub(r"[\s_-]+", "_", lower).strip("_")


def _taken(words: str, precision: str) -> Notice:
    return Notice("precision-taken", {"found": words, "precision": precision})


def _for_gguf(words: str, precision: str, model: Architecture | None, *, said: bool) -> AskedPrecision:
    """The type of a GGUF file for a precision; MXFP4 is that of experts, the rest at 8 bits, unless it is what the checkpoint holds."""
    other = _AS_GGUF.get(precision, precision)
    if precision == "mxfp4" and not (model is not None and model.quantization.method == "mxfp4"):
        other = "mxfp4_moe"
    return AskedPrecision(other, _taken(words, other) if said or other != precision else None)


def _of_mlx(words: str, name: str) -> AskedPrecision:
    """A word that names MLX, with its bits or its format beside it; four bits where it says none."""
    rest = re.sub(r"_?(?<![a-z])mlx(?![a-z])_?", "_", name).strip("_")
    rest = re.sub(r"^(?:q|int|w)(\d)", r"\1bit", rest)
    for other in (name, f"mlx_{rest}", f"mlx_{rest.partition('_')[0]}") if rest else MLX_IDS[:1]:
        if is_mlx(other):
            return AskedPrecision(other, None if other == name else _taken(words, other))
    raise UnknownIdError("unknown-precision", id=words[:LONGEST_WORDS], nearest=list(MLX_IDS[:3]))


def _for_mlx(words: str, found: AskedPrecision, model: Architecture | None) -> AskedPrecision:
    """The format of MLX for a precision; what a checkpoint is published in and MLX reads stays."""
    asked = found.precision
    if model is not None and asked == model.quantization.method == "mxfp4":
        return found
    other = _AS_MLX.get(asked, asked)
    if asked in RECIPES or is_gguf_mix(asked):
        bits = _bits(asked.partition("+")[0]) if asked.partition("+")[0] in RECIPES else 4.5
        other = f"mlx_{min(MLX_BITS, key=lambda each: abs(each + 0.5 - bits))}bit"
    return found if other == asked else AskedPrecision(other, _taken(words, other))


def _own_mix(name: str) -> tuple[str, str, bool] | None:
    """(word without the publisher's mark, recipe of the same bits, whether a publisher chose tensor by tensor) of a mix."""
    marked = name.startswith("ud_")
    word = name.removeprefix("ud_")
    if (fork := FORK_TYPES.get(_FORK_ROWS.sub("", _BEGUN.sub("", word)))) is not None:
        return word, fork, True
    match = re.fullmatch(r"(i?q\d_(?:[01]|k|[a-z]{1,3})(?:_[sml])?|tq[12]_0)(_x{1,2}l)?(?:_r\d{1,2})?", word)
    if match is None:
        return None
    large = bool(match[2])
    base = _OWN_BASE.get(match[1], match[1]) if large else _LARGE.get(match[1], match[1])
    if base not in RECIPES:
        base = _OWN_BASE.get(base, base)
    if base not in RECIPES or not (marked or large or match[1] in _LARGE or match[1] in GGUF_BLOCKS):
        return None
    return word, base, marked or large


def _stand_in(words: str, mix: tuple[str, str, bool], model: Architecture | None) -> AskedPrecision:
    """The recipe that stands for a publisher's own mix: nearest in size where the size is published, else of the same bits."""
    word, base, own = mix
    recipe = mix_of(words, base, model) if own and model is not None else base
    published = published_file(model.id, word) if model is not None else None
    if model is None or published is None:
        return AskedPrecision(recipe, Notice("mix-stands", {"found": words, "precision": recipe}))
    recipe, size = _nearest_size(model, base, published.size_bytes, recipe, drafts=published.drafts)
    sizes = {"published_bytes": published.size_bytes, "bytes": size}
    return AskedPrecision(recipe, Notice("mix-stands-published", {"found": words, "precision": recipe, **sizes}))


def recipe_of_size(model: Architecture, recipe: str, size_bytes: int, mix: str = "") -> str:
    """The recipe, or mix of recipes, whose file is nearest to a size; the recipe itself where it has that size.

    Parameters
    ----------
    model : Architecture
        The model.
    recipe : str
        What the file's name says.
    size_bytes : int
        Size of the file. [bytes]
    mix : str
        What a publisher usually makes under its name, "" where nobody knows.

    Returns
    -------
    str
        One that :func:`gpusizer.architecture.precision.requantise.with_precision` knows.
    """
    own = checkpoint_bytes(with_precision(model, recipe), mtp=False)
    if abs(own - size_bytes) <= _SAME_FILE * size_bytes:
        return recipe
    return _nearest_size(model, recipe, size_bytes, mix or recipe)[0]


_SIZED: dict[tuple[object, ...], tuple[str, int]] = {}  # by the model and what was asked: at most as many as there are published files


def _nearest_size(model: Architecture, base: str, published: int, mix: str, *, drafts: bool = False) -> tuple[str, int]:
    """The recipe, or mix of recipes, whose file is nearest to a published size, and its bytes (remembered)."""
    known = (model.id, model.parameters.total, base, published, mix, drafts)
    if known not in _SIZED:
        _SIZED[known] = _search_size(model, base, published, mix, drafts=drafts)
    return _SIZED[known]


def _search_size(model: Architecture, base: str, published: int, mix: str, *, drafts: bool) -> tuple[str, int]:
    bits, sparse = _bits(base), bool(model.parameters.groups.get("routed_experts", 0))
    kin = re.compile(r"iq\d|q2_k" if base.startswith("iq") else r"q\d_k")
    near = [name for name in RECIPES if kin.match(name) and abs(_bits(name) - bits) <= _NEAR_BITS]
    names = [mix, *near, *(f"{name}+q4_k_m" for name in near if sparse and _bits(name) < _bits("q4_k_m"))]
    language = replace(model, towers=())  # those for images lie in a file of their own
    sizes = {name: checkpoint_bytes(with_precision(language, name), mtp=drafts) for name in names}
    best = min(names, key=lambda name: abs(sizes[name] - published))
    return best, sizes[best]


def _bits(recipe: str) -> float:
    _, elements, size = GGUF_BLOCKS[RECIPES[recipe]]
    return 8 * size / elements


def _nearest_bits(name: str) -> str:
    """A recipe of llama.cpp with about as many bits as a word says ("exl3_4.0bpw"); four where it says none."""
    found = re.search(r"(\d(?:\.\d{1,2})?)_?(?:bpw|bit)", name)
    bits = float(found[1]) if found else 4.0
    return next(
        (recipe for most, recipe in ((2.6, "q2_k"), (3.6, "q3_k_m"), (4.8, "q4_k_m"), (5.6, "q5_k_m"), (6.8, "q6_k")) if bits <= most), "q8_0"
    )


def _near(name: str) -> list[str]:
    words = [word for word in (*precision_ids(), *_STORED, *_EIGHT_BIT_STEPS, "ud_q4_k_xl", "ud_q2_k_xl") if not word.startswith("ud_iq")]
    return get_close_matches(name, words, 3, 0.4)
