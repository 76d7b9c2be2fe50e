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
from gpusizer.facts.model_sizes import ENGINES, PRECISIONS, ModelSizes, model_sizes
from gpusizer.facts.model_words import model_meant
from gpusizer.facts.types import ServiceFloor
from gpusizer.formulas.standing import DOUBLED_MONTHS, standing_params
from gpusizer.planning.model import POOLED_USES
from gpusizer.planning.need import Need
from gpusizer.planning.run_on.machine import Group, Machine
from gpusizer.planning.run_on.request import RunOnRequest

__all__ = [
    "Candidate",
    "Offer",
    "Trial",
    "candidates",
    "request_bytes",
    "smallest_bytes",
    "standing_of",
    "surely_slow",
    "trials",
]

QUICK_HOST = 100e9  # of a desktop whose memory nobody described, at its best [bytes/s]
SERVED_BITS = 4.1  # of a file on GPUs that serve many: nobody squeezes a model onto a server
PLAIN_BITS, FOUR_BITS = 10.0, 6.0  # above the one a checkpoint is not quantised, below the other it has four bits
HALF_BYTES = 2  # of a parameter: engines that pool load what is stored in FP32 in 16 bits
WIDER, NARROWER = 1.08, 0.95  # times the bits of a checkpoint that a file made of it may have: Q8_0 of FP8; of one in four bits only fewer
MOST_KINDS = 2  # kinds of GPUs that are tried with one precision
UNKNOWN_MONTHS = 24  # older than the newest, where nobody noted when a model came out
WHOLE, GOOD, FEWER, FEW = 3, 2, 1, 0
_LEVELS = ((7.5, WHOLE), (4.1, GOOD), (3.2, FEWER))  # bits of a parameter from which a precision counts as such
_GGUF_FROM, _MLX_FROM = PRECISIONS.index("q8_0"), PRECISIONS.index("mlx_8bit")
SAFETENSORS, GGUF, MLX = PRECISIONS[:_GGUF_FROM], PRECISIONS[_GGUF_FROM:_MLX_FROM], PRECISIONS[_MLX_FROM:]
FEW_AT_ONCE = 2  # requests, up to which people at home run GGUF files


class Offer(NamedTuple):
    """A precision of an engine.

    Parameters
    ----------
    engine, precision : str
        Who serves, in which precision.
    weights_bytes : int
        All of them. [bytes]
    bits : float
        Of a parameter.
    """

    engine: str
    precision: str
    weights_bytes: int
    bits: float

    @property
    def level(self) -> int:
        """How much of the model's precision is left."""
        return next((level for bits, level in _LEVELS if self.bits >= bits), FEW)


class Trial(NamedTuple):
    """A way to start a model that its sizes allow: a precision, the GPUs, and whether part of the weights must lie on the host."""

    offer: Offer
    group: Group
    offloaded: bool = False


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
        shape = f"{each.total_params:.3g}", f"{each.activated_params:.3g}", each.uses  # as names write them
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
    found = [trial for engine in engines for trial in _of_engine(candidate, engine, machine, need)]

    def order(trial: Trial) -> tuple[float, ...]:
        offer, rate = trial.offer, trial.group.bandwidth_bytes_per_s
        return trial.offloaded, -offer.level, _place(offer.engine, trial.group, need), -round(offer.bits, 1), -rate

    return sorted(found, key=order)


def _place(engine: str, group: Group, need: Need) -> int:
    """GGUF files first where somebody has one device at home and few ask at once; several work together under the others."""
    return 0 if declaration(engine).takes_gguf == (group.at_home and need.concurrency <= FEW_AT_ONCE) else 1


def smallest_bytes(candidate: Candidate, machine: Machine, engines: Sequence[str]) -> int:
    """Size of the weights in the fewest bits that are worth a start on one of the GPUs. [bytes]"""
    offers = (offer for engine in engines for offer in _offers(candidate, engine) if any(_worth_it(offer, group) for group in machine.choices))
    return min((offer.weights_bytes for offer in offers), default=0)


def request_bytes(candidate: Candidate, need: Need) -> int:
    """Cache of one request, no longer than the model takes. [bytes]"""
    longest = candidate.model.context_tokens or need.context_tokens
    return candidate.sizes.cache_bytes(min(need.context_tokens, longest))


def _of_engine(candidate: Candidate, engine: str, machine: Machine, need: Need) -> Iterator[Trial]:
    """What finds room on the quickest GPUs, or for files of GGUF on them and on the host."""
    gguf = declaration(engine).takes_gguf
    cache = request_bytes(candidate, need) * (1 if gguf else need.concurrency)
    for offer in _offers(candidate, engine):
        if machine.disk_bytes is None or offer.weights_bytes <= machine.disk_bytes:
            needed = offer.weights_bytes + cache
            groups = [group for group in machine.choices if needed <= machine.room_bytes(group) and _worth_it(offer, group)]
            whole = [Trial(offer, group) for group in groups if needed <= (group.one_box_bytes if gguf else group.room_bytes)]
            yield from whole[:MOST_KINDS]
            if gguf and not whole:
                yield from [Trial(offer, group, offloaded=True) for group in groups[:MOST_KINDS]]


def _worth_it(offer: Offer, group: Group) -> bool:
    """Files of GGUF in any number of bits at home, in few on no server; unequal cards work together for those alone."""
    if not declaration(offer.engine).takes_gguf:
        return not group.devices
    return offer.bits >= SERVED_BITS or not group.serves_many


def _offers(candidate: Candidate, engine: str) -> Iterator[Offer]:
    """The precisions that an engine has of a model, whether or not there is room."""
    model, sizes = candidate.model, candidate.sizes
    if engine in ENGINES and engine not in sizes.engines:
        return  # of engines that the table does not have each start decides
    reads = not POOLED_USES.isdisjoint(model.uses)
    stored = 8 * sizes.weights_bytes["checkpoint"] / model.total_params
    widest = stored * (WIDER if stored > FOUR_BITS else NARROWER)
    for precision in _precisions(stored, declaration(engine)):
        weights = min(sizes.weights_bytes[precision], HALF_BYTES * model.total_params if reads else sizes.weights_bytes[precision])
        bits = 8 * weights / model.total_params
        if precision == "checkpoint" or bits <= widest:
            yield Offer(engine, precision, weights, bits)


def _precisions(stored_bits: float, declared: Declaration) -> tuple[str, ...]:
    """Precisions of an engine; a checkpoint in four bits is a GGUF file as it is."""
    if declared.takes_mlx:
        return ("checkpoint", *MLX)
    if declared.takes_gguf:
        return GGUF if stored_bits > FOUR_BITS else ("checkpoint", *GGUF)
    return SAFETENSORS if stored_bits > PLAIN_BITS else ("checkpoint", "int4") if stored_bits > FOUR_BITS else ("checkpoint",)


def surely_slow(trial: Trial, candidate: Candidate, machine: Machine, need: Need, floor: ServiceFloor) -> bool:
    """Whether no kernel is quick enough: reading the activated weights once a token, or computing the prompt, takes longer than the floor allows."""
    group, model = trial.group, candidate.model
    active = model.activated_params * trial.offer.bits / 8
    hosted = _read_on_host(trial, candidate)
    token_s = hosted / (machine.host_bandwidth_bytes_per_s or QUICK_HOST)
    token_s += (active - hosted) / group.bandwidth_bytes_per_s if group.bandwidth_bytes_per_s else 0.0
    peaks = group.accelerator.peak_flops
    peak = group.gpus * max((peaks.get(form, 0.0) for form in ("bf16", "fp16", "fp8", "int8")), default=0.0)
    prompt_s = 2 * model.activated_params * need.input_tokens / peak if peak else 0.0
    return token_s > floor.tpot_s or prompt_s > floor.ttft_s


def _read_on_host(trial: Trial, candidate: Candidate) -> float:
    """Bytes that a token reads in memory of the host at least: of a mixture of experts the part of its experts that finds no room on the GPUs."""
    model, share = candidate.model, candidate.sizes.expert_share
    left_over = max(1 - trial.group.room_bytes / trial.offer.weights_bytes, 0.0)
    if not share:
        return model.activated_params * left_over * trial.offer.bits / 8
    routed = max(model.activated_params - model.total_params * (1 - share), 0.0)
    return routed * min(left_over / share, 1.0) * trial.offer.bits / 8
