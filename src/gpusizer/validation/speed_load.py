"""What a measured run served: closed loop, arrivals at a rate, or a burst, with lengths and the length of the run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil, inf
from typing import Any

from gpusizer.performance.types import Load

__all__ = ["LARGE_BURST", "load_of", "regime_of"]

LARGE_BURST = 500  # requests sent at once from which a run is ruled by its queue alone
_UNTOLD_LENGTH = 300.0  # a case that gives neither length: short chat [tokens]
_PROMPTS_PER_CUSTOMER = 10  # length of a run where it is not said: clients send ten times as many prompts as may be in flight
_WIDEST = 10.0  # deviation of lengths over their mean that anybody's requests have
_NATURAL_SPREAD = 0.9  # lengths of real requests: standard deviation over mean (ShareGPT and the data sets of MLPerf: 0.8 to 1.1)


def load_of(row: Mapping[str, Any]) -> Load:
    """The load of a run.

    Parameters
    ----------
    row : mapping
        The case, with what rules filled in.

    Returns
    -------
    Load
        A fixed number in flight, a rate, or a burst, perhaps with the client's own limit on what is in flight.

    Examples
    --------
    >>> found = load_of({"isl": 1024, "osl": 128, "request_rate": "inf (burst of 1000 prompts)", "max_concurrency": 512})
    >>> found.burst, found.concurrency
    (1000.0, 512.0)
    >>> load_of({"isl": 1024, "osl": 128, "concurrency": 16, "num_prompts": 32}).first_burst_share
    0.5
    """
    isl, osl = _number(row.get("isl")), _number(row.get("osl"))
    scale = _number(row.get("length_scale")) or 1.0
    spread = _spread(row.get("length_spread"), [each for each in (isl, osl) if each])
    prompts = _of_client(row, "num_prompts")
    base = Load((isl or osl or _UNTOLD_LENGTH) * scale, (osl or isl or _UNTOLD_LENGTH) * scale, length_spread=spread, requests=prompts)
    concurrency, limit = _number(row.get("concurrency")), _of_client(row, "max_concurrency")
    if concurrency is not None:
        return _closed(base, concurrency)
    batch, rate = row.get("batch_size"), row.get("request_rate")
    if _number(batch) is not None:
        return _burst(base, float(batch or 0), limit)
    if _number(rate) is not None:
        return replace(base, request_rate_per_s=_number(rate))
    many = re.search(r"burst of (\d{1,9})", f"{str(batch or '')[:200]} {str(rate or '')[:200]}")
    if many and int(many[1]):
        return _burst(base, float(many[1]), limit)
    if limit is not None:
        return _closed(base, limit)
    if prompts is not None and str(rate or "").startswith("inf"):
        return _burst(base, prompts, None)
    return replace(base, concurrency=inf)


def regime_of(load: Load, *, disaggregated: bool = False) -> str:
    """What kind of run it was, for errors to be told apart: "disaggregated", "burst", "small-burst", "arrivals", "saturated" or "closed".

    >>> regime_of(Load(1000, 1000, burst=1000)), regime_of(Load(1000, 1000, burst=8)), regime_of(Load(1000, 1000, concurrency=8))
    ('burst', 'small-burst', 'closed')
    """
    if disaggregated:
        return "disaggregated"
    if load.burst is not None:
        return "burst" if load.burst >= LARGE_BURST else "small-burst"
    if load.request_rate_per_s is not None:
        return "arrivals"
    return "saturated" if load.concurrency == inf else "closed"


def _spread(told: Any, lengths: Sequence[float]) -> float:
    """As it is told, perhaps as nothing; else by whether somebody chose the lengths."""
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told <= _WIDEST:
        return float(told)
    return 0.0 if all(map(_round, lengths)) else _NATURAL_SPREAD


def _closed(base: Load, concurrency: float) -> Load:
    prompts = base.requests or _PROMPTS_PER_CUSTOMER * concurrency
    return replace(base, concurrency=concurrency, first_burst_share=min(concurrency / prompts, 1.0))


def _burst(base: Load, requests: float, limit: float | None) -> Load:
    return replace(base, burst=requests, concurrency=limit if limit is not None and limit < requests else None)


def _of_client(row: Mapping[str, Any], name: str) -> float | None:
    """A setting of the load generator: a field of the case, or one of its words about the client."""
    flags = row.get("flags")
    client = flags.get("client") if isinstance(flags, Mapping) else None
    words = client.get(name.replace("_", "-"), client.get(name)) if isinstance(client, Mapping) else None
    return _number(row.get(name)) or _number(words)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MOST else None


_TEMPLATE_TOKENS = 16
_SHORT = 110  # tokens below which nobody's lengths spread much
_MOST = 10**18  # of anything that is counted


def _round(tokens: float) -> bool:
    """A length that somebody chose: 128, 1000, 2048, a few tokens less, as clients cut them, or some more, as chat templates add them."""
    less = any(0 <= ceil(tokens / step) * step - tokens <= max(2, tokens * 0.003) for step in (500, 1024, 128))
    more = any(tokens > step and tokens % step <= _TEMPLATE_TOKENS for step in (1000, 1024))
    return less or more or tokens < _SHORT
