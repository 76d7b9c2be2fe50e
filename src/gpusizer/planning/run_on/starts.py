"""One model on one machine: each way to start it is judged by its engine, until one holds the load."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration, get_engine
from gpusizer.engines.base.flags import flag_table
from gpusizer.engines.base.types import NOTHING_ON_HOST, Deployment, Layout
from gpusizer.facts.model_list import ListedModel
from gpusizer.facts.types import Accelerator
from gpusizer.performance.batch import Ask
from gpusizer.performance.types import Load
from gpusizer.planning.companions import SHARED, Companion, Stack, companions_on
from gpusizer.planning.model import POOLED_USES
from gpusizer.planning.need import Need
from gpusizer.planning.offload import offloaded
from gpusizer.planning.option_speeds import OptionSpeeds
from gpusizer.planning.request import Request
from gpusizer.planning.run_on.machine import Group, Machine
from gpusizer.planning.run_on.shortlist import Trial
from gpusizer.planning.run_on.types import OFFLOADED, Start
from gpusizer.planning.search import best_layout
from gpusizer.planning.sizes import replica_sizes
from gpusizer.planning.starts import deployment_for, held_range, known_fit, settled_fit
from gpusizer.planning.types import FITS, TIGHT
from gpusizer.planning.wanted import Candidate, Search

__all__ = ["started"]

HOST_STEP_TOKENS = 2048
"""Of a prompt computed at once where experts lie on the host: each step moves all of them over PCIe, so that few steps are quick (ggml-org/llama.cpp:
pull 18934; --ubatch-size)."""


def started(trial: Trial, model: ListedModel, need: Need, machine: Machine, beside: tuple[str, ...] = ()) -> Start | Notice:
    """One way to start a model: as the engine takes it with the fewest GPUs that hold the load, or why it will not.

    Parameters
    ----------
    trial : Trial
        GPUs, engine and precision.
    model : ListedModel
        The model.
    need : Need
        The load.
    machine : Machine
        The host beside the GPUs.
    beside : tuple of str
        Models that stand on the same GPUs.

    Returns
    -------
    Start or Notice
        A notice has its words under "reason".
    """
    stored = load_architecture(model.id)
    need = _within(need, stored)
    if stored.reads_only or not POOLED_USES.isdisjoint(model.uses):
        return _reading(trial, model, need, stored)
    request = Request(
        model=model.id,
        engine=trial.offer.engine,
        precision=trial.offer.precision,
        gpus=(trial.group.accelerator.id,),
        concurrency=need.concurrency,
        input_tokens=need.input_tokens,
        output_tokens=need.output_tokens,
        with_models=beside,
    )
    wanted = Search(request, need, get_engine(trial.offer.engine), stored, with_precision(stored, trial.offer.precision))
    support = wanted.support(trial.group.accelerator)
    if support.refusal is not None:
        return support.refusal
    if beside:
        companions = _companions(trial.group.accelerator, beside, trial.offer.engine)
        if isinstance(companions, Notice):
            return companions
        wanted = replace(wanted, stacks={trial.group.accelerator.id: Stack(companions, SHARED)})
    return _with_host(wanted, trial.group, machine) if trial.offloaded or trial.group.devices else _smallest(wanted, trial.group)


@lru_cache(maxsize=256)
def _companions(device: Accelerator, models: tuple[str, ...], engine: str) -> tuple[Companion, ...] | Notice:
    """The models that stand beside every other, sized once for each kind of GPU."""
    return companions_on(device, models, engine)


def _with_host(wanted: Search, group: Group, machine: Machine) -> Start | Notice:
    """All GPUs of a kind, or unequal ones together, and what they do not hold in the memory of the host."""
    gpus = min(group.gpus, wanted.engine.most_devices or group.gpus)
    asked = deployment_for(wanted, group.accelerator, Layout(pp=gpus)).changed(
        devices=group.devices,
        max_num_seqs=wanted.need.concurrency,
        max_num_batched_tokens=HOST_STEP_TOKENS,
        host_memory_bytes=machine.host_memory_bytes,
        host_bandwidth_bytes_per_s=machine.host_bandwidth_bytes_per_s,
    )
    launch = offloaded(asked, wanted.architecture, group.accelerator)
    if launch is None:
        return Notice("larger-with-host", {"weights_bytes": wanted.weights_bytes, "host_bytes": machine.host_memory_bytes or 0})
    fit = known_fit(wanted.engine, launch, wanted.architecture, group.accelerator)
    found = Candidate(launch.layout, launch, fit, *held_range(fit), replicas=1)
    return _start(wanted, group, found, FITS if fit.on_host == NOTHING_ON_HOST else OFFLOADED)


def _within(need: Need, stored: Architecture) -> Need:
    """The need, no longer than the model's context."""
    longest = stored.max_position_embeddings
    if longest is None or longest >= need.context_tokens:
        return need
    tokens_in = max(longest * need.input_tokens // need.context_tokens, 1)
    return replace(need, input_tokens=tokens_in, output_tokens=max(longest - tokens_in, 1), context_tokens=longest)


def _smallest(wanted: Search, group: Group) -> Start | Notice:
    """The fewest GPUs that hold the load, on the safe side before the middle of the estimate."""
    tight: Candidate | None = None
    reason = Notice("does-not-fit")
    for gpus in _sizes(wanted, group):
        tried = best_layout(wanted, group.accelerator, gpus)
        if tried.safe is not None and tried.safe.gpus <= group.gpus:
            return _start(wanted, group, tried.safe, FITS)
        if tried.tight is not None and tried.tight.gpus <= group.gpus:
            tight = tight or tried.tight
        if tried.safe is not None:
            reason = Notice("more-than-max-gpus", {"gpus": tried.safe.gpus, "max_gpus": group.gpus})
        elif tried.rejected is not None:
            reason = tried.rejected.reason
    return reason if tight is None else _start(wanted, group, tight, TIGHT)


def _sizes(wanted: Search, group: Group) -> Iterator[int]:
    """GPUs of a replica that hold the weights at all; an engine that shares layers out takes any number."""
    sizes = set(replica_sizes(group.accelerator, group.gpus))
    if declaration(wanted.engine.id).layout_by_devices and group.accelerator.is_machine:
        sizes = {1}  # no layers on another machine
    elif declaration(wanted.engine.id).layout_by_devices:
        sizes.add(min(group.gpus, wanted.engine.most_devices or group.gpus))
    for size in sorted(sizes):
        if size * group.accelerator.memory_bytes > wanted.weights_bytes and size <= (wanted.most_gpus or size):
            yield size


def _start(wanted: Search, group: Group, found: Candidate, verdict: str) -> Start:
    need = wanted.need
    load = Load(input_tokens=need.input_tokens, output_tokens=need.output_tokens, concurrency=need.concurrency)
    ask = Ask(group.accelerator, found.launch, found.replicas, found.fit)
    speeds, placed = OptionSpeeds(wanted.architecture, ask, load), wanted.companions(group.accelerator, found)
    return Start(group, wanted.architecture, found.launch, found.fit, verdict, speeds, placed)


def _reading(trial: Trial, model: ListedModel, need: Need, stored: Architecture) -> Start | Notice:
    """A model that embeds or ranks on one GPU: it keeps nothing, and texts are as long as it takes."""
    told = not stored.pooled and flag_table(trial.offer.engine).find("--runner") is not None
    flags: dict[str, Any] = {"runner": "pooling"} if told else {}
    length = need.context_tokens if declaration(trial.offer.engine).writes else None  # servers of encoders alone read texts as long as they take
    deployment = Deployment(
        model.id, trial.group.accelerator.id, engine=trial.offer.engine, precision=trial.offer.precision, max_model_len=length, flags=flags
    )
    engine, architecture = get_engine(trial.offer.engine), with_precision(stored, trial.offer.precision)
    support = engine.support(deployment, architecture, trial.group.accelerator)
    if support.refusal is not None:
        return support.refusal
    deployment, fit = settled_fit(deployment, engine, architecture, trial.group.accelerator)
    if not fit.fits:
        return fit.reason or Notice("does-not-fit")
    return Start(trial.group, architecture, deployment, fit, FITS, None)
