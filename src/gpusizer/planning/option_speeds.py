"""What a load feels on an option, and where the option saturates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from gpusizer.architecture.types import Notice
from gpusizer.formulas.load import cost_per_million_tokens, energy_per_million_tokens_kwh
from gpusizer.performance.batch import Ask, predict_many
from gpusizer.performance.types import Load, Performance
from gpusizer.planning.need import Need
from gpusizer.planning.request import Request
from gpusizer.planning.types import Option

__all__ = ["load_of", "with_speeds"]


def load_of(request: Request, need: Need) -> Load:
    """The load that all replicas together serve: at a request rate where one is given, else at a concurrency."""
    tokens = {"input_tokens": need.input_tokens, "output_tokens": need.output_tokens}
    prefix = min(request.shared_prefix_tokens, need.input_tokens)
    if request.request_rate is not None:
        return Load(**tokens, request_rate_per_s=request.request_rate, shared_prefix_tokens=prefix)
    return Load(**tokens, concurrency=need.concurrency, shared_prefix_tokens=prefix)


def with_speeds(options: Sequence[Option], request: Request, need: Need) -> list[Option]:
    """The options with what the load feels and what a million tokens cost in money and energy.

    A device whose bandwidth nobody states keeps its place without speeds, and says so.

    Parameters
    ----------
    options : sequence of Option
        Each with the model as it is loaded.
    request, need : Request, Need
        The load.

    Returns
    -------
    list of Option
        In the same order.
    """
    load = load_of(request, need)
    full = replace(load, concurrency=inf, request_rate_per_s=None)
    timed: dict[int, Option] = {}
    for architecture in {id(option.architecture): option.architecture for option in options}.values():
        same = [option for option in options if option.architecture is architecture]
        asks = [Ask(option.accelerator, option.launch, option.replicas, option.fit) for option in same]
        felt = zip(same, predict_many(architecture, asks, load), strict=True)
        timed.update((id(option), _with_speed(option, speed, full)) for option, speed in felt)
    return [timed[id(option)] for option in options]


def _with_speed(option: Option, speed: Performance | None, full_load: Load) -> Option:
    if speed is None:
        unknown = Notice("speed-unknown", {"gpu": option.accelerator.id})
        return option if unknown in option.notices else replace(option, notices=(*option.notices, unknown))
    rate, rent, tdp = speed.output_tokens_per_s.value, option.cost, option.accelerator.tdp_w
    cost = None if rent is None else cost_per_million_tokens(cost_per_hour=float(rent.amount), output_tokens_per_s=rate)
    energy = None if tdp is None else energy_per_million_tokens_kwh(gpus=option.gpus, tdp_w=tdp, output_tokens_per_s=rate)
    return replace(
        option,
        performance=speed,
        full_load=full_load,
        cost_per_million_tokens=cost,
        energy_per_million_tokens_kwh=energy,
    )
