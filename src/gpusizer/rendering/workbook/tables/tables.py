"""Technical sheets: what the library said, in rows that formulas look up. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from gpusizer.article.answer import article_bytes_per_element, article_kinds, article_params
from gpusizer.article.model_figures import cache_figures
from gpusizer.errors import FlagError
from gpusizer.planning.prices import rent_of
from gpusizer.rendering.devices import device_name
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.tables.gather import TPS, Facts, ModelFacts, family_reasons
from gpusizer.rendering.workbook.tables.table import Table

__all__ = ["ARTICLE_KINDS", "Tables", "record_columns", "write_tables"]

ARTICLE_KINDS = 4
"""Kinds of layers that the article's sheet has lines for."""


@dataclass(frozen=True)
class Tables:
    """All technical tables, and how many rows of each a formula must look at."""

    facts: Facts
    models: Table
    legal: Table
    reasons: Table
    devices: Table
    lists: Table
    engine: dict[str, Table]
    most_kinds: int
    most_rotations: int


def write_tables(book: Book, facts: Facts) -> Tables:
    """Write every technical sheet."""
    refusals = family_reasons(facts)
    columns = facts.tables.columns
    most_rotations = max(1, *(len(each.rotations) for each in columns))
    models = _models(book, facts, most_rotations)
    of_engine = {name.lower(): Table(book.add(name, technical=True), *written) for name, written in facts.tables.written().items()}
    return Tables(
        facts=facts,
        models=models,
        legal=Table(book.add("Legal", technical=True), [("reason", 2 * len(TPS))], [[reason or None for reason in row] for row in facts.legal]),
        reasons=Table(book.add("Reasons", technical=True), [("words", 1)], [[words] for words in facts.reasons] or [["-"]]),
        devices=_devices(book, facts, refusals),
        lists=_lists(book, facts),
        most_kinds=max(len(each.kinds) for each in columns),
        most_rotations=most_rotations,
        engine=of_engine,
    )


# ---- models ---------------------------------------------------------------------------------------------------------

_BEFORE = ("key", "name", "layers", "pattern", "kinds", "first_kind")
_AFTER = ("total_params", "activated_params", "mtp_params", "longest", "article_params")
_WORDS = ("legal", "label")  # beside what the engine says of each precision


def record_columns(facts: Facts) -> tuple[str, ...]:
    """Fields of a model's record that do not depend on the precision."""
    return tuple(field.name for field in fields(facts.engine.record) if field.name not in facts.engine.by_precision)


def _models(book: Book, facts: Facts, rotations: int) -> Table:
    first = 1
    rows = []
    known: dict[Any, list[int]] = {}
    for model in facts.models:
        rows.append(_model_row(facts, model, first, rotations, known))
        first += len(model.columns.kind_rows)
    columns = [(name, 1) for name in (*_BEFORE, *record_columns(facts), *_AFTER)]
    columns += [("rotation_width", rotations), ("rotation_positions", rotations), ("rotation_element", rotations)]
    columns += [("token_bytes", len(facts.kv_precisions) + 1), ("fixed_bytes", len(facts.kv_precisions) + 1)]
    columns += [("article_experts", ARTICLE_KINDS), ("article_width", ARTICLE_KINDS), ("article_layers", ARTICLE_KINDS)]
    columns += [(name, len(facts.precisions)) for name in (*facts.engine.by_precision, *_WORDS)]
    return Table(book.add("Data", technical=True), columns, rows)


def _model_row(facts: Facts, model: ModelFacts, first: int, rotations: int, known: dict[Any, list[int]]) -> list[Any]:
    architecture, columns = model.source.architecture, model.columns
    counts = architecture.parameters
    row: list[Any] = [
        model.source.key,
        model.source.name,
        len(architecture.layers),
        columns.pattern,
        len(columns.kinds),
        first,
        *(getattr(columns.record, name) for name in record_columns(facts)),
        counts.total,
        counts.activated,
        counts.mtp,
        architecture.max_position_embeddings,
    ]
    kinds = article_kinds(architecture.layers, architecture.hidden_size)
    row.append(article_params(architecture, model.source.entry, with_experts=any(kind[0] for kind in kinds)))
    filled = [*columns.rotations, *[(0, 0, 0)] * (rotations - len(columns.rotations))]
    row += [each[0] or None for each in filled] + [each[1] or None for each in filled] + [each[2] or None for each in filled]
    row += _cached(facts, model, known)
    if len(kinds) > ARTICLE_KINDS:
        raise FlagError("workbook-model", found=model.source.name)
    lines = [*kinds, *[(0, 0, 0)] * (ARTICLE_KINDS - len(kinds))]
    for place in range(3):
        row += [line[place] or None for line in lines]
    for name in (*facts.engine.by_precision, *_WORDS):
        row += [each[name] or None for each in model.precisions]
    return row


def _cached(facts: Facts, model: ModelFacts, known: dict[Any, list[int]]) -> list[int]:
    """Bytes of a token and of a request by precision of the cache, last the model's own 32 bits; models with equal mixers are asked once."""
    architecture = model.source.architecture
    key = (model.columns.mixers, architecture.dtype)
    if key not in known:
        found = [cache_figures(architecture, kv) for kv in facts.kv_precisions]
        found.append(cache_figures(replace(architecture, dtype="fp32"), "auto"))
        known[key] = [figures[part] for part in (0, 1) for figures in found]
    return known[key]


# ---- devices --------------------------------------------------------------------------------------------------------


def _devices(book: Book, facts: Facts, refusals: Sequence[Sequence[int]]) -> Table:
    columns, figures = facts.tables.device_columns()
    own = facts.reserve.own
    rows = []
    for device, numbers, refusal in zip(facts.accelerators, figures, refusals, strict=True):
        cost = rent_of(device, 1, by_card=True)
        price = (None, "") if cost is None else (float(cost.amount), cost.currency)
        refused = (reason or None for reason in refusal)
        rows.append([device.id, device_name(device.name, book.language), *numbers, device.node_size, int(device.whole_nodes), *price, *refused])
        rows[-1] += [own.get(device.id, 0)] if own else []
    words = [(name, 1) for name in ("node", "whole_nodes", "price", "currency")]
    columns = [("id", 1), ("name", 1), *columns, *words, ("refusal", len(facts.tables.families) * len(facts.kv_precisions))]
    columns += [("own", 1)] if own else []
    return Table(book.add("Devices", technical=True), columns, rows)


def _lists(book: Book, facts: Facts) -> Table:
    """What drop-downs offer."""
    from gpusizer.facts.catalog import scenarios

    uses = scenarios()
    columns: list[list[Any]] = [
        list(facts.precisions),
        [article_bytes_per_element(each) for each in facts.precisions],
        list(facts.kv_precisions),
        list(TPS),
        [book.say("no"), book.say("yes")],
        [each.id for each in uses],
        [each.input_tokens for each in uses],
        [each.output_tokens for each in uses],
        [each.users for each in uses],
        [each.active_share for each in uses],
        [facts.engine.id],
    ]
    columns[1] = [None if each is None else float(each) for each in columns[1]]
    height = max(map(len, columns))
    rows = [[column[place] if place < len(column) else None for column in columns] for place in range(height)]
    names = ("precision", "article_bytes", "kv", "tp", "whole", "scenario", "input_tokens", "output_tokens", "users", "share", "engine")
    return Table(book.add("Lists", technical=True), [(name, 1) for name in names], rows)
