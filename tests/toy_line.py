"""One more line in vLLM's ledger, as CONTRIBUTING says: a formula, a ``computed(...)`` in the account, the sheet that records the account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.sheet import DeviceLookup, DeviceShare, Lookup, Model, Ways
from gpusizer.engines.base.types import Item, Section
from gpusizer.engines.vllm.engine import Vllm
from gpusizer.engines.vllm.sheet import VllmSheet
from gpusizer.engines.vllm.sheet import sheet_at as plain_sheet_at
from gpusizer.formulas.core import formula
from gpusizer.units import MiB

DECLARED = Declaration(
    id="watched-vllm", module="toy_line", flags="gpusizer.engines.vllm.flags", sheet="toy_line", devices_like="vllm", speed_family="vllm"
)
RANK_BYTES = 100 * MiB


@formula("toy.watchers", unit="bytes", symbols={"ranks": "ranks", "rank_bytes": "bytes"}, reference="sum", example={"ranks": 2, "rank_bytes": 5})
def watcher_bytes(*, ranks: Any, rank_bytes: Any) -> Any:
    """One process beside the engine for each rank, all of them on every GPU.

    >>> watcher_bytes(ranks=2, rank_bytes=5)
    10
    """
    return ranks * rank_bytes


def watchers(tp: Any) -> Item:
    """The line of the account: numbers when a start is sized, figures of a sheet when it is recorded."""
    return computed("toy_watchers", watcher_bytes, section=Section.OUTSIDE, ranks=tp, rank_bytes=RANK_BYTES)


class Watched(Vllm):
    id: ClassVar[str] = DECLARED.id

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        return [*super().overheads(start, stage), watchers(start.layout.tp)]


@dataclass(frozen=True)
class WatchedSheet(VllmSheet):
    id: ClassVar[str] = DECLARED.id

    def device(self, lookup: Lookup, model: Model, get: DeviceLookup, ways: Ways) -> DeviceShare:
        plain = super().device(lookup, model, get, ways)
        return replace(plain, record=replace(plain.record, outside=(*plain.record.outside, watchers(ways.tp))))


def sheet_at(version: str | None) -> WatchedSheet | None:
    plain = plain_sheet_at(version)
    return None if plain is None else WatchedSheet(plain.asked, plain.version)


ENGINE = Watched()
