"""Requests of a simulation: when they come and how long they are, drawn from a seed or read from a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["ARRIVALS", "Requests", "drawn", "lengths"]

ARRIVALS = ("poisson", "constant", "burst", "closed")


class Requests(NamedTuple):
    """Requests in the order of their arrival.

    Parameters
    ----------
    arrival_s : sequence of float
        Moments of arrival; of a closed loop those of the first, the others come when one ends. [s]
    input_tokens, output_tokens : sequence of int
        Lengths. [tokens]
    clients : int
        Of a closed loop: requests in flight; 0 where all arrivals are given. [requests]
    """

    arrival_s: Sequence[float]
    input_tokens: Sequence[int]
    output_tokens: Sequence[int]
    clients: int = 0

    @property
    def offered_per_s(self) -> float | None:
        """Mean rate of arrival; None where all come at once or each waits for another. [requests/s]"""
        span = self.arrival_s[-1] - self.arrival_s[0] if not self.clients and len(self.arrival_s) > 1 else 0.0
        return (len(self.arrival_s) - 1) / span if span > 0 else None


def lengths(mean: float, spread: float, count: int, seed: int) -> list[int]:
    """Lengths about a mean, gamma-distributed with this standard deviation over the mean; all equal without. [tokens]"""
    if spread <= 0:
        return [max(round(mean), 1)] * count
    import numpy as np

    shape = 1.0 / spread**2
    drawn = np.random.default_rng(seed).gamma(shape, mean / shape, count)
    return [max(int(each), 1) for each in np.rint(drawn)]


def drawn(
    count: int,
    input_tokens: float,
    output_tokens: float,
    *,
    arrivals: str,
    pace: float = 0.0,
    spread: float = 0.0,
    seed: int = 0,
) -> Requests:
    """Requests of one kind.

    Parameters
    ----------
    count : int
        How many. [requests]
    input_tokens, output_tokens : float
        Mean lengths. [tokens]
    arrivals : str
        One of :data:`ARRIVALS`: random moments, equal distances, all at once, or a number of clients of which each waits for its answer.
    pace : float
        Mean rate of arrivals, or clients of a closed loop. [requests/s, requests]
    spread : float
        Standard deviation of lengths over their mean.
    seed : int
        The same gives the same requests.

    Returns
    -------
    Requests
        In the order of their arrival.

    Examples
    --------
    >>> drawn(3, 100, 10, arrivals="constant", pace=2.0).arrival_s
    [0.0, 0.5, 1.0]
    """
    moments = [0.0] * count
    if arrivals == "constant":
        moments = [number / pace for number in range(count)]
    elif arrivals == "poisson":
        import numpy as np

        gaps = np.random.default_rng(seed).exponential(1.0 / pace, count)
        gaps[0] = 0.0
        moments = np.cumsum(gaps).tolist()
    prompts = lengths(input_tokens, spread, count, seed + 1)
    answers = lengths(output_tokens, spread, count, seed + 2)
    return Requests(moments, prompts, answers, min(round(pace), count) if arrivals == "closed" else 0)
