"""What a request waits for before its first token, and how many decode meanwhile."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum, minimum, where
from gpusizer.formulas.queueing import burst_wait_seconds, closed_response_seconds

__all__ = [
    "admission_seconds",
    "closed_queue_seconds",
    "later_waves_seconds",
    "open_running_requests",
    "running_requests",
    "start_burst_seconds",
    "together_share",
    "ttft_seconds",
]


@formula(
    "serving.ttft",
    unit="s",
    symbols={
        "admission_s": "s",
        "prompt_s": "s",
        "queue_s": "s",
        "start_s": "s",
        "slot_s": "s",
        "step_wait_s": "s",
    },
    reference="what a request goes through before its first token, one after the other",
    example={"admission_s": 0.03, "prompt_s": 0.08, "queue_s": 0.05, "start_s": 0.0, "slot_s": 0.0, "step_wait_s": 0.006},
)
def ttft_seconds(*, admission_s: Any, prompt_s: Any, queue_s: Any, start_s: Any, slot_s: Any, step_wait_s: Any) -> Any:
    """Time to the first token.

    Parameters
    ----------
    admission_s : float
        Host work before the first step. [s]
    prompt_s : float
        The steps that carry the prompt. [s]
    queue_s : float
        Behind other prompts. [s]
    start_s : float
        Behind those that arrived together at the start of a measurement. [s]
    slot_s : float
        For a place in the cache. [s]
    step_wait_s : float
        For the step that runs to end. [s]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> ttft_seconds(admission_s=0.5, prompt_s=0.25, queue_s=0.0, start_s=0.0, slot_s=0.0, step_wait_s=0.125)
    0.875
    """
    return admission_s + prompt_s + queue_s + start_s + slot_s + step_wait_s


@formula(
    "serving.admission",
    unit="s",
    symbols={"admission_s": "s", "running": "requests", "stream_s": "s", "tpot_s": "s", "most": "share"},
    reference="processor sharing: L. Kleinrock, Queueing Systems 2, 1976, section 4.4; the server's process also hands over every token",
    example={"admission_s": 0.02, "running": 64, "stream_s": 5e-5, "tpot_s": 0.0128, "most": 0.98},
)
def admission_seconds(*, admission_s: Any, running: Any, stream_s: Any, tpot_s: Any, most: Any) -> Any:
    """Host work before the first step of a request, beside the tokens that the same process hands over.

    Parameters
    ----------
    admission_s : float
        With nothing beside it. [s]
    running : float
        Requests that decode. [requests]
    stream_s : float
        Handing over one token of one of them. [s]
    tpot_s : float
        Time between their tokens. [s]
    most : float
        Of the time that handing over takes: beyond, queues have no mean. [share]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> admission_seconds(admission_s=0.03, running=64, stream_s=5e-5, tpot_s=0.0128, most=0.98)
    0.04
    """
    return admission_s / (1 - minimum(running * stream_s / tpot_s, most))


@formula(
    "serving.together",
    unit="share",
    symbols={
        "shares_steps": "yes/no",
        "desynchronisation": "1/tokens",
        "spread": "share",
        "answer_steps": "tokens",
    },
    reference="equal answers end in one step and their successors' prompts stand in one queue; spread lengths pull them apart (fitted)",
    example={"shares_steps": False, "desynchronisation": 3.5, "spread": 0.1, "answer_steps": 255},
)
def together_share(*, shares_steps: Any, desynchronisation: Any, spread: Any, answer_steps: Any) -> Any:
    """Share of the requests that keep ending in the same step.

    Parameters
    ----------
    shares_steps : bool
        Whether prompts and decoding share a step. [yes/no]
    desynchronisation : float
        How fast spread lengths pull requests apart. [1/tokens]
    spread : float
        Standard deviation of lengths over their mean. [share]
    answer_steps : float
        Tokens of an answer after its first. [tokens]

    Returns
    -------
    float
        [share]

    Examples
    --------
    >>> together_share(shares_steps=False, desynchronisation=3.5, spread=0.0, answer_steps=255)
    1.0
    """
    return where(shares_steps, 0.0, 1.0) / (1 + desynchronisation * spread * answer_steps)


@formula(
    "serving.closed_queue",
    unit="s",
    symbols={
        "inside": "requests",
        "running": "requests",
        "answer_steps": "tokens",
        "served_s": "s",
        "think_s": "s",
        "prompt_s": "s",
        "together": "share",
        "shares_steps": "yes/no",
    },
    reference="mean value analysis where steps are shared; where prompts stop the others, those that ended in the same step are in front, and "
    "the rest of another's prompt",
    example={
        "inside": 64, "running": 60, "answer_steps": 255, "served_s": 0.05, "think_s": 5.0, "prompt_s": 0.1, "together": 0.0, "shares_steps": True,
    },
)  # fmt: skip
def closed_queue_seconds(
    *, inside: Any, running: Any, answer_steps: Any, served_s: Any, think_s: Any, prompt_s: Any, together: Any, shares_steps: Any
) -> Any:
    """Wait of a prompt behind others, at a fixed number of requests.

    Parameters
    ----------
    inside : float
        Requests that have a place. [requests]
    running : float
        Those of them that decode. [requests]
    answer_steps : float
        Tokens of an answer after its first. [tokens]
    served_s : float
        What one waiting prompt takes. [s]
    think_s : float
        Time of an answer. [s]
    prompt_s : float
        A step of a prompt that stops the others. [s]
    together : float
        Of the requests that end in the same step. [share]
    shares_steps : bool
        Whether prompts and decoding share a step. [yes/no]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> one = {"inside": 8, "running": 8, "answer_steps": 255, "served_s": 0.5, "think_s": 8.0, "together": 1.0, "shares_steps": False}
    >>> closed_queue_seconds(prompt_s=0.0, **one), closed_queue_seconds(prompt_s=0.5, **one)
    (1.75, 1.875)
    """
    mixed = closed_response_seconds(service_s=served_s, think_s=think_s, customers=inside) - served_s
    ending = maximum(inside * together, running / answer_steps, 1)
    behind = minimum(running * prompt_s / maximum(think_s, prompt_s), 1) * prompt_s / 2  # the rest of the prompt that is computed, if one is
    return where(shares_steps, mixed, burst_wait_seconds(requests=ending, service_s=served_s) + behind)


@formula(
    "serving.start_burst",
    unit="s",
    symbols={
        "share": "share",
        "together": "share",
        "inside": "requests",
        "served_s": "s",
    },
    reference="a client that holds a number of requests in flight sends them all at its start: some of the mean is their wait",
    example={"share": 0.1, "together": 0.0, "inside": 64, "served_s": 0.05},
)
def start_burst_seconds(*, share: Any, together: Any, inside: Any, served_s: Any) -> Any:
    """What the burst at the start of a measurement adds to the mean wait.

    Parameters
    ----------
    share : float
        Of the requests of a measurement that arrive together when it begins. [share]
    together : float
        Of the requests that end in the same step anyway. [share]
    inside : float
        Requests that have a place. [requests]
    served_s : float
        What one waiting prompt takes. [s]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> start_burst_seconds(share=0.125, together=0.0, inside=9, served_s=0.5)
    0.25
    """
    return share * (1 - together) * burst_wait_seconds(requests=inside, service_s=served_s)


@formula(
    "serving.running",
    unit="requests",
    symbols={
        "inside": "requests",
        "think_s": "s",
        "response_s": "s",
    },
    reference="J. D. C. Little, 1961: shares of the time are shares of the requests",
    example={"inside": 64, "think_s": 3.0, "response_s": 1.0},
)
def running_requests(*, inside: Any, think_s: Any, response_s: Any) -> Any:
    """Requests that decode at any moment, at a fixed number.

    Parameters
    ----------
    inside : float
        Requests that have a place. [requests]
    think_s : float
        Time of an answer. [s]
    response_s : float
        Time until it starts. [s]

    Returns
    -------
    float
        [requests]

    Examples
    --------
    >>> running_requests(inside=64, think_s=3.0, response_s=1.0)
    48.0
    """
    return inside * think_s / (think_s + response_s)


@formula(
    "serving.later_waves",
    unit="s",
    symbols={
        "requests": "requests",
        "sent": "requests",
        "inside": "requests",
        "each_s": "s",
    },
    reference="whoever finds no place starts when one ends: they end as fast as requests are served; a client that holds some back sends one "
    "for each that ends",
    example={"requests": 200, "sent": 200, "inside": 100, "each_s": 0.5},
)
def later_waves_seconds(*, requests: Any, sent: Any, inside: Any, each_s: Any) -> Any:
    """Mean wait for a place in a burst.

    Parameters
    ----------
    requests : float
        Of the burst. [requests]
    sent : float
        That the client sends at once; the others as places become free. [requests]
    inside : float
        That have a place. [requests]
    each_s : float
        Between two that end. [s]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> later_waves_seconds(requests=100, sent=100, inside=100, each_s=0.5), later_waves_seconds(requests=200, sent=200, inside=100, each_s=0.5)
    (0.0, 37.5)

    Nobody waits at the server where the client holds back what has no place.

    >>> later_waves_seconds(requests=200, sent=100, inside=100, each_s=0.5)
    0.0
    """
    first = (sent - inside) * (sent + inside) / 2
    return (first + (requests - sent) * (sent - inside)) / requests * each_s


@formula(
    "serving.open_running",
    unit="requests",
    symbols={
        "request_rate_per_s": "requests/s",
        "answer_steps": "tokens",
        "tpot_s": "s",
        "places": "requests",
    },
    reference="Little's law for those that decode",
    example={"request_rate_per_s": 4.0, "answer_steps": 255, "tpot_s": 0.012, "places": 256},
)
def open_running_requests(*, request_rate_per_s: Any, answer_steps: Any, tpot_s: Any, places: Any) -> Any:
    """Requests that decode while others arrive at random moments.

    Parameters
    ----------
    request_rate_per_s : float
        That arrive. [requests/s]
    answer_steps : float
        Tokens of an answer after its first. [tokens]
    tpot_s : float
        Time between tokens. [s]
    places : float
        That run together at most. [requests]

    Returns
    -------
    float
        [requests]

    Examples
    --------
    >>> open_running_requests(request_rate_per_s=4.0, answer_steps=256, tpot_s=0.03125, places=256)
    32.0
    """
    return minimum(request_rate_per_s * answer_steps * tpot_s, places)
