"""From steps to latencies: prompts between decode steps, tokens that a draft saves, time to the first token."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, maximum

__all__ = ["request_seconds", "speculative_tokens", "time_per_output_token"]


@formula(
    "latency.speculative_tokens",
    unit="tokens",
    symbols={"acceptance": "share", "drafts": "tokens"},
    reference="Y. Leviathan et al., Fast Inference from Transformers via Speculative Decoding, 2023, equation 1",
    example={"acceptance": 0.7, "drafts": 3},
)
def speculative_tokens(*, acceptance: Any, drafts: Any) -> Any:
    """Tokens that one verifying step yields when each draft is accepted with the same probability.

    Parameters
    ----------
    acceptance : float
        Probability that a draft is accepted after all before it were; below 1. [share]
    drafts : float
        Draft tokens per step. [tokens]

    Returns
    -------
    float
        Tokens per step, 1 without drafts. [tokens]

    Examples
    --------
    >>> round(speculative_tokens(acceptance=0.7, drafts=3), 2), speculative_tokens(acceptance=0.7, drafts=0)
    (2.53, 1.0)
    """
    return (1 - acceptance ** (drafts + 1)) / (1 - acceptance)


@formula(
    "latency.tpot",
    unit="s",
    symbols={
        "decode_step_s": "s",
        "prefill_s": "s",
        "sequences": "sequences",
        "output_tokens": "tokens",
        "tokens_per_step": "tokens",
    },
    reference="each request that starts delays all that decode by its prefill; while one yields its tokens, as many start as decode beside it",
    example={"decode_step_s": 0.012, "prefill_s": 0.04, "sequences": 32, "output_tokens": 1024, "tokens_per_step": 1},
)
def time_per_output_token(*, decode_step_s: Any, prefill_s: Any, sequences: Any, output_tokens: Any, tokens_per_step: Any) -> Any:
    """Mean time between two tokens of a request while others start and end.

    Parameters
    ----------
    decode_step_s : float
        A step without prompts. [s]
    prefill_s : float
        What the prompt of one request adds to the steps that carry it. [s]
    sequences : float
        Sequences that decode together. [sequences]
    output_tokens : float
        Tokens of one answer. [tokens]
    tokens_per_step : float
        Tokens that a step yields for a sequence. [tokens]

    Returns
    -------
    float
        Time per output token. [s]

    Examples
    --------
    >>> time_per_output_token(decode_step_s=0.012, prefill_s=0.04, sequences=32, output_tokens=1024, tokens_per_step=1)
    0.01325
    """
    return decode_step_s / tokens_per_step + sequences * prefill_s / maximum(output_tokens, 1)


@formula(
    "latency.request",
    unit="s",
    symbols={"ttft_s": "s", "tpot_s": "s", "output_tokens": "tokens"},
    reference="the first token ends the wait, the others follow at the mean pace",
    example={"ttft_s": 0.2, "tpot_s": 0.012, "output_tokens": 1024},
)
def request_seconds(*, ttft_s: Any, tpot_s: Any, output_tokens: Any) -> Any:
    """Time of one request from arrival to its last token.

    Parameters
    ----------
    ttft_s, tpot_s : float
        Time to the first token; time per token after it. [s]
    output_tokens : float
        Tokens of the answer. [tokens]

    Returns
    -------
    float
        Time. [s]

    Examples
    --------
    >>> round(request_seconds(ttft_s=0.2, tpot_s=0.012, output_tokens=1024), 3)
    12.476
    """
    return ttft_s + maximum(output_tokens - 1, 0) * tpot_s
