"""The whole story: a request becomes a plan. Model, need, devices, candidates, rank; options are timed where somebody asks. Start here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.errors import FlagError, InputError
from gpusizer.facts.catalog import scenario
from gpusizer.facts.types import Accelerator
from gpusizer.planning.conversion import by_precision
from gpusizer.planning.devices import devices_of, most_of
from gpusizer.planning.drafts import AUTO, OFF, ON, asked_drafts
from gpusizer.planning.model import Model, model_of
from gpusizer.planning.need import REASONING_SCENARIO, Need, need_in_flight, need_of
from gpusizer.planning.own_cases import case_notices
from gpusizer.planning.prices import converted_warnings
from gpusizer.planning.rank import ranked
from gpusizer.planning.request import Request, alternatives
from gpusizer.planning.stack import candidates, fewer
from gpusizer.planning.standing import rare_and_replaced, somebody_runs
from gpusizer.planning.types import Found, Option, Plan, Rejected
from gpusizer.planning.wanted import Search
from gpusizer.planning.words import named

__all__ = ["make_plan"]


def make_plan(request: Request) -> Plan:
    """From a need to hardware.

    Parameters
    ----------
    request : Request
        A model, a need, limits.

    Returns
    -------
    Plan
        Options in order, what was rejected and why, the article's figures beside them.
    """
    if request.hub is not None:
        from gpusizer.hub import look_up  # here: most plans touch no network

        request = replace(request, model=look_up(request.model, request.hub))
    request, choices, said = _in_our_words(request)
    if request.disaggregate == ON and request.is_stacked:
        raise FlagError("not-with-workers", option="--with" if request.with_models else "--spare")
    model = model_of(request.model, request.checkpoint_bytes)
    if model.only_reads:
        raise InputError("writes-nothing", id=model.name)
    trace = None
    if request.trace is None:
        need = need_of(request)
    else:
        from gpusizer.planning.traced import traced_need  # here: most plans have none

        request, need, trace = traced_need(request)
    devices = devices_of(request)
    named_parts = (*request.gpus, *request.owned, *((request.vendor,) if request.vendor else ()))
    found, every = _all_found(choices, need, devices, usual=not named_parts)
    if not named_parts and not somebody_runs(every):
        found, every = _all_found(choices, need, devices, usual=False)
    left_out = rare_and_replaced(every, named_parts)
    options = ranked([option for place, option in enumerate(every) if place not in left_out], request)
    if request.is_simulated and options:
        from gpusizer.planning.finalists import simulated_finalists  # here: most plans need none

        options = simulated_finalists(request, options, trace)
    first = with_precision(model.stored, alternatives(request.precision)[0])
    return Plan(
        request=request,
        need=need_in_flight(need, request.request_rate, options[0].performance if options else None),
        model=model,
        architecture=first,
        options=options,
        rejected=(*(each.rejected for each in found if each.rejected is not None), *left_out.values()),
        warnings=(
            *said,
            *case_notices(devices, alternatives(request.engine), request.calibrate),
            *first.warnings,
            *_context_warning(first, need.context_tokens),
            *_reasoning_warning(model, need),
            *converted_warnings(options),
        ),
    )


def _in_our_words(request: Request) -> tuple[Request, list[Request], tuple[Notice, ...]]:
    """The request with model and precision as engines take them, one for each engine and precision to choose from, and what was taken for what."""
    choices: list[Request] = []
    notices: list[Notice] = []
    for engine in alternatives(request.engine):
        for words in alternatives(request.precision):
            one = named(request.model, words, engine, checkpoint_bytes=request.checkpoint_bytes)
            choice = replace(request, model=one.model, engine=engine, precision=one.precision)
            choices += [choice] if choice not in choices else []
            notices += [each for each in one.notices if each not in notices]
    first = [each.precision for each in choices if each.engine == choices[0].engine]
    return replace(choices[0], engine=request.engine, precision=",".join(dict.fromkeys(first))), choices, tuple(notices)


def _all_found(choices: Sequence[Request], need: Need, devices: Sequence[Accelerator], *, usual: bool) -> tuple[list[Found], list[Option]]:
    """What becomes of each accelerator in each engine and precision, and the options among it; ``usual`` looks at replicas that somebody runs."""
    found = [each for wanted in _alternatives(choices, need) for each in _found_within(replace(wanted, usual=usual), devices)]
    return found, [option for each in found for option in (each.option, each.tight) if option is not None]


def _found_within(wanted: Search, devices: Sequence[Accelerator]) -> Iterator[Found]:
    """What becomes of each accelerator; of those that somebody has, with no more than there are."""
    request = wanted.request
    most = most_of(request)
    if not most:
        yield from _found(wanted, devices)
    for device in devices if most else ():
        allowed = min(most[device.id], request.max_gpus or most[device.id])
        yield from _found(replace(wanted, request=replace(request, max_gpus=allowed)), [device])


def _alternatives(choices: Sequence[Request], need: Need) -> Iterator[Search]:
    """What is looked for, once for each engine and precision that may be chosen from ("fp8,int4", "vllm,sglang")."""
    for one in choices:
        stored = load_architecture(one.model, one.checkpoint_bytes)
        yield Search(one, need, get_engine(one.engine), stored, with_precision(stored, one.precision))


def _found(wanted: Search, devices: Sequence[Accelerator]) -> Sequence[Found]:
    """What becomes of each accelerator, in the precision that its engine runs there."""
    found: dict[int, Found] = {}
    for each, numbers in by_precision(wanted, devices):
        found |= dict(zip(numbers, _found_in(each, [devices[number] for number in numbers]), strict=True))
    return [found[number] for number in range(len(devices))]


def _found_in(wanted: Search, devices: Sequence[Accelerator]) -> Sequence[Found]:
    """What becomes of each accelerator; drafts that were asked for are part of every start."""
    drafts = asked_drafts(wanted.request.speculative, wanted.engine, wanted.bare, wanted.architecture)
    if isinstance(drafts, Notice):
        return [Found(None, Rejected(device, None, drafts)) for device in devices]
    wanted, split = replace(wanted, drafts=drafts), wanted.request.disaggregate
    if split == OFF or (split == AUTO and (wanted.request.is_stacked or not wanted.request.has_targets)):
        return candidates(wanted, devices)
    from gpusizer.planning.split import search_split  # here: most plans have no workers for prompts

    apart = search_split(wanted, devices)
    return apart if split != AUTO else list(map(fewer, candidates(wanted, devices), apart))


def _context_warning(architecture: Architecture, context_tokens: int) -> tuple[Notice, ...]:
    longest = architecture.max_position_embeddings
    if longest is None or context_tokens <= longest:
        return ()
    return (Notice("context-beyond-model", {"context_tokens": context_tokens, "longest_tokens": longest}),)


def _reasoning_warning(model: Model, need: Need) -> tuple[Notice, ...]:
    """What was taken for the answers of a model that thinks before it answers, where nobody said."""
    thinks = model.entry is not None and "reasoning" in model.entry.uses
    if not thinks or "output_tokens" in need.said or need.scenario == REASONING_SCENARIO:
        return ()
    return (Notice("reasoning-answers", {"output_tokens": need.output_tokens, "usual_tokens": scenario(REASONING_SCENARIO).output_tokens}),)
