"""Whether a device runs an engine and a number format: natively, at the speed of a wider format, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.facts.types import Accelerator

__all__ = ["Support", "device_support", "format_families", "other_checkpoint", "support_for", "weight_formats"]

_SHARE = 0.02  # formats of less than this share of the parameters decide nothing

# Format of the weights -> the peak that computes it natively.
_NATIVE = {"fp8": "fp8", "mxfp8": "fp8", "int8": "int8", "nvfp4": "fp4", "mxfp4": "fp4"}

# Compute capability from which weight-only kernels hold a format in memory and compute in 16 bits.
# vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/quantization/, get_min_capability of each method.
_WEIGHT_ONLY_FROM = {"fp8": 7.5, "mxfp8": 8.0, "int8": 7.5, "nvfp4": 7.5, "mxfp4": 8.0}
_BF16_FROM = 8.0
_PLAIN = ("bf16", "fp16", "fp32")


@dataclass(frozen=True, slots=True)
class Support:
    """How well a device serves.

    Parameters
    ----------
    refusal : Notice or None
        Why it does not serve at all.
    notices : tuple of Notice
        What must be said, with what to do instead.
    tier : int
        0 where everything is native and known; one more for each thing that is not.
    """

    refusal: Notice | None
    notices: tuple[Notice, ...]
    tier: int


@once_per_architecture
def weight_formats(architecture: Architecture) -> tuple[str, ...]:
    """Families of the formats that hold a noticeable share of the parameters, the largest first ("fp8", "bf16", "int4" ...)."""
    return format_families((form, tensor.params) for _, _, tensor, form in stored_tensors(architecture))


def format_families(stored: Iterable[tuple[StorageFormat, int]]) -> tuple[str, ...]:
    """Families of formats that hold a noticeable share, from formats and how many parameters have them; the largest first."""
    params: dict[str, int] = {}
    for form, count in stored:
        family = form.id.split("_")[0] if form.quantised and not form.block_elements else form.id
        params[family] = params.get(family, 0) + count
    total = sum(params.values()) or 1
    return tuple(name for name, count in sorted(params.items(), key=lambda pair: -pair[1]) if count >= _SHARE * total)


def device_support(engine_id: str, architecture: Architecture, accelerator: Accelerator) -> Support:
    """Whether a device serves a model with an engine.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    architecture : Architecture
        The model in the precision that is wanted.
    accelerator : Accelerator
        The device.

    Returns
    -------
    Support
        Refusal, or notices and a tier.
    """
    return support_for(engine_id, weight_formats(architecture), accelerator)


def support_for(engine_id: str, families: tuple[str, ...], accelerator: Accelerator) -> Support:
    """How a device runs families of formats, the one of most parameters first."""
    known = _runs(engine_id, accelerator)
    if known == "no":
        return Support(Notice("engine-not-on-device", {"engine": engine_id, "gpu": accelerator.id}), (), 9)
    notices: list[Notice] = []
    tier = 0
    if known != "yes":
        tier += 1
        notices.append(Notice(f"engine-{known}-on-device", {"engine": engine_id, "gpu": accelerator.id}))
    for family in () if declaration(engine_id).widens else families:
        refusal, notice = _format(family, accelerator)
        if refusal is not None:
            return Support(refusal, tuple(notices), 9)
        if notice is not None:
            notices.append(notice)
            tier += 1
    return Support(None, tuple(notices), tier)


def other_checkpoint(engine_id: str, stored: Architecture, precision: str) -> Notice | None:
    """That the published files are not in this precision: somebody must quantise them, or find a copy that is.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    stored : Architecture
        The model as it is stored.
    precision : str
        What was asked for.

    Returns
    -------
    Notice or None
        None where the engine makes it while loading, or takes a GGUF file anyhow.
    """
    name = precision.lower().replace("-", "_")
    plain = stored.quantization.method is None
    engine = declaration(engine_id)
    made = name == "checkpoint" or engine.takes_gguf or (plain and (name in _PLAIN or name in engine.made_on_load))
    return None if made or name == stored.quantization.method else Notice("other-checkpoint", {"precision": name})


def _runs(engine_id: str, accelerator: Accelerator) -> str:
    """What the facts say: yes, partial, no or unknown."""
    own, other = accelerator.engines.get(engine_id), declaration(engine_id).devices_like
    if own is not None or other is None:
        return own or "unknown"
    like = accelerator.engines.get(other, "unknown")
    return "unknown" if like == "no" else like


def _format(family: str, accelerator: Accelerator) -> tuple[Notice | None, Notice | None]:
    """(refusal, notice) for one family of formats."""
    peaks = accelerator.peak_flops
    capability = accelerator.capability or None
    if family in ("bf16", "fp16"):
        if family in peaks:
            return None, None
        other = "fp16" if family == "bf16" else "bf16"
        if other in peaks and (family == "bf16" or capability is None or capability < _BF16_FROM):
            return None, Notice("computed-in", {"gpu": accelerator.id, "precision": family, "computed": other})
        return None, None if peaks else Notice("precision-unknown-on-device", {"gpu": accelerator.id, "precision": family})
    peak = _NATIVE.get(family)
    if peak is None:  # integers in groups and GGUF blocks are unpacked by the kernel on every device
        return None, None
    if peak in peaks and _has_kernels(family, capability):
        return None, None
    instead = next((name for name in ("fp8", "int8") if name in peaks and name != family and _has_kernels(name, capability)), "int4")
    parameters = {"gpu": accelerator.id, "precision": family, "instead": instead}
    if not _has_kernels(family, capability):
        return Notice("precision-not-on-device", parameters), None
    return None, Notice("precision-not-native", parameters)


def _has_kernels(family: str, capability: float | None) -> bool:
    """Whether kernels are known to exist; without a CUDA capability nothing speaks against it."""
    return capability is None or capability >= _WEIGHT_ONLY_FROM[family]
