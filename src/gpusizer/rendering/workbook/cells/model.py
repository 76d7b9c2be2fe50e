"""The model that is chosen, and the batch that the engine makes of it on each class of devices, as cells."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.account import GATHER_FACTOR, INDEX_LOGITS, KEY_FACTOR
from gpusizer.formulas.memory.activation import encoder_bytes
from gpusizer.formulas.memory.loaded import visual_levels_bytes
from gpusizer.formulas.memory.step_peaks import encoded_bytes, sampling_peak_bytes, sparse_workspace_bytes
from gpusizer.formulas.memory.steps import batch_requests, batch_tokens, captured_limit, captured_sizes
from gpusizer.rendering.workbook.calculation import Account, times
from gpusizer.rendering.workbook.live import (
    Area,
    Live,
    chosen,
    compared,
    constant,
    recorded,
)
from gpusizer.rendering.workbook.tables.tables import OUTSIDE_PARTS, Tables

__all__ = [
    "Batch",
    "Model",
    "batch_of",
    "model_of",
    "part_rows",
]

GRAPH_MODES = 2  # whole for decoding, in pieces for mixed batches


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
    "gate_up", "expert_hidden", "latent_heads", "latent_nope", "latent_v", "sparse_rank", "sparse_rope", "sparse_index", "sparse",
    "tower_width", "tower_patches", "tower_levels", "deeper_levels", "cache_class", "stateful", "group_kind", "group_window", "estimate_factor",
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
            vocabulary=model.vocabulary,
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
        hidden=times(model.hidden, model.tower_levels),
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
