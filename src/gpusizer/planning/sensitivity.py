"""How the answer moves with what is least sure of a need: the share of users at work, and the length of a request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.planning.drafts import asked_drafts
from gpusizer.planning.need import Need, need_in_flight
from gpusizer.planning.stack import candidates
from gpusizer.planning.types import Option, Plan
from gpusizer.planning.wanted import Search

__all__ = ["SHARE", "Sensitivity", "sensitivity_of", "wanted_of"]

SHARE, CONTEXT, ASKED = "share", "context", "asked"
TIMES = 2  # as much


@dataclass(frozen=True)
class Sensitivity:
    """One row: what the first option's device needs if one figure of the need is another.

    Parameters
    ----------
    what : str
        "asked" (the need as it is), "share" or "context".
    times : int
        How many times as much of it.
    need : Need
        The load of this row.
    option : Option or None
        What holds it; None where nothing on this device does.
    reason : Notice or None
        Why nothing does.
    """

    what: str
    times: int
    need: Need
    option: Option | None
    reason: Notice | None = None


def sensitivity_of(plan: Plan) -> tuple[Sensitivity, ...]:
    """The need as it is, twice the share at work, and twice the context, each on the device of the first option.

    Parameters
    ----------
    plan : Plan
        An answer.

    Returns
    -------
    tuple of Sensitivity
        Three rows; none where there is no option, or its prompts have workers of their own.
    """
    best = plan.best
    if best is None or best.prefill is not None or plan.request.trace is not None:
        return ()
    return Sensitivity(ASKED, 1, plan.need, best), *_rows(plan, best)


def wanted_of(plan: Plan, option: Option) -> Search:
    """What was looked for when an option was found, without a limit on GPUs: a larger load may take more than were allowed."""
    request = replace(plan.request, engine=option.launch.engine, precision=option.launch.precision, max_gpus=None)
    need = plan.need if request.request_rate is None else replace(plan.need, concurrency=1)  # as many are in flight as the speed makes of the rate
    wanted = Search(request, need, get_engine(request.engine), plan.model.stored, option.architecture)
    drafts = asked_drafts(request.speculative, wanted.engine, wanted.bare, wanted.architecture)
    return wanted if isinstance(drafts, Notice) else replace(wanted, drafts=drafts)


def _rows(plan: Plan, best: Option) -> Iterator[Sensitivity]:
    wanted = wanted_of(plan, best)
    need, rate = wanted.need, wanted.request.request_rate
    if rate is None:
        share = None if need.active_share is None else need.active_share * TIMES
        busy = replace(wanted, need=replace(need, concurrency=need.concurrency * TIMES, active_share=share))
    else:
        busy = replace(wanted, request=replace(wanted.request, request_rate=rate * TIMES))
    yield _row(SHARE, busy, best)
    longer = replace(
        need,
        input_tokens=need.input_tokens * TIMES,
        output_tokens=need.output_tokens * TIMES,
        context_tokens=need.context_tokens * TIMES,
    )
    longest = plan.architecture.max_position_embeddings
    if longest is not None and need.context_tokens <= longest < longer.context_tokens:
        beyond = {"context_tokens": longer.context_tokens, "longest_tokens": longest}
        yield Sensitivity(CONTEXT, TIMES, longer, None, Notice("context-beyond-model", beyond))
        return
    yield _row(CONTEXT, replace(wanted, need=longer), best)


def _row(what: str, wanted: Search, best: Option) -> Sensitivity:
    found = candidates(wanted, [best.accelerator])[0]
    option = found.option or found.tight
    if option is None:
        return Sensitivity(what, TIMES, wanted.need, None, found.rejected.reason if found.rejected is not None else None)
    return Sensitivity(what, TIMES, need_in_flight(wanted.need, wanted.request.request_rate, option.performance), option)
