"""The engine's account of one GPU as cells: each step is a registered formula, each branch a column of a table.

The same pieces serve the deployment that is chosen (every stage, :mod:`~gpusizer.rendering.workbook.chosen`) and the layouts that every device is
tried with (:mod:`~gpusizer.rendering.workbook.candidates`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gpusizer.engines import vllm_calibration as fitted
from gpusizer.engines.vllm_memory import GATHER_FACTOR, HANDED_ON, INDEX_LOGITS, KEY_FACTOR
from gpusizer.engines.vllm_weights import SCALE_BYTES, SCALES_SPREAD, SLACK_SPREAD, UNFOLDED_ELEMENT_BYTES
from gpusizer.formulas.core import maximum, rounded
from gpusizer.formulas.memory.activation import activation_peak_bytes, encoder_bytes, expert_workspace_bytes, latent_chunk_bytes, latent_chunk_rows
from gpusizer.formulas.memory.budget import cuda_graph_bytes
from gpusizer.formulas.memory.stages import band_width_bytes, stage_first_layer, stage_size
from gpusizer.formulas.memory.steps import (
    batch_requests,
    batch_tokens,
    captured_limit,
    captured_sizes,
    encoded_bytes,
    in_flight_tokens,
    layer_peak_bytes,
    sampling_peak_bytes,
    sparse_workspace_bytes,
)
from gpusizer.formulas.memory.weights import absorbed_latent_bytes, padded_vocabulary, rope_table_bytes, unfolded_scales_bytes, visual_levels_bytes
from gpusizer.rendering.workbook.cache_rows import SIZES, attention_page, group_blocks, index_page, latent_page, scaled_latent_page
from gpusizer.rendering.workbook.grid import Grid
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
    root_of_squares,
)
from gpusizer.rendering.workbook.parts import LINES, TPS
from gpusizer.rendering.workbook.tables import OUTSIDE_PARTS, Tables

__all__ = [
    "Account",
    "Batch",
    "Cache",
    "Gathered",
    "Model",
    "StageAccount",
    "batch_of",
    "block_bytes",
    "cache_of",
    "cell_of",
    "counts_of",
    "gathered",
    "model_of",
    "part_rows",
    "stage_account",
    "stage_weights",
]

GRAPH_MODES = 2  # whole for decoding, in pieces for mixed batches


@dataclass
class Account:
    """A technical sheet that is filled downwards, one line a figure; blocks of cells stand below it."""

    grid: Grid
    row: int = 0
    wide: int = 1

    def line(self, label: str, live: Live) -> Live:
        """A figure with its name in the first column."""
        self.grid.plain(self.row, 0, label)
        cell = self.grid.bare(self.row, 1, live)
        self.row += 1
        return cell

    def lines(self, label: str, lives: list[Live]) -> Area:
        """Figures side by side with a name."""
        self.grid.plain(self.row, 0, label)
        area = self.grid.stretch(self.row, 1, lives, down=False)
        self.row += 1
        return area

    def block(self, label: str, columns: dict[str, list[Live]]) -> dict[str, Area]:
        """Columns of equal height with headings."""
        self.grid.plain(self.row, 0, label)
        top = self.row + 1
        found = {}
        for place, (name, lives) in enumerate(columns.items(), 1):
            self.grid.plain(self.row, place, name)
            found[name] = self.grid.stretch(top, place, lives)
        self.row = top + max((len(lives) for lives in columns.values()), default=0) + 1
        return found


def cell_of(area: Area, place: int) -> Live:
    """One cell of a range of one column or one row, as a reference of its own."""
    sheet, _, span = area.text.rpartition("!")
    first, _, last = span.partition(":")
    column, row = first.split("$")[1:]
    if last and last.split("$")[1] != column:
        from gpusizer.rendering.workbook.grid import column_letters

        number = 0
        for letter in column:
            number = 26 * number + ord(letter) - 64
        return Live(f"{sheet}!${column_letters(number - 1 + place)}${row}", area.values[place])
    return Live(f"{sheet}!${column}${int(row) + place}", area.values[place])


@dataclass(frozen=True)
class Model:
    """The model that is chosen, in its precision."""

    row: Live
    precision: Live
    kv: Live
    context: Live
    fields: dict[str, Live] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Live:
        return self.fields[name]


def part_rows(account: Account, tables: Tables, model: Model) -> Area:
    """Rows of the model's kinds of layers in the table of kinds, then of what stands outside; the first row of all where there is no such kind."""
    rows = []
    for each in range(tables.most_kinds):
        place = recorded(lambda *, first, step: first + step, first=model.first_kind, step=each)
        rows.append(chosen(compared(constant(each + 1), "<=", model.kinds), place, model.first_kind))
    for each in range(len(OUTSIDE_PARTS)):
        rows.append(recorded(lambda *, first, kinds, step: first + kinds + step, first=model.first_kind, kinds=model.kinds, step=each))
    return account.block("rows of parts", {"row": rows})["row"]


_FIELDS = (
    "layers", "hidden", "vocabulary", "streams", "pattern", "kinds", "first_kind", "dense_width", "dense_matrices", "top_k", "expert_width",
    "gate_up", "expert_hidden", "latent_heads", "latent_nope", "latent_v", "dense_latent", "sparse_rank", "sparse_rope", "sparse_index", "sparse",
    "tower_width", "tower_patches", "tower_levels", "deeper_levels", "cache_class", "stateful", "group_kind", "group_window", "estimate",
    "block_side",
)  # fmt: skip


def model_of(account: Account, tables: Tables, row: Live, precision: Live, kv: Live, context: Live) -> Model:
    """Look the model up."""
    found = {name: account.line(name, tables.models.get(name, row)) for name in _FIELDS}
    for name in (
        "element_bytes",
        "byte_inputs",
        "legal",
        "families",
        "cache_rule",
        "error",
        "error_rocm",
        "unlisted",
        "unlisted_above",
        "label",
        "bytes",
    ):
        found[name] = account.line(name, tables.models.get(name, row, precision))
    vocabulary = recorded(padded_vocabulary, vocabulary=found["vocabulary"], multiple=64, tp=1)
    found["padded_vocabulary"] = account.line("padded_vocabulary", vocabulary)
    patches = recorded(
        encoder_bytes,
        patches=found["tower_patches"],
        width=found["tower_width"],
        copies=fitted.ENCODER_COPIES,
        element_bytes=found["element_bytes"],
    )
    found["encoder"] = account.line("encoder", patches)
    sparse = recorded(
        sparse_workspace_bytes,
        context_tokens=context,
        kv_lora_rank=found["sparse_rank"],
        rope_dim=found["sparse_rope"],
        index_dim=found["sparse_index"],
        gathered=GATHER_FACTOR,
        keys=KEY_FACTOR,
        logits_bytes=INDEX_LOGITS,
    )
    found["sparse_workspace"] = account.line("sparse_workspace", chosen(compared(found["sparse"], "=", 1), sparse, constant(0)))
    return Model(row, precision, kv, context, found)


# ---- the batch ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """What the engine chooses on a class of devices, and what of the activations does not depend on the layout."""

    number: Live  # of the class
    tokens: Live
    requests: Live
    graphs: Live
    padding: Live
    error: Live
    library: Live
    graph_bytes: Live  # of one graph and layer
    unfolds: Live
    buffers: Live
    sampling: Live
    encoded: Live
    form: dict[str, Live]
    form_number: Live
    block: Live


def batch_of(account: Account, tables: Tables, model: Model, number: Live) -> Batch:
    """The batch of one class."""
    classes = tables.classes
    requests = account.line("default requests", classes.get("requests", number))
    tokens = account.line(
        "step tokens",
        recorded(batch_tokens, default_tokens=classes.get("tokens", number), default_requests=requests, context_tokens=model.context),
    )
    running = account.line("requests", recorded(batch_requests, default_requests=requests, step_tokens=tokens))
    limit = account.line("captured limit", recorded(captured_limit, requests=running, drafts=0, most=classes.get("most_captured", number)))
    graphs = account.line("graphs", recorded(lambda *, sizes, modes: modes * sizes, sizes=recorded(captured_sizes, limit=limit), modes=GRAPH_MODES))
    error = account.line("band of weights", chosen(compared(classes.get("rocm", number), "=", 1), model.error_rocm, model.error))
    sampling = account.line(
        "sampling",
        recorded(
            sampling_peak_bytes,
            rows=running,
            vocabulary=model.padded_vocabulary,
            logit_copies=fitted.SAMPLER_COPIES["fused"],
            element_bytes=model.element_bytes,
            tokens=tokens,
            hidden=model.hidden,
            held_copies=fitted.HELD_COPIES,
            held_bytes_per_token=fitted.HELD_BYTES_PER_TOKEN,
        ),
    )
    stays = recorded(
        encoded_bytes,
        tokens=tokens,
        patches=model.tower_patches,
        element_bytes=model.element_bytes,
        hidden=_times(model.hidden, model.tower_levels),
        copies=fitted.ENCODED_COPIES,
    )
    encoded = account.line("encoded images", chosen(compared(model.tower_width, ">", 0), stays, constant(0)))
    column = recorded(lambda *, number, kv, kinds: (number - 1) * kinds + kv, number=number, kv=model.kv, kinds=len(tables.facts.kv_precisions))
    place = account.line("cache rule", column)
    form = account.line("cache format", tables.rules.get("form", model.cache_rule, place))
    block = account.line("block", tables.rules.get("block", model.cache_rule, place))
    form_cells = {name: account.line(name, tables.forms.get(name, form)) for name in tables.forms.places}
    graph_bytes = recorded(
        lambda *, size, factor: size * factor, size=fitted.GRAPHS.bytes_per_graph_and_layer, factor=classes.get("graph_factor", number)
    )
    return Batch(
        number,
        tokens,
        running,
        graphs,
        account.line("padding", classes.get("padding", number)),
        error,
        account.line("library", classes.get("library", number)),
        account.line("bytes of a graph and layer", graph_bytes),
        account.line("unfolds scales", classes.get("unfolds", number)),
        account.line("buffers", _buffers(model, tokens)),
        sampling,
        encoded,
        form_cells,
        form,
        block,
    )


def _buffers(model: Model, tokens: Live) -> Live:
    """Buffers for further levels of a vision tower."""
    return recorded(visual_levels_bytes, levels=model.deeper_levels, tokens=tokens, hidden=model.hidden, element_bytes=model.element_bytes)


# ---- weights --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """Parts of the model at one tensor-parallel size: bytes by line, one row a kind of layer, then what stands outside."""

    tp: Live
    place: Live
    whole: Live
    lines: dict[str, Area]
    experts: list[Area]  # by padding of the kernels
    slack: list[Area]
    blocks: list[Area]  # FP8 in square blocks
    copied: Area
    rotations: Area  # bytes of each table
    used: Area  # number of the rotation of each kind


def gathered(account: Account, tables: Tables, model: Model, rows: Area, tp: Live, place: Live, whole: Live, paddings: list[Live]) -> Gathered:
    """Look the parts up; ``rows`` are their rows in the table of kinds."""
    parts, kinds = tables.parts, tables.kinds
    count = len(rows.values)
    bases = account.block("parts", {"row": [kinds.get("part", cell_of(rows, each), model.precision) for each in range(count)]})["row"]
    columns: dict[str, list[Live]] = {line: [] for line in LINES if line != "weights_experts"}
    for each in range(count):
        base = cell_of(bases, each)
        for line in columns:
            columns[line].append(parts.get(line, base, place))
    shifted = account.line("column of experts", shifted_place(place, whole))
    for number, padding in enumerate(paddings):
        for line, name in (("weights_experts", "experts"), ("slack", "slack"), ("blocks", "blocks")):
            columns[f"{name}{number}"] = [parts.get(line, _padded_row(tables, cell_of(bases, each), padding), shifted) for each in range(count)]
    columns["copied"] = [_copied(tables, cell_of(rows, each), tp) for each in range(count)]
    columns["rotation"] = [kinds.get("rotation", cell_of(rows, each)) for each in range(count)]
    block = account.block("bytes by line", columns)
    tables_of = account.lines("tables of positions", [_rotation(tables, model, each) for each in range(tables.most_rotations)])
    found = {line: block[line] for line in LINES if line != "weights_experts"}
    experts, slack, blocks = ([block[f"{name}{n}"] for n in range(len(paddings))] for name in ("experts", "slack", "blocks"))
    return Gathered(tp, place, whole, found, experts, slack, blocks, block["copied"], tables_of, block["rotation"])


def shifted_place(place: Live, whole: Live) -> Live:
    """Column of a tensor-parallel size, after all of those with experts cut where they stay whole."""
    return recorded(lambda *, place, whole, sizes: place + whole * sizes, place=place, whole=whole, sizes=len(TPS))


def _padded_row(tables: Tables, base: Live, padding: Live) -> Live:
    """Row of a part for a padding of the experts' kernels."""
    further = tables.parts.get("further", base)
    return recorded(lambda *, base, further, padding: base + further * (padding - 1), base=base, further=further, padding=padding)


def _copied(tables: Tables, row: Live, tp: Live) -> Live:
    kinds = tables.kinds
    return recorded(
        absorbed_latent_bytes,
        layers=kinds.get("copied", row),
        heads=kinds.get("copied_heads", row),
        qk_nope_head_dim=kinds.get("copied_nope", row),
        v_head_dim=kinds.get("copied_v", row),
        kv_lora_rank=kinds.get("copied_rank", row),
        element_bytes=2,
        tp=tp,
    )


def _rotation(tables: Tables, model: Model, number: int) -> Live:
    place = constant(number + 1)
    element = recorded(
        lambda *, table, model: maximum(table, model), table=tables.models.get("rotation_element", model.row, place), model=model.element_bytes
    )
    return recorded(
        rope_table_bytes,
        positions=tables.models.get("rotation_positions", model.row, place),
        rotary_dim=tables.models.get("rotation_width", model.row, place),
        element_bytes=element,
    )


# ---- one stage ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """How many layers of each kind a stage holds, and which parts outside."""

    first_layer: Live
    layers: Live
    first: Live
    last: Live
    column: Area


def counts_of(account: Account, tables: Tables, model: Model, rows: Area, pp: Live, stage: Live) -> Counts:
    """Layers and parts of one stage, as a column beside the rows of the parts."""
    start = account.line("first layer", recorded(stage_first_layer, layers=model.layers, pp=pp, stage=stage))
    size = account.line("layers", recorded(stage_size, layers=model.layers, pp=pp, stage=stage))
    first = account.line("is first", chosen(compared(stage, "=", 0), constant(1), constant(0)))
    last = account.line("is last", chosen(compared(stage, "=", recorded(lambda *, pp: pp - 1, pp=pp)), constant(1), constant(0)))
    kinds = len(rows.values) - len(OUTSIDE_PARTS)
    column: list[Live] = []
    for each in range(kinds):
        letter = tables.kinds.get("letter", cell_of(rows, each))
        inside = counted_letters(model.pattern, start, size, letter)
        column.append(chosen(compared(constant(each + 1), "<=", model.kinds), inside, constant(0)))
    apart = recorded(lambda *, first, last: last * (1 - first), first=first, last=last)
    alone = recorded(lambda *, first, last: last * first, first=first, last=last)
    column += [first, last, last, first, apart, alone]
    return Counts(start, size, first, last, account.block("counts", {"count": column})["count"])


@dataclass(frozen=True)
class StageWeights:
    """Weights of one stage, whatever the device but for the padding of its kernels and the band of its format."""

    lines: dict[str, Live]
    fixed: Live  # their sum
    blocks: Live  # FP8 in square blocks
    slack: Live
    spread: Live


def stage_weights(account: Account, model: Model, parts: Gathered, counts: Counts, padding: int, error: Live) -> StageWeights:
    """Lines of the stored tensors of one stage."""
    column = counts.column
    lines: dict[str, Live] = {}
    for line in LINES:
        area = parts.experts[padding] if line == "weights_experts" else parts.lines[line]
        rows = area, column
        if line == "weights_embedding":  # the last row, a head of its own, is a line without a band
            rows = _without_last(area), _without_last(column)
        lines[line] = account.line(line, products(*rows))
    own = parts.lines["weights_embedding"]
    lines["own_head"] = account.line("own_head", _times(cell_of(own, len(own.values) - 1), cell_of(column, len(column.values) - 1)))
    lines["weights_absorbed"] = account.line("weights_absorbed", products(parts.copied, column))
    lines["weights_tables"] = account.line("weights_tables", _tables(parts, column))
    lines["weights_unlisted"] = account.line("weights_unlisted", _times(counts.first, model.unlisted))
    widths = [recorded(band_width_bytes, size_bytes=lines[line], share=error, added_bytes=0) for line in LINES]
    widths.append(_times(counts.first, model.unlisted_above))
    return StageWeights(
        lines,
        account.line("fixed weights", added(account.lines("weights", list(lines.values())))),
        account.line("square blocks", products(parts.blocks[padding], column)),
        account.line("slack", products(parts.slack[padding], column)),
        account.line("spread of weights", root_of_squares(account.lines("widths of bands", widths))),
    )


@dataclass(frozen=True)
class StageAccount:
    """Bytes of one stage beside what depends on the device alone."""

    lines: dict[str, Live]
    weights: Live
    activation: Live
    graphs: Live
    graphs_low: Live
    estimated: Live
    workspace: Live
    charged: Live
    spread: Live


def stage_account(account: Account, model: Model, batch: Batch, parts: Gathered, counts: Counts, fixed: StageWeights) -> StageAccount:
    """Lines of one stage on one class of devices."""
    lines = dict(fixed.lines)
    lines["weights_buffers"] = account.line("weights_buffers", _times(counts.first, batch.buffers))
    raw_scales = account.line("unfolded scales", _scales(model, batch, fixed.blocks))
    lines["weights_scales"] = account.line("weights_scales", _whole(raw_scales))
    raw_slack = recorded(lambda *, slack, library: slack + library, slack=fixed.slack, library=batch.library)
    lines["weights_slack"] = account.line("weights_slack", _whole(raw_slack))
    weights = recorded(
        lambda *, a, b, c, d: a + b + c + d,
        a=fixed.fixed,
        b=lines["weights_buffers"],
        c=lines["weights_scales"],
        d=lines["weights_slack"],
    )
    weights = account.line("weights in all", weights)
    activation, raw_activation = _activation(account, model, batch, parts, counts)
    graphs, raw_graphs = _graphs(account, batch, counts)
    low = recorded(lambda *, size, share: rounded(size * (1 - share)), size=raw_graphs, share=fitted.GRAPHS.below)
    graphs_low = account.line("graphs, low end", low)
    raw_estimate = account.line("estimate", recorded(lambda *, graphs, factor: graphs * factor, graphs=graphs, factor=model.estimate))
    estimated = account.line("estimated graphs", _whole(raw_estimate))
    workspace = account.line("workspace", _workspace(model, batch, parts))
    library_part = recorded(lambda *, library, share: 0 - library * share, library=batch.library, share=SLACK_SPREAD)
    widths = [
        fixed.spread,
        recorded(band_width_bytes, size_bytes=raw_scales, share=SCALES_SPREAD, added_bytes=0),
        recorded(band_width_bytes, size_bytes=raw_slack, share=SLACK_SPREAD, added_bytes=library_part),
        recorded(band_width_bytes, size_bytes=raw_activation, share=fitted.PEAK_ABOVE, added_bytes=0),
        recorded(band_width_bytes, size_bytes=raw_estimate, share=fitted.GRAPH_ESTIMATE_SPREAD[1] - 1, added_bytes=0),
    ]
    spread = account.line("spread", root_of_squares(account.lines("widths of bands", widths)))
    charged = recorded(lambda *, weights, activation, graphs: weights + activation + graphs, weights=weights, activation=activation, graphs=estimated)
    return StageAccount(lines, weights, activation, graphs, graphs_low, estimated, workspace, account.line("charged", charged), spread)


def _whole(size: Live) -> Live:
    return recorded(lambda *, size: rounded(size), size=size)


def _scales(model: Model, batch: Batch, blocks: Live) -> Live:
    """What unfolded scales take more, on devices that need them."""
    size = recorded(
        unfolded_scales_bytes,
        weights_bytes=recorded(lambda *, size: rounded(size), size=blocks),
        block=model.block_side,
        element_bytes=UNFOLDED_ELEMENT_BYTES,
        scale_bytes=SCALE_BYTES,
    )
    return _times(batch.unfolds, size)


def _times(left: Live, right: Live) -> Live:
    return recorded(lambda *, left, right: left * right, left=left, right=right)


def _without_last(area: Area) -> Area:
    first, last = cell_of(area, 0), cell_of(area, len(area.values) - 2)
    return Area(f"{first.text}:{last.text.rpartition('!')[2]}", area.values[:-1])


def _tables(parts: Gathered, column: Area) -> Live:
    """Tables of positions of the rotations that the stage's layers use."""
    found: list[Live] = []
    for number in range(len(parts.rotations.values)):
        places = [place for place, value in enumerate(parts.used.values) if value == number + 1]
        there = sum(column.values[place] or 0 for place in places)
        used = Live(f"SUMIF({parts.used.text},{number + 1},{column.text})", there)
        found.append(chosen(compared(used, ">", 0), cell_of(parts.rotations, number), constant(0)))
    return Live("+".join(each.text for each in found), sum(each.value for each in found))


def _workspace(model: Model, batch: Batch, parts: Gathered) -> Live:
    whole = compared(parts.whole, "=", 1)
    width = chosen(whole, model.expert_width, recorded(lambda *, width, tp: width / tp, width=model.expert_width, tp=parts.tp))
    experts = recorded(
        expert_workspace_bytes,
        tokens=batch.tokens,
        top_k=model.top_k,
        intermediate=width,
        gate_up=model.gate_up,
        hidden=model.expert_hidden,
        element_bytes=model.element_bytes,
    )
    return recorded(lambda *, experts, sparse: experts + sparse, experts=experts, sparse=model.sparse_workspace)


def _activation(account: Account, model: Model, batch: Batch, parts: Gathered, counts: Counts) -> tuple[Live, Live]:
    handed = recorded(lambda *, last, tensors: tensors * (1 - last), last=counts.last, tensors=HANDED_ON)
    block = account.line(
        "layer peak",
        recorded(
            layer_peak_bytes,
            tokens=batch.tokens,
            element_bytes=model.element_bytes,
            width=model.dense_width,
            tp=parts.tp,
            matrices=model.dense_matrices,
            byte_inputs=model.byte_inputs,
            hidden=model.hidden,
            streams=model.streams,
            hidden_copies=fitted.HIDDEN_COPIES,
            handed_on=handed,
        ),
    )
    rows = recorded(latent_chunk_rows, max_model_len=model.context, max_num_seqs=batch.requests, block_size=batch.block)
    latent = account.line(
        "expanded latents",
        _times(
            model.dense_latent,
            recorded(
                latent_chunk_bytes,
                rows=rows,
                heads=recorded(lambda *, heads, tp: heads / tp, heads=model.latent_heads, tp=parts.tp),
                qk_nope_head_dim=model.latent_nope,
                v_head_dim=model.latent_v,
                element_bytes=model.element_bytes,
            ),
        ),
    )
    raw = recorded(
        activation_peak_bytes,
        workspace_bytes=0,
        sampler_bytes=_times(counts.last, batch.sampling),
        block_bytes=block,
        latent_bytes=latent,
        encoder_bytes=_times(counts.first, model.encoder),
        encoded_bytes=_times(counts.first, batch.encoded),
    )
    exact = account.line("activation peak", raw)
    return account.line("activation_peak", recorded(lambda *, size: rounded(size), size=exact)), exact


def _graphs(account: Account, batch: Batch, counts: Counts) -> tuple[Live, Live]:
    raw = account.line(
        "graphs",
        recorded(
            cuda_graph_bytes,
            graphs=batch.graphs,
            layers=counts.layers,
            more_layers=fitted.GRAPHS.more_layers,
            bytes_per_graph_and_layer=batch.graph_bytes,
        ),
    )
    return account.line("cuda_graphs", recorded(lambda *, size: rounded(size), size=raw)), raw


# ---- the cache ------------------------------------------------------------------------------------------------------


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
            _times(counted_letters(pattern, counts.first_layer, counts.layers, "abcd"[size]), tables.groups.get("size", row, constant(size + 1)))
            for size in range(SIZES)
        ]
        widths.append(Live("+".join(part.text for part in parts), sum(part.value for part in parts)))
    widest = account.line("widest group", greatest(account.lines("bytes by group", widths)))
    whole = account.line("all layers", products(cache.pages, counts.column))
    return account.line("block", chosen(cache.regular, whole, widest))
