"""What a conclusion is called: the reason of an account as a notice, with what a reader wants to know of it."""

from __future__ import annotations

from collections.abc import Sequence

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.account import Conclusion, Reason, StageFigures
from gpusizer.engines.base.launch import CachePlan, StageResult

__all__ = ["reason_of"]


def reason_of(found: Conclusion, figures: Sequence[StageFigures], results: Sequence[StageResult], context_tokens: int) -> Notice | None:
    """The reason of a conclusion.

    Parameters
    ----------
    found : Conclusion
        The verdict.
    figures, results : sequence
        Of each stage: what was judged, and what it stands for.
    context_tokens : int
        The longest request. [tokens]

    Returns
    -------
    Notice or None
        None where the start succeeds.
    """
    if found.reason == Reason.NO_ROOM:
        tightest = min(results, key=lambda result: result.available.value)
        return Notice("no-memory-for-cache", {"missing_bytes": round(-tightest.available.value), "pp_rank": tightest.stage.index})
    if found.reason == Reason.CONTEXT:
        blocks = found.blocks[0]
        if all(result.plan.blocks_of(context_tokens) <= blocks for result in results):
            return Notice("fewer-blocks-than-requests", {"requests": max(stage.needed_blocks for stage in figures), "blocks": blocks})
        plan = next(result.plan for result, stage in zip(results, figures, strict=True) if stage.needed_blocks > blocks)
        sizes = {"needed_bytes": plan.blocks_of(context_tokens) * plan.block_bytes, "available_bytes": blocks * plan.block_bytes}
        return Notice("context-too-long", {"max_model_len": context_tokens, **sizes, "longest_tokens": _longest(plan, blocks, context_tokens)})
    if found.reason == Reason.MEMORY:
        return Notice("out-of-memory", {"bytes": found.shortfall_bytes, "pp_rank": found.shortfalls.index(found.shortfall_bytes)})
    return None


def _longest(plan: CachePlan, blocks: int, context_tokens: int) -> int:
    """The longest request that blocks hold. [tokens]"""
    low, high = 0, context_tokens
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if plan.blocks_of(middle) <= blocks else (low, middle - 1)
    return low
