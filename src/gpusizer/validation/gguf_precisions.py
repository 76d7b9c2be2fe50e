"""What a GGUF file holds, from the recipe that a case names and the checkpoint that it was made from."""

from __future__ import annotations

import re

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.device_support import weight_formats

__all__ = ["OWN_MIX", "gguf_precision", "local_precision", "mixed_precision"]

OWN_MIX = re.compile(r"\bUD-|_XL\b|_R[48]\b|SPECIAL_TENSOR", re.IGNORECASE)  # a publisher's own choice by tensor
_OF_FORK = re.compile(r"(?<![A-Z0-9])IQ\d_(?:KSS|KS|KL|KT|K)(?![A-Z])|_R[48]\b", re.IGNORECASE)  # types of ik_llama.cpp
_PLAIN = ("bf16", "fp16", "fp32")


def gguf_precision(engine: Declaration, wish: str | None, architecture: Architecture) -> str:
    """llama.cpp stores MXFP4 experts beside Q8_0; files of Ollama's own library leave the rest as the checkpoint has it.

    Parameters
    ----------
    engine : Declaration
        The engine.
    wish : str or None
        The precision that a case names.
    architecture : Architecture
        The checkpoint.

    Returns
    -------
    str
        The precision to ask for.
    """
    if engine.library_of_checkpoints and wish == "mxfp4" and "mxfp4" in weight_formats(architecture):
        return "checkpoint"
    if wish == "mxfp4" or (wish == "q8_0" and "mxfp4" in weight_formats(architecture)):
        return "mxfp4_moe"
    return wish or "checkpoint"


def local_precision(engine: Declaration, wish: str | None, architecture: Architecture) -> str:
    """As :func:`gguf_precision`; experts that were released in MXFP4 stay so in every file, whatever recipe its name says.

    Parameters
    ----------
    engine : Declaration
        The engine.
    wish : str or None
        The precision that a case names.
    architecture : Architecture
        The checkpoint.

    Returns
    -------
    str
        The precision to ask for.
    """
    if wish is not None and "mxfp4" in weight_formats(architecture):
        return "checkpoint" if wish in _PLAIN or (engine.library_of_checkpoints and wish == "mxfp4") else "mxfp4_moe"
    if wish in _PLAIN and not any(name not in _PLAIN for name in weight_formats(architecture)):
        return "checkpoint"
    return gguf_precision(engine, wish, architecture)


def mixed_precision(precision: str, architecture: Architecture, said: str = "") -> str:
    """A publisher's mix of small experts keeps everything else at four bits and more; with types of a fork at eight.

    Mixes in types of ik_llama.cpp keep all but the routed experts at Q8_0: logs of IQ2 and IQ4 mixes of one model print the same bytes on the GPU
    where its experts lie on the host (github.com/ikawrakow/ik_llama.cpp/discussions/258); those of less than two bits are made to be small.

    Parameters
    ----------
    precision : str
        The recipe of its name.
    architecture : Architecture
        The checkpoint.
    said : str
        The words of file and header.

    Returns
    -------
    str
        Recipe of experts and of the rest, or the recipe alone.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> mixed_precision("iq2_xs", load_architecture("deepseek-v3"), "DeepSeek-V3-IQ2_K_R4.gguf")
    'iq2_xs+q8_0'
    """
    sparse = architecture.parameters.groups.get("routed_experts", 0)
    of_fork = _OF_FORK.search(said) is not None and not precision.startswith("iq1_")
    rest = "q8_0" if of_fork or precision.startswith("iq4_") else "q4_k_m"
    return f"{precision}+{rest}" if sparse and re.match(r"(i?q[123]|iq4)_", precision) else precision
