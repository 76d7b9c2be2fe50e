"""What loads feel on an option: worked out when it is asked for, since most options are only listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

from gpusizer.architecture.model import Architecture
from gpusizer.performance.batch import Ask, predict_many
from gpusizer.performance.predict import predict
from gpusizer.performance.types import Load, Performance, PrefillPool
from gpusizer.planning.need import Need
from gpusizer.planning.request import Request

__all__ = ["OptionSpeeds", "load_of", "time_together"]


def load_of(request: Request, need: Need) -> Load:
    """The load that all replicas together serve: at a request rate where one is given, else at a concurrency."""
    tokens = {"input_tokens": need.input_tokens, "output_tokens": need.output_tokens}
    prefix = min(request.shared_prefix_tokens, need.input_tokens)
    if request.request_rate is not None:
        return Load(**tokens, request_rate_per_s=request.request_rate, shared_prefix_tokens=prefix, acceptance=request.acceptance)
    return Load(**tokens, concurrency=need.concurrency, shared_prefix_tokens=prefix, acceptance=request.acceptance)


@dataclass(frozen=True)
class OptionSpeeds:
    """Times and rates of one deployment.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of the deployment.
    ask : Ask
        Device, start, replicas and memory.
    load : Load
        What is asked of all replicas together.
    prefill : PrefillPool or None
        Workers beside them that only compute prompts.
    """

    architecture: Architecture
    ask: Ask
    load: Load
    prefill: PrefillPool | None = None

    @cached_property
    def performance(self) -> Performance | None:
        """At the load that is asked for; None for a device whose bandwidth nobody states."""
        return self._under(self.load)

    @cached_property
    def saturated(self) -> Performance | None:
        """With as many such requests as the cache holds."""
        return self._under(replace(self.load, concurrency=inf, request_rate_per_s=None))

    def under(self, load: Load) -> Performance | None:
        """At another load; at the one that is asked for the very figures of ``performance``."""
        return self.performance if load == self.load else self._under(load)

    def with_acceptance(self, share: float) -> Performance | None:
        """At the load that is asked for, if this share of the drafts is accepted."""
        return self._under(replace(self.load, acceptance=share))

    def _under(self, load: Load) -> Performance | None:
        if self.prefill is None:
            return predict_many(self.architecture, [self.ask], load)[0]
        device, deployment, replicas, fit = self.ask
        return predict(self.architecture, device, deployment, load, replicas=replicas, fit=fit, prefill=self.prefill)


def time_together(speeds: Iterable[OptionSpeeds]) -> None:
    """Work out the times of many options at once: the same figures as one by one, sooner."""
    alike: dict[tuple[int, Load], list[OptionSpeeds]] = {}
    for each in speeds:
        if each.prefill is None and "performance" not in vars(each):
            alike.setdefault((id(each.architecture), each.load), []).append(each)
    for group in alike.values():
        found = predict_many(group[0].architecture, [each.ask for each in group], group[0].load)
        for each, performance in zip(group, found, strict=True):
            vars(each)["performance"] = performance
