"""How fast a start answers one request where weights lie in the memory of the host."""

from __future__ import annotations

from typing import NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.types import NOTHING_ON_HOST, Fit
from gpusizer.errors import InputError
from gpusizer.facts.types import Accelerator
from gpusizer.performance.hosts import HostBandwidth, host_bandwidth_of
from gpusizer.performance.links import host_link_bytes_per_s
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.types import Load, Performance

__all__ = ["LoneRequest", "lone_request"]

_INPUT_TOKENS, _OUTPUT_TOKENS = 2048, 256


class LoneRequest(NamedTuple):
    """One request with nothing beside it.

    Parameters
    ----------
    input_tokens, output_tokens : int
        Its lengths. [tokens]
    speed : Performance
        Time to its first token, and between tokens.
    bandwidth : HostBandwidth
        Of the host's memory.
    """

    input_tokens: int
    output_tokens: int
    speed: Performance
    bandwidth: HostBandwidth


def lone_request(fit: Fit, architecture: Architecture, accelerator: Accelerator) -> LoneRequest | None:
    """One request of a start that leaves weights on the host.

    Parameters
    ----------
    fit : Fit
        The verdict.
    architecture : Architecture
        The model in the precision of the start.
    accelerator : Accelerator
        The device.

    Returns
    -------
    LoneRequest or None
        None where it does not start, leaves nothing on the host, or nobody states the speed of the device.
    """
    if not fit.fits or fit.on_host == NOTHING_ON_HOST:
        return None
    longest = fit.deployment.max_model_len or _INPUT_TOKENS + _OUTPUT_TOKENS
    output = min(_OUTPUT_TOKENS, max(longest // 8, 1))
    prompt = max(min(_INPUT_TOKENS, longest - output), 1)
    load = Load(input_tokens=prompt, output_tokens=output, concurrency=1)
    try:
        speed = answer(Question(architecture, accelerator, fit.deployment, load, fit=fit))
    except InputError:  # no bandwidth, or no peak, is stated
        return None
    there = host_bandwidth_of(fit.deployment) if fit.on_host.computed else HostBandwidth(host_link_bytes_per_s(accelerator), "link")
    return LoneRequest(prompt, output, speed, there)
