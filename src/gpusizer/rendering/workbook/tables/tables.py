"""Technical sheets: what the library said, in rows that formulas look up. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from gpusizer.article.answer import article_bytes_per_element, article_kinds, article_params
from gpusizer.article.model_figures import cache_figures
from gpusizer.engines.vllm.record import ClassRecord, ModelRecord
from gpusizer.planning.prices import rent_of
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.tables.gather import Facts, ModelFacts, family_reasons
from gpusizer.rendering.workbook.tables.layouts import NEEDS, SIZES
from gpusizer.rendering.workbook.tables.parts import TPS
from gpusizer.rendering.workbook.tables.table import Table

__all__ = ["ARTICLE_KINDS", "BY_PRECISION", "KEPT", "OUTSIDE_PARTS", "Tables", "write_tables"]

OUTSIDE_PARTS = ("embedding", "final", "head", "towers", "tied-copy", "own-head")
"""Parts of a model beside its layers, in the order of their rows; its kinds of layers follow."""

ARTICLE_KINDS = 4
"""Kinds of layers that the article's sheet has lines for."""


@dataclass(frozen=True)
class Tables:
    """All technical tables, and how many rows of each a formula must look at."""

    facts: Facts
    models: Table
    kinds: Table
    parts: Table
    groups: Table
    layouts: Table
    needs: Table
    rules: Table
    legal: Table
    reasons: Table
    devices: Table
    classes: Table
    lists: Table
    most_kinds: int
    most_rotations: int


def write_tables(book: Book, facts: Facts) -> Tables:
    """Write every technical sheet."""
    refusals = family_reasons(facts)
    most_kinds = max(len(model.kinds) for model in facts.models)
    most_rotations = max(1, *(len(model.rotations) for model in facts.models))
    combinations = len(facts.devices.classes) * len(facts.kv_precisions)
    caches = facts.layouts
    return Tables(
        facts,
        _models(book, facts, most_rotations),
        _kinds(book, facts),
        _parts(book, facts),
        Table(book.add("Groups", technical=True), [("pattern", 1), ("size", SIZES)], caches.groups),
        Table(book.add("Layouts", technical=True), [("first", 1), ("count", 1), ("need", 1)], caches.rows),
        Table(book.add("Needs", technical=True), [(f"{name}{each}", 1) for each in range(NEEDS) for name in KEPT], caches.needs),
        Table(
            book.add("Rules", technical=True),
            [("combination", combinations), ("block", combinations)],
            [[*map(list(dict.fromkeys(rule)).index, rule), *(block for _, block in rule)] for rule in facts.cache_rules],
        ),
        Table(book.add("Legal", technical=True), [("reason", 2 * len(TPS))], [[reason or None for reason in row] for row in facts.legal]),
        Table(book.add("Reasons", technical=True), [("words", 1)], [[words] for words in facts.reasons] or [["-"]]),
        _devices(book, facts, refusals),
        _classes(book, facts),
        _lists(book, facts),
        most_kinds,
        most_rotations,
    )


KEPT = ("kept_tokens", "kept_steps", "block_tokens", "added_blocks", "groups")
"""What a kind of group keeps of a request, and how many such groups there are."""


# ---- models ---------------------------------------------------------------------------------------------------------

RECORD = tuple(field.name for field in fields(ModelRecord) if field.name not in ("element_bytes", "byte_inputs", "block_side"))
_SINGLE = (
    "key",
    "name",
    "layers",
    "pattern",
    "kinds",
    "first_kind",
    *RECORD,
    "block_side",
    "total_params",
    "activated_params",
    "mtp_params",
    "longest",
    "article_params",
)
BY_PRECISION = (
    "element_bytes",
    "byte_inputs",
    "legal",
    "families",
    "cache_rule",
    "cache_first",
    "error",
    "error_rocm",
    "unlisted",
    "unlisted_above",
    "bytes",
    "label",
)


def _models(book: Book, facts: Facts, rotations: int) -> Table:
    first = 1
    rows = []
    known: dict[Any, list[int]] = {}
    for model in facts.models:
        rows.append(_model_row(facts, model, first, rotations, known))
        first += len(model.kind_rows)
    columns = [(name, 1) for name in _SINGLE]
    columns += [("rotation_width", rotations), ("rotation_positions", rotations), ("rotation_element", rotations)]
    columns += [("token_bytes", len(facts.kv_precisions) + 1), ("fixed_bytes", len(facts.kv_precisions) + 1)]
    columns += [("article_experts", ARTICLE_KINDS), ("article_width", ARTICLE_KINDS), ("article_layers", ARTICLE_KINDS)]
    columns += [(name, len(facts.precisions)) for name in BY_PRECISION]
    return Table(book.add("Data", technical=True), columns, rows)


def _model_row(facts: Facts, model: ModelFacts, first: int, rotations: int, known: dict[Any, list[int]]) -> list[Any]:
    architecture = model.source.architecture
    counts = architecture.parameters
    row: list[Any] = [
        model.source.key,
        model.source.name,
        len(architecture.layers),
        model.pattern,
        len(model.kinds),
        first,
        *(getattr(model.record, name) for name in RECORD),
        max(each["block_side"] for each in model.precisions),
        counts.total,
        counts.activated,
        counts.mtp,
        architecture.max_position_embeddings,
    ]
    kinds = article_kinds(architecture.layers, architecture.hidden_size)
    row.append(article_params(architecture, model.source.entry, with_experts=any(kind[0] for kind in kinds)))
    filled = [*model.rotations, *[(0, 0, 0)] * (rotations - len(model.rotations))]
    row += [each[0] or None for each in filled] + [each[1] or None for each in filled] + [each[2] or None for each in filled]
    row += _cached(facts, model, known)
    if len(kinds) > ARTICLE_KINDS:
        raise ValueError("a model with more kinds of layers than the article's sheet has lines")
    lines = [*kinds, *[(0, 0, 0)] * (ARTICLE_KINDS - len(kinds))]
    for place in range(3):
        row += [line[place] or None for line in lines]
    for name in BY_PRECISION:
        row += [each[name] or None for each in model.precisions]
    return row


def _cached(facts: Facts, model: ModelFacts, known: dict[Any, list[int]]) -> list[int]:
    """Bytes of a token and of a request by precision of the cache, last the model's own 32 bits; models with equal mixers are asked once."""
    architecture = model.source.architecture
    key = (model.mixers, architecture.dtype)
    if key not in known:
        found = [cache_figures(architecture, kv) for kv in facts.kv_precisions]
        found.append(cache_figures(replace(architecture, dtype="fp32"), "auto"))
        known[key] = [figures[part] for part in (0, 1) for figures in found]
    return known[key]


_KIND_COLUMNS = (
    "letter", "rotation", "copied", "copied_heads", "copied_nope", "copied_v", "copied_rank",
)  # fmt: skip


def _kinds(book: Book, facts: Facts) -> Table:
    rows: list[list[Any]] = []
    for model in facts.models:
        for place, parts in enumerate(model.kind_rows):
            number = place - len(OUTSIDE_PARTS)
            if number < 0:
                rows.append([None] * len(_KIND_COLUMNS) + parts)
                continue
            kind = model.kinds[number]
            rows.append([facts.letter(number), *(value or None for value in (kind.rotation, *kind.copied)), *parts])
    return Table(book.add("Kinds", technical=True), [(name, 1) for name in _KIND_COLUMNS] + [("part", len(facts.precisions))], rows)


def _parts(book: Book, facts: Facts) -> Table:
    columns: dict[str, int] = {}
    for kind, line, _, _ in facts.parts.columns():
        name = line or kind
        columns[name] = columns.get(name, 0) + 1
    return Table(book.add("Parts", technical=True), list(columns.items()), facts.parts.rows)


# ---- devices --------------------------------------------------------------------------------------------------------


def _devices(book: Book, facts: Facts, refusals: Sequence[Sequence[int]]) -> Table:
    rows = []
    for figures, refusal in zip(facts.devices.figures, refusals, strict=True):
        device = figures.accelerator
        cost = rent_of(device, 1)
        rows.append(
            [
                device.id,
                device.name,
                device.memory_bytes,
                figures.class_number + 1,
                figures.visible_bytes,
                figures.driver_bytes,
                figures.context_bytes,
                *figures.joined_bytes,
                *figures.shares,
                *figures.budgets,
                *(size for size, _ in figures.growth),
                *(above for _, above in figures.growth),
                device.node_size,
                int(device.whole_nodes),
                None if cost is None else float(cost.amount),
                "" if cost is None else cost.currency,
                *(reason or None for reason in refusal),
            ]
        )
    columns = [(name, 1) for name in ("id", "name", "memory", "class", "visible", "driver", "context")]
    columns += [("joined", 3), ("share", 3), ("budget", 3), ("growth", 3), ("above", 3)]
    columns += [("node", 1), ("whole_nodes", 1), ("price", 1), ("currency", 1), ("refusal", len(facts.families))]
    return Table(book.add("Devices", technical=True), columns, rows)


def _classes(book: Book, facts: Facts) -> Table:
    devices, names = facts.devices, [field.name for field in fields(ClassRecord)]
    rows = []
    for number, each in enumerate(devices.classes, 1):
        rows.append([number, *(getattr(each.record, name) for name in names), devices.paddings.index(each.paddings) + 1, int(each.rocm)])
    return Table(book.add("Classes", technical=True), [(name, 1) for name in ("class", *names, "padding", "rocm")], rows)


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
