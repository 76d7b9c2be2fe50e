"""Times of the steps of a rank with a number of sequences decoding: without prompts, with one, filled with them."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpusizer.formulas.compute import chunk_count
from gpusizer.formulas.core import maximum, minimum, where
from gpusizer.formulas.serving.prompts import (
    prompt_added_seconds,
    prompt_own_seconds,
    prompt_room_tokens,
    prompt_share_seconds,
    prompts_together,
)
from gpusizer.formulas.step.work import draft_step_seconds, prompt_step_seconds
from gpusizer.performance.notes import Note, unnoted
from gpusizer.performance.served_rank import ServedRank
from gpusizer.performance.step_time import Step, step_time

__all__ = ["StepTimes", "step_times"]


class StepTimes(NamedTuple):
    """Times of steps with a number of sequences decoding.

    Parameters
    ----------
    decode_s : number
        A step without prompts, drafts included. [s]
    own_s : number
        The steps that carry one prompt when no other waits. [s]
    added_s : number
        What one prompt adds to the time of the others. [s]
    full_s : number
        A step filled with prompts. [s]
    share_s : number
        What one of many waiting prompts takes: its share of full steps. [s]
    """

    decode_s: Any
    own_s: Any
    added_s: Any
    full_s: Any
    share_s: Any


def step_times(rank: ServedRank, running: Any, note: Note = unnoted) -> StepTimes:
    """Times with so many sequences decoding."""
    work, speeds, traffic = rank.work, rank.speeds, rank.traffic
    # whoever decodes at a moment has a longer answer than most: the mean of what is seen grows with the spread
    context = traffic.prefix_tokens + traffic.prompt_tokens + traffic.output_tokens / 2 * (1 + traffic.spread * traffic.spread)
    lane = running / speeds.pp
    plain = step_time(work, speeds, Step(lane, context, traffic.verified_tokens), note)
    decode = note("decode_step", draft_step_seconds)(step_s=plain, drafts=traffic.draft_steps, draft_share=work.draft_share, host_s=speeds.step_s)
    room = note("prompt_room", prompt_room_tokens)(
        budget_tokens=traffic.budget_tokens,
        decoding=lane * traffic.verified_tokens,
        shares_steps=traffic.shares_steps,
        least_share=rank.constants.room_share,
    )
    prompts = note("prompts_together", prompts_together)(
        running=running,
        tokens_per_step=traffic.tokens_per_step,
        stages=speeds.pp,
        output_tokens=traffic.output_tokens,
    )
    chunk = minimum(traffic.prompt_tokens * prompts, room)
    chunks = note("prompt_chunks", chunk_count)(prompt_tokens=traffic.prompt_tokens * prompts, chunk_tokens=room)
    prefix = traffic.prefix_tokens + maximum(traffic.prompt_tokens - chunk, 0) / 2

    def with_prompts(id: str, tokens: Any, ending: Any) -> Any:
        decoding = where(traffic.shares_steps, lane, 0.0)
        step = Step(decoding, context, traffic.verified_tokens, tokens, prefix, ending, traffic.prompt_tokens)
        seconds = step_time(work, speeds, step)
        return note(id, prompt_step_seconds)(step_s=seconds, kernels=work.kernels.all, launch_s=speeds.eager_s, host_s=speeds.step_s)

    single = with_prompts("prompt_step", chunk, prompts / chunks)
    full = with_prompts("full_step", room, room / maximum(traffic.prompt_tokens, 1))
    added = note("prompt_added", prompt_added_seconds)(
        chunks=chunks,
        prompt_step_s=single,
        decode_step_s=decode,
        shares_steps=traffic.shares_steps,
        stages=speeds.pp,
        prompts=prompts,
        least_share=rank.constants.added_share,
    )
    lengths = {"prompt_tokens": traffic.prompt_tokens, "room_tokens": room}
    share = note("prompt_share", prompt_share_seconds)(**lengths, full_step_s=full, stages=speeds.pp)
    own = note("prompt_own", prompt_own_seconds)(**lengths, prompt_step_s=single)
    return StepTimes(decode, own, added, full, minimum(share, own))
