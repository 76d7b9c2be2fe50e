"""What a device and an engine count as: generation, family, peak of a number format, and how well their speed is known.

Efficiencies follow the generation of the device and the number format, never a model; fixed costs follow the engine. What nobody measured is taken
from the data sheet with the efficiency of the nearest kin, and :class:`Provenance` says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.engines import find_declaration
from gpusizer.errors import InputError
from gpusizer.facts.types import Accelerator, SpeedShift
from gpusizer.performance.constants import measured_pairs, speed_constants

__all__ = [
    "Provenance",
    "bandwidth_bytes_per_s",
    "engine_family",
    "generation",
    "matrix_units",
    "peak_flops_per_s",
    "provenance",
    "shift_of",
    "speed_known",
    "speed_unknown",
    "unmeasured",
    "vector_flops_per_s",
]

_BY_CAPABILITY = {"8.0": "ampere", "8.6": "ampere_small", "8.9": "ada", "9.0": "hopper", "10": "blackwell", "12": "blackwell_pcie"}
_BY_CAPABILITY |= {"7.5": "turing", "7": "turing", "6": "pascal", "5": "pascal", "gfx94": "cdna", "gfx95": "cdna", "gfx90a": "cdna", "gfx90": "gcn"}
_BY_CAPABILITY |= {"gfx10": "rdna", "gfx11": "rdna", "gfx12": "rdna"}
_BY_VENDOR = {"Apple": "apple", "Intel": "intel", "Huawei": "ascend"}
_UNIFIED = {"NVIDIA": "nvidia_unified", "AMD": "rdna_unified"}
_BITS = {"fp32": 32, "tf32": 32, "fp16": 16, "bf16": 16, "fp8": 8, "int8": 8, "fp4": 4, "int4": 4}
_FORMATS = {"16": ("bf16", "fp16"), "8": ("fp8", "bf16", "fp16"), "fp4": ("fp4", "bf16", "fp16"), "int4": ("bf16", "fp16")}
_MATRIX_UNITS = ("7.", "8.", "9.", "10.", "11.", "12.")  # compute capabilities with tensor cores
_VECTOR_SHARE = 1 / 4  # of a 16-bit matrix peak, where nobody states that of FP32
_KIN = {"lmdeploy": "vllm"}  # engines whose speeds were measured and whose memory is not known


def engine_family(engine: str) -> str:
    """The engine whose fixed costs a name stands for.

    >>> engine_family("ollama"), engine_family("vllm")
    ('llama.cpp', 'vllm')
    """
    found = find_declaration(engine)
    return found.family if found is not None else _KIN.get(engine.lower(), engine.lower())


def generation(accelerator: Accelerator) -> str:
    """Which efficiencies a device shares: by vendor, unified memory and compute capability (the longest prefix that is known), else "other".

    Examples
    --------
    >>> from gpusizer.facts.catalog import accelerator
    >>> generation(accelerator("h200-sxm-141gb")), generation(accelerator("gb200-186gb")), generation(accelerator("mlu590-80gb"))
    ('hopper', 'blackwell', 'other')
    """
    if accelerator.unified_memory and accelerator.vendor in _UNIFIED:
        return _UNIFIED[accelerator.vendor]
    capability = accelerator.compute_capability or ""
    known = [prefix for prefix in _BY_CAPABILITY if capability.startswith(prefix)]
    if known:
        return _BY_CAPABILITY[max(known, key=len)]
    return _BY_VENDOR.get(accelerator.vendor, "other")


def speed_unknown(accelerator: Accelerator) -> Notice | None:
    """Why nothing can be said about the speed of a device: nobody states its memory bandwidth, or no peak at all; None where both are known."""
    if accelerator.bandwidth_bytes_per_s is None:
        return Notice("speed-unknown", {"gpu": accelerator.id})
    if not any(accelerator.peak_flops.get(name) for name in _BITS):
        return Notice("peak-unknown", {"gpu": accelerator.id})
    return None


def speed_known(accelerator: Accelerator) -> bool:
    """Whether anything can be said about the speed of a device."""
    return speed_unknown(accelerator) is None


def bandwidth_bytes_per_s(accelerator: Accelerator) -> float:
    """Memory bandwidth of the data sheet; no speed is predicted without one. [bytes/s]"""
    if accelerator.bandwidth_bytes_per_s is None:
        raise InputError("speed-unknown", gpu=accelerator.id)
    return float(accelerator.bandwidth_bytes_per_s)


def peak_flops_per_s(accelerator: Accelerator, storage: str) -> tuple[float, str]:
    """Dense peak at which weights of a storage class are multiplied, and the number format that computes.

    Weights in a format that the device has no arithmetic for are widened to 16 bits first. [FLOP/s]

    Examples
    --------
    >>> from gpusizer.facts.catalog import accelerator
    >>> peak_flops_per_s(accelerator("a100-sxm-80gb"), "8")[1], peak_flops_per_s(accelerator("b200-sxm-180gb"), "fp4")[1]
    ('bf16', 'fp4')
    """
    peaks = accelerator.peak_flops
    if storage.startswith("blocks"):  # matrix units multiply integers faster than FP32 multiplies the scale of each 32 of them
        return (vector_flops_per_s(accelerator) if matrix_units(accelerator) else peak_flops_per_s(accelerator, "16")[0]), "blocks"
    for name in _FORMATS[storage]:
        if peaks.get(name):
            return float(peaks[name]), name
    known = [(abs(_BITS[name] - 16), name) for name in peaks if peaks[name] and name in _BITS and name != "fp32"]
    if known:
        _, name = min(known)
        return float(peaks[name]) * _BITS[name] / 16, "bf16"
    if peaks.get("fp32"):
        return float(peaks["fp32"]), "fp32"
    raise InputError("peak-unknown", gpu=accelerator.id)


def vector_flops_per_s(accelerator: Accelerator) -> float:
    """FP32 peak outside matrix units; a quarter of the 16-bit peak where nobody states it. [FLOP/s]

    Examples
    --------
    >>> from gpusizer.facts.catalog import accelerator
    >>> vector_flops_per_s(accelerator("rtx4090-24gb")) / 1e12
    82.6
    """
    known = accelerator.peak_flops.get("fp32")
    return float(known) if known else peak_flops_per_s(accelerator, "16")[0] * _VECTOR_SHARE


def matrix_units(accelerator: Accelerator) -> bool:
    """Whether a device multiplies matrices of small numbers in units of their own that GGUF's kernels use."""
    return (accelerator.compute_capability or "").startswith(_MATRIX_UNITS)


def shift_of(accelerator: Accelerator, engine: str) -> SpeedShift | None:
    """What own cases say of a device with the family of an engine; None without any."""
    if not accelerator.shifts:
        return None
    family = engine_family(engine)
    return next((each for each in accelerator.shifts if each.family == family), None)


class Provenance(NamedTuple):
    """How well the speeds of a device with an engine and a format of weights are known: both, one or neither was measured."""

    device_measured: bool
    engine_measured: bool

    @property
    def widening(self) -> float:
        """How many times wider the band is than that of measured pairs."""
        constants = speed_constants()
        device = 1.0 if self.device_measured else constants.of("widening", "device")
        return device * (1.0 if self.engine_measured else constants.of("widening", "engine"))


def provenance(accelerator: Accelerator, engine: str, storages: Iterable[str] = ()) -> Provenance:
    """Whether device and engine were among the measurements.

    Parameters
    ----------
    accelerator : Accelerator
        The device: its generation counts.
    engine : str
        The engine: its family counts.
    storages : iterable of str
        Storage classes that must have been measured on that generation; without any, one of them is enough.

    Returns
    -------
    Provenance
        What was measured.
    """
    measured, generation_id = measured_pairs(), generation(accelerator)
    pairs = [f"{generation_id}.{storage}" for storage in storages]
    device = all(pair in measured.devices for pair in pairs) if pairs else any(pair.startswith(f"{generation_id}.") for pair in measured.devices)
    return Provenance(device, engine_family(engine) in measured.engines)


def unmeasured(accelerator: Accelerator, engine: str, known: Provenance) -> list[Notice]:
    """What must be said where nobody measured the device or the engine; nothing where its owner did."""
    if shift_of(accelerator, engine) is not None:
        return []
    device = [] if known.device_measured else [Notice("speed-from-data-sheet", {"gpu": accelerator.id})]
    return device if known.engine_measured else [*device, Notice("speed-of-engine-assumed", {"engine": engine})]
