"""One measured run, whoever measured it: what was asked of the server, and what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpusizer.architecture.types import Notice

__all__ = ["MeasuredRun"]


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One run; what nobody said is None or empty.

    Parameters
    ----------
    tool : str
        What measured it.
    input_tokens, output_tokens : float or None
        Mean lengths. [tokens]
    concurrency : float or None
        Requests that the client kept in flight. [requests]
    request_rate_per_s : float or None
        Arrivals. [requests/s]
    burst : float or None
        Requests that were all sent at once. [requests]
    requests : float or None
        Of the whole run. [requests]
    length_spread : float or None
        Standard deviation of lengths over their mean.
    ttft_s, tpot_s, e2e_s : float or None
        Means over the requests. [s]
    output_tokens_per_s : float or None
        Of all requests together. [tokens/s]
    percentiles_s : mapping of str to float
        Further times by name: ``ttft_p50``, ``tpot_p99``. [s]
    model, gpu, gpu_count, engine, engine_version, precision, date : str or int or None
        As far as the file says.
    flags : mapping
        Launch flags that the file tells, without dashes in front.
    notices : tuple of Notice
        What must be said of the figures.
    """

    tool: str
    input_tokens: float | None = None
    output_tokens: float | None = None
    concurrency: float | None = None
    request_rate_per_s: float | None = None
    burst: float | None = None
    requests: float | None = None
    length_spread: float | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None
    output_tokens_per_s: float | None = None
    percentiles_s: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    gpu: str = ""
    gpu_count: int | None = None
    engine: str = ""
    engine_version: str = ""
    precision: str = ""
    date: str = ""
    flags: Mapping[str, object] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether any speed was seen at all."""
        return any(each is not None for each in (self.ttft_s, self.tpot_s, self.output_tokens_per_s))
