"""What a load feels on an option, and where the option saturates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from gpusizer.architecture.model import Architecture
from gpusizer.engines.types import Evidence
from gpusizer.planning.need import Need
from gpusizer.planning.performance import predict
from gpusizer.planning.performance_types import Load, Performance
from gpusizer.planning.request import Request
from gpusizer.planning.sweep import Ask, predict_many
from gpusizer.planning.types import Option

__all__ = ["load_of", "saturation_of", "with_speeds"]


def load_of(request: Request, need: Need) -> Load:
    """The load that all replicas together serve: at a request rate where one is given, else at a concurrency."""
    tokens = {"input_tokens": need.input_tokens, "output_tokens": need.output_tokens}
    prefix = min(request.shared_prefix_tokens, need.input_tokens)
    if request.request_rate is not None:
        return Load(**tokens, request_rate_per_s=request.request_rate, shared_prefix_tokens=prefix)
    return Load(**tokens, concurrency=need.concurrency, shared_prefix_tokens=prefix)


def with_speeds(options: Sequence[Option], architecture: Architecture, request: Request, need: Need) -> list[Option]:
    """The options with their times and rates at the load that was asked for."""
    asks = [Ask(option.accelerator, option.launch, option.replicas, option.fit) for option in options]
    speeds = predict_many(architecture, asks, load_of(request, need))
    return [
        replace(option, performance=speed, assumed=option.assumed or speed.evidence == Evidence.ASSUMED)
        for option, speed in zip(options, speeds, strict=True)
    ]


def saturation_of(option: Option, architecture: Architecture, request: Request, need: Need) -> Performance:
    """The same deployment with as many requests as its cache holds."""
    load = replace(load_of(request, need), concurrency=inf, request_rate_per_s=None)
    return predict(architecture, option.accelerator, option.launch, load, replicas=option.replicas, fit=option.fit)
