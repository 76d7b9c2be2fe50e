"""Time of one operator: the larger of arithmetic and memory traffic, the experts that tokens touch, the pairs that attention visits."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum, minimum

__all__ = [
    "attended_pairs",
    "attended_rows",
    "chunk_count",
    "expert_rows",
    "experts_touched",
    "experts_touched_skewed",
    "kernels_seconds",
    "operator_seconds",
    "overhead_seconds",
]


@formula(
    "compute.operator",
    unit="s",
    symbols={"flops": "FLOP", "flops_per_s": "FLOP/s", "moved_bytes": "bytes", "bytes_per_s": "bytes/s"},
    reference="S. Williams, A. Waterman, D. Patterson, Roofline, CACM 52(4), 2009",
    example={"flops": 2 * 16 * 8192**2, "flops_per_s": 800e12, "moved_bytes": 2 * 8192**2, "bytes_per_s": 2.8e12},
)
def operator_seconds(*, flops: Any, flops_per_s: Any, moved_bytes: Any, bytes_per_s: Any) -> Any:
    """Time of an operator whose arithmetic and memory traffic overlap.

    Parameters
    ----------
    flops : float
        Multiplications and additions. [FLOP]
    flops_per_s : float
        Sustained rate of the number format. [FLOP/s]
    moved_bytes : float
        What is read from memory and written to it. [bytes]
    bytes_per_s : float
        Sustained memory bandwidth. [bytes/s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    A square BF16 matrix of 8192 for 16 tokens: reading it takes longer than the arithmetic.

    >>> round(operator_seconds(flops=2 * 16 * 8192**2, flops_per_s=800e12, moved_bytes=2 * 8192**2, bytes_per_s=2.8e12) * 1e6, 1)
    47.9
    """
    return maximum(flops / flops_per_s, moved_bytes / bytes_per_s)


@formula(
    "compute.experts_touched",
    unit="experts",
    symbols={"experts": "experts", "top_k": "experts per token", "tokens": "tokens"},
    reference="independent uniform routing: each expert is missed by one token with probability 1 - k/E",
    example={"experts": 256, "top_k": 8, "tokens": 32},
)
def experts_touched(*, experts: Any, top_k: Any, tokens: Any) -> Any:
    """Distinct experts whose weights a step reads.

    Parameters
    ----------
    experts, top_k : float
        Routed experts, and how many a token uses. [experts]
    tokens : float
        Tokens of the step, of all ranks that share the experts. [tokens]

    Returns
    -------
    float
        Expected number of distinct experts. [experts]

    Examples
    --------
    >>> [round(experts_touched(experts=256, top_k=8, tokens=n)) for n in (1, 8, 32, 128)]
    [8, 57, 163, 252]
    """
    return experts * (1 - (1 - top_k / experts) ** tokens)


@formula(
    "compute.experts_touched_skewed",
    unit="experts",
    symbols={"experts": "experts", "top_k": "experts per token", "tokens": "tokens", "evenness": "shape of the popularity"},
    reference="popularity of experts drawn from a gamma distribution: a negative binomial number of tokens per expert, shape 'evenness'",
    example={"experts": 256, "top_k": 8, "tokens": 32, "evenness": 1.0},
)
def experts_touched_skewed(*, experts: Any, top_k: Any, tokens: Any, evenness: Any) -> Any:
    """Distinct experts whose weights a step reads when some experts are more popular than others.

    Parameters
    ----------
    experts, top_k : float
        Routed experts, and how many a token uses. [experts]
    tokens : float
        Tokens of the step, of all ranks that share the experts; 1 at least. [tokens]
    evenness : float
        Shape of the distribution of popularity: very large where all experts are equally popular. [1]

    Returns
    -------
    float
        Expected number of distinct experts. [experts]

    Examples
    --------
    One token uses exactly ``top_k``; an uneven router leaves more experts unread, and with even popularity uniform routing returns.

    >>> [round(experts_touched_skewed(experts=256, top_k=8, tokens=n, evenness=1.0)) for n in (1, 8, 32, 128)]
    [8, 53, 130, 206]
    >>> round(experts_touched_skewed(experts=256, top_k=8, tokens=32, evenness=1e6)), round(experts_touched(experts=256, top_k=8, tokens=32))
    (162, 163)
    """
    share = top_k / experts
    return experts * (1 - (1 - share) * (1 + maximum(tokens - 1, 0) * share / evenness) ** -evenness)


@formula(
    "compute.expert_rows",
    unit="tokens",
    symbols={"routed_tokens": "tokens", "touched_experts": "experts", "tile_rows": "tokens"},
    reference="grouped matrix products work on whole tiles of rows: half a tile is wasted per expert on average; a single row is a vector",
    example={"routed_tokens": 256, "touched_experts": 128, "tile_rows": 64},
)
def expert_rows(*, routed_tokens: Any, touched_experts: Any, tile_rows: Any) -> Any:
    """Rows that the experts compute, padding included.

    Parameters
    ----------
    routed_tokens : float
        Tokens times experts per token. [tokens]
    touched_experts : float
        Distinct experts that work. [experts]
    tile_rows : float
        Rows of one tile. [tokens]

    Returns
    -------
    float
        Rows of all experts together. [tokens]

    Examples
    --------
    >>> expert_rows(routed_tokens=256, touched_experts=128, tile_rows=64), expert_rows(routed_tokens=8, touched_experts=8, tile_rows=64)
    (2304.0, 8.0)
    """
    return routed_tokens + touched_experts * tile_rows / 2 * maximum(1 - touched_experts / maximum(routed_tokens, 1e-6), 0)


@formula(
    "compute.attended_rows",
    unit="rows",
    symbols={"context_tokens": "tokens", "ratio": "tokens per row", "cap_rows": "rows"},
    reference="sliding windows, chunks and top-k selections bound what a token reads; pooled caches hold one row per several tokens",
    example={"context_tokens": 8192, "ratio": 1, "cap_rows": 128},
)
def attended_rows(*, context_tokens: Any, ratio: Any, cap_rows: Any) -> Any:
    """Cached rows that one new token reads in one layer.

    Parameters
    ----------
    context_tokens : float
        Tokens before it. [tokens]
    ratio : float
        Tokens that share a row. [tokens]
    cap_rows : float
        Window, or rows that an indexer selects; very large where all are read. [rows]

    Returns
    -------
    float
        Rows. [rows]

    Examples
    --------
    >>> attended_rows(context_tokens=8192, ratio=1, cap_rows=128), attended_rows(context_tokens=8192, ratio=4, cap_rows=1e12)
    (128, 2048.0)
    """
    return minimum(context_tokens / ratio, cap_rows)


@formula(
    "compute.attended_pairs",
    unit="pairs",
    symbols={"new_tokens": "tokens", "prefix_tokens": "tokens", "ratio": "tokens per row", "cap_rows": "rows"},
    reference="causal attention: token i of a chunk sees the prefix and the i tokens before it, on average prefix + chunk / 2",
    example={"new_tokens": 1024, "prefix_tokens": 0, "ratio": 1, "cap_rows": 1e12},
)
def attended_pairs(*, new_tokens: Any, prefix_tokens: Any, ratio: Any, cap_rows: Any) -> Any:
    """Pairs of query and cached row that a prefill chunk computes in one layer.

    Parameters
    ----------
    new_tokens : float
        Tokens of the chunk. [tokens]
    prefix_tokens : float
        Tokens already cached. [tokens]
    ratio : float
        Tokens that share a row. [tokens]
    cap_rows : float
        Window, or rows that an indexer selects. [rows]

    Returns
    -------
    float
        Pairs. [pairs]

    Examples
    --------
    >>> attended_pairs(new_tokens=1024, prefix_tokens=0, ratio=1, cap_rows=1e12)
    524288.0
    """
    return new_tokens * minimum((prefix_tokens + new_tokens / 2) / ratio, cap_rows)


@formula(
    "compute.chunk_count",
    unit="chunks",
    symbols={"prompt_tokens": "tokens", "chunk_tokens": "tokens"},
    reference="chunked prefill: a prompt longer than the token budget of a step takes several steps",
    example={"prompt_tokens": 8192, "chunk_tokens": 2048},
)
def chunk_count(*, prompt_tokens: Any, chunk_tokens: Any) -> Any:
    """Steps that the prefill of one prompt takes, one at least.

    Parameters
    ----------
    prompt_tokens : float
        Tokens to compute. [tokens]
    chunk_tokens : float
        Most tokens of one step. [tokens]

    Returns
    -------
    float
        Steps, as a mean over prompts (not rounded). [chunks]

    Examples
    --------
    >>> chunk_count(prompt_tokens=8192, chunk_tokens=2048), chunk_count(prompt_tokens=100, chunk_tokens=2048)
    (4.0, 1)
    """
    return maximum(1, prompt_tokens / chunk_tokens)


@formula(
    "compute.kernels",
    unit="s",
    symbols={"kernels": "kernels", "kernel_s": "s"},
    reference="launch and synchronisation of a step are linear in its kernels, also where a graph replays them",
    example={"kernels": 800, "kernel_s": 2e-6},
)
def kernels_seconds(*, kernels: Any, kernel_s: Any) -> Any:
    """What the kernels of a step cost beside their arithmetic and traffic.

    Parameters
    ----------
    kernels : float
        Kernels of one kind. [kernels]
    kernel_s : float
        Launch, start and end of one. [s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(kernels_seconds(kernels=800, kernel_s=2e-6), 4)
    0.0016
    """
    return kernels * kernel_s


@formula(
    "compute.overhead",
    unit="s",
    symbols={"kernels_s": "s", "step_s": "s", "sequences": "sequences", "sequence_s": "s"},
    reference="host work of one step, linear in its sequences, beside its kernels",
    example={"kernels_s": 0.0016, "step_s": 7e-4, "sequences": 32, "sequence_s": 8e-6},
)
def overhead_seconds(*, kernels_s: Any, step_s: Any, sequences: Any, sequence_s: Any) -> Any:
    """What a step costs whatever the size of its operators.

    Parameters
    ----------
    kernels_s : float
        Its kernels. [s]
    step_s : float
        Scheduling and sampling. [s]
    sequences, sequence_s : float
        Sequences of the step, and host work for one. [sequences, s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(overhead_seconds(kernels_s=0.0016, step_s=7e-4, sequences=32, sequence_s=8e-6) * 1e3, 3)
    2.556
    """
    return kernels_s + step_s + sequences * sequence_s
