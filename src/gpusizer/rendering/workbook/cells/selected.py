"""The deployment that is chosen: every pipeline stage of it, the tightest of them, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.formulas.core import maximum, minimum
from gpusizer.formulas.load import held_requests, replicas_needed
from gpusizer.formulas.memory.budget import free_bytes, outside_budget_bytes, requested_bytes
from gpusizer.formulas.memory.cache_blocks import pool_blocks, pool_concurrency, pool_tokens
from gpusizer.formulas.memory.stages import band_width_bytes
from gpusizer.rendering.workbook.calculation import Account, cell_of
from gpusizer.rendering.workbook.cells.cache import Cache, block_bytes, cache_of
from gpusizer.rendering.workbook.cells.model import Batch, Model, batch_of, model_of, part_rows
from gpusizer.rendering.workbook.cells.stage import StageAccount, stage_account
from gpusizer.rendering.workbook.cells.weight import Gathered, counts_of, gathered, stage_weights
from gpusizer.rendering.workbook.inputs import Inputs
from gpusizer.rendering.workbook.live import (
    DASH,
    Area,
    Live,
    all_of,
    chosen,
    compared,
    constant,
    first_equal,
    greatest,
    least,
    picked,
    recorded,
    words,
)
from gpusizer.rendering.workbook.tables.devices import CASES
from gpusizer.rendering.workbook.tables.tables import Tables

__all__ = ["MOST_STAGES", "Chosen", "Core", "choose", "core_of"]

MOST_STAGES = 16
"""Pipeline stages to choose from."""


@dataclass(frozen=True)
class Core:
    """What the chosen deployment and the candidates share: the model and the rows of its parts."""

    model: Model
    rows: Area


def core_of(account: Account, tables: Tables, inputs: Inputs) -> Core:
    """The model that is chosen."""
    model = model_of(account, tables, inputs.model_row, inputs.precision_place, inputs.kv_place, inputs.context_tokens)
    return Core(model, part_rows(account, tables, model))


@dataclass(frozen=True)
class Chosen:
    """The verdict on the chosen deployment, cell by cell."""

    starts: Live  # the engine's own verdict
    legal: Live
    reason_code: Live  # 0 fits, 1 cannot be, 2 budget, 3 no room, 4 context, 5 out of memory, 6 too close
    reason_words: Live  # of reason 1
    missing_bytes: Live
    stage: Live
    worst: Live
    share: Live
    budget: Live
    items: dict[str, Live]  # lines of the worst rank
    weights: Live
    block: Live
    blocks: Live
    needed: Live
    kv_tokens: Live
    concurrency: Live
    held: Live
    held_low: Live
    replicas: Live
    gpus: Live
    requests: Live
    step_tokens: Live


@dataclass(frozen=True)
class _Device:
    """Figures of the chosen device."""

    row: Live
    memory: Live
    visible: Live
    driver: Live
    context: Live
    joined: Live
    growth: Live
    above: Live
    share: Live
    budget: Live


def choose(account: Account, tables: Tables, inputs: Inputs, core: Core) -> Chosen:
    """Compute the chosen deployment."""
    model = core.model
    row = inputs.gpu_row
    number = account.line("class", tables.devices.get("class", row))
    batch = batch_of(account, tables, model, number)
    parts = gathered(account, tables, model, core.rows, inputs.tp, inputs.tp_place, inputs.whole, [batch.padding])
    cache = cache_of(account, tables, model, core.rows, batch, inputs.tp, inputs.tp_place, inputs.pp)
    device = _device(account, tables, inputs)
    columns = _stages(account, tables, core, batch, parts, cache, device, inputs)
    return _verdict(account, tables, inputs, core, batch, cache, device, columns)


def _device(account: Account, tables: Tables, inputs: Inputs) -> _Device:
    row, devices = inputs.gpu_row, tables.devices
    gpus = account.line("GPUs of a replica", recorded(lambda *, tp, pp: tp * pp, tp=inputs.tp, pp=inputs.pp))
    whole = all_of(compared(inputs.whole, "=", 1), compared(inputs.tp, ">", 1))
    joined = compared(gpus, ">", 1)
    case = account.line("case", chosen(whole, constant(3), chosen(joined, constant(2), constant(1))))
    pipe = chosen(compared(inputs.pp, ">", 1), constant(3), constant(1))
    kind = account.line("growth", chosen(compared(inputs.tp, ">", 1), constant(2), pipe))
    usual = account.line("engine's share", devices.get("share", row, case))
    share = account.line("share", chosen(compared(inputs.memory_fraction, "=", ""), usual, inputs.memory_fraction))
    visible = account.line("visible", devices.get("visible", row))
    asked = recorded(requested_bytes, device_total_bytes=visible, utilization=share)
    budget = account.line("budget", chosen(compared(inputs.memory_fraction, "=", ""), devices.get("budget", row, case), asked))
    assert len(CASES) == 3
    return _Device(
        row,
        account.line("memory", devices.get("memory", row)),
        visible,
        account.line("driver", devices.get("driver", row)),
        account.line("context", devices.get("context", row)),
        account.line("joined", devices.get("joined", row, case)),
        account.line("growth bytes", devices.get("growth", row, kind)),
        account.line("growth above", devices.get("above", row, kind)),
        share,
        budget,
    )


# ---- stages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Stages:
    """One row a stage: what the verdict needs."""

    accounts: list[StageAccount]
    columns: dict[str, Area]


def _stages(account: Account, tables: Tables, core: Core, batch: Batch, parts: Gathered, cache: Cache, device: _Device, inputs: Inputs) -> _Stages:
    names = ("non_torch", "available", "low", "block")
    found: dict[str, list[Live]] = {name: [] for name in names}
    accounts = []
    for stage in range(MOST_STAGES):
        there = account.line(f"stage {stage}", compared(constant(stage), "<", inputs.pp))
        counts = counts_of(account, tables, core.model, core.rows, inputs.pp, constant(stage))
        fixed = stage_weights(account, core.model, parts, counts, 0, batch.error)
        one = stage_account(account, core.model, batch, parts, counts, fixed)
        accounts.append(one)
        block = block_bytes(account, tables, cache, counts)
        non_torch, available, low = pool_of(account, device.budget, device.growth, device.above, one)
        for name, live in zip(names, (non_torch, available, low, block), strict=True):
            found[name].append(chosen(there, live, words("")))
    columns = account.block("stages", found)
    return _Stages(accounts, columns)


def pool_of(account: Account, budget: Live, growth: Live, above: Live, one: StageAccount) -> tuple[Live, Live, Live]:
    """Growth outside the allocator, what is left for the cache, and that on the safe side of the band."""
    raw = recorded(lambda *, growth, workspace: growth + workspace, growth=growth, workspace=one.workspace)
    non_torch = account.line("non_torch", _whole(raw))
    available = account.line(
        "available", recorded(lambda *, budget, charged, grown: budget - charged - grown, budget=budget, charged=one.charged, grown=non_torch)
    )
    width = recorded(band_width_bytes, size_bytes=raw, share=0, added_bytes=above)
    spread = recorded(lambda *, a, b: (a**2 + b**2) ** 0.5, a=one.spread, b=width)
    low = account.line("available, low", recorded(lambda *, available, spread: available - spread, available=available, spread=spread))
    return non_torch, available, low


def _whole(size: Live) -> Live:
    from gpusizer.formulas.core import rounded

    return recorded(lambda *, size: rounded(size), size=size)


def _each(account: Account, label: str, function: object, *areas: Area, there: Area | None = None) -> Area:
    """A column computed from columns, empty where a stage is not there."""
    lives = []
    for place in range(MOST_STAGES):
        inputs = [cell_of(area, place) for area in areas]
        live = function(*inputs)  # type: ignore[operator]
        gate = inputs[0] if there is None else cell_of(there, place)
        lives.append(chosen(compared(gate, "=", ""), words(""), live) if gate.value != "" else Live(f'IF({gate.text}="","",{live.text})', ""))
    return account.block(label, {label: lives})[label]


# ---- the verdict ----------------------------------------------------------------------------------------------------


def _verdict(account: Account, tables: Tables, inputs: Inputs, core: Core, batch: Batch, cache: Cache, device: _Device, stages: _Stages) -> Chosen:
    model, columns = core.model, stages.columns
    legal_words = _cannot_be(account, tables, inputs, model)
    legal = account.line("can be", compared(legal_words, "=", ""))

    def blocks_of(pool: Live, block: Live) -> Live:
        return recorded(pool_blocks, pool_bytes=pool, block_bytes=recorded(lambda *, block: maximum(block, 1), block=block))

    held = _each(account, "blocks", blocks_of, columns["available"], columns["block"])
    safe = _each(account, "blocks, low", blocks_of, columns["low"], columns["block"])
    blocks = account.line("blocks", least(held))
    low_blocks = account.line("blocks, low", least(safe))
    tightest = account.line("worst stage", first_equal(blocks, held, 1))
    counted = account.line("blocks counted", recorded(lambda *, needed: maximum(needed, 1), needed=cache.needed))
    shortfalls = _shortfalls(account, columns, stages.accounts, device, blocks)
    short = account.line("shortfall", greatest(shortfalls))
    fullest = account.line("fullest stage", first_equal(short, shortfalls, 1))
    smallest = account.line("smallest pool", least(columns["available"]))
    before = recorded(lambda *, context, joined: context + joined, context=device.context, joined=device.joined)
    free = recorded(lambda *, visible, before: visible - before, visible=device.visible, before=before)
    codes = [
        (compared(legal, "=", constant(False)), 1),
        (compared(device.budget, ">", free), 2),
        (compared(smallest, "<=", 0), 3),
        (compared(cache.needed, ">", blocks), 4),
        (compared(short, ">", 0), 5),
    ]
    code = constant(0)
    for condition, number in reversed(codes):
        code = chosen(condition, constant(number), code)
    code = account.line("reason", code)
    fits = account.line("fits", compared(code, "=", 0))
    worst = account.line("stage described", chosen(compared(code, "=", 5), fullest, tightest))
    missing = recorded(lambda *, smallest: 0 - smallest, smallest=smallest)
    block = account.line("block described", picked(columns["block"], worst))
    first_block = cell_of(columns["block"], 0)
    lacking = recorded(lambda *, needed, blocks, block: (needed - blocks) * block, needed=cache.needed, blocks=blocks, block=first_block)
    over = recorded(lambda *, budget, free: budget - free, budget=device.budget, free=free)
    lacks = Live(
        f"CHOOSE({code.text}+1,0,0,{over.text},{missing.text},{lacking.text},{short.text})",
        (0, 0, over.value, missing.value, lacking.value, short.value)[int(code.value)],
    )
    where = chosen(compared(code, "=", 3), first_equal(smallest, columns["available"], 1), chosen(compared(code, "=", 5), fullest, constant(1)))
    concurrency = account.line("concurrency", recorded(pool_concurrency, blocks=blocks, blocks_per_request=counted))
    low = recorded(pool_concurrency, blocks=low_blocks, blocks_per_request=counted)
    tokens = account.line("tokens", recorded(pool_tokens, blocks=blocks, blocks_per_request=counted, context_tokens=inputs.context_tokens))

    def most(amount: Live) -> Live:
        return recorded(lambda *, held, most: minimum(held, most), held=recorded(held_requests, max_concurrency=amount), most=batch.requests)

    holds, holds_low = account.line("holds", most(concurrency)), account.line("holds, low", most(low))
    close = account.line("too close", all_of(fits, compared(holds_low, "<", 1)))
    found = recorded(replicas_needed, concurrency=inputs.concurrency, held=recorded(lambda *, held: maximum(held, 1), held=holds_low))
    good = all_of(fits, compared(holds_low, ">=", 1))
    replicas = account.line("replicas", chosen(good, found, words(DASH)))
    each = recorded(lambda *, tp, pp, replicas: tp * pp * replicas, tp=inputs.tp, pp=inputs.pp, replicas=found)
    gpus = account.line("GPUs", chosen(good, each, words(DASH)))
    items = _items(account, stages, columns, device, worst, blocks, block)

    def if_legal(live: Live) -> Live:
        return account.line("shown", chosen(legal, live, words(DASH)))

    weights = if_legal(picked(_column(account, "weights", [each.weights for each in stages.accounts]), worst))
    return Chosen(
        starts=fits,
        legal=legal,
        reason_code=account.line("code", chosen(close, constant(6), code)),
        reason_words=legal_words,
        missing_bytes=account.line("missing", lacks),
        stage=account.line("stage", where),
        worst=worst,
        share=device.share,
        budget=device.budget,
        items={name: if_legal(live) for name, live in items.items()},
        weights=weights,
        block=block,
        blocks=if_legal(blocks),
        needed=if_legal(cache.needed),
        kv_tokens=if_legal(tokens),
        concurrency=if_legal(concurrency),
        held=if_legal(holds),
        held_low=if_legal(holds_low),
        replicas=replicas,
        gpus=gpus,
        requests=batch.requests,
        step_tokens=batch.tokens,
    )


def _column(account: Account, label: str, lives: list[Live]) -> Area:
    return account.block(label, {label: lives})[label]


def _cannot_be(account: Account, tables: Tables, inputs: Inputs, model: Model) -> Live:
    """Why device or layout cannot be, in the library's words; empty where they can."""
    refusal = account.line("device refuses", tables.devices.get("refusal", inputs.gpu_row, model.families))
    place = recorded(lambda *, place, whole, sizes: place + whole * sizes, place=inputs.tp_place, whole=inputs.whole, sizes=5)
    illegal = account.line("layout refused", tables.legal.get("reason", model.legal, place))
    reasons = tables.reasons.area("words")
    too_many = compared(inputs.pp, ">", model.layers)
    text = inputs.too_many_stages(inputs.pp, model.layers)
    safe = [chosen(compared(each, ">", 0), picked(reasons, _at_least_one(each)), words("")) for each in (refusal, illegal)]
    inner = chosen(too_many, text, safe[1])
    first = chosen(compared(refusal, ">", 0), safe[0], inner)
    return account.line("why not", chosen(inputs.valid, first, inputs.unknown_words))


def _at_least_one(number: Live) -> Live:
    return recorded(lambda *, number: maximum(number, 1), number=number)


def _shortfalls(account: Account, columns: dict[str, Area], accounts: list[StageAccount], device: _Device, blocks: Live) -> Area:
    """By how much each stage is too small for its start; graphs are captured where activations were."""
    lives = []
    for place, one in enumerate(accounts):
        used = _used(cell_of(columns["non_torch"], place), one, device, blocks, cell_of(columns["block"], place))
        there = cell_of(columns["block"], place)
        short = shortfall(used, device.memory, one)
        lives.append(Live(f'IF({there.text}="","",{short.text})', "" if there.value == "" else short.value))
    return account.block("shortfalls", {"shortfall": lives})["shortfall"]


def _used(non_torch: Live, one: StageAccount, device: _Device, blocks: Live, block: Live) -> Live:
    outside = recorded(outside_budget_bytes, context_bytes=device.context, communication_bytes=device.joined, late_bytes=device.driver)
    return recorded(
        lambda *, weights, activation, graphs, grown, outside, blocks, block: weights + activation + graphs + grown + outside + blocks * block,
        weights=one.weights,
        activation=one.activation,
        graphs=one.graphs,
        grown=non_torch,
        outside=outside,
        blocks=blocks,
        block=block,
    )


def shortfall(used: Live, memory: Live, one: StageAccount) -> Live:
    """Bytes that the start lacks, as the engine's rule has it."""
    return recorded(
        lambda *, used, memory, graphs, low, peak: used - memory - graphs + maximum(low - peak, 0),
        used=used,
        memory=memory,
        graphs=one.graphs,
        low=one.graphs_low,
        peak=one.activation,
    )


def _items(account: Account, stages: _Stages, columns: dict[str, Area], device: _Device, worst: Live, blocks: Live, block: Live) -> dict[str, Live]:
    """The ledger of the stage that is described."""
    found: dict[str, Live] = {}
    for name in stages.accounts[0].lines:
        found[name] = account.line(name, picked(_column(account, name, [each.lines[name] for each in stages.accounts]), worst))
    for name in ("activation", "graphs"):
        column = _column(account, name, [getattr(each, name) for each in stages.accounts])
        found[{"activation": "activation_peak", "graphs": "cuda_graphs"}[name]] = account.line(name, picked(column, worst))
    found["non_torch"] = account.line("non_torch", picked(columns["non_torch"], worst))
    found["kv_cache_pool"] = account.line("kv_cache_pool", recorded(lambda *, blocks, block: blocks * block, blocks=blocks, block=block))
    found["device_context"], found["communication"], found["driver_reserved"] = device.context, device.joined, device.driver
    used = Live("+".join(each.text for each in found.values()), sum(each.value or 0 for each in found.values()))
    found["free"] = account.line("free", recorded(free_bytes, device_total_bytes=device.memory, used_bytes=used))
    return found
