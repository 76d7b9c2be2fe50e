"""The ledger of each GPU under llama.cpp, line by line as its log prints it, with the bands of each line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gpusizer.engines.base.added_weights import checkpoint_drafts
from gpusizer.engines.base.band import Band, Basis, Limits, Spread
from gpusizer.engines.base.device import driver_reserved, models_beside, system_memory
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.ledger import RECIPE_LINE, banded, combined, computed, free_line, total_bytes, weight_items
from gpusizer.engines.base.placed import safe_room
from gpusizer.engines.base.recipe_band import ends_line, scaled_ends
from gpusizer.engines.base.types import Deployment, Evidence, Inputs, Item, KVCache, Quantity, Rank, Section
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.engines.llama_cpp.arrangement import Arrangement
from gpusizer.engines.llama_cpp.cache import draft_cache_bytes
from gpusizer.engines.llama_cpp.placement import HOST, layers_of
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.llama_cpp import cache_of_layers_bytes, compute_buffer_bytes, float_rows_bytes, mask_bytes
from gpusizer.units import KiB, MiB

__all__ = [
    "RECIPE_ERROR",
    "SOURCE",
    "Card",
    "cache_lines",
    "cache_of",
    "cards_of",
    "figures_of",
    "on_host",
    "ranks_of",
    "safe_room_bytes",
    "weight_lines",
]

SOURCE = "ggml-org/llama.cpp@0c1e57098: "
_WEIGHT_SOURCES = (SOURCE + "src/llama-model.cpp, load_tensors",)
# CUDA context, kernels and cuBLAS: the log's "unaccounted" is 150 to 500 MiB on an idle card.
_CONTEXT = Band(300 * MiB, 150 * MiB, 250 * MiB, Basis("llama.cpp.context", 0, 150, 550, "MiB"))
_PRINTED_BYTES = 64 * KiB  # a log prints 0.01 MiB, and a quantised cache ends in up to 0.03 MiB of padding on a card
# Bands, as shares: stored tensors of an exact recipe and of a similar one; compute buffers as scripts/calibrate/llama_cpp.py prints them.
RECIPE_ERROR, _MIX_ERROR, _SIMILAR_ERROR = 0.02, 0.05, 0.15
_COMPUTE_SPREAD, _GUESTS_SPREAD, _DRAFT_SPREAD = Spread(0.08, 0.12), Spread(0.3, 0.2), Spread(0.3, 0.5)


class Card(NamedTuple):
    """A GPU with the lines of its ledger that no start changes."""

    device: Accelerator
    outside: tuple[Item, ...]

    @property
    def free_bytes(self) -> int:
        """What the engine finds free. [bytes]"""
        return self.device.memory_bytes - total_bytes(self.outside)


def cards_of(devices: Sequence[Accelerator], deployment: Deployment) -> tuple[Card, ...]:
    """The GPUs of a start; equal ones are one object."""
    known = {id(device): device for device in devices}
    cards = {number: Card(device, tuple(_outside(device, deployment))) for number, device in known.items()}
    return tuple(cards[id(device)] for device in devices)


def _outside(device: Accelerator, deployment: Deployment) -> list[Item]:
    """What the driver keeps of a GPU, what a context takes, what others hold of memory that is shared, and other models."""
    context = banded("device_context", _CONTEXT, section=Section.OUTSIDE, evidence=Evidence.ASSUMED)
    return [*driver_reserved(device), context, *system_memory(device, deployment), *models_beside(deployment)]


def ranks_of(start: Start, found: Arrangement, cards: Sequence[Card]) -> tuple[Rank, ...]:
    """The ledger of every GPU; those that are alike share their lines.

    Parameters
    ----------
    start : Start
        The start.
    found : Arrangement
        Where everything lies.
    cards : sequence of Card
        The GPUs.

    Returns
    -------
    tuple of Rank
        In the order of the GPUs.
    """
    closed: dict[tuple[int, int], tuple[Item, ...]] = {}
    ranks = []
    for number, (twin, card) in enumerate(zip(found.twins, cards, strict=True)):
        key = (twin, id(card))
        if key not in closed:
            closed[key] = _closed(card.device, _lines(start, found, card, number))
        ranks.append(Rank(number, 0, closed[key]))
    return tuple(ranks)


def safe_room_bytes(start: Start, found: Arrangement, cards: Sequence[Card]) -> float:
    """What the tightest GPU has left even where its lines end up high; negative where that is too little. [bytes]

    Parameters
    ----------
    start : Start
        The start.
    found : Arrangement
        Where everything lies.
    cards : sequence of Card
        The GPUs.

    Returns
    -------
    float
        Memory. [bytes]
    """
    different = {(twin, id(card)): (number, card) for number, (twin, card) in enumerate(zip(found.twins, cards, strict=True))}
    return min((safe_room(_lines(start, found, card, number), card.device.memory_bytes) for number, card in different.values()), default=0.0)


def on_host(found: Arrangement) -> bool:
    """Whether layers, experts or the output of a start with GPUs lie on the host."""
    placement = found.placement
    return placement.devices > 0 and not (placement.all_offloaded and HOST not in placement.experts)


def _lines(start: Start, found: Arrangement, card: Card, number: int) -> tuple[Item, ...]:
    """Everything on a GPU."""
    return (*weight_lines(start, found, number), *_moving_lines(start, found, number), *card.outside)


def _closed(device: Accelerator, lines: tuple[Item, ...]) -> tuple[Item, ...]:
    """The lines of a GPU with what is left of it."""
    return (*lines, free_line(lines, device.memory_bytes))


def _weight_error(start: Start) -> float:
    if start.architecture.quantization.ends:
        return _MIX_ERROR
    return _SIMILAR_ERROR if start.deployment.similar_precision else RECIPE_ERROR


def weight_lines(start: Start, found: Arrangement, number: int) -> list[Item]:
    """Weights of one GPU or of the host; on the first GPU a projector file and draft layers as well.

    Parameters
    ----------
    start : Start
        The start.
    found : Arrangement
        Where everything lies.
    number : int
        A GPU, or ``HOST``.

    Returns
    -------
    list of Item
        By parameter groups.
    """
    error = _weight_error(start)
    evidence = Evidence.CALIBRATED if error <= RECIPE_ERROR else Evidence.ASSUMED
    lines = weight_items(found.weights(number), error=error + _layers_adrift(start, found, number), evidence=evidence, sources=_WEIGHT_SOURCES)
    lines += ends_line(sum(found.weights(number).values()), scaled_ends(start.architecture, found.weights(number)))
    if number:
        return lines
    table, whole = weight_table(start.architecture), Cut(vocabulary_multiple=1)
    if found.options.projector:
        towers = table.stage_bytes(range(0), whole, first=True, last=False, tied=False).get("vision", 0)
        lines += weight_items({"vision": towers}, error=RECIPE_ERROR)
    if start.deployment.speculative_tokens and start.architecture.mtp:
        lines += checkpoint_drafts(start.architecture, whole)
    return lines


def cache_lines(start: Start, found: Arrangement, number: int) -> list[Item]:
    """Caches and states of one GPU or of the host.

    Parameters
    ----------
    start : Start
        The start.
    found : Arrangement
        Where everything lies.
    number : int
        A GPU, or ``HOST``.

    Returns
    -------
    list of Item
        Empty where none lie there.
    """
    lines = []
    kv, state = found.cache_parts(number)
    source = (SOURCE + "src/llama-kv-cache.cpp",)
    if kv:
        size = sum(kv.values())
        spread = _PRINTED_BYTES + _layers_adrift(start, found, number) * size
        rows: Inputs = dict(kv)
        band = Limits(size - spread, size + spread)
        lines.append(computed("kv_cache_pool", cache_of_layers_bytes, section=Section.CACHE, band=band, sources=source, **rows))
    if state:
        states: Inputs = dict(state)
        lines.append(computed("state_pool", cache_of_layers_bytes, section=Section.CACHE, sources=source, **states))
    return lines


def _moving_lines(start: Start, found: Arrangement, number: int) -> list[Item]:
    """Caches and compute buffer of one GPU."""
    lines = cache_lines(start, found, number)
    if number == max(found.placement.output, 0):
        lines += _draft_lines(start, found)
    moments: Inputs = dict(found.phases(number).inputs)
    source = (SOURCE + "ggml/src/ggml-alloc.c",)
    limits = _compute_limits(found, number)
    lines.append(computed("compute_buffer", compute_buffer_bytes, section=Section.ACTIVATION, band=limits, sources=source, **moments))
    return lines


def _draft_lines(start: Start, found: Arrangement) -> list[Item]:
    """Cache and buffer of the context in which layers of the checkpoint draft tokens: logits of its micro-batch above its mask (pull 22673)."""
    architecture, options, step = start.architecture, found.options, found.step
    if options.fork or not start.deployment.speculative_tokens or not architecture.mtp:
        return []
    masks = int(mask_bytes(cells=step.cells.full, tokens=step.tokens, element_bytes=2 if options.half_masks else 6))
    source = ("github.com/ggml-org/llama.cpp/pull/22673",)
    moment = {
        "inputs_bytes": masks,
        "attention_bytes": int(float_rows_bytes(tokens=step.tokens, width=4 * architecture.hidden_size)),
        "output_bytes": int(float_rows_bytes(tokens=step.outputs, width=architecture.vocab_size + architecture.hidden_size)),
    }
    logits = moment["output_bytes"] > masks + moment["attention_bytes"]
    left_out = ("inputs_bytes", "attention_bytes") if logits else ("output_bytes",)
    parts: Inputs = {name: 0 if name in left_out else moment.get(name, 0) for name in found.phases(max(found.placement.output, 0)).inputs}
    cache = draft_cache_bytes(architecture.mtp, options, step.cells)
    return [
        computed("draft_cache", cache_of_layers_bytes, section=Section.CACHE, sources=source, full_layers=cache),
        computed("draft_buffer", compute_buffer_bytes, section=Section.ACTIVATION, band=_DRAFT_SPREAD, sources=source, **parts),
    ]


def _layers_adrift(start: Start, found: Arrangement, number: int) -> float:
    """Share of a GPU that a layer more or less makes up, where free memory (not the operator) decides how many it holds."""
    if number == HOST and HOST not in found.placement.layer:
        return 0.0  # tensors that were sent there by name, and no layer as a whole
    layers = max(layers_of(found.placement.parts[number]), 1)
    if HOST in found.placement.layer and "n_gpu_layers" not in start.deployment.flags:
        return 2 / layers
    return 1 / layers if found.placement.devices > 1 and not (found.options.by_rows or found.options.shares) else 0.0


def _compute_limits(found: Arrangement, number: int) -> Limits:
    """Band of a compute buffer; where a GPU works for the host, what it copies is less certain."""
    guests = number == 0 and (HOST in found.placement.layer or HOST in found.placement.experts)
    spread = _GUESTS_SPREAD if guests else _COMPUTE_SPREAD
    least, most = found.compute_limits(number)
    return Limits(least * (1 - spread.below), most * (1 + spread.above))


def cache_of(found: Arrangement, device: int) -> KVCache:
    """The cache as one GPU, or the host, holds it."""
    kv, state = found.cache_bytes(device)
    tokens = found.cells.tokens
    padding = found.options.padding
    return KVCache(kv // max(tokens, 1), state // max(found.options.sequences, 1), padding, tokens // padding, tokens)


def figures_of(start: Start, found: Arrangement, ranks: Sequence[Rank]) -> dict[str, Quantity]:
    """Buffers as the log prints them: all caches together, the GPUs' model buffers together, the first GPU's compute buffer.

    Parameters
    ----------
    start : Start
        The start.
    found : Arrangement
        Where everything lies.
    ranks : sequence of Rank
        The ledger of every GPU; empty without any.

    Returns
    -------
    dict of str to Quantity
        By the names of ``validate``.
    """
    kv, state = map(float, found.all_cache_bytes())
    tokens = float(found.cells.tokens)
    first = 0 if found.placement.devices else HOST
    compute, limits = found.phases(first).compute_bytes, _compute_limits(found, first)
    figures = {
        "kv_buffer_bytes": Quantity(kv, kv - _PRINTED_BYTES, kv + _PRINTED_BYTES),
        "kv_cache_tokens": Quantity(tokens, tokens, tokens),
        "compute_buffer_bytes": Quantity(float(compute), limits.low, limits.high),
    }
    if state:
        figures["state_buffer_bytes"] = Quantity(state, state, state)
    if not ranks:
        return figures
    figures["weights_bytes"] = combined(_model_lines(ranks[0]))
    figures["model_buffer_bytes"] = _all_weights(start, found, ranks)
    figures["kv_cache_pool_bytes"] = combined(line for line in ranks[0].items if line.id in ("kv_cache_pool", "state_pool"))
    return figures


def _model_lines(rank: Rank) -> list[Item]:
    return [line for line in rank.items if line.id.startswith("weights") and line.id != "weights_towers"]


def _all_weights(start: Start, found: Arrangement, ranks: Sequence[Rank]) -> Quantity:
    """Model buffers of all GPUs: what one holds too much the next has too little, unless the engine sent layers to the host by itself."""
    size = float(sum(total_bytes(_model_lines(rank)) for rank in ranks))
    error = _weight_error(start)
    error += _layers_adrift(start, found, 0) if HOST in found.placement.layer else 0.0
    ends = [line for rank in ranks for line in rank.items if line.id == RECIPE_LINE]
    return Quantity(size, size * (1 - error) + sum(line.low_bytes for line in ends), size * (1 + error) + sum(line.high_bytes for line in ends))
