"""Limits of one step of vLLM: tokens and requests of its batch, what is in flight, captured sizes."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import floor_div, formula, maximum, minimum, where

__all__ = [
    "batch_requests",
    "batch_tokens",
    "captured_limit",
    "captured_sizes",
    "in_flight_tokens",
    "profiled_images",
]


@formula(
    "memory.steps.batch_tokens",
    unit="tokens",
    symbols={"default_tokens": "tokens", "default_requests": "requests", "context_tokens": "tokens"},
    reference="vllm-project/vllm@4ba787ec9: vllm/engine/arg_utils.py, _set_default_max_num_seqs_and_batched_tokens_args",
    example={"default_tokens": 8192, "default_requests": 1024, "context_tokens": 4096},
)
def batch_tokens(*, default_tokens: Any, default_requests: Any, context_tokens: Any) -> Any:
    """Most tokens of a step where nobody says: the default of the device, and never more than all requests hold.

    Parameters
    ----------
    default_tokens, default_requests : int
        Defaults of a server on this device. [tokens, requests]
    context_tokens : int
        Longest request. [tokens]

    Returns
    -------
    int
        Tokens. [tokens]

    Examples
    --------
    >>> batch_tokens(default_tokens=8192, default_requests=1024, context_tokens=4096)
    8192
    """
    return maximum(minimum(default_tokens, default_requests * context_tokens), 1)


@formula(
    "memory.steps.batch_requests",
    unit="requests",
    symbols={"default_requests": "requests", "step_tokens": "tokens"},
    reference="vllm-project/vllm@4ba787ec9: vllm/engine/arg_utils.py: a step has a token of each request at least",
    example={"default_requests": 1024, "step_tokens": 8192},
)
def batch_requests(*, default_requests: Any, step_tokens: Any) -> Any:
    """Most requests that run together.

    Parameters
    ----------
    default_requests : int
        Asked for, or the default of the device. [requests]
    step_tokens : int
        Most tokens of a step. [tokens]

    Returns
    -------
    int
        Requests. [requests]

    Examples
    --------
    >>> batch_requests(default_requests=1024, step_tokens=8192)
    1024
    """
    return minimum(default_requests, step_tokens)


@formula(
    "memory.steps.in_flight",
    unit="tokens",
    symbols={"step_tokens": "tokens", "pp": "stages"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/core/sched: a batch for each stage, and one that is prepared",
    example={"step_tokens": 8192, "pp": 1},
)
def in_flight_tokens(*, step_tokens: Any, pp: Any) -> Any:
    """Tokens that may be scheduled before a window gives blocks back.

    Parameters
    ----------
    step_tokens : int
        Most tokens of a step. [tokens]
    pp : int
        Pipeline stages. [stages]

    Returns
    -------
    int
        Tokens. [tokens]

    Examples
    --------
    >>> in_flight_tokens(step_tokens=8192, pp=1)
    16384
    """
    return step_tokens * (pp + 1)


@formula(
    "memory.steps.captured_limit",
    unit="requests",
    symbols={"requests": "requests", "drafts": "tokens", "most": "requests"},
    reference="vllm-project/vllm@4ba787ec9: vllm/config/vllm.py, _set_cudagraph_sizes",
    example={"requests": 256, "drafts": 0, "most": 512},
)
def captured_limit(*, requests: Any, drafts: Any, most: Any) -> Any:
    """Largest batch that is captured.

    Parameters
    ----------
    requests : int
        Most requests of a step. [requests]
    drafts : int
        Draft tokens of a step. [tokens]
    most : int
        The engine's own limit. [requests]

    Returns
    -------
    int
        Size of a batch. [requests]

    Examples
    --------
    >>> captured_limit(requests=1024, drafts=0, most=512)
    512
    """
    return minimum(2 * requests * (1 + drafts), most)


@formula(
    "memory.steps.captured_sizes",
    unit="graphs",
    symbols={"limit": "requests"},
    reference="vllm-project/vllm@4ba787ec9: vllm/config/vllm.py, _set_cudagraph_sizes: 1, 2, 4, then steps of 8 below 256, then of 16",
    example={"limit": 512},
)
def captured_sizes(*, limit: Any) -> Any:
    """How many batch sizes are captured up to a limit.

    Parameters
    ----------
    limit : int
        Largest batch. [requests]

    Returns
    -------
    int
        Sizes. [graphs]

    Examples
    --------
    >>> captured_sizes(limit=512), captured_sizes(limit=256), captured_sizes(limit=7), captured_sizes(limit=1)
    (51, 35, 3, 1)
    """
    small = where(limit >= 1, 1, 0) + where(limit >= 2, 1, 0) + where(limit >= 4, 1, 0)
    return small + floor_div(minimum(limit, 255), 8) + floor_div(maximum(limit, 240) - 240, 16)


@formula(
    "memory.steps.profiled_images",
    unit="images",
    symbols={"step_tokens": "tokens", "image_tokens": "tokens", "most": "images"},
    reference="vllm-project/vllm@4ba787ec9: vllm/multimodal/encoder_budget.py, get_max_items; logs: 4 images at 65,536 tokens, 1 at 16,384",
    example={"step_tokens": 65536, "image_tokens": 16384, "most": 256},
)
def profiled_images(*, step_tokens: Any, image_tokens: Any, most: Any) -> Any:
    """How many of the largest images are encoded at once when memory is profiled: as many as a step holds, and one at least.

    Parameters
    ----------
    step_tokens : int
        Most tokens of a step. [tokens]
    image_tokens : int
        Tokens of the largest image; 0 where its size is not known. [tokens]
    most : int
        Images of all requests of a step. [images]

    Returns
    -------
    int
        Images. [images]

    Examples
    --------
    >>> profiled_images(step_tokens=65536, image_tokens=16384, most=256), profiled_images(step_tokens=8192, image_tokens=16384, most=256)
    (4, 1)
    """
    return maximum(minimum(floor_div(step_tokens, where(image_tokens > 0, maximum(image_tokens, 1), step_tokens)), most), 1)
