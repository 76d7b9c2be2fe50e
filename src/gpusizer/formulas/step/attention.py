"""Attention in a step: what decoding reads and multiplies, and the pairs of a prompt."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.compute import attended_pairs, operator_seconds
from gpusizer.formulas.core import formula, maximum, minimum

__all__ = [
    "attention_bytes",
    "attention_flops",
    "prompt_attention_seconds",
    "prompt_pairs",
    "repeated_operator_seconds",
    "scanned_tokens",
]


@formula(
    "step.attention_bytes",
    unit="bytes",
    symbols={
        "sequences": "sequences",
        "rows": "rows",
        "row_bytes": "bytes",
        "context_tokens": "tokens",
        "scan_bytes": "bytes/token",
        "state_bytes": "bytes",
    },
    reference="decoding reads the rows that a token attends to, the index that it scans, and its state",
    example={"sequences": 32, "rows": 4096, "row_bytes": 4096, "context_tokens": 4096, "scan_bytes": 0, "state_bytes": 0},
)
def attention_bytes(*, sequences: Any, rows: Any, row_bytes: Any, context_tokens: Any, scan_bytes: Any, state_bytes: Any) -> Any:
    """What the attention of one layer moves in a step.

    Parameters
    ----------
    sequences : float
        Sequences that decode. [sequences]
    rows, row_bytes : float
        Cached rows that each visits, and the size of one on this rank. [rows, bytes]
    context_tokens, scan_bytes : float
        Length of its context, and what an index takes per token of it. [tokens, bytes/token]
    state_bytes : float
        State that is read and written. [bytes]

    Returns
    -------
    float
        Bytes. [bytes]

    Examples
    --------
    >>> attention_bytes(sequences=32, rows=4096, row_bytes=4096, context_tokens=4096, scan_bytes=0, state_bytes=0) / 2**20
    512.0
    """
    return sequences * (rows * row_bytes + context_tokens * scan_bytes + state_bytes)


@formula(
    "step.attention_flops",
    unit="FLOP",
    symbols={"tokens": "tokens", "rows": "rows", "row_flops": "FLOP/row", "context_tokens": "tokens", "scan_flops": "FLOP/token"},
    reference="each token multiplies with every row that it attends to, and with the index of every token that it scans",
    example={"tokens": 32, "rows": 4096, "row_flops": 16384, "context_tokens": 4096, "scan_flops": 0},
)
def attention_flops(*, tokens: Any, rows: Any, row_flops: Any, context_tokens: Any, scan_flops: Any) -> Any:
    """Arithmetic of the attention of one layer in a step.

    Parameters
    ----------
    tokens : float
        Tokens that decode or are checked. [tokens]
    rows, row_flops : float
        Rows that each visits, and the arithmetic of one. [rows, FLOP/row]
    context_tokens, scan_flops : float
        Length of the context, and the arithmetic of an index per token of it. [tokens, FLOP/token]

    Returns
    -------
    float
        Arithmetic. [FLOP]

    Examples
    --------
    >>> attention_flops(tokens=32, rows=4096, row_flops=16384, context_tokens=4096, scan_flops=0)
    2147483648
    """
    return tokens * (rows * row_flops + context_tokens * scan_flops)


@formula(
    "step.repeated_operator",
    unit="s",
    symbols={"layers": "layers", "flops": "FLOP", "flops_per_s": "FLOP/s", "moved_bytes": "bytes", "bytes_per_s": "bytes/s"},
    reference="S. Williams, A. Waterman, D. Patterson, Roofline, CACM 52(4), 2009; once for each of equal layers",
    example={"layers": 64, "flops": 2**31, "flops_per_s": 400e12, "moved_bytes": 512 * 2**20, "bytes_per_s": 2.2e12},
)
def repeated_operator_seconds(*, layers: Any, flops: Any, flops_per_s: Any, moved_bytes: Any, bytes_per_s: Any) -> Any:
    """Time of an operator that equal layers repeat.

    Parameters
    ----------
    layers : float
        How many layers. [layers]
    flops, flops_per_s : float
        Arithmetic of one layer, and its rate. [FLOP, FLOP/s]
    moved_bytes, bytes_per_s : float
        What one layer moves, and the bandwidth. [bytes, bytes/s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(repeated_operator_seconds(layers=64, flops=2**31, flops_per_s=400e12, moved_bytes=512 * 2**20, bytes_per_s=2.2e12), 4)
    0.0156
    """
    return layers * operator_seconds(flops=flops, flops_per_s=flops_per_s, moved_bytes=moved_bytes, bytes_per_s=bytes_per_s)


@formula(
    "step.prompt_pairs",
    unit="pairs",
    symbols={"new_tokens": "tokens", "prompt_tokens": "tokens", "prefix_tokens": "tokens", "ratio": "tokens per row", "cap_rows": "rows"},
    reference="prompts in one step do not see each other",
    example={"new_tokens": 8192, "prompt_tokens": 1024, "prefix_tokens": 0, "ratio": 1, "cap_rows": 1e12},
)
def prompt_pairs(*, new_tokens: Any, prompt_tokens: Any, prefix_tokens: Any, ratio: Any, cap_rows: Any) -> Any:
    """Pairs of query and row of all prompt tokens of a step.

    Parameters
    ----------
    new_tokens, prompt_tokens, prefix_tokens : float
        Prompt tokens of the step, of one prompt, and cached before them. [tokens]
    ratio, cap_rows : float
        Tokens that share a row; window, or rows that an indexer selects. [tokens per row, rows]

    Returns
    -------
    float
        Pairs. [pairs]

    Examples
    --------
    >>> prompt_pairs(new_tokens=8192, prompt_tokens=1024, prefix_tokens=0, ratio=1, cap_rows=1e12) == 8 * 1024 * 512
    True
    """
    length = minimum(new_tokens, prompt_tokens)
    prompts = new_tokens / maximum(length, 1e-6)
    return prompts * attended_pairs(new_tokens=length, prefix_tokens=prefix_tokens, ratio=ratio, cap_rows=cap_rows)


@formula(
    "step.scanned_tokens",
    unit="pairs",
    symbols={"new_tokens": "tokens", "prompt_tokens": "tokens", "prefix_tokens": "tokens"},
    reference="an index looks at every token before a new one",
    example={"new_tokens": 8192, "prompt_tokens": 1024, "prefix_tokens": 0},
)
def scanned_tokens(*, new_tokens: Any, prompt_tokens: Any, prefix_tokens: Any) -> Any:
    """Pairs of new token and token before it, whether attended to or not.

    Parameters
    ----------
    new_tokens, prompt_tokens, prefix_tokens : float
        Prompt tokens of the step, of one prompt, and cached before them. [tokens]

    Returns
    -------
    float
        Pairs. [pairs]

    Examples
    --------
    >>> scanned_tokens(new_tokens=8192, prompt_tokens=1024, prefix_tokens=0)
    4194304.0
    """
    return new_tokens * (prefix_tokens + minimum(new_tokens, prompt_tokens) / 2)


@formula(
    "step.prompt_attention",
    unit="s",
    symbols={
        "layers": "layers",
        "pairs": "pairs",
        "pair_flops": "FLOP/pair",
        "scanned": "pairs",
        "scan_flops": "FLOP/pair",
        "flops_per_s": "FLOP/s",
    },
    reference="attention over a prompt is arithmetic: a row is read once for many tokens",
    example={"layers": 64, "pairs": 2**22, "pair_flops": 16384, "scanned": 0, "scan_flops": 0, "flops_per_s": 430e12},
)
def prompt_attention_seconds(*, layers: Any, pairs: Any, pair_flops: Any, scanned: Any, scan_flops: Any, flops_per_s: Any) -> Any:
    """Time of attention over the prompts of a step, in equal layers.

    Parameters
    ----------
    layers : float
        How many layers. [layers]
    pairs, pair_flops : float
        Pairs of query and row, and the arithmetic of one. [pairs, FLOP/pair]
    scanned, scan_flops : float
        Pairs that an index looks at, and the arithmetic of one. [pairs, FLOP/pair]
    flops_per_s : float
        Sustained rate. [FLOP/s]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(prompt_attention_seconds(layers=64, pairs=2**22, pair_flops=16384, scanned=0, scan_flops=0, flops_per_s=430e12), 4)
    0.0102
    """
    return layers * (pairs * pair_flops + scanned * scan_flops) / flops_per_s
