"""What loading adds to the stored tensors in more than one engine: drafts, slots for adapters, tensors that no configuration lists."""

from __future__ import annotations

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Layer, Split
from gpusizer.engines.base.band import Limits, Spread
from gpusizer.engines.base.drafts import Blocks, Kind, block_draft, draft_kind, head_draft, own_layers
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Evidence, Inputs, Item, Section
from gpusizer.engines.base.weights import Cut, once_per_architecture, weight_table
from gpusizer.errors import InputError
from gpusizer.facts.catalog import model_entry
from gpusizer.formulas.memory.constants import sum_bytes
from gpusizer.formulas.memory.loaded import adapter_bytes, draft_blocks_bytes, group_sum_bytes, unlisted_bytes
from gpusizer.formulas.memory.weights import cut_units, kv_heads_per_rank

__all__ = ["DRAFT_SPREAD", "adapter_slots", "checkpoint_drafts", "draft_layers", "draft_weights", "external_head", "unlisted_tensors"]

# Which tensors of a draft are shared with the model differs by release; a head of its own may be of another width.
DRAFT_SPREAD, OWN_DRAFT_SPREAD, HEAD_SPREAD = Spread(0.03, 0.1), Spread(0.05, 0.1), Spread(0.4, 0.3)
BLOCKS_SPREAD = Spread(0.4, 0.6)  # three to eight layers
ADAPTER_SPREAD = Spread(0.1, 0.2)
UNLISTED_ABOVE = 0.3  # band of what no configuration lists, as a share; below, it may be cut over the ranks and half of it left out

# ---- drafts ---------------------------------------------------------------------------------------------------------


def external_head(start: Start) -> bool:
    """A draft with a checkpoint of its own whose shape is taken for granted (EAGLE, DFlash and their kin)."""
    return draft_kind(start) in (Kind.HEAD, Kind.BLOCKS)


def draft_layers(start: Start) -> tuple[Layer, ...]:
    """Layers of the draft that cache in the pool: those of the checkpoint, or those of a draft of its own."""
    kind, architecture = draft_kind(start), start.architecture
    if kind is Kind.OWN:
        return own_layers(start)
    if kind is Kind.BLOCKS:
        return block_draft(architecture).cached()
    if kind is not Kind.HEAD:
        return ()
    other = head_draft(architecture)
    return other.cached() if other is not None else architecture.layers[:1]


def checkpoint_drafts(architecture: Architecture, cut: Cut, band: Spread = DRAFT_SPREAD, *, times: int = 1) -> list[Item]:
    """The multi-token-prediction layers of the checkpoint on one rank, as often as a drafter has them."""
    groups: Inputs = {group: size * times for group, size in weight_table(architecture).draft_groups(cut).items()}
    return [computed("weights_draft", group_sum_bytes, section=Section.WEIGHTS, band=band, **groups)] if any(groups.values()) else []


def draft_weights(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """Draft layers of the checkpoint; or of one of its own: dense layers and a projection of hidden states, and an output head of EAGLE."""
    kind = draft_kind(start)
    if not stage.last or kind in (Kind.NONE, Kind.FREE, Kind.UNKNOWN):
        return []
    architecture, table = start.architecture, weight_table(start.architecture)
    if kind is Kind.OWN:
        return checkpoint_drafts(architecture, cut, OWN_DRAFT_SPREAD, times=len(own_layers(start)) // len(architecture.mtp))
    other = block_draft(architecture) if kind is Kind.BLOCKS else head_draft(architecture)
    if other is not None:
        return [_blocks(other, architecture.hidden_size, cut.tp, HEAD_SPREAD if kind is Kind.HEAD else BLOCKS_SPREAD)]
    return [
        computed(
            "weights_draft",
            sum_bytes,
            section=Section.WEIGHTS,
            band=HEAD_SPREAD,
            evidence=Evidence.ASSUMED,
            layer_bytes=sum(table.layer_bytes(table.kind_of[0], cut).values()),
            head_bytes=sum(table.stage_bytes(range(0), cut, first=False, last=True, tied=architecture.tied_head).values()),
            projection_bytes=3 * architecture.hidden_size**2 * 2,
        )
    ]


def _blocks(draft: Blocks, hidden: int, tp: int, band: Spread) -> Item:
    return computed(
        "weights_draft",
        draft_blocks_bytes,
        section=Section.WEIGHTS,
        band=band,
        evidence=Evidence.ASSUMED,
        layers=draft.layers,
        hidden=hidden,
        head_dim=draft.head_dim,
        heads=cut_units(size=draft.heads, parts=tp),
        kv_heads=kv_heads_per_rank(kv_heads=draft.kv_heads, tp=tp),
        width=cut_units(size=draft.width, parts=tp),
        taps=draft.taps,
        element_bytes=2,
    )


# ---- adapters -------------------------------------------------------------------------------------------------------


def adapter_slots(start: Start, stage: Stage, *, experts: bool = False) -> list[Item]:
    """Slots for LoRA adapters: two thin matrices beside every linear layer, beside those of every routed expert too where ``experts`` says so."""
    if not start.flag("enable_lora"):
        return []
    slots, rank = start.whole("max_loras", 1, 4096), start.whole("max_lora_rank", 16, 4096)
    tp = start.layout.tp
    rows = 0
    for index in stage.layers:
        for tensor in start.architecture.layers[index].all_tensors():
            counted = tensor.copies == 1 or (experts and tensor.group == "routed_experts")
            if tensor.linear and len(tensor.shape) == 2 and counted and tensor.group not in ("router", "vision"):
                outputs, inputs = tensor.shape
                cut_outputs = tensor.split in (Split.COLUMN, Split.KV_HEADS, Split.VOCABULARY)
                pair = cut_units(size=outputs, parts=tp if cut_outputs else 1) + cut_units(size=inputs, parts=tp if tensor.split is Split.ROW else 1)
                rows += tensor.copies * pair
    return [
        computed(
            "weights_adapters",
            adapter_bytes,
            section=Section.WEIGHTS,
            band=ADAPTER_SPREAD,
            slots=slots,
            rank=rank,
            rows=rows,
            element_bytes=2,
        )
    ]


# ---- what no configuration lists ------------------------------------------------------------------------------------

LEAST_UNLISTED = 0.01  # of the checkpoint; sizes are published with three figures


@once_per_architecture
def _published_and_listed(architecture: Architecture) -> tuple[int, int]:
    try:
        published = model_entry(architecture.id).checkpoint_bytes or 0
    except InputError:
        published = 0
    return published, checkpoint_bytes(architecture)


def unlisted_tensors(start: Start, stage: Stage) -> list[Item]:
    """What the published checkpoint holds beyond its configuration: a tower whose shape is not told is loaded all the same."""
    architecture = start.architecture
    told = architecture.quantization.method is not None or architecture.dtype not in ("bf16", "fp16")
    if told or not stage.first or not architecture.towers or start.flag("language_model_only"):
        return []
    published, listed = _published_and_listed(architecture)
    size = published - listed
    if size <= LEAST_UNLISTED * published:
        return []
    band = Limits(size / (2 * start.layout.tp), size * (1 + UNLISTED_ABOVE))
    return [
        computed(
            "weights_unlisted",
            unlisted_bytes,
            section=Section.WEIGHTS,
            band=band,
            evidence=Evidence.ASSUMED,
            published_bytes=published,
            listed_bytes=listed,
        )
    ]
