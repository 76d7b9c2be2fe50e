"""Tokens a second, at a fixed number of requests, of a burst, of arrivals."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum
from gpusizer.formulas.latency import request_seconds

__all__ = [
    "burst_rate_tokens_per_s",
    "closed_rate_tokens_per_s",
    "deployment_rate_tokens_per_s",
    "longest_answers_seconds",
    "many_waves_seconds",
    "open_rate_tokens_per_s",
    "single_wave_seconds",
]


@formula(
    "serving.closed_rate",
    unit="tokens/s",
    symbols={
        "requests": "requests",
        "ttft_s": "s",
        "tpot_s": "s",
        "output_tokens": "tokens",
    },
    reference="Little's law: each of a fixed number of requests yields its answer once in its time",
    example={"requests": 64, "ttft_s": 0.2, "tpot_s": 0.012, "output_tokens": 1024},
)
def closed_rate_tokens_per_s(*, requests: Any, ttft_s: Any, tpot_s: Any, output_tokens: Any) -> Any:
    """Tokens of all requests in flight.

    Parameters
    ----------
    requests : float
        In flight. [requests]
    ttft_s : float
        Time to the first token. [s]
    tpot_s : float
        Time between tokens. [s]
    output_tokens : float
        Of one answer. [tokens]

    Returns
    -------
    float
        [tokens/s]

    Examples
    --------
    >>> closed_rate_tokens_per_s(requests=8, ttft_s=0.5, tpot_s=0.0078125, output_tokens=65)
    520.0
    """
    return requests * output_tokens / request_seconds(ttft_s=ttft_s, tpot_s=tpot_s, output_tokens=output_tokens)


@formula(
    "serving.deployment_rate",
    unit="tokens/s",
    symbols={
        "rank_rate": "tokens/s",
        "ranks": "ranks",
        "busy_share": "share",
    },
    reference="ranks serve side by side",
    example={"rank_rate": 500.0, "ranks": 8, "busy_share": 1.0},
)
def deployment_rate_tokens_per_s(*, rank_rate: Any, ranks: Any, busy_share: Any) -> Any:
    """Tokens of the whole deployment.

    Parameters
    ----------
    rank_rate : float
        Of one data-parallel rank. [tokens/s]
    ranks : float
        Data-parallel ranks of all replicas. [ranks]
    busy_share : float
        Of the ranks that have a request. [share]

    Returns
    -------
    float
        [tokens/s]

    Examples
    --------
    >>> deployment_rate_tokens_per_s(rank_rate=500.0, ranks=8, busy_share=0.5)
    2000.0
    """
    return rank_rate * ranks * busy_share


@formula(
    "serving.single_wave",
    unit="s",
    symbols={
        "others": "requests",
        "served_s": "s",
        "own_s": "s",
        "decode_s": "s",
        "beside_s": "s",
    },
    reference="first the prompts, then what is left of the longest answers",
    example={"others": 63, "served_s": 0.05, "own_s": 0.06, "decode_s": 4.0, "beside_s": 1.0},
)
def single_wave_seconds(*, others: Any, served_s: Any, own_s: Any, decode_s: Any, beside_s: Any) -> Any:
    """From the first prompt to the last token of a burst that runs together.

    Parameters
    ----------
    others : float
        Requests of the burst beside one. [requests]
    served_s : float
        What one waiting prompt takes. [s]
    own_s : float
        What a prompt takes alone. [s]
    decode_s : float
        The longest answers, alone. [s]
    beside_s : float
        Of that time which passed beside prompts. [s]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> single_wave_seconds(others=63, served_s=0.25, own_s=0.25, decode_s=4.0, beside_s=1.0)
    19.0
    """
    return others * served_s + own_s + maximum(decode_s - beside_s, 0)


@formula(
    "serving.many_waves",
    unit="s",
    symbols={
        "requests": "requests",
        "each_s": "s",
        "decode_s": "s",
        "last_share": "share",
    },
    reference="places are filled anew until nobody waits, then the last ones end",
    example={"requests": 200, "each_s": 0.25, "decode_s": 4.0, "last_share": 0.5},
)
def many_waves_seconds(*, requests: Any, each_s: Any, decode_s: Any, last_share: Any) -> Any:
    """From the first prompt to the last token of a burst that comes in waves.

    Parameters
    ----------
    requests : float
        Of the burst. [requests]
    each_s : float
        Between two that end. [s]
    decode_s : float
        The longest answers, alone. [s]
    last_share : float
        Of an answer that the last wave adds. [share]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> many_waves_seconds(requests=200, each_s=0.25, decode_s=4.0, last_share=0.5)
    52.0
    """
    return requests * each_s + decode_s * last_share


@formula(
    "serving.longest_answers",
    unit="s",
    symbols={
        "answer_steps": "tokens",
        "pace_s": "s",
        "spread": "share",
        "weight": "factor",
        "waves": "waves",
        "requests": "requests",
    },
    reference="the longest of spread answers end last (weight fitted); over several waves they even out, and one answer is its own longest",
    example={"answer_steps": 255, "pace_s": 0.012, "spread": 0.9, "weight": 2.5, "waves": 1, "requests": 64},
)
def longest_answers_seconds(*, answer_steps: Any, pace_s: Any, spread: Any, weight: Any, waves: Any, requests: Any) -> Any:
    """Decoding of the longest answers of a burst.

    Parameters
    ----------
    answer_steps : float
        Tokens of an answer after its first, on average. [tokens]
    pace_s : float
        Time between tokens while no prompt is computed. [s]
    spread : float
        Standard deviation of lengths over their mean. [share]
    weight : float
        Of long answers. [factor]
    waves : float
        In which the burst comes. [waves]
    requests : float
        That run together. [requests]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> longest_answers_seconds(answer_steps=256, pace_s=0.25, spread=0.9, weight=2.5, waves=1, requests=1)
    64.0
    """
    return answer_steps * pace_s * (1 + spread * weight / waves * (1 - 1 / requests))


@formula(
    "serving.burst_rate",
    unit="tokens/s",
    symbols={
        "requests": "requests",
        "output_tokens": "tokens",
        "span_s": "s",
        "start_s": "s",
    },
    reference="all tokens over the whole time",
    example={"requests": 64, "output_tokens": 256, "span_s": 31.5, "start_s": 0.5},
)
def burst_rate_tokens_per_s(*, requests: Any, output_tokens: Any, span_s: Any, start_s: Any) -> Any:
    """Tokens of a burst.

    Parameters
    ----------
    requests : float
        Of the burst. [requests]
    output_tokens : float
        Of one answer. [tokens]
    span_s : float
        From the first prompt to the last token. [s]
    start_s : float
        Host work before it. [s]

    Returns
    -------
    float
        [tokens/s]

    Examples
    --------
    >>> burst_rate_tokens_per_s(requests=64, output_tokens=256, span_s=31.5, start_s=0.5)
    512.0
    """
    return requests * output_tokens / (span_s + start_s)


@formula(
    "serving.open_rate",
    unit="tokens/s",
    symbols={
        "request_rate_per_s": "requests/s",
        "output_tokens": "tokens",
    },
    reference="what arrives and is served leaves",
    example={"request_rate_per_s": 4.0, "output_tokens": 256},
)
def open_rate_tokens_per_s(*, request_rate_per_s: Any, output_tokens: Any) -> Any:
    """Tokens while requests arrive at a rate.

    Parameters
    ----------
    request_rate_per_s : float
        That are served. [requests/s]
    output_tokens : float
        Of one answer. [tokens]

    Returns
    -------
    float
        [tokens/s]

    Examples
    --------
    >>> open_rate_tokens_per_s(request_rate_per_s=4.0, output_tokens=256)
    1024.0
    """
    return request_rate_per_s * output_tokens
