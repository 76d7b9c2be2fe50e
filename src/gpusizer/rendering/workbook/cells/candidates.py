"""Layouts that every device is tried with, from one GPU to two servers: their cost on each class of devices."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.rendering.workbook.calculation import Account
from gpusizer.rendering.workbook.cells.cache import block_bytes, cache_of
from gpusizer.rendering.workbook.cells.model import batch_of
from gpusizer.rendering.workbook.cells.selected import Core
from gpusizer.rendering.workbook.cells.stage import StageAccount, stage_account
from gpusizer.rendering.workbook.cells.weight import counts_of, gathered, stage_weights
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import Area, Live, all_of, chosen, compared, constant, recorded
from gpusizer.rendering.workbook.tables.parts import TPS
from gpusizer.rendering.workbook.tables.tables import Tables

__all__ = ["CANDIDATES", "Candidate", "candidates_of"]

CANDIDATES = ((8, 2), (8, 1), (4, 1), (2, 1), (1, 1))
"""(tp, pp), the largest first: of equally many GPUs fewer engines are better."""


@dataclass(frozen=True)
class Row:
    """One stage of one layout on every class: columns of figures that devices look up by their class."""

    columns: dict[str, Area]


@dataclass(frozen=True)
class Candidate:
    """A layout: whether it can be, whether experts stay whole, and its stages."""

    tp: int
    pp: int
    legal: Live  # 1 or 0
    whole: Live  # 1 or 0
    needed: Area  # blocks of a request, by class
    requests: Area  # most requests at once, by class
    stages: tuple[Row, ...]


def candidates_of(account: Account, tables: Tables, inputs: Inputs, core: Core) -> list[Candidate]:
    """Every candidate with its figures."""
    model = core.model
    classes = range(len(tables.facts.devices.classes))
    batches = [batch_of(account, tables, model, constant(number + 1)) for number in classes]
    paddings = [constant(place + 1) for place in range(len(tables.facts.devices.paddings))]
    places = [(tables.facts.devices.paddings.index(each[3]), bool(each[4])) for each in tables.facts.devices.classes]
    found: list[Candidate] = []
    for tp, pp in sorted(CANDIDATES):
        place = constant(TPS.index(tp) + 1)
        cut = compared(tables.legal.get("reason", model.legal, place), "=", 0)
        shared = compared(tables.legal.get("reason", model.legal, recorded(lambda *, a, b: a + b, a=place, b=len(TPS))), "=", 0)
        whole = account.line(f"whole experts at TP{tp} PP{pp}", chosen(cut, constant(0), chosen(shared, constant(1), constant(0))))
        either = Live(f"OR({cut.text},{shared.text})", bool(cut.value or shared.value))
        legal = account.line("legal", chosen(all_of(either, compared(model.layers, ">=", pp)), constant(1), constant(0)))
        parts = gathered(account, tables, model, core.rows, constant(tp), place, whole, paddings)
        caches = [cache_of(account, tables, model, core.rows, batch, constant(tp), place, constant(pp)) for batch in batches]
        stages = []
        for stage in range(pp):
            counts = counts_of(account, tables, model, core.rows, constant(pp), constant(stage))
            errors = {True: model.error_rocm, False: model.error}
            weights = {pair: stage_weights(account, model, parts, counts, pair[0], errors[pair[1]]) for pair in sorted(set(places))}
            accounts = [stage_account(account, model, batch, parts, counts, weights[places[number]]) for number, batch in enumerate(batches)]
            blocks = [block_bytes(account, tables, cache, counts) for cache in caches]
            stages.append(Row(_columns(account, f"TP{tp} PP{pp} stage {stage}", accounts, blocks)))
        found.append(
            Candidate(
                tp,
                pp,
                legal,
                whole,
                account.block("needed", {"needed": [cache.needed for cache in caches]})["needed"],
                account.block("requests", {"requests": [batch.requests for batch in batches]})["requests"],
                tuple(stages),
            )
        )
    order = {pair: place for place, pair in enumerate(CANDIDATES)}
    return sorted(found, key=lambda each: order[each.tp, each.pp])


def _columns(account: Account, label: str, accounts: list[StageAccount], blocks: list[Live]) -> dict[str, Area]:
    return account.block(
        label,
        {
            "charged": [each.charged for each in accounts],
            "spread": [each.spread for each in accounts],
            "workspace": [each.workspace for each in accounts],
            "weights": [each.weights for each in accounts],
            "activation": [each.activation for each in accounts],
            "graphs": [each.graphs for each in accounts],
            "graphs_low": [each.graphs_low for each in accounts],
            "block": blocks,
        },
    )
