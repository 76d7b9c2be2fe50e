"""How far stored tensors may be off: publishers quantise differently what a precision names."""

from __future__ import annotations

from collections.abc import Mapping

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.launch import Start

__all__ = ["WEIGHT_ERROR", "weight_error"]

# Bands of stored tensors, as shares. A precision stands for what publishers make of it: which layers they leave out differs most for NVFP4 (n = 6
# checkpoints of publishers other than the one whose list is known: -35, -16, -13, -7, -5, +12 %).
WEIGHT_ERROR = {
    "plain": 0.006,
    "checkpoint": 0.03,
    "rocm": 0.045,
    "fp8": 0.012,
    "fp8_block": 0.012,
    "int8": 0.012,
    "int4": 0.04,
    "mxfp4": 0.04,
    "nvfp4": 0.2,
}

_LISTS = ("ignore", "exclude_modules", "modules_to_not_convert", "ignored_layers", "quantized_layers", "config_groups")


def _list_missing(architecture: Architecture) -> bool:
    """A checkpoint in a format of four bits by NVIDIA's tools, without its list of what stays unquantised."""
    settings = architecture.config.get("quantization_config")
    if not isinstance(settings, Mapping) or "FP4" not in str(settings.get("quant_algo")).upper():
        return False
    return not any(settings.get(name) for name in _LISTS)


def weight_error(start: Start) -> float:
    """Band of the stored tensors: publishers quantise differently what a precision names, and ROCm keeps other layouts."""
    method, precision = start.architecture.quantization.method, start.deployment.precision
    error = WEIGHT_ERROR["plain" if method is None else "checkpoint"]
    if precision not in ("checkpoint", "bf16", "fp16", "fp32"):
        error = WEIGHT_ERROR.get(precision, WEIGHT_ERROR["checkpoint"])
    elif method is not None:
        other = start.deployment.similar_precision  # the list of what stays unquantised is another publisher's
        error = max(error, WEIGHT_ERROR.get(str(other), error), WEIGHT_ERROR["nvfp4"] if _list_missing(start.architecture) else error)
    if start.accelerator.vendor == "AMD" and method is not None:
        error = max(error, WEIGHT_ERROR["rocm"])
    return error
