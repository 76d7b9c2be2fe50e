"""What an engine is asked: a deployment (model, device, layout, flags), and what it answers: a ledger of one GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from math import inf
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from gpusizer.architecture.types import Notice

__all__ = [
    "NOTHING_ON_HOST",
    "Account",
    "Deployment",
    "Evidence",
    "Fit",
    "Inputs",
    "Item",
    "KVCache",
    "Layout",
    "OnHost",
    "Quantity",
    "Rank",
    "Section",
]


Inputs: TypeAlias = dict[str, Any]
"""Inputs of a formula by its own names: numbers, and where a whole account is computed at once arrays or recording symbols."""


class Evidence(StrEnum):
    """How a figure is known, from the surest to the least sure."""

    EXACT = "exact"  # arithmetic on the model's own shapes: no band
    MEASURED = "measured"
    OWN = "measured-on-your-machine"  # by whoever asks
    CALIBRATED = "calibrated"
    ASSUMED = "assumed"


class Section(StrEnum):
    """The sums of one GPU by the names of the public JSON; each line of the ledger says which it belongs to."""

    WEIGHTS = "weights_bytes"
    ACTIVATION = "activation_peak_bytes"
    NON_TORCH = "non_torch_bytes"
    GRAPHS = "cuda_graph_bytes"
    CACHE = "kv_cache_pool_bytes"
    OUTSIDE = "outside_budget_bytes"
    FREE = "free_bytes"


@dataclass(frozen=True, slots=True)
class Layout:
    """How one replica is cut over GPUs; ``gpus`` of one replica = tp x pp x dp.

    Parameters
    ----------
    tp, pp : int
        Tensor-parallel and pipeline-parallel size.
    dp : int
        Attention-data-parallel ranks inside one replica (each holds its own requests); copies of the whole engine are ``replicas`` elsewhere.
    ep : int
        Expert-parallel size: 1 cuts experts by tensor parallelism, else tp x dp ranks share whole experts.
    dcp : int
        Decode context parallel: ranks inside tp that share one token's cache.
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    dcp: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tp * self.pp * self.dp


@dataclass(frozen=True, slots=True)
class Deployment:
    """Exactly one start of one engine; every field an operator knows before it. None means the engine's own default."""

    model: str
    gpu: str
    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    dcp: int = 1
    engine: str = "vllm"
    engine_version: str | None = None
    precision: str = "checkpoint"
    checkpoint_bytes: int | None = None  # size of the files of a quantised copy, where the owner told it [bytes]
    kv_precision: str = "auto"
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    memory_fraction: float | None = None  # --gpu-memory-utilization, --mem-fraction-static, free_gpu_memory_fraction
    block_size: int | None = None
    enforce_eager: bool = False
    speculative_tokens: int = 0
    devices: tuple[str, ...] = ()  # ids of the devices where they differ
    device_memory_bytes: tuple[int, ...] = ()  # their memory where the owner told it [bytes]
    other_memory_bytes: int | None = None  # held by the system and other programs of a machine whose GPU shares its memory [bytes]
    host_memory_bytes: int | None = None  # memory of the machine beside its GPUs [bytes]
    host_bandwidth_bytes_per_s: float | None = None  # of that memory: as a rate, or what its channels carry [bytes/s]
    host_sockets: int | None = None  # processors, each with its share of that memory
    offload: str = "none"  # "auto": whatever the GPUs do not hold goes to the host by flags that are found
    with_models: tuple[str, ...] = ()  # other models on the same GPUs
    beside_bytes: int = 0  # what they hold of the fullest GPU on the safe side [bytes]
    fork: str = ""  # a fork of the engine with a cache of its own
    build: str = ""  # where it is no release that somebody named: "dated", placed by its day, or "other", a branch, a fork, a patched image
    similar_precision: str = ""  # what was asked for, where a checkpoint that is only alike stands for it
    flags: Mapping[str, Any] = field(default_factory=dict, hash=False)  # further flags of the engine, by its own names; compared, not hashed

    @property
    def layout(self) -> Layout:
        """The layout of one replica."""
        return Layout(self.tp, self.pp, self.dp, self.ep, self.dcp)

    def changed(self, **values: Any) -> Deployment:
        """The same start with other values of some fields: what ``dataclasses.replace`` gives, in half the time.

        >>> Deployment("m", "g", tp=8).changed(max_num_seqs=64) == Deployment("m", "g", tp=8, max_num_seqs=64)
        True
        """
        return Deployment(**dict(zip(_FIELDS, _values_of(self), strict=True)) | values)


_FIELDS = tuple(each.name for each in fields(Deployment))
_values_of = attrgetter(*_FIELDS)


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the ledger of one GPU: bytes with their band, formula, inputs, sources and evidence, and the sum that it is part of."""

    id: str
    bytes: int
    low_bytes: int
    high_bytes: int
    formula: str
    inputs: Mapping[str, Any]
    sources: tuple[str, ...]
    evidence: Evidence
    section: Section


@dataclass(frozen=True, slots=True)
class Rank:
    """One GPU of a replica: where it stands and what it holds. The items sum to the device's total."""

    pp_rank: int
    tp_rank: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class KVCache:
    """The cache of one replica as its engine counts it.

    ``bytes_per_token`` and ``fixed_bytes_per_request`` are of one GPU (the worst rank); ``tokens`` is what the whole replica can hold
    (attention-data-parallel ranks together), by the counting of the engine's version.
    """

    bytes_per_token: int
    fixed_bytes_per_request: int
    block_size: int
    blocks: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Quantity:
    """A predicted figure with its band; ``value`` in the unit of its name, and whose starts the band was held against.

    Parameters
    ----------
    value, low, high : float
        The figure and its band.
    owners : int or None
        Owners of measured starts behind the band, 0 where nobody measured it; None where bands are not held against starts.
    """

    value: float
    low: float
    high: float
    owners: int | None = field(default=None, repr=False)


class Account(NamedTuple):
    """What stands behind a verdict, written out when somebody reads it: of most starts that a plan tries only the verdict counts."""

    ranks: Callable[[], tuple[Rank, ...]]
    quantities: Callable[[], Mapping[str, Quantity]]
    warnings: Callable[[], tuple[Notice, ...]]
    host: Callable[[], tuple[Item, ...]] = tuple


class OnHost(NamedTuple):
    """Weights that a step finds in the memory of the host, and who multiplies them.

    Parameters
    ----------
    layers, experts : float
        Shares of the decoder layers, whole, and of the routed experts of the others.
    head : bool
        The output.
    expert_size : float
        Bytes of an expert there over those that the checkpoint gives it.
    computed : bool
        The processor computes with them; otherwise the GPU reads them over its link.
    moved_from_tokens : float
        Tokens of a step from which the weights are moved to the GPU, which then computes instead of the processor. [tokens]
    whole : bool
        What the GPU reads is copied whole for every step, experts that no token needs among it.
    handovers : int
        Layers of a GPU whose experts the processor computes: a step goes there and back for each.
    """

    layers: float = 0.0
    experts: float = 0.0
    head: bool = False
    expert_size: float = 1.0
    computed: bool = True
    moved_from_tokens: float = inf
    whole: bool = False
    handovers: int = 0


NOTHING_ON_HOST = OnHost()


@dataclass(frozen=True, repr=False)
class Fit:
    """Does exactly this deployment start, and what will its log say? ``ranks`` are those that differ; ``worst`` is the index of the tightest."""

    deployment: Deployment  # with every default filled in
    fits: bool
    reason: Notice | None
    worst: int
    kv_cache: KVCache
    max_concurrency: float
    low_concurrency: float  # on the safe side of the estimate
    free_bytes: int  # what the fullest GPU has left under full load, negative where it lacks some
    budget_bytes: int  # what the engine allows itself of one GPU
    account: Account = field(compare=False)
    on_host: OnHost = NOTHING_ON_HOST
    host_mapped: bool = False  # weights there are pages of their file, read anew where there is no room to keep them

    @cached_property
    def ranks(self) -> tuple[Rank, ...]:
        """The GPUs that differ, each with its ledger."""
        return self.account.ranks()

    @cached_property
    def quantities(self) -> Mapping[str, Quantity]:
        """Figures of the log by the names of ``validate``."""
        return self.account.quantities()

    @cached_property
    def warnings(self) -> tuple[Notice, ...]:
        """What a reader of the answer must know."""
        return self.account.warnings()

    @cached_property
    def host_items(self) -> tuple[Item, ...]:
        """What lies in the memory of the host, line by line; empty where the engine is not known to leave anything there."""
        return self.account.host()

    def __getstate__(self) -> dict[str, Any]:
        """Written out, for another process: what stands behind a verdict reads its start, which stays where it is."""
        said = {"ranks": self.ranks, "quantities": self.quantities, "warnings": self.warnings, "host_items": self.host_items}
        return {**vars(self), "account": None, **said}

    def __setstate__(self, state: dict[str, Any]) -> None:
        said = Account(lambda: state["ranks"], lambda: state["quantities"], lambda: state["warnings"], lambda: state["host_items"])
        vars(self).update({**state, "account": said})

    def warned(self, *said: Notice) -> Fit:
        """The same answer with more to say."""
        return replace(self, account=self.account._replace(warnings=lambda: (*self.warnings, *said))) if said else self

    def __repr__(self) -> str:
        start, found = self.deployment, f"{self.kv_cache.tokens} cache tokens" if self.fits else getattr(self.reason, "code", "does not fit")
        return f"<Fit {start.model} on {start.layout.gpus} x {start.gpu}, {start.engine}: {found}>"
