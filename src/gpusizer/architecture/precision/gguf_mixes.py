"""What the name of a GGUF file tells of a mix of types that no recipe of llama.cpp makes, from ``gguf_mixes.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import LatentAttention

__all__ = ["mix_of", "told_mix", "types_of_rest", "usual_mix"]

LONGEST_WORDS = 800
_NAMED = r"i?q\d_(?:[01]|k(?:ss|s|l|t)?|[a-z]{1,3})"
# Both types of the experts, that of the way out first, and the bits of the rest, 8 where none are told: "IQ4_K__IQ3_S_Q8". Or words beside the
# types: "Q4KExperts-Q8Attn".
_BOTH = re.compile(rf"(?<![a-z0-9])(?P<down>{_NAMED})__(?P<type>{_NAMED})(?:_q(?P<rest>[68]))?(?![a-z0-9])")
# The rest, then the three matrices of the experts: "Q6_K-IQ2_S-IQ2_S-IQ3_S" (model card of AesSedai/GLM-4.5-GGUF).
_ALL_FOUR = re.compile(rf"(?<![a-z0-9])(?P<rest>{_NAMED})-(?P<type>{_NAMED})-{_NAMED}-(?P<down>{_NAMED})(?![a-z0-9])")
_BY_WORD = re.compile(r"(?<![a-z0-9])(?P<type>i?q\d(?:k|xs|xxs|nl|_0))_?experts.*(?<![a-z0-9])q(?P<rest>[68])_?attn")
_REST = {"6": "q6_k", "8": "q8_0"}
_FEW_BITS = re.compile(r"(i?q[123]|iq4)_")


def mix_of(words: str, recipe: str, model: Architecture) -> str:
    """The precision of a file whose publisher chose type by type.

    Parameters
    ----------
    words : str
        Name of the file, words of its header, or the word for its precision.
    recipe : str
        The recipe of llama.cpp with as many bits.
    model : Architecture
        The model.

    Returns
    -------
    str
        What the name spells out, what is usual under such a name, else small experts beside a rest of four bits and more, or the recipe alone.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> [mix_of(words, "iq2_xs", load_architecture("deepseek-v3")) for words in ("DeepSeek-V3-IQ2_K_R4.gguf", "UD-IQ2_XS")]
    ['iq2_k.iq3_k+q8_0', 'iq2_xs+q4_k_m']
    """
    known = told_mix(words) or usual_mix(words, model)
    if known is not None:
        return known
    small = model.parameters.groups.get("routed_experts", 0) and _FEW_BITS.match(recipe)
    return f"{recipe}+{'q8_0' if recipe.startswith('iq4_') else 'q4_k_m'}" if small else recipe


def told_mix(words: str) -> str | None:
    """The mix that the name of a file spells out.

    Parameters
    ----------
    words : str
        Name of the file.

    Returns
    -------
    str or None
        One that :func:`gpusizer.architecture.precision.requantise.with_precision` knows; None where the name tells none.

    Examples
    --------
    >>> [told_mix(name) for name in ("R1-IQ4_K__IQ3_S_Q8.gguf", "V4-Q4KExperts-F16HC-Q8Attn.gguf", "GLM-4.5-Q6_K-IQ2_S-IQ2_S-IQ3_S", "x-Q4_K_M.gguf")]
    ['iq3_s.iq4_k+q8_0', 'q4_k+q8_0', 'iq2_s.iq3_s+q6_k', None]
    """
    if found := _ALL_FOUR.search(words[:LONGEST_WORDS].lower()):
        return f"{found['type']}.{found['down']}+{found['rest']}"
    plain = _plain(words)
    if found := _BOTH.search(plain):
        return f"{found['type']}.{found['down']}+{_REST[found['rest'] or '8']}"
    if found := _BY_WORD.search(plain):
        kind = re.sub(r"(?<=q\d)(?=[a-z])", "_", found["type"])
        return f"{kind}+{_REST[found['rest']]}"
    return None


def usual_mix(words: str, model: Architecture) -> str | None:
    """The mix that a publisher, or whoever uses a tool, usually makes under such a name.

    Parameters
    ----------
    words : str
        Name of the file, words of its header, or the word for its precision.
    model : Architecture
        The model.

    Returns
    -------
    str or None
        One that :func:`gpusizer.architecture.precision.requantise.with_precision` knows; None where no list fits.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> [usual_mix(words, load_architecture("deepseek-v3")) for words in ("DeepSeek-V3-IQ2_K_R4.gguf", "iq2_kl", "UD-Q4_K_XL")]
    ['iq2_k.iq3_k+q8_0', 'iq2_kl.iq3_ks+iq5_ks', 'q4_k_s+q4_k_mla']
    """
    plain, kinds = _plain(words), _kinds(model)
    for row in _data()["mix"]:
        found = re.search(row["names"], plain)
        if found is None or row.get("models", "") not in kinds:
            continue
        kind = row.get("type") or next(word for word in found.groups() if word)
        down = _steps(row.get("next")).get(kind)
        return f"{kind}{f'.{down}' if down else ''}+{row['rest']}"
    return None


def types_of_rest(name: str) -> Mapping[str, str]:
    """Types of "up", "head", "embedding" and "latent" beside the type of a rest, or beside its "base"; empty where all have that type."""
    found: Mapping[str, str] = {role: kind for role, kind in _data()["rest"].get(name, {}).items() if role != "source"}
    return found


def _steps(own: Mapping[str, str] | None) -> Mapping[str, str]:
    """Types out of the experts by those into them: the usual ones with a list's own, none where it says that there are none."""
    return {**_data()["next"], **(own or {})} if own is None or own else {}


def _plain(words: str) -> str:
    return words[:LONGEST_WORDS].lower().replace("-", "_")


def _kinds(model: Architecture) -> frozenset[str]:
    if not model.parameters.groups.get("routed_experts"):
        return frozenset({""})
    split = any("in_proj_z" in tensor.name for layer in model.layers for tensor in layer.all_tensors())
    attention = "latent-experts" if model.mixers_of(LatentAttention) else "plain-experts"
    return frozenset({"", "experts", attention, *(["split-hybrid-experts"] if split else [])})


@cache
def _data() -> Mapping[str, Any]:
    with (Path(__file__).parent / "gguf_mixes.toml").open("rb") as stream:
        return tomllib.load(stream)
