"""Everything that the sheets look up, asked of the library once; what the engine says of models and devices, with words beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.device_support import support_for
from gpusizer.engines.base.layout_rules import Dimensions
from gpusizer.engines.base.sheet import AccountSheet, SheetColumns, SheetTables
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.i18n import text

__all__ = ["KV_PRECISIONS", "PRECISIONS", "TPS", "Facts", "ModelFacts", "Reserve", "Source", "gather"]

TPS = (1, 2, 4, 8, 16)
"""Tensor-parallel sizes to choose from."""

PRECISIONS = ("checkpoint", "bf16", "fp16", "fp32", "fp8", "int8", "int4", "mxfp4", "nvfp4")
"""Precisions of weights that vLLM loads."""

KV_PRECISIONS = ("auto", "bf16", "fp16", "fp8", "int8")
"""Precisions of the cache."""


@dataclass(frozen=True)
class Source:
    """A model of the workbook: how it is called there, and what it is."""

    key: str
    name: str
    architecture: Architecture
    entry: ModelEntry | None


@dataclass(frozen=True)
class ModelFacts:
    """One model: what it is, and its columns."""

    source: Source
    columns: SheetColumns

    @property
    def precisions(self) -> list[dict[str, Any]]:
        """What depends on the precision, in the order of the workbook's precisions."""
        return self.columns.precisions


class Reserve(NamedTuple):
    """What a deployment takes beside the replicas of its load.

    Parameters
    ----------
    spare : int
        Replicas in reserve.
    own : mapping of str to int
        By device: GPUs of other models; empty where none has its own.
    """

    spare: int = 0
    own: Mapping[str, int] = MappingProxyType({})


NO_RESERVE = Reserve()


@dataclass
class Facts:
    """What the sheets look up: the engine's tables, and why things cannot be, in the words of one language."""

    language: str
    engine: AccountSheet
    tables: SheetTables
    precisions: tuple[str, ...]
    kv_precisions: tuple[str, ...]
    reserve: Reserve = NO_RESERVE
    models: list[ModelFacts] = field(default_factory=list)
    legal: dict[tuple[int, ...], int] = field(default_factory=dict)
    legal_of: dict[Dimensions, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def accelerators(self) -> Sequence[Accelerator]:
        """The devices."""
        return self.tables.accelerators

    def reason(self, words: str) -> int:
        """Number of a sentence, 0 for none."""
        return self.reasons.setdefault(words, len(self.reasons) + 1) if words else 0


def gather(
    engine: AccountSheet,
    sources: Sequence[Source],
    devices: Sequence[Accelerator],
    language: str,
    precisions: Iterable[str] = PRECISIONS,
    kv_precisions: Iterable[str] = KV_PRECISIONS,
    *,
    reserve: Reserve = NO_RESERVE,
) -> Facts:
    """Ask the library for everything.

    Parameters
    ----------
    engine : AccountSheet
        The engine, at a version.
    sources : sequence of Source
        Models of the workbook.
    devices : sequence of Accelerator
        Devices of the workbook.
    language : str
        Of the reasons.
    precisions : iterable of str
        Precisions of weights to choose from.
    kv_precisions : iterable of str
        Precisions of the cache to choose from.
    reserve : Reserve
        What a deployment takes beside the replicas of its load.
    """
    offered = (tuple(precisions), tuple(kv_precisions))
    facts = Facts(language, engine, engine.tables(devices, *offered, TPS, sources[0].architecture), *offered, reserve)
    for source in sources:
        columns = facts.tables.add(source.architecture)
        facts.models.append(ModelFacts(source, columns))
        for precision, found in zip(facts.precisions, columns.precisions, strict=True):
            found["legal"] = _legal(facts, found["sizes"], len(source.architecture.layers))
            found["label"] = _label(language, found["widest"], precision)
    return facts


def _legal(facts: Facts, sizes: Dimensions, layers: int) -> int:
    """Number of the row that says for each tensor-parallel size, experts cut or whole, why it cannot be."""
    if sizes not in facts.legal_of:
        row = []
        for problem in facts.tables.problems(sizes, layers):
            row.append(0 if problem is None else facts.reason(text("reason", problem.code, facts.language, **problem.parameters)))
        facts.legal_of[sizes] = facts.legal.setdefault(tuple(row), len(facts.legal) + 1)
    return facts.legal_of[sizes]


def _label(language: str, widest: str, precision: str) -> str:
    if precision != "checkpoint":
        return precision.upper()
    return text("ui", "precision-checkpoint", language, precision=widest.upper().replace("_", " "))


def family_reasons(facts: Facts) -> list[list[int]]:
    """For each device the number of the reason why it does not serve, 0 where it does: by what a model holds, and for each by the cache."""
    table = []
    for accelerator in facts.accelerators:
        row = []
        for contents, kv in product(facts.tables.families, facts.kv_precisions):
            refusal = support_for(facts.engine.id, contents, accelerator, version=facts.engine.version, kv_precision=kv).refusal
            row.append(0 if refusal is None else facts.reason(text("reason", refusal.code, facts.language, **refusal.parameters)))
        table.append(row)
    return table
