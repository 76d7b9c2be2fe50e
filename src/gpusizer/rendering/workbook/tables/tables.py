"""Technical sheets: what the library said, in rows that formulas look up. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from gpusizer.article.answer import article_bytes_per_element, article_kinds, article_params
from gpusizer.article.model_figures import cache_figures
from gpusizer.engines.base.cache import CacheFormat
from gpusizer.engines.vllm.record import ModelRecord
from gpusizer.planning.prices import rent_of
from gpusizer.rendering.workbook.book import Book
from gpusizer.rendering.workbook.tables.cache_rows import SIZES, mixers_key
from gpusizer.rendering.workbook.tables.gather import Facts, ModelFacts, family_reasons
from gpusizer.rendering.workbook.tables.parts import TPS
from gpusizer.rendering.workbook.tables.table import Table

__all__ = ["ARTICLE_KINDS", "OUTSIDE_PARTS", "Tables", "write_tables"]

OUTSIDE_PARTS = ("embedding", "final", "head", "towers", "tied-copy", "own-head")
"""Parts of a model beside its layers, in the order of their rows."""

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
    rules: Table
    forms: Table
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
    groups = [*facts.groups.rows] or [[1, None, 1, "-", None, None, None, None]]
    layouts = [[_layout_key(*key), first, count] for key, (first, count) in facts.layouts.items()] or [[0, 1, 1]]
    combinations = len(facts.classes_and_kv())
    return Tables(
        facts,
        _models(book, facts, most_rotations),
        _kinds(book, facts),
        _parts(book, facts),
        Table(book.add("Groups", technical=True), [("kind", 1), ("window", 1), ("block", 1), ("pattern", 1), ("size", SIZES)], groups),
        Table(book.add("Layouts", technical=True), [("key", 1), ("first", 1), ("count", 1)], layouts),
        Table(
            book.add("Rules", technical=True),
            [("form", combinations), ("block", combinations)],
            [[*(form for form, _ in rule), *(block for _, block in rule)] for rule in facts.cache_rules],
        ),
        Table(
            book.add("Forms", technical=True),
            [("element_bytes", 1), ("scaled", 1), ("index_element_bytes", 1), ("index_scale_bytes", 1)],
            [_form(form) for form in facts.forms],
        ),
        Table(book.add("Legal", technical=True), [("reason", 2 * len(TPS))], [[reason or None for reason in row] for row in facts.legal]),
        Table(book.add("Reasons", technical=True), [("words", 1)], [[words] for words in facts.reasons] or [["-"]]),
        _devices(book, facts, refusals),
        _classes(book, facts),
        _lists(book, facts),
        most_kinds,
        most_rotations,
    )


def _form(form: CacheFormat) -> list[Any]:
    return [form.element_bytes, int(form.scaled_latent), form.index_element_bytes, form.index_scale_bytes]


def _layout_key(cache_class: int, form: int, block: int, wide: int, place: int) -> int:
    """The number under which formulas find a layout; ``layout_key`` of ``cache_cells`` writes the same with cells."""
    return cache_class * 10**6 + form * 10**5 + block * 100 + wide * 10 + place


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
    "cache_class",
    "stateful",
    "group_kind",
    "group_window",
    "block_side",
    "total_params",
    "activated_params",
    "mtp_params",
    "longest",
    "article_params",
)
_BY_PRECISION = (
    "element_bytes",
    "byte_inputs",
    "legal",
    "families",
    "cache_rule",
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
    columns += [(name, len(facts.precisions)) for name in _BY_PRECISION]
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
        model.cache_class,
        int(model.stateful),
        *model.group,
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
    for name in _BY_PRECISION:
        row += [each[name] or None for each in model.precisions]
    return row


def _cached(facts: Facts, model: ModelFacts, known: dict[Any, list[int]]) -> list[int]:
    """Bytes of a token and of a request by precision of the cache, last the model's own 32 bits; models with equal mixers are asked once."""
    architecture = model.source.architecture
    key = (mixers_key(architecture), architecture.dtype)
    if key not in known:
        found = [cache_figures(architecture, kv) for kv in facts.kv_precisions]
        found.append(cache_figures(replace(architecture, dtype="fp32"), "auto"))
        known[key] = [figures[part] for part in (0, 1) for figures in found]
    return known[key]


_KIND_COLUMNS = (
    "letter", "attentions", "kv_heads", "head_dim", "v_head_dim", "latents", "kv_lora_rank", "rope_dim", "indexes", "index_dim", "rotation",
    "copied", "copied_heads", "copied_nope", "copied_v", "copied_rank",
)  # fmt: skip


def _kinds(book: Book, facts: Facts) -> Table:
    rows: list[list[Any]] = []
    for model in facts.models:
        for place, parts in enumerate(model.kind_rows):
            kind = model.kinds[place] if place < len(model.kinds) else None
            if kind is None:
                rows.append([None] * len(_KIND_COLUMNS) + parts)
                continue
            cells = kind.rows
            shape = (cells.attentions, cells.kv_heads, cells.head_dim, cells.v_head_dim, cells.latents, cells.kv_lora_rank, cells.rope_dim)
            letter = facts.letter(place)
            rows.append([letter, *(_filled((*shape, cells.indexes, cells.index_dim, kind.rotation, *kind.copied))), *parts])
    return Table(book.add("Kinds", technical=True), [(name, 1) for name in _KIND_COLUMNS] + [("part", len(facts.precisions))], rows)


def _filled(values: Sequence[int]) -> list[int | None]:
    return [value or None for value in values]


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
    rows = []
    for number, (tokens, requests, most, padding, amd, _, unfolds, first) in enumerate(facts.devices.classes, 1):
        figures = next(each for each in facts.devices.figures if each.accelerator is first)
        rows.append(
            [
                number,
                tokens,
                requests,
                most,
                facts.devices.paddings.index(padding) + 1,
                int(amd),
                int(unfolds),
                figures.library_bytes,
                figures.graph_factor,
            ]
        )
    names = ("class", "tokens", "requests", "most_captured", "padding", "rocm", "unfolds", "library", "graph_factor")
    return Table(book.add("Classes", technical=True), [(name, 1) for name in names], rows)


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
