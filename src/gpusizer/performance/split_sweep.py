"""Many pairs of prefill and decode workers at once: the same loop as of one pair, on columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.types import Accelerator
from gpusizer.performance.batch import columns, rows_of
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.constants import speed_constants
from gpusizer.performance.links import network_bytes_per_s
from gpusizer.performance.served_rank import ServedRank
from gpusizer.performance.set_up import set_up
from gpusizer.performance.split_serving import Handover, split_loop
from gpusizer.performance.types import Load

__all__ = ["SplitAsk", "SplitSweep"]

ROUNDS = 8  # of the search for the requests in flight at a rate
SETTLED = 0.02  # of the rate
MOST_IN_FLIGHT = 1e7  # where more arrives than is served, they grow without end


class SplitAsk(NamedTuple):
    """One pair of pools: device, a decode worker with its memory and how many there are, a prefill worker and how many of those."""

    accelerator: Accelerator
    decode: Deployment
    fit: Fit
    decoders: int
    prefill: Deployment
    prefillers: int


class SplitSweep:
    """Pairs of pools of one model under one load, computed together; figures are columns in the order of the pairs.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of all.
    asks : sequence of SplitAsk
        The pairs, of devices whose speed is known.
    load : Load
        What each pair serves as a whole: a number of requests in flight, or a rate.

    Attributes
    ----------
    ttft_s, tpot_s, output_tokens_per_s, in_flight : array
        Times, rate of the whole pair, requests in flight.
    holds_rate : array
        Whether what arrives is served; true without a rate.
    """

    def __init__(self, architecture: Architecture, asks: Sequence[SplitAsk], load: Load) -> None:
        import numpy as np

        ranks: list[ServedRank] = []
        places: dict[tuple[str, int], int] = {}
        rows: dict[str, list[int]] = {"decode": [], "prefill": []}
        for ask in asks:
            for role, deployment in (("decode", ask.decode), ("prefill", ask.prefill)):
                key = (role, id(deployment))
                if key not in places:
                    fit = ask.fit if role == "decode" else memory_answer(architecture, ask.accelerator, deployment, load)
                    places[key] = len(ranks)
                    ranks.append(set_up(architecture, ask.accelerator, fit, load))
                rows[role].append(places[key])
        together = columns(ranks)
        self._decode, self._prefill = (rows_of(together, np.array(rows[role])) for role in ("decode", "prefill"))
        self._decode_ranks = np.array([float(ask.decoders * ask.decode.dp) for ask in asks])
        self._prefill_ranks = np.array([float(ask.prefillers * ask.prefill.dp) for ask in asks])
        constants = speed_constants()
        self._handover = Handover(load.input_tokens, constants.of("split_wait", "all"), network_bytes_per_s(constants))
        rate = load.request_rate_per_s
        if rate is None:
            self.in_flight = np.full(len(asks), float(load.concurrency or 1.0))
            self.holds_rate = np.ones(len(asks), bool)
            self._serve()
        else:
            self._settle(np, rate, load.output_tokens)

    def _serve(self) -> None:
        found = split_loop(self._decode, self._decode_ranks, self._prefill, self._prefill_ranks, self.in_flight, self._handover)
        self.ttft_s, self.tpot_s = found.ttft_s, found.tpot_s
        self.output_tokens_per_s = found.output_tokens_per_s * self._decode_ranks

    def _settle(self, np: Any, rate: float, output_tokens: float) -> None:
        """Requests in flight where a rate arrives: what a loop of so many serves is the rate (Little's law)."""
        self.in_flight = np.ones(len(self._decode_ranks))
        for _ in range(ROUNDS):
            self._serve()
            self.in_flight = np.clip(rate * (self.ttft_s + self.tpot_s * (output_tokens - 1)), 1.0, MOST_IN_FLIGHT)
        self._serve()
        served = self.output_tokens_per_s / output_tokens
        self.holds_rate = (served >= rate * (1 - SETTLED)) | (self.in_flight <= 1.0)
