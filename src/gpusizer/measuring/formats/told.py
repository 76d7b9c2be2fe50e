"""What whoever reads a file adds, where the file is silent."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ToldLoad"]


class ToldLoad(NamedTuple):
    """Lengths and concurrency that some files do not hold.

    Parameters
    ----------
    input_tokens, output_tokens : float or None
        Of a request. [tokens]
    concurrency : float or None
        Requests in flight, or of the batch. [requests]
    """

    input_tokens: float | None = None
    output_tokens: float | None = None
    concurrency: float | None = None
