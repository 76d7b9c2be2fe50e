"""What would make a start work: the nearest changes, each tried with the same arithmetic before it is offered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import Support
from gpusizer.engines.base.knobs import rungs
from gpusizer.engines.base.launch_words import words_for
from gpusizer.engines.base.support_table import conversion
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import GpusizerError
from gpusizer.facts.types import Accelerator
from gpusizer.planning.offload import offloaded
from gpusizer.planning.tuning import has_smaller_cache

__all__ = ["Change", "Remedy", "changes_for", "remedies_for"]

MOST = 4  # changes that are offered
_ONE_SETTING = frozenset({"fewer-requests", "smaller-cache", "more-of-the-card", "no-graphs"})  # the same requests on the same cards
_SHORTEST = 1024  # tokens below which a context serves nobody
Change = tuple[str, dict[str, Any], Deployment]  # its code, from what to what, the start with it


@dataclass(frozen=True)
class Remedy:
    """One change that makes it start.

    Parameters
    ----------
    code : str
        Words under ``remedy``.
    parameters : dict
        What changes, from and to.
    launch : Deployment
        The start with the change.
    fit : Fit
        The verdict after it.
    knobs : tuple of Notice
        Several settings that are turned together, words under "knob".
    """

    code: str
    parameters: dict[str, Any]
    launch: Deployment
    fit: Fit
    knobs: tuple[Notice, ...] = ()


def remedies_for(fit: Fit, launch: Deployment, architecture: Architecture, accelerator: Accelerator) -> tuple[Remedy, ...]:
    """Changes that would make a start work, the smallest first.

    Parameters
    ----------
    fit : Fit
        A verdict that says no.
    launch : Deployment
        The start as it was asked for, the engine's defaults left open.
    architecture : Architecture
        The model in the precision of the start.
    accelerator : Accelerator
        The device.

    Returns
    -------
    tuple of Remedy
        Each verified; empty where nothing of the kind helps.
    """
    if fit.fits:
        return ()
    engine = get_engine(fit.deployment.engine)
    found: list[Remedy] = []
    kinds: set[str] = set()
    for code, parameters, deployment in changes_for(fit, launch, architecture, accelerator):
        if code in kinds:
            continue
        try:
            model = architecture if deployment.precision == fit.deployment.precision else with_precision(architecture, deployment.precision)
            after = engine.judge(deployment, model, accelerator)
        except GpusizerError:
            continue  # this engine cannot be started so
        if after.fits:
            kinds.add(code)
            found.append(Remedy(code, parameters, deployment, after))
            if len(found) == MOST:
                break
    if kinds & _ONE_SETTING:
        return tuple(found)
    return (*_settings(fit, launch, architecture, accelerator), *found)


def _settings(fit: Fit, launch: Deployment, architecture: Architecture, accelerator: Accelerator) -> tuple[Remedy, ...]:
    """Every setting that a plan would turn, one on top of the other, where none of them is enough alone."""
    engine = get_engine(fit.deployment.engine)
    smaller = has_smaller_cache(engine.knobs, fit.deployment, accelerator)
    turned: dict[str, Notice] = {}  # a setting that is turned twice is said once
    for rung in rungs(engine.knobs, fit.deployment, 1, smaller_cache=smaller):
        turned |= dict.fromkeys(rung.changes, rung.notice)
        launch = replace(launch, **rung.changes)
        after = engine.judge(launch, architecture, accelerator)
        if after.fits:
            return (Remedy("settings", {}, launch, after, tuple(turned.values())),)
    return ()


def changes_for(fit: Fit, launch: Deployment, architecture: Architecture, accelerator: Accelerator) -> Iterator[Change]:
    """Changes in the order of what they cost the user: fewer requests at once, a shorter context, a smaller cache, more of the card, more cards."""
    deployment = fit.deployment
    support = get_engine(deployment.engine).support(launch, architecture, accelerator)
    if support.refusal is not None:  # nothing helps but what the device runs
        yield from _what_runs(launch, architecture, accelerator, support)
        return
    yield from _asking_less(fit, launch)
    if deployment.kv_precision in ("auto", "bf16", "fp16") and "fp8" in accelerator.peak_flops:
        yield "smaller-cache", {"before": deployment.kv_precision, "after": "fp8"}, replace(launch, kv_precision="fp8")
    knobs = get_engine(deployment.engine).knobs
    for fraction in (knobs.safe_fraction, knobs.most_fraction):
        if fraction is not None and deployment.memory_fraction is not None and fraction > deployment.memory_fraction:
            yield "more-of-the-card", {"before": deployment.memory_fraction, "after": fraction}, replace(launch, memory_fraction=fraction)
    if not deployment.enforce_eager:
        yield "no-graphs", {}, replace(launch, enforce_eager=True)
    if (hosted := offloaded(launch, architecture, accelerator)) is not None:
        yield "on-host", {"flags": _added_words(launch, hosted)}, hosted
    yield from _other_layouts(deployment, launch, architecture, accelerator)
    for precision in ("fp8", "int4"):
        if deployment.precision == "checkpoint" and architecture.quantization.method is None:
            yield "smaller-weights", {"before": architecture.dtype, "after": precision}, replace(launch, precision=precision)
            for tokens in _shorter(deployment.max_model_len or 0):
                both = {"before": architecture.dtype, "after": precision, "tokens": tokens}
                yield "smaller-weights-shorter-context", both, replace(launch, precision=precision, max_model_len=tokens)


def _added_words(before: Deployment, after: Deployment) -> str:
    """The flags that a start has beyond another, as they are typed."""
    added = {name: value for name, value in after.flags.items() if before.flags.get(name) != value}
    environment, words = words_for(added, after.engine)
    return " ".join((*environment, *words))


def _what_runs(launch: Deployment, architecture: Architecture, accelerator: Accelerator, support: Support) -> Iterator[Change]:
    """The cache in the model's own format; weights converted to what runs, on as many cards as they then take."""
    if support.refusal is not None and support.refusal.code == "cache-not-on-device":
        after = str(support.refusal.parameters["instead"])
        yield "other-cache", {"before": launch.kv_precision, "after": after}, replace(launch, kv_precision=after)
    for precision in support.instead:
        model, way = with_precision(architecture, precision), conversion(launch.engine, accelerator, precision)
        changed = replace(launch, precision=precision)
        layouts = (each for _, _, each in _other_layouts(changed, changed, model, accelerator))
        for each in (changed, *layouts):
            size = {"weights_bytes": checkpoint_bytes(model), "gpus": each.layout.gpus, "tp": each.tp, "pp": each.pp}
            yield "convert-first" if precision == support.instead[0] else "convert-otherwise", {"name": way.name, "tool": way.tool, **size}, each


def _asking_less(fit: Fit, launch: Deployment) -> Iterator[Change]:
    """Fewer requests at once, then a shorter context."""
    deployment = fit.deployment
    sequences = deployment.max_num_seqs or 0
    while sequences > 8:
        sequences //= 2
        yield (
            "fewer-requests",
            {"before": deployment.max_num_seqs, "after": sequences},
            replace(launch, max_num_seqs=sequences),
        )
    context = deployment.max_model_len or 0
    longest = int(fit.reason.parameters.get("longest_tokens", 0)) if fit.reason is not None else 0
    if longest >= _SHORTEST:
        yield "shorter-context", {"before": context, "after": longest}, replace(launch, max_model_len=longest)
    for tokens in _shorter(context):
        yield "shorter-context", {"before": deployment.max_model_len, "after": tokens}, replace(launch, max_model_len=tokens)


def _shorter(context_tokens: int) -> Iterator[int]:
    """Ever shorter contexts, by halves. [tokens]"""
    while context_tokens // 2 >= _SHORTEST:
        context_tokens //= 2
        yield context_tokens


def _other_layouts(deployment: Deployment, launch: Deployment, architecture: Architecture, accelerator: Accelerator) -> Iterator[Change]:
    """Another cut of the same cards, then more cards."""
    gpus = deployment.layout.gpus
    engine = get_engine(deployment.engine)
    for count in dict.fromkeys((gpus, 1 << gpus.bit_length(), *(gpus * more for more in (2, 3, 4, 8)))):
        for choice in engine.layouts(architecture, accelerator, count):
            if choice.reason is None and choice.layout != deployment.layout:
                layout = choice.layout
                changed = replace(launch, tp=layout.tp, pp=layout.pp, dp=layout.dp, ep=layout.ep)
                code = "other-layout" if layout.gpus == gpus else "more-gpus"
                yield code, {"before": gpus, "after": layout.gpus, "tp": layout.tp, "pp": layout.pp}, changed
                break
