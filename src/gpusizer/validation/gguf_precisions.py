"""What a GGUF file holds, from the recipe that a case names and the checkpoint that it was made from."""

from __future__ import annotations

import re

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.device_support import weight_formats

__all__ = ["OWN_MIX", "gguf_precision", "local_precision"]

OWN_MIX = re.compile(r"\bUD-|_XL\b|_R[48]\b|SPECIAL_TENSOR", re.IGNORECASE)  # a publisher's own choice by tensor
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
