"""What would be quicker than the answer on the same GPUs, though nobody asked: said, not done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.performance.acceptance import assumed_acceptance
from gpusizer.planning.drafts import own_drafts
from gpusizer.planning.option_speeds import OptionSpeeds, load_of
from gpusizer.planning.search import candidate_of
from gpusizer.planning.stack import with_stack
from gpusizer.planning.wanted import Candidate, Search
from gpusizer.units import format_share

if TYPE_CHECKING:
    from gpusizer.planning.types import Option, Plan

__all__ = ["draft_advice"]


def draft_advice(plan: Plan, option: Option) -> tuple[Notice, ...]:
    """That the model's own draft layer would shorten the time per token: only where memory alone decided, nothing was said of drafts, and it fits.

    Parameters
    ----------
    plan : Plan
        The answer.
    option : Option
        One of its options.

    Returns
    -------
    tuple of Notice
        One, or none.
    """
    request, speed = plan.request, option.performance
    if request.has_targets or speed is None or option.drafts is not None or option.prefill is not None:
        return ()
    one = replace(request, engine=option.launch.engine, precision=option.launch.precision)
    engine = get_engine(one.engine)
    wanted = Search(one, plan.need, engine, plan.model.stored, option.architecture)
    own = own_drafts(request.speculative, engine, wanted.bare, option.architecture)
    if own is None:
        return ()
    found = candidate_of(with_stack(replace(wanted, drafts=own), option), option.accelerator, option.layout)
    if not isinstance(found, Candidate) or found.replicas > option.replicas:
        return ()
    ask = option.speeds.ask._replace(deployment=found.launch, fit=found.fit)
    quicker = OptionSpeeds(option.architecture, ask, load_of(request, plan.need)).performance
    if quicker is None or quicker.tpot_s.value >= speed.tpot_s.value:
        return ()
    share = request.acceptance or assumed_acceptance(own.tokens).value
    words = {"tpot_ms": 1000 * quicker.tpot_s.value, "without_ms": 1000 * speed.tpot_s.value, "share": format_share(round(share, 2))}
    return (Notice("drafts-would-help", {"engine": engine.declared.label, **words}),)
