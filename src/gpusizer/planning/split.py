"""Prompts on workers of their own: which two layouts, and how many workers of each, hold the load and keep the targets with the fewest GPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.load import replicas_needed
from gpusizer.performance.device_speeds import speed_unknown
from gpusizer.performance.split_sweep import SplitAsk, SplitSweep
from gpusizer.performance.types import Load, PrefillPool
from gpusizer.planning.option_speeds import OptionSpeeds, load_of
from gpusizer.planning.search import layouts_of, option_of, spread_candidates
from gpusizer.planning.sizes import replica_sizes
from gpusizer.planning.types import Found, PrefillWorkers, Rejected
from gpusizer.planning.wanted import Candidate, Search

__all__ = ["search_split"]

SIZES_TRIED = 2  # of a worker, from the smallest that holds the model
LAYOUTS_TRIED = 2  # of each size, beside ranks with requests of their own
MORE_DECODERS = (1, 1.25, 1.5, 2, 3, 4, 6)  # times what memory needs
PREFILLERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
LEAST_SHARE = 0.9  # of what many prefill workers would let the others serve, where no time to the first token is asked for


class _Pair(NamedTuple):
    device: int
    decode: Candidate
    prefill: Candidate
    decoders: int
    prefillers: int

    @property
    def gpus(self) -> int:
        return self.decode.layout.gpus * self.decoders + self.prefill.layout.gpus * self.prefillers


class _Answer(NamedTuple):
    pair: _Pair
    kept: bool
    ttft_s: float
    tpot_s: float
    in_flight: float
    holds: bool
    output_tokens_per_s: float

    @property
    def order(self) -> tuple[float, ...]:
        return (0.0, self.pair.gpus, self.tpot_s) if self.kept else (1.0, self.tpot_s + self.ttft_s, self.pair.gpus)


def search_split(wanted: Search, devices: Sequence[Accelerator]) -> list[Found]:
    """On each accelerator the fewest GPUs of which some only compute prompts; workers lie inside one server.

    Parameters
    ----------
    wanted : Search
        Targets and limits, load, engine and model.
    devices : sequence of Accelerator
        The accelerators to consider.

    Returns
    -------
    list of Found
        An option, or the reason, for each accelerator.
    """
    refused: dict[int, Rejected] = {}
    workers: dict[int, list[Candidate]] = {}
    for number, device in enumerate(devices):
        found = _workers(wanted, device)
        if isinstance(found, Rejected):
            refused[number] = found
        else:
            workers[number] = found
    coarse = [pair for number, found in workers.items() for pair in _pairs(wanted, number, found)]
    best = _best(wanted, devices, coarse)
    for number, finer in _best(wanted, devices, [pair for each in best.values() for pair in _between(wanted, each, coarse)]).items():
        if finer.order < best[number].order:
            best[number] = finer
    return [_found(wanted, device, best.get(number), refused.get(number)) for number, device in enumerate(devices)]


def _workers(wanted: Search, device: Accelerator) -> list[Candidate] | Rejected:
    """Workers that start: few layouts of the smallest sizes that hold the model."""
    support = wanted.support(device)
    if support.refusal is not None:
        return Rejected(device, None, support.refusal)
    if (slow := speed_unknown(device)) is not None:
        return Rejected(device, None, slow)
    if wanted.engine.in_role(wanted.bare, "prefill") is None:
        return Rejected(device, None, Notice("no-prefill-workers", {"engine": wanted.engine.declared.label}))
    found: list[Candidate] = []
    sizes: set[int] = set()
    refused = Rejected(device, None, Notice("larger-than-a-server", {"gpu": device.id}))
    for gpus in replica_sizes(device, wanted.most_gpus):
        if gpus > device.node_size or len(sizes) == SIZES_TRIED:
            break
        if gpus * device.memory_bytes <= wanted.weights_bytes:
            continue
        tried = list(layouts_of(wanted, device, gpus, most=LAYOUTS_TRIED))
        legal = [each for each in tried if isinstance(each, Candidate)]
        if legal:
            sizes.add(gpus)
            found += [*legal, *spread_candidates(wanted, device, gpus)]
        refused = next((each for each in tried if isinstance(each, Rejected)), refused)
    return found or refused


def _pairs(wanted: Search, number: int, found: list[Candidate]) -> Iterator[_Pair]:
    """Every worker for answers beside every worker for prompts, in numbers from the fewest that memory allows."""
    for decode in found:
        least = 1 if wanted.request.request_rate is not None else decode.replicas
        for prefill in found:
            for decoders in sorted({round(least * more) for more in MORE_DECODERS}):
                for prefillers in PREFILLERS:
                    pair = _Pair(number, decode, prefill, decoders, prefillers)
                    if pair.gpus <= (wanted.request.max_gpus or pair.gpus):
                        yield pair


def _between(wanted: Search, answer: _Answer, tried: Sequence[_Pair]) -> Iterator[_Pair]:
    """Numbers of workers between the best that were tried and the next lower ones."""
    pair = answer.pair
    same = [each for each in tried if each.decode is pair.decode and each.prefill is pair.prefill]
    fewer = max((each.decoders for each in same if each.decoders < pair.decoders), default=pair.decoders - 1)
    lower = max((each.prefillers for each in same if each.prefillers < pair.prefillers), default=pair.prefillers - 1)
    for decoders in range(fewer + 1, pair.decoders + 1, max((pair.decoders - fewer) // len(MORE_DECODERS), 1)):
        for prefillers in range(lower + 1, pair.prefillers + 1):
            yield pair._replace(decoders=decoders, prefillers=prefillers)


def _best(wanted: Search, devices: Sequence[Accelerator], pairs: Sequence[_Pair]) -> dict[int, _Answer]:
    """By device: the pair to take."""
    if not pairs:
        return {}
    request = wanted.request
    asks = [
        SplitAsk(devices[each.device], each.decode.launch, each.decode.fit, each.decoders, each.prefill.launch, each.prefillers) for each in pairs
    ]
    sweep = SplitSweep(wanted.architecture, asks, load_of(request, wanted.need))
    figures = zip(
        pairs,
        sweep.holds_rate.tolist(),
        sweep.ttft_s.tolist(),
        sweep.tpot_s.tolist(),
        sweep.in_flight.tolist(),
        sweep.output_tokens_per_s.tolist(),
        strict=True,
    )
    most: dict[tuple[int, int, int], float] = {}  # what so many decode workers serve with the most prefill workers
    answers: list[_Answer] = []
    for pair, holds, ttft, tpot, in_flight, rate in figures:
        key = (id(pair.decode), id(pair.prefill), pair.decoders)
        most[key] = max(most.get(key, 0.0), rate)
        room = request.request_rate is None or int(replicas_needed(concurrency=max(round(in_flight), 1), held=pair.decode.held_low)) <= pair.decoders
        quick = (request.ttft_s is None or ttft <= request.ttft_s) and (request.tpot_s is None or tpot <= request.tpot_s)
        answers.append(_Answer(pair, holds and room and quick, ttft, tpot, in_flight, holds, rate))
    best: dict[int, _Answer] = {}
    for answer in answers:
        pair = answer.pair
        enough = LEAST_SHARE * most[id(pair.decode), id(pair.prefill), pair.decoders]
        if request.ttft_s is None and request.request_rate is None and answer.output_tokens_per_s < enough:
            answer = answer._replace(kept=False)
        if pair.device not in best or answer.order < best[pair.device].order:
            best[pair.device] = answer
    return best


def _found(wanted: Search, device: Accelerator, best: _Answer | None, refused: Rejected | None) -> Found:
    if best is None:
        return Found(None, refused or Rejected(device, None, Notice("more-than-max-gpus-pair", {"max_gpus": wanted.request.max_gpus})))
    pair = best.pair
    if not best.kept:
        limit = {"limit": best.output_tokens_per_s / wanted.need.output_tokens, "rate": wanted.request.request_rate, "gpus": pair.gpus}
        reached = {"best_ttft_s": best.ttft_s, "best_tpot_ms": 1000 * best.tpot_s, "gpus": pair.gpus}
        reason = Notice("too-slow", reached) if best.holds else Notice("cannot-hold-rate", limit)
        return Found(None, Rejected(device, pair.decode.layout, reason))
    chosen = replace(pair.decode, replicas=pair.decoders, beside=pair.gpus - pair.decode.layout.gpus * pair.decoders)
    option = option_of(wanted, chosen, device, wanted.support(device))
    load: Load = replace(load_of(wanted.request, wanted.need), concurrency=best.in_flight, request_rate_per_s=None)
    pool = PrefillPool(pair.prefill.launch, pair.prefillers)
    speeds = OptionSpeeds(wanted.architecture, option.speeds.ask, load, pool)
    return Found(replace(option, speeds=speeds, prefill=PrefillWorkers(pair.prefill.launch, pair.prefill.fit, pair.prefillers)), None)
