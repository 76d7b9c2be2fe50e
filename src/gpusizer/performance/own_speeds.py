"""Speeds of a device moved by what somebody measured on it: the one place where own cases enter a prediction."""

from __future__ import annotations

from gpusizer.facts.types import SpeedShift
from gpusizer.performance.kernel_counts import Kernels
from gpusizer.performance.step_time import ClassSpeed, Speeds

__all__ = ["as_measured"]


def as_measured(speeds: Speeds, shift: SpeedShift | None) -> Speeds:
    """Speeds with own measurements: decoding waits for memory and fixed costs, prompts wait for arithmetic and for the volume of messages.

    Parameters
    ----------
    speeds : Speeds
        As they are predicted.
    shift : SpeedShift or None
        What cases say; None leaves everything as it is.

    Returns
    -------
    Speeds
        With times of decoding and of prompts that are longer by the factors.
    """
    if shift is None:
        return speeds
    decode, prompt = shift.decode_factor, shift.prefill_factor

    def of_class(one: ClassSpeed) -> ClassSpeed:
        return one._replace(bytes_per_s=one.bytes_per_s / decode, efficiency=one.efficiency / prompt, widen_per_s=one.widen_per_s / prompt)

    def longer(*names: str) -> dict[str, float]:
        return {name: getattr(speeds, name) * decode for name in names}

    def slower(by: float, *names: str) -> dict[str, float]:
        return {name: getattr(speeds, name) / by for name in names}

    return speeds._replace(
        linears=tuple(map(of_class, speeds.linears)),
        experts=tuple(map(of_class, speeds.experts)),
        head=of_class(speeds.head),
        kernel_s=Kernels(*(each * decode for each in speeds.kernel_s)),
        eager_s=speeds.eager_s * prompt,
        **slower(decode, "cache_bytes_per_s", "latent_bytes_per_s", "state_bytes_per_s", "attention_flops_per_s"),
        **longer("step_s", "sequence_s", "quantise_s", "reduce_latency_s", "gather_latency_s", "hop_latency_s"),
        **slower(prompt, "prefill_flops_per_s", "bus_bytes_per_s", "gather_bytes_per_s", "hop_bytes_per_s"),
    )
