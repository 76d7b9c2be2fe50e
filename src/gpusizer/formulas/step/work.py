"""Work of a step: products, quantisation, what drafts and prompts add, and the sum."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum, minimum

__all__ = [
    "draft_step_seconds",
    "moved_weights_seconds",
    "product_seconds",
    "prompt_step_seconds",
    "quantisation_seconds",
    "step_seconds",
]


@formula(
    "step.product",
    unit="s",
    symbols={
        "flops": "FLOP",
        "peak_per_s": "FLOP/s",
        "efficiency": "share",
        "moved_bytes": "bytes",
        "bytes_per_s": "bytes/s",
        "weights": "weights",
        "widen_per_s": "weights/s",
    },
    reference="S. Williams, A. Waterman, D. Patterson, Roofline, CACM 52(4), 2009, with a rounded ridge: near it arithmetic, reading and widening "
    "hide each other only in part, and add up like the sides of a right angle",
    example={
        "flops": 2 * 16 * 8192**2, "peak_per_s": 989e12, "efficiency": 0.7, "moved_bytes": 2 * 8192**2, "bytes_per_s": 2.8e12, "weights": 0,
        "widen_per_s": 1e15,
    },
    valid={"efficiency": (0.0, 1.0)},
)  # fmt: skip
def product_seconds(*, flops: Any, peak_per_s: Any, efficiency: Any, moved_bytes: Any, bytes_per_s: Any, weights: Any, widen_per_s: Any) -> Any:
    """Time of the matrix products of one storage class in a step.

    Parameters
    ----------
    flops : float
        Multiplications and additions. [FLOP]
    peak_per_s, efficiency : float
        Dense peak of the number format, and the share that large products sustain. [FLOP/s, share]
    moved_bytes, bytes_per_s : float
        Weights that are read, and at which bandwidth. [bytes, bytes/s]
    weights, widen_per_s : float
        Weights of a narrow format that are widened before they are multiplied, and how fast. [weights, weights/s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    Few rows: reading the weights takes as long as without any arithmetic.

    >>> step = {"peak_per_s": 989e12, "efficiency": 0.7, "moved_bytes": 2 * 8192**2, "bytes_per_s": 2.8e12}
    >>> round(product_seconds(flops=2 * 8192**2, weights=0, widen_per_s=1e15, **step) * 1e6, 1)
    47.9
    """
    read = moved_bytes / bytes_per_s
    computed = flops / (peak_per_s * efficiency)
    widened = weights / widen_per_s
    return (read * read + computed * computed + widened * widened) ** 0.5


@formula(
    "step.moved_weights",
    unit="s",
    symbols={"moved_bytes": "bytes", "bytes_per_s": "bytes/s", "flops": "FLOP", "flops_per_s": "FLOP/s"},
    reference="weights in host memory are copied to the device for every step that it computes with them; copy and arithmetic hide each other as "
    "reading and arithmetic do elsewhere",
    example={"moved_bytes": 20e9, "bytes_per_s": 25e9, "flops": 2e13, "flops_per_s": 1e14},
)
def moved_weights_seconds(*, moved_bytes: Any, bytes_per_s: Any, flops: Any, flops_per_s: Any) -> Any:
    """Time of a product whose weights come from the host.

    Parameters
    ----------
    moved_bytes : float
        Weights. [bytes]
    bytes_per_s : float
        What the link carries. [bytes/s]
    flops, flops_per_s : float
        Multiplications and additions, and how fast the device does them. [FLOP, FLOP/s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> moved_weights_seconds(moved_bytes=20e9, bytes_per_s=25e9, flops=6e13, flops_per_s=1e14)
    1.0
    """
    copied = moved_bytes / bytes_per_s
    computed = flops / flops_per_s
    return (copied * copied + computed * computed) ** 0.5


@formula(
    "step.quantisation",
    unit="s",
    symbols={"products": "products", "quantise_s": "s", "narrow_s": "s", "paid_share": "share"},
    reference="a product in 8 or 4 bits quantises its input first; engines fuse or leave it where it would cost what the narrow format saves",
    example={"products": 256, "quantise_s": 3e-6, "narrow_s": 0.0035, "paid_share": 0.8},
)
def quantisation_seconds(*, products: Any, quantise_s: Any, narrow_s: Any, paid_share: Any) -> Any:
    """Time in which the inputs of quantised products are quantised.

    Parameters
    ----------
    products : float
        Quantised products of a step. [products]
    quantise_s : float
        One of them. [s]
    narrow_s : float
        Reading what the narrow weights are shorter than 16-bit ones. [s]
    paid_share : float
        Of that time at most. [share]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(quantisation_seconds(products=256, quantise_s=3e-6, narrow_s=0.0035, paid_share=0.8), 6)
    0.000768
    """
    return minimum(products * quantise_s, narrow_s * paid_share)


@formula(
    "step.total",
    unit="s",
    symbols={
        "linears_s": "s",
        "experts_s": "s",
        "head_s": "s",
        "attention_s": "s",
        "prompt_attention_s": "s",
        "communication_s": "s",
        "overhead_s": "s",
    },
    reference="kernels of a step follow one another on one stream",
    example={
        "linears_s": 0.009, "experts_s": 0.0, "head_s": 0.0006, "attention_s": 0.002, "prompt_attention_s": 0.0, "communication_s": 0.001,
        "overhead_s": 0.003,
    },
)  # fmt: skip
def step_seconds(
    *, linears_s: Any, experts_s: Any, head_s: Any, attention_s: Any, prompt_attention_s: Any, communication_s: Any, overhead_s: Any
) -> Any:
    """Time of one engine step.

    Parameters
    ----------
    linears_s, experts_s, head_s : float
        Dense products, routed experts, output head. [s]
    attention_s, prompt_attention_s : float
        Attention of what decodes, and over prompts. [s]
    communication_s, overhead_s : float
        Messages between ranks; launches, host work and quantisation. [s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> parts = {"experts_s": 0.0, "head_s": 0.0, "prompt_attention_s": 0.0, "communication_s": 0.0}
    >>> step_seconds(linears_s=0.5, attention_s=0.25, overhead_s=0.125, **parts)
    0.875
    """
    return linears_s + experts_s + head_s + attention_s + prompt_attention_s + communication_s + overhead_s


@formula(
    "step.with_drafts",
    unit="s",
    symbols={"step_s": "s", "drafts": "tokens", "draft_share": "share", "host_s": "s"},
    reference="drafts are made one after the other by layers of their own, each a small step with host work",
    example={"step_s": 0.02, "drafts": 3, "draft_share": 1 / 61, "host_s": 7e-4},
)
def draft_step_seconds(*, step_s: Any, drafts: Any, draft_share: Any, host_s: Any) -> Any:
    """Time of a step that checks drafts, with the making of them.

    Parameters
    ----------
    step_s : float
        The step that checks. [s]
    drafts : float
        Draft tokens per step. [tokens]
    draft_share : float
        Work of one draft over that of a step. [share]
    host_s : float
        Host work of one draft. [s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> draft_step_seconds(step_s=0.02, drafts=0, draft_share=1 / 61, host_s=7e-4)
    0.02
    """
    return step_s * (1 + drafts * draft_share) + drafts * host_s


@formula(
    "step.with_prompt",
    unit="s",
    symbols={"step_s": "s", "kernels": "kernels", "launch_s": "s", "host_s": "s"},
    reference="no graph holds a step with prompts: the host launches kernel by kernel, and may be slower than the device",
    example={"step_s": 0.02, "kernels": 800, "launch_s": 1.8e-5, "host_s": 7e-4},
)
def prompt_step_seconds(*, step_s: Any, kernels: Any, launch_s: Any, host_s: Any) -> Any:
    """Time of a step that carries prompts.

    Parameters
    ----------
    step_s : float
        Work of the device. [s]
    kernels, launch_s : float
        Kernels of a step, and the launch of one. [kernels, s]
    host_s : float
        Scheduling of a step. [s]

    Returns
    -------
    float
        Time, no less than the host takes. [s]

    Examples
    --------
    >>> round(prompt_step_seconds(step_s=0.002, kernels=800, launch_s=1.8e-5, host_s=7e-4), 4)
    0.0151
    """
    return maximum(step_s, kernels * launch_s + host_s)
