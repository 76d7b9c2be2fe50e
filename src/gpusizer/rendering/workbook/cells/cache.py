"""The cache of one rank as cells: pages of equal layers, or groups where a model mixes kinds; blocks of a request, bytes of a block."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.formulas.memory.steps import in_flight_tokens
from gpusizer.rendering.workbook.calculation import Account, cell_of, times
from gpusizer.rendering.workbook.cells.model import Batch, Model
from gpusizer.rendering.workbook.cells.weight import Counts
from gpusizer.rendering.workbook.live import (
    Area,
    Live,
    added,
    chosen,
    compared,
    constant,
    counted_letters,
    first_equal,
    greatest,
    products,
    recorded,
)
from gpusizer.rendering.workbook.tables.cache_rows import SIZES, attention_page, group_blocks, index_page, latent_page, scaled_latent_page
from gpusizer.rendering.workbook.tables.tables import OUTSIDE_PARTS, Tables

__all__ = [
    "Cache",
    "block_bytes",
    "cache_of",
]


@dataclass(frozen=True)
class Cache:
    """How one rank caches: pages of each kind of layer where rows say all, else rows of the table of groups."""

    pages: Area
    regular: Live
    first_group: Live
    groups: Live
    needed: Live  # blocks of one request


def layout_key(model: Model, batch: Batch, place: Live) -> Live:
    """The number of a layout in its table."""
    wide = recorded(lambda *, stateful, element: stateful * (element / 2 - 1), stateful=model.stateful, element=model.element_bytes)
    return recorded(
        lambda *, kind, form, block, wide, place: kind * 1000000 + form * 100000 + block * 100 + wide * 10 + place - 1,
        kind=model.cache_class,
        form=batch.form_number,
        block=batch.block,
        wide=wide,
        place=place,
    )


def cache_of(account: Account, tables: Tables, model: Model, rows: Area, batch: Batch, tp: Live, place: Live, pp: Live) -> Cache:
    """Pages and groups at one tensor-parallel size on one class of devices."""
    kinds = len(rows.values) - len(OUTSIDE_PARTS)
    column = [_page(tables, cell_of(rows, each), batch, tp) for each in range(kinds)] + [constant(0)] * len(OUTSIDE_PARTS)
    pages = account.block("pages", {"page": column})
    regular = account.line("regular", compared(model.cache_class, "=", 0))
    layout = account.line("layout", first_equal(layout_key(model, batch, place), tables.layouts.area("key"), 1))
    first = account.line("first group", tables.layouts.get("first", layout))
    count = account.line("groups", tables.layouts.get("count", layout))
    flight = account.line("in flight", recorded(in_flight_tokens, step_tokens=batch.tokens, pp=pp))
    needs: list[Live] = []
    for each in range(tables.facts.groups.most):
        row = _group_row(tables, first, count, each)
        there = compared(constant(each + 1), "<=", count)
        need = _need(tables.groups.get("kind", row), model.context, tables.groups.get("window", row), flight, tables.groups.get("block", row))
        needs.append(chosen(there, need, constant(0)))
    summed = account.line("blocks of all groups", added(account.lines("blocks by group", needs)))
    alone = account.line("blocks of the only group", _need(model.group_kind, model.context, model.group_window, flight, batch.block))
    needed = account.line("blocks of a request", chosen(regular, alone, summed))
    return Cache(pages["page"], regular, first, count, needed)


def _group_row(tables: Tables, first: Live, count: Live, each: int) -> Live:
    """Row of a group, the first one where there is no such group."""
    return recorded(
        lambda *, first, step: first + step,
        first=first,
        step=chosen(compared(constant(each + 1), "<=", count), constant(each), constant(0)),
    )


def _need(kind: Live, context: Live, window: Live, flight: Live, block: Live) -> Live:
    """Blocks of a request in a group: one formula for each kind."""
    inputs = {"context_tokens": context, "window": window, "in_flight_tokens": flight, "block_tokens": block}
    ways = [recorded(lambda number=number, **values: group_blocks(number, **values), **inputs) for number in (1, 2, 3)] + [constant(1)]
    return Live(f"CHOOSE({kind.text},{','.join(way.text for way in ways)})", ways[int(kind.value) - 1].value)


def _page(tables: Tables, row: Live, batch: Batch, tp: Live) -> Live:
    kinds, form, block = tables.kinds, batch.form, batch.block
    keys = recorded(
        attention_page,
        block=block,
        kv_heads=kinds.get("kv_heads", row),
        head_dim=kinds.get("head_dim", row),
        v_head_dim=kinds.get("v_head_dim", row),
        element_bytes=form["element_bytes"],
        tp=tp,
    )
    latent = {"block": block, "kv_lora_rank": kinds.get("kv_lora_rank", row), "rope_dim": kinds.get("rope_dim", row)}
    latents = chosen(
        compared(form["scaled"], "=", 1), recorded(scaled_latent_page, **latent), recorded(latent_page, element_bytes=form["element_bytes"], **latent)
    )
    index = recorded(
        index_page,
        block=block,
        index_dim=kinds.get("index_dim", row),
        element_bytes=form["index_element_bytes"],
        scale_bytes=form["index_scale_bytes"],
    )
    return recorded(
        lambda *, a, keys, b, latents, c, index: a * keys + b * latents + c * index,
        a=kinds.get("attentions", row),
        keys=keys,
        b=kinds.get("latents", row),
        latents=latents,
        c=kinds.get("indexes", row),
        index=index,
    )


def block_bytes(account: Account, tables: Tables, cache: Cache, counts: Counts) -> Live:
    """Bytes of one block on a stage: all its layers, or the widest group."""
    widths: list[Live] = []
    for each in range(tables.facts.groups.most):
        row = _group_row(tables, cache.first_group, cache.groups, each)
        pattern = tables.groups.get("pattern", row)
        parts = [
            times(counted_letters(pattern, counts.first_layer, counts.layers, "abcd"[size]), tables.groups.get("size", row, constant(size + 1)))
            for size in range(SIZES)
        ]
        widths.append(Live("+".join(part.text for part in parts), sum(part.value for part in parts)))
    widest = account.line("widest group", greatest(account.lines("bytes by group", widths)))
    whole = account.line("all layers", products(cache.pages, counts.column))
    return account.line("block", chosen(cache.regular, whole, widest))
