"""Models beside the language model: who runs one, what it holds of a GPU on the safe side, and on which GPU it lies."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.base.device import OF_THE_DEVICE, driver_reserved, system_memory, visible_bytes
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit, Section
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import ceil_div
from gpusizer.formulas.memory.constants import share_bytes
from gpusizer.planning.model import Model, model_of
from gpusizer.planning.starts import known_fit, settled_fit
from gpusizer.planning.words import named

__all__ = ["OWN", "SHARED", "Companion", "Placed", "Stack", "companions_on", "held_bytes"]

ENGINES = ("vllm", "tei", "llama.cpp", "transformers")
"""Who is asked to run a companion where the engine of the language model does not, in this order."""

POOLING_ENGINES = ("vllm", "tei", "transformers")
"""Who runs what embeds or ranks and writes nothing, by the command that is printed."""

TEXT_TOKENS = 8192
"""The longest text that a companion reads, where it was made for longer ones. [tokens]"""

AT_ONCE = 4
"""Texts of that length for which a companion with a cache has room. [requests]"""

SHARED, OWN = "shared", "own"
"""Where a companion lies: on a GPU of the language model, or on one beside it."""

_HUNDREDTHS = 100  # shares of a card are printed with two digits


@dataclass(frozen=True)
class Companion:
    """A model beside the language model, on one device.

    Parameters
    ----------
    model : Model
        The model as it was named.
    architecture : Architecture
        The model as it is loaded.
    accelerator : Accelerator
        The device.
    launch : Deployment
        How it is started, on one GPU.
    fit : Fit
        Its verdict, alone on its GPU.
    held_bytes : int
        What it holds of its GPU on the safe side, beside what the driver and the system keep; at least the share that its command allows it. [bytes]
    """

    model: Model
    architecture: Architecture
    accelerator: Accelerator
    launch: Deployment
    fit: Fit
    held_bytes: int

    @property
    def gpu_share(self) -> float:
        """The part of its GPU that it holds."""
        return self.held_bytes / self.accelerator.memory_bytes

    @property
    def at_once(self) -> int:
        """Texts of full length that it has room for, at least one."""
        most = self.fit.max_concurrency
        return max(int(min(most, self.launch.max_num_seqs or most)), 1)

    @property
    def room_bytes(self) -> int:
        """What a GPU has for models: all but what the driver and the system keep. [bytes]"""
        kept = (*driver_reserved(self.accelerator), *system_memory(self.accelerator, self.launch))
        return self.accelerator.memory_bytes - sum(line.high_bytes for line in kept)


@dataclass(frozen=True)
class Placed:
    """A companion on a GPU of a deployment: ``number`` counts them from 0, those of the replicas first; ``placed`` is "shared" or "own"."""

    companion: Companion
    placed: str
    number: int


@dataclass(frozen=True)
class Stack:
    """Companions that share the GPUs of one replica, or have GPUs of their own.

    Parameters
    ----------
    companions : tuple of Companion
        Once for a whole deployment.
    placed : str
        "shared" or "own".
    """

    companions: tuple[Companion, ...]
    placed: str

    def beside_bytes(self, gpus: int) -> int:
        """What companions hold of the fullest GPU of a replica: every rank is started with the same settings. [bytes]"""
        if self.placed == OWN:
            return 0
        places = _spread(self.companions, gpus)
        return max(sum(each.held_bytes for each, place in zip(self.companions, places, strict=True) if place == gpu) for gpu in set(places))

    @property
    def own_gpus(self) -> int:
        """GPUs beside those of the replicas."""
        return 0 if self.placed == SHARED else 1 + max(_packed(self.companions))

    def on_gpus(self, replica_gpus: int, all_gpus: int) -> tuple[Placed, ...]:
        """Each companion on its GPU: the last ones of the first replica, or those behind all ``all_gpus`` of the replicas."""
        own = self.placed == OWN
        numbers = [all_gpus + number for number in _packed(self.companions)] if own else _spread(self.companions, replica_gpus)
        return tuple(Placed(each, self.placed, number) for each, number in zip(self.companions, numbers, strict=True))


def _spread(companions: Sequence[Companion], gpus: int) -> list[int]:
    """A GPU for each: the largest first, on the GPU that holds least, of equals the last."""
    held, places = [0] * gpus, [0] * len(companions)
    for index in _largest_first(companions):
        place = min(range(gpus), key=lambda gpu: (held[gpu], -gpu))
        places[index] = place
        held[place] += companions[index].held_bytes
    return places


def _packed(companions: Sequence[Companion]) -> list[int]:
    """A GPU for each where they have some of their own: the largest first, on the first that has room."""
    free: list[int] = []
    places = [0] * len(companions)
    for index in _largest_first(companions):
        needed = companions[index].held_bytes
        place = next((gpu for gpu, room in enumerate(free) if needed <= room), len(free))
        if place == len(free):
            free.append(companions[index].room_bytes)
        free[place] -= needed
        places[index] = place
    return places


def _largest_first(companions: Sequence[Companion]) -> list[int]:
    return sorted(range(len(companions)), key=lambda index: -companions[index].held_bytes)


def held_bytes(fit: Fit) -> int:
    """What a start holds of its GPU on the safe side, without what the device has once; a pool is as large as the others leave it. [bytes]"""
    lines = [line for line in fit.ranks[fit.worst].items if line.id not in OF_THE_DEVICE and line.section != Section.FREE]
    return sum(line.bytes if line.section == Section.CACHE else line.high_bytes for line in lines)


def companions_on(accelerator: Accelerator, models: Sequence[str], engine: str) -> tuple[Companion, ...] | Notice:
    """Every companion sized on a device, or the first that will not run there.

    Parameters
    ----------
    accelerator : Accelerator
        The device.
    models : sequence of str
        Models by any name.
    engine : str
        Who serves the language model: it is asked first, so that one engine serves all.

    Returns
    -------
    tuple of Companion or Notice
        In the order of ``models``.
    """
    found: list[Companion] = []
    for model in models:
        companion = _companion(accelerator, model, engine)
        if isinstance(companion, Notice):
            return companion
        found.append(companion)
    return tuple(found)


def _companion(accelerator: Accelerator, model: str, engine: str) -> Companion | Notice:
    """The companion under the first engine that runs it, or that none does."""
    engines = [id for id in dict.fromkeys((engine, *ENGINES)) if id in POOLING_ENGINES or not _pools(model)]
    for id in engines:
        found = _started(accelerator, model, id)
        if found is not None:
            return found
    return Notice("companion-does-not-run", {"model": model, "engines": engines})


def _pools(model: str) -> bool:
    """Whether a model embeds or ranks and does nothing else."""
    return model_of(named(model, "checkpoint", "vllm").model).only_reads


def _started(accelerator: Accelerator, model: str, engine_id: str) -> Companion | None:
    """The companion under one engine, on one GPU with room on the safe side; None where it does not start so."""
    words, engine = named(model, "checkpoint", engine_id), get_engine(engine_id)
    found = model_of(words.model)
    architecture = with_precision(found.stored, words.precision)
    longest = architecture.max_position_embeddings
    length = TEXT_TOKENS if longest is None or longest > TEXT_TOKENS else None
    bare = Deployment(words.model, accelerator.id, engine=engine.id, precision=words.precision, max_model_len=length)
    if engine.support(bare, architecture, accelerator).refusal is not None:
        return None
    launch, fit = settled_fit(engine.for_requests(bare, architecture, accelerator, AT_ONCE), engine, architecture, accelerator)
    if fit.fits and fit.deployment.memory_fraction is not None:
        launch = launch.changed(memory_fraction=_least_share(engine, launch, architecture, accelerator))
        fit = known_fit(engine, launch, architecture, accelerator)
    if not fit.fits:
        return None
    allowed = ceil(share_bytes(share=launch.memory_fraction or 0, of_bytes=visible_bytes(accelerator)))
    companion = Companion(found, architecture, accelerator, launch, fit, max(held_bytes(fit), allowed))
    return companion if companion.held_bytes <= companion.room_bytes else None


def _least_share(engine: Engine, launch: Deployment, architecture: Architecture, accelerator: Accelerator) -> float:
    """The smallest share of a card with which a companion starts and holds its texts; without a cache what it holds by itself."""
    fit = known_fit(engine, launch, architecture, accelerator)
    if not (fit.kv_cache.bytes_per_token or fit.kv_cache.fixed_bytes_per_request):
        return int(ceil_div(_HUNDREDTHS * held_bytes(fit), visible_bytes(accelerator))) / _HUNDREDTHS

    def texts(hundredths: int) -> int:
        tried = known_fit(engine, launch.changed(memory_fraction=hundredths / _HUNDREDTHS), architecture, accelerator)
        return int(tried.low_concurrency) if tried.fits else 0

    most = int(_HUNDREDTHS * (fit.deployment.memory_fraction or 1))
    return (1 + bisect_left(range(1, most), AT_ONCE, key=texts)) / _HUNDREDTHS
