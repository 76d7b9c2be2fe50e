"""What a prompt takes: room in a step, its own steps, what it adds to the time of the others."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.compute import chunk_count
from gpusizer.formulas.core import formula, maximum, where

__all__ = [
    "prompt_added_seconds",
    "prompt_own_seconds",
    "prompt_room_tokens",
    "prompt_share_seconds",
    "prompts_together",
]


@formula(
    "serving.prompt_room",
    unit="tokens",
    symbols={
        "budget_tokens": "tokens",
        "decoding": "tokens",
        "shares_steps": "yes/no",
        "least_share": "share",
    },
    reference="vllm-project/vllm vllm/v1/core/sched/scheduler.py: what decodes is scheduled first, prompts take what is left of the budget",
    example={"budget_tokens": 8192, "decoding": 192, "shares_steps": True, "least_share": 0.25},
)
def prompt_room_tokens(*, budget_tokens: Any, decoding: Any, shares_steps: Any, least_share: Any) -> Any:
    """Tokens of a step that prompts may take.

    Parameters
    ----------
    budget_tokens : float
        Most tokens of a step. [tokens]
    decoding : float
        Tokens that decode or are checked in it. [tokens]
    shares_steps : bool
        Whether prompts and decoding share a step. [yes/no]
    least_share : float
        Of the budget that prompts always have. [share]

    Returns
    -------
    float
        [tokens]

    Examples
    --------
    >>> prompt_room_tokens(budget_tokens=8192, decoding=192, shares_steps=True, least_share=0.25)
    8000
    """
    return maximum(budget_tokens - where(shares_steps, decoding, 0.0), budget_tokens * least_share)


@formula(
    "serving.prompts_together",
    unit="requests",
    symbols={
        "running": "requests",
        "tokens_per_step": "tokens",
        "stages": "stages",
        "output_tokens": "tokens",
    },
    reference="as many prompts start in a step as requests end in it, one at least",
    example={"running": 256, "tokens_per_step": 1, "stages": 1, "output_tokens": 128},
)
def prompts_together(*, running: Any, tokens_per_step: Any, stages: Any, output_tokens: Any) -> Any:
    """Prompts that start in the same step.

    Parameters
    ----------
    running : float
        Requests that decode. [requests]
    tokens_per_step : float
        Tokens that a step yields for one of them. [tokens]
    stages : float
        Pipeline stages: each has a share of them in its step. [stages]
    output_tokens : float
        Of one answer. [tokens]

    Returns
    -------
    float
        [requests]

    Examples
    --------
    >>> prompts_together(running=256, tokens_per_step=1, stages=1, output_tokens=128)
    2.0
    """
    return maximum(1, running * tokens_per_step / stages / maximum(output_tokens, 1))


@formula(
    "serving.prompt_added",
    unit="s",
    symbols={
        "chunks": "steps",
        "prompt_step_s": "s",
        "decode_step_s": "s",
        "shares_steps": "yes/no",
        "stages": "stages",
        "prompts": "requests",
        "least_share": "share",
    },
    reference="what decodes would have had its step anyway",
    example={"chunks": 2, "prompt_step_s": 0.1, "decode_step_s": 0.02, "shares_steps": True, "stages": 1, "prompts": 1, "least_share": 0.02},
)
def prompt_added_seconds(
    *, chunks: Any, prompt_step_s: Any, decode_step_s: Any, shares_steps: Any, stages: Any, prompts: Any, least_share: Any
) -> Any:
    """What one prompt adds to the time of the others.

    Parameters
    ----------
    chunks : float
        Steps that carry the prompts which start together. [steps]
    prompt_step_s : float
        One of them. [s]
    decode_step_s : float
        A step without prompts. [s]
    shares_steps : bool
        Whether prompts and decoding share a step. [yes/no]
    stages : float
        Pipeline stages, which work on different prompts. [stages]
    prompts : float
        Prompts that start together. [requests]
    least_share : float
        Of its own step that a prompt always adds. [share]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> prompt_added_seconds(chunks=2, prompt_step_s=0.5, decode_step_s=0.25, shares_steps=True, stages=1, prompts=1, least_share=0.02)
    0.5
    """
    own = chunks * prompt_step_s
    return maximum(own - where(shares_steps, chunks * decode_step_s, 0.0), own * least_share) / stages / prompts


@formula(
    "serving.prompt_share",
    unit="s",
    symbols={
        "prompt_tokens": "tokens",
        "room_tokens": "tokens",
        "full_step_s": "s",
        "stages": "stages",
    },
    reference="a queue of prompts is served in full steps: each takes its share of them",
    example={"prompt_tokens": 1024, "room_tokens": 8192, "full_step_s": 0.5, "stages": 1},
)
def prompt_share_seconds(*, prompt_tokens: Any, room_tokens: Any, full_step_s: Any, stages: Any) -> Any:
    """What one of many waiting prompts takes.

    Parameters
    ----------
    prompt_tokens : float
        Of one prompt. [tokens]
    room_tokens : float
        That a step has for prompts. [tokens]
    full_step_s : float
        A step filled with prompts. [s]
    stages : float
        Pipeline stages. [stages]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> prompt_share_seconds(prompt_tokens=1024, room_tokens=8192, full_step_s=0.5, stages=1)
    0.0625
    """
    return prompt_tokens / room_tokens * full_step_s / stages


@formula(
    "serving.prompt_own",
    unit="s",
    symbols={
        "prompt_tokens": "tokens",
        "room_tokens": "tokens",
        "prompt_step_s": "s",
    },
    reference="a prompt longer than the room of a step takes several",
    example={"prompt_tokens": 16384, "room_tokens": 8192, "prompt_step_s": 0.25},
)
def prompt_own_seconds(*, prompt_tokens: Any, room_tokens: Any, prompt_step_s: Any) -> Any:
    """The steps that carry one prompt while no other waits.

    Parameters
    ----------
    prompt_tokens : float
        Of one prompt. [tokens]
    room_tokens : float
        That a step has for prompts. [tokens]
    prompt_step_s : float
        A step that carries a piece of it. [s]

    Returns
    -------
    float
        [s]

    Examples
    --------
    >>> prompt_own_seconds(prompt_tokens=16384, room_tokens=8192, prompt_step_s=0.25)
    0.5
    """
    return chunk_count(prompt_tokens=prompt_tokens, chunk_tokens=room_tokens) * prompt_step_s
