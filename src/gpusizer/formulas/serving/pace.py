"""The pace of answers: between tokens on average, of the slowest, beside and between prompts."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum, minimum, where

__all__ = [
    "answer_delay_seconds",
    "blended",
    "burst_pace_seconds",
    "pace_alone_seconds",
    "shared_pace_seconds",
    "slow_pace_seconds",
    "tokens_beside_prompts",
]


@formula(
    "serving.tpot",
    unit="s",
    symbols={
        "mean_s": "s",
        "full_step_s": "s",
        "decode_step_s": "s",
        "tokens_per_step": "tokens",
        "stream_s": "s",
        "shares_steps": "yes/no",
    },
    reference="a shared step is never longer than one full of prompts; tokens are handed over one by one",
    example={"mean_s": 0.02, "full_step_s": 0.3, "decode_step_s": 0.012, "tokens_per_step": 1, "stream_s": 0.001, "shares_steps": True},
)
def shared_pace_seconds(*, mean_s: Any, full_step_s: Any, decode_step_s: Any, tokens_per_step: Any, stream_s: Any, shares_steps: Any) -> Any:
    """Mean time between tokens.

    Parameters
    ----------
    mean_s : float
        Time between tokens if every prompt delayed every answer. [s]
    full_step_s : float
        A step filled with prompts. [s]
    decode_step_s : float
        A step without prompts. [s]
    tokens_per_step : float
        Tokens that a step yields for a sequence. [tokens]
    stream_s : float
        Host work to hand over one token of all sequences. [s]
    shares_steps : bool
        Whether prompts and decoding share a step. [yes/no]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> shared_pace_seconds(mean_s=0.5, full_step_s=0.25, decode_step_s=0.125, tokens_per_step=1, stream_s=0.0, shares_steps=True)
    0.25
    """
    most = maximum(full_step_s, decode_step_s) / tokens_per_step
    return maximum(where(shares_steps, minimum(mean_s, most), mean_s), stream_s)


@formula(
    "serving.tpot_slow",
    unit="s",
    symbols={
        "tpot_s": "s",
        "prompt_added_s": "s",
        "running": "requests",
        "spread": "share",
        "output_tokens": "tokens",
        "deviations": "standard deviations",
    },
    reference="the number of prompts that fall into the time of an answer is a Poisson variable, and some contexts are longer",
    example={"tpot_s": 0.02, "prompt_added_s": 0.05, "running": 64, "spread": 0.0, "output_tokens": 256, "deviations": 1.645},
)
def slow_pace_seconds(*, tpot_s: Any, prompt_added_s: Any, running: Any, spread: Any, output_tokens: Any, deviations: Any) -> Any:
    """Time between tokens of the slowest requests.

    Parameters
    ----------
    tpot_s : float
        Mean time between tokens. [s]
    prompt_added_s : float
        What one prompt adds. [s]
    running : float
        Requests that decode together. [requests]
    spread : float
        Standard deviation of lengths over their mean. [share]
    output_tokens : float
        Of one answer. [tokens]
    deviations : float
        How far in the tail. [standard deviations]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> slow_pace_seconds(tpot_s=0.5, prompt_added_s=0.0, running=64, spread=0.0, output_tokens=256, deviations=1.645)
    0.5
    """
    more = deviations * maximum(running, 1e-9) ** 0.5 * (1 + spread)
    return tpot_s + minimum(more * prompt_added_s / maximum(output_tokens, 1), tpot_s)


@formula(
    "serving.pace_alone",
    unit="s",
    symbols={
        "decode_step_s": "s",
        "tokens_per_step": "tokens",
        "stream_s": "s",
    },
    reference="between prompts a step follows a step, unless tokens are handed over more slowly",
    example={"decode_step_s": 0.012, "tokens_per_step": 1, "stream_s": 0.001},
)
def pace_alone_seconds(*, decode_step_s: Any, tokens_per_step: Any, stream_s: Any) -> Any:
    """Time between tokens while no prompt is computed.

    Parameters
    ----------
    decode_step_s : float
        A step without prompts. [s]
    tokens_per_step : float
        Tokens that a step yields for a sequence. [tokens]
    stream_s : float
        Host work to hand over one token of all sequences. [s]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> pace_alone_seconds(decode_step_s=0.5, tokens_per_step=2, stream_s=0.0)
    0.25
    """
    return maximum(decode_step_s / tokens_per_step, stream_s)


@formula(
    "serving.tokens_beside_prompts",
    unit="tokens",
    symbols={
        "others": "requests",
        "served_s": "s",
        "full_step_s": "s",
        "output_tokens": "tokens",
    },
    reference="a request sees half of the others' prompts go by, in full steps",
    example={"others": 64, "served_s": 0.0625, "full_step_s": 0.5, "output_tokens": 256},
)
def tokens_beside_prompts(*, others: Any, served_s: Any, full_step_s: Any, output_tokens: Any) -> Any:
    """Tokens that a request of a burst yields while prompts still run.

    Parameters
    ----------
    others : float
        Requests that start together with it. [requests]
    served_s : float
        What one waiting prompt takes. [s]
    full_step_s : float
        A step filled with prompts. [s]
    output_tokens : float
        Of one answer. [tokens]

    Returns
    -------
    float
        [tokens]

    Examples
    --------
    >>> tokens_beside_prompts(others=64, served_s=0.0625, full_step_s=0.5, output_tokens=256)
    4.0
    """
    return minimum(others * served_s / 2 / maximum(full_step_s, 1e-9), output_tokens)


@formula(
    "serving.answer_delay",
    unit="s",
    symbols={
        "prompts": "requests",
        "served_s": "s",
        "output_tokens": "tokens",
        "spread": "share",
        "weight": "factor",
    },
    reference="time that stands still, by token; the mean over requests weighs those with few tokens more (weight fitted)",
    example={"prompts": 32, "served_s": 0.05, "output_tokens": 256, "spread": 0.9, "weight": 5.0},
)
def answer_delay_seconds(*, prompts: Any, served_s: Any, output_tokens: Any, spread: Any, weight: Any) -> Any:
    """What prompts of others add to a token where steps are not shared.

    Parameters
    ----------
    prompts : float
        Whose prompts stop an answer. [requests]
    served_s : float
        What one of them takes. [s]
    output_tokens : float
        Of one answer. [tokens]
    spread : float
        Standard deviation of lengths over their mean. [share]
    weight : float
        Of short answers in the mean over requests. [factor]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> answer_delay_seconds(prompts=32, served_s=0.25, output_tokens=256, spread=0.0, weight=3.0)
    0.03125
    """
    return prompts * served_s / output_tokens * (1 + weight * spread**2)


@formula(
    "serving.burst_pace",
    unit="s",
    symbols={
        "alone_s": "s",
        "full_step_s": "s",
        "beside_tokens": "tokens",
        "delayed_s": "s",
        "output_tokens": "tokens",
        "shares_steps": "yes/no",
    },
    reference="all start together: some tokens come beside prompts in full steps, or all stand still while prompts are computed",
    example={"alone_s": 0.012, "full_step_s": 0.3, "beside_tokens": 4, "delayed_s": 0.01, "output_tokens": 256, "shares_steps": True},
)
def burst_pace_seconds(*, alone_s: Any, full_step_s: Any, beside_tokens: Any, delayed_s: Any, output_tokens: Any, shares_steps: Any) -> Any:
    """Mean time between tokens of a burst that runs together.

    Parameters
    ----------
    alone_s : float
        Time between tokens while no prompt is computed. [s]
    full_step_s : float
        A step filled with prompts. [s]
    beside_tokens : float
        Tokens that come beside prompts. [tokens]
    delayed_s : float
        What standing still for prompts adds to a token. [s]
    output_tokens : float
        Of one answer. [tokens]
    shares_steps : bool
        Whether prompts and decoding share a step. [yes/no]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> burst_pace_seconds(alone_s=0.25, full_step_s=0.5, beside_tokens=64, delayed_s=0.0, output_tokens=256, shares_steps=True)
    0.3125
    """
    beside = (beside_tokens * maximum(full_step_s, alone_s) + (output_tokens - beside_tokens) * alone_s) / output_tokens
    return where(shares_steps, beside, alone_s + delayed_s)


@formula(
    "serving.blend",
    unit="s",
    symbols={
        "first": "s",
        "later": "s",
        "again": "share",
    },
    reference="between one wave and two, in a straight line",
    example={"first": 0.014, "later": 0.02, "again": 0.5},
)
def blended(*, first: Any, later: Any, again: Any) -> Any:
    """Between a burst that runs together and one that comes in waves.

    Parameters
    ----------
    first : float
        Where all run together. [s]
    later : float
        Where places are filled anew. [s]
    again : float
        0 with a single wave, 1 with two and more. [share]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> blended(first=1.0, later=3.0, again=0.5)
    2.0
    """
    return first * (1 - again) + later * again
