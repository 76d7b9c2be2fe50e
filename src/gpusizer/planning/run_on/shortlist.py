"""Which models are worth a start on a machine, and in what order: from the list of the catalogue and a table of sizes, without reading any model.

Nothing here is an answer: what is shown was started by its engine. A wrong size here could only cost a try, or the place of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gpusizer.engines import declaration
from gpusizer.engines.base.declaration import Declaration
from gpusizer.facts.filters import suiting
from gpusizer.facts.model_list import ListedModel, listed_models
from gpusizer.facts.model_sizes import PRECISIONS, ModelSizes, model_sizes
from gpusizer.facts.model_words import model_meant
from gpusizer.facts.types import ServiceFloor
from gpusizer.formulas.standing import DOUBLED_MONTHS, standing_params
from gpusizer.planning.model import POOLED_USES
from gpusizer.planning.need import Need
from gpusizer.planning.run_on.machine import Group, Machine
from gpusizer.planning.run_on.request import RunOnRequest

__all__ = ["Candidate", "Trial", "candidates", "request_bytes", "room_bytes", "serves_many", "smallest_bytes", "standing_of", "surely_slow", "trials"]

ROOM = 0.97  # of the memory of a GPU that weights and cache of one request may take at most, before anything else is counted
HOST_ROOM = 0.9  # of the host's memory: the rest is the system's
SERVED_BITS = 4.1  # of a file on GPUs that serve many: nobody squeezes a model onto a server
PLAIN_BITS, FOUR_BITS = 10.0, 6.0  # above the one a checkpoint is not quantised, below the other it has four bits
HALF_BYTES = 2  # of a parameter: engines that pool load what is stored in FP32 in 16 bits
WIDER, NARROWER = 1.08, 0.95  # times the bits of a checkpoint that a file made of it may have: Q8_0 of FP8; of one in four bits only fewer
UNKNOWN_MONTHS = 24  # older than the newest, where nobody noted when a model came out
WHOLE, GOOD, FEWER, FEW = 3, 2, 1, 0
_LEVELS = ((7.5, WHOLE), (4.1, GOOD), (3.2, FEWER))  # bits of a parameter from which a precision counts as such
_GGUF_FROM, _MLX_FROM = PRECISIONS.index("q8_0"), PRECISIONS.index("mlx_8bit")
SAFETENSORS, GGUF, MLX = PRECISIONS[:_GGUF_FROM], PRECISIONS[_GGUF_FROM:_MLX_FROM], PRECISIONS[_MLX_FROM:]
SERVERS = ("data-centre", "cloud-only", "announced")
AT_HOME = ("gaming", "hobby", "edge", "workstation")
FEW_AT_ONCE = 2  # requests, up to which people at home run GGUF files


class Trial(NamedTuple):
    """A way to start a model that its sizes allow.

    Parameters
    ----------
    group : Group
        The GPUs.
    engine, precision : str
        Who serves, in which precision.
    weights_bytes : int
        All of them. [bytes]
    bits : float
        Of a parameter.
    offloaded : bool
        Not all weights find room on the GPUs.
    """

    group: Group
    engine: str
    precision: str
    weights_bytes: int
    bits: float
    offloaded: bool = False

    @property
    def level(self) -> int:
        """How much of the model's precision is left."""
        return next((level for bits, level in _LEVELS if self.bits >= bits), FEW)


class Candidate(NamedTuple):
    """A model and its place."""

    model: ListedModel
    sizes: ModelSizes
    standing: float


def candidates(request: RunOnRequest) -> list[Candidate]:
    """Models that are asked for, the best first.

    Parameters
    ----------
    request : RunOnRequest
        Uses, licence, names.

    Returns
    -------
    list of Candidate
        By standing.
    """
    sizes = model_sizes()
    newest = max((_months(each) for each in listed_models() if each.released), default=0)
    wanted = frozenset(model_meant(name).id for name in request.models)
    asked = [each for each in listed_models() if (each.id in wanted if wanted else _is_asked_for(each, request))]
    kept = suiting(asked, None, request.licence)
    kept = kept if wanted else _newest(kept)
    found = [Candidate(each, sizes[each.id], standing_of(each, newest)) for each in kept if each.id in sizes]
    return sorted(found, key=lambda each: (-each.standing, -(each.model.context_tokens or 0), each.model.id))


def _newest(models: Sequence[ListedModel]) -> list[ListedModel]:
    """Of models of one size and shape for the same uses the newest: the others were replaced by it."""
    found: dict[object, ListedModel] = {}
    for each in models:
        shape = each.total_params, each.activated_params, each.uses
        if shape not in found or (each.released or "") > (found[shape].released or ""):
            found[shape] = each
    return list(found.values())


def standing_of(model: ListedModel, newest_month: int) -> float:
    """Parameters that decide the place of a model; see :func:`gpusizer.formulas.standing.standing_params`. [parameters]"""
    older = newest_month - _months(model) if model.released else UNKNOWN_MONTHS
    return float(
        standing_params(total_params=model.total_params, activated_params=model.activated_params, months_older=older, doubled_months=DOUBLED_MONTHS)
    )


def _months(model: ListedModel) -> int:
    year, month = (model.released or "0-0").split("-")[:2]
    return 12 * int(year) + int(month)


def _is_asked_for(model: ListedModel, request: RunOnRequest) -> bool:
    """A model that answers, in its own precision, for a use that is wanted."""
    return not (model.base or model.copy_of or not model.uses) and (not request.use or not set(request.use).isdisjoint(model.uses))


def trials(candidate: Candidate, machine: Machine, need: Need, engines: Sequence[str]) -> list[Trial]:
    """Ways to start a model that its sizes allow, the best first.

    All of it on GPUs comes before some of it on the host; then as many bits as count, the engine that people run on such a device for so many, the
    most bits, and the quickest GPUs.

    Parameters
    ----------
    candidate : Candidate
        A model.
    machine : Machine
        The GPUs and the host.
    need : Need
        The load.
    engines : sequence of str
        Engines that may be chosen from.

    Returns
    -------
    list of Trial
        Empty where no precision is small enough.
    """
    found = [trial for group in machine.choices for engine in engines for trial in _of_engine(candidate, group, engine, machine, need)]

    def order(trial: Trial) -> tuple[float, ...]:
        rate = trial.group.bandwidth_bytes_per_s
        return trial.offloaded, -trial.level, _place(trial.engine, trial.group, need), -round(trial.bits, 1), -rate

    return sorted(found, key=order)


def _place(engine: str, group: Group, need: Need) -> int:
    """GGUF files first where somebody has one device at home and few ask at once; several work together under the others."""
    return 0 if declaration(engine).takes_gguf == (_at_home(group) and need.concurrency <= FEW_AT_ONCE) else 1


def serves_many(group: Group) -> bool:
    """GPUs of a server, which people do not buy for one user."""
    device = group.accelerator
    return not _at_home(group) and (device.sold_as in SERVERS or "HBM" in (device.memory_type or ""))


def _at_home(group: Group) -> bool:
    device = group.accelerator
    alone = group.gpus == 1 or device.is_machine or bool(group.devices)
    return device.sold_as in AT_HOME and "HBM" not in (device.memory_type or "") and alone


def smallest_bytes(candidate: Candidate, machine: Machine, engines: Sequence[str]) -> int:
    """Size of the weights in the fewest bits that are worth a start on one of the GPUs. [bytes]"""
    return min((each.weights_bytes for group in machine.choices for engine in engines for each in _offers(candidate, group, engine)), default=0)


def request_bytes(candidate: Candidate, need: Need) -> int:
    """Cache of one request, no longer than the model takes. [bytes]"""
    longest = candidate.model.context_tokens or need.context_tokens
    return candidate.sizes.cache_bytes(min(need.context_tokens, longest))


def room_bytes(group: Group, machine: Machine | None = None) -> float:
    """What weights and cache may take of the GPUs at most, and of the host of a machine. [bytes]"""
    device = group.accelerator
    host = 0 if machine is None or device.unified_memory else machine.host_memory_bytes or 0
    return group.memory_bytes * ROOM + host * HOST_ROOM


def _of_engine(candidate: Candidate, group: Group, engine: str, machine: Machine, need: Need) -> Iterator[Trial]:
    """What finds room on the GPUs, or for files of GGUF on them and on the host."""
    gguf = declaration(engine).takes_gguf
    cache = request_bytes(candidate, need) * (1 if gguf else need.concurrency)
    memory = room_bytes(group)
    host = room_bytes(group, machine) - memory
    for trial in _offers(candidate, group, engine):
        if machine.disk_bytes is not None and trial.weights_bytes > machine.disk_bytes:
            continue
        if trial.weights_bytes + cache <= memory:
            yield trial
        elif gguf and trial.weights_bytes + cache <= memory + host:
            yield trial._replace(offloaded=True)


def _offers(candidate: Candidate, group: Group, engine: str) -> Iterator[Trial]:
    """The precisions that an engine has of a model on such GPUs, whether or not there is room."""
    model, sizes = candidate.model, candidate.sizes
    declared = declaration(engine)
    gguf = declared.takes_gguf
    if engine not in sizes.engines or (group.devices and not gguf):
        return
    reads = not POOLED_USES.isdisjoint(model.uses)
    stored = 8 * sizes.weights_bytes["checkpoint"] / model.total_params
    least = SERVED_BITS if gguf and serves_many(group) else 0.0
    widest = stored * (WIDER if stored > FOUR_BITS else NARROWER)
    for precision in _precisions(stored, declared):
        weights = min(sizes.weights_bytes[precision], HALF_BYTES * model.total_params if reads else sizes.weights_bytes[precision])
        bits = 8 * weights / model.total_params
        if least <= bits and (precision == "checkpoint" or bits <= widest):
            yield Trial(group, engine, precision, weights, bits)


def _precisions(stored_bits: float, declared: Declaration) -> tuple[str, ...]:
    """Precisions of an engine; a checkpoint in four bits is a GGUF file as it is."""
    if declared.takes_mlx:
        return ("checkpoint", *MLX)
    if declared.takes_gguf:
        return GGUF if stored_bits > FOUR_BITS else ("checkpoint", *GGUF)
    return SAFETENSORS if stored_bits > PLAIN_BITS else ("checkpoint", "int4") if stored_bits > FOUR_BITS else ("checkpoint",)


def surely_slow(trial: Trial, model: ListedModel, need: Need, floor: ServiceFloor) -> bool:
    """Whether no kernel is quick enough: reading the activated weights once a token, or computing the prompt, takes longer than the floor allows."""
    device, count, bandwidth = trial.group.accelerator, trial.group.gpus, trial.group.bandwidth_bytes_per_s
    token_s = model.activated_params * trial.bits / 8 / bandwidth if bandwidth else 0.0
    peak = max((device.peak_flops.get(form, 0.0) for form in ("bf16", "fp16", "fp8", "int8")), default=0.0)
    prompt_s = 2 * model.activated_params * need.input_tokens / (count * peak) if peak else 0.0
    return token_s > floor.tpot_s or prompt_s > floor.ttft_s
