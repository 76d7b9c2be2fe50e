"""The ledger of each GPU under llama.cpp, line by line as its log prints it, with the bands of each line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gpusizer.engines.base.device import driver_reserved
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.ledger import combined, item, total_bytes, weight_items
from gpusizer.engines.base.types import Evidence, Item, KVCache, Quantity, Rank
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.engines.llama_cpp.arrangement import Arrangement
from gpusizer.engines.llama_cpp.placement import HOST, layers_of
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import free_bytes
from gpusizer.units import KiB, MiB

__all__ = ["RECIPE_ERROR", "SOURCE", "Card", "cache_of", "cards_of", "figures_of", "on_host", "ranks_of", "safe_room_bytes"]

SOURCE = "ggml-org/llama.cpp@0c1e57098: "
_WEIGHT_SOURCES = (SOURCE + "src/llama-model.cpp, load_tensors",)
# CUDA context, kernels and cuBLAS: the log's "unaccounted" is 150 to 500 MiB on an idle card.
_CONTEXT_BYTES = (150 * MiB, 300 * MiB, 550 * MiB)
_PRINTED_BYTES = 64 * KiB  # a log prints 0.01 MiB, and a quantised cache ends in up to 0.03 MiB of padding on a card
# Bands, as shares: stored tensors of an exact recipe and of a similar one; compute buffers as scripts/calibrate_llama_cpp.py prints them.
RECIPE_ERROR, _SIMILAR_ERROR = 0.02, 0.15
_COMPUTE_BELOW, _COMPUTE_ABOVE = 0.13, 0.15
_GUESTS_BELOW, _GUESTS_ABOVE = 0.45, 0.25


class Card(NamedTuple):
    """A GPU with the lines of its ledger that no start changes."""

    device: Accelerator
    outside: tuple[Item, ...]

    @property
    def free_bytes(self) -> int:
        """What the engine finds free. [bytes]"""
        return self.device.memory_bytes - total_bytes(self.outside)


def cards_of(devices: Sequence[Accelerator]) -> tuple[Card, ...]:
    """The GPUs of a start; equal ones are one object."""
    known = {id(device): device for device in devices}
    cards = {number: Card(device, tuple(_outside(device))) for number, device in known.items()}
    return tuple(cards[id(device)] for device in devices)


def _outside(device: Accelerator) -> list[Item]:
    """What the driver keeps of a GPU and what a context takes."""
    low, value, high = _CONTEXT_BYTES
    return [*driver_reserved(device), item("device_context", value, low=low, high=high, evidence=Evidence.ASSUMED)]


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
    return min((_safe_room(card.device, _lines(start, found, card, number)) for number, card in different.values()), default=0.0)


def _safe_room(device: Accelerator, lines: Sequence[Item]) -> float:
    used = combined(lines)
    return device.memory_bytes - used.value - (used.high - used.value)


def on_host(found: Arrangement) -> bool:
    """Whether layers, experts or the output of a start with GPUs lie on the host."""
    placement = found.placement
    return placement.devices > 0 and not (placement.all_offloaded and HOST not in placement.experts)


def _lines(start: Start, found: Arrangement, card: Card, number: int) -> tuple[Item, ...]:
    """Everything on a GPU."""
    return (*_weight_lines(start, found, number), *_moving_lines(start, found, number), *card.outside)


def _closed(device: Accelerator, lines: tuple[Item, ...]) -> tuple[Item, ...]:
    """The lines of a GPU with what is left of it."""
    inputs = {"device_total_bytes": device.memory_bytes, "used_bytes": total_bytes(lines)}
    return (*lines, item("free", free_bytes(**inputs), formula="memory.budget.free", inputs=inputs, evidence=Evidence.CALIBRATED))


def _weight_error(start: Start) -> float:
    return _SIMILAR_ERROR if start.flag("similar_precision") else RECIPE_ERROR


def _weight_lines(start: Start, found: Arrangement, number: int) -> list[Item]:
    """Weights of one GPU; on the first a projector file and draft layers as well."""
    error = _weight_error(start)
    evidence = Evidence.EXACT if error <= RECIPE_ERROR else Evidence.ASSUMED
    lines = weight_items(found.weights(number), error=error + _layers_adrift(start, found, number), evidence=evidence, sources=_WEIGHT_SOURCES)
    if number:
        return lines
    table, whole = weight_table(start.architecture), Cut(vocabulary_multiple=1)
    if found.options.projector:
        towers = table.stage_bytes(range(0), whole, first=True, last=False, tied=False).get("vision", 0)
        lines += weight_items({"vision": towers}, error=RECIPE_ERROR, evidence=Evidence.EXACT)
    if start.deployment.speculative_tokens and start.architecture.mtp:
        size = table.draft_bytes(whole)
        lines.append(item("weights_draft", size, low=size * 0.97, high=size * 1.1, inputs={"layers": len(start.architecture.mtp)}))
    return lines


def _moving_lines(start: Start, found: Arrangement, number: int) -> list[Item]:
    """Caches and compute buffer of one GPU."""
    lines = []
    kv, state = found.cache_bytes(number)
    source = (SOURCE + "src/llama-kv-cache.cpp",)
    if kv:
        spread = _PRINTED_BYTES + _layers_adrift(start, found, number) * kv
        cells = {"cells": found.cells.full, "streams": found.cells.streams}
        lines.append(item("kv_cache_pool", kv, low=kv - spread, high=kv + spread, formula="memory.llama_cpp.kv_buffer", inputs=cells, sources=source))
    if state:
        inputs = {"sequences": found.options.sequences}
        lines.append(item("state_pool", state, formula="memory.llama_cpp.sequence_state", inputs=inputs, sources=source))
    size, below, above = _compute_band(found, number)
    lines.append(
        item(
            "compute_buffer",
            size,
            low=below,
            high=above,
            formula="memory.llama_cpp.compute_buffer",
            inputs=found.phases(number).inputs,
            sources=(SOURCE + "ggml/src/ggml-alloc.c",),
            evidence=Evidence.CALIBRATED,
        )
    )
    return lines


def _layers_adrift(start: Start, found: Arrangement, number: int) -> float:
    """Share of a GPU that a layer more or less makes up, where free memory (not the operator) decides how many it holds."""
    layers = max(layers_of(found.placement.parts[number]), 1)
    if HOST in found.placement.layer and "n_gpu_layers" not in start.deployment.flags:
        return 2 / layers
    return 1 / layers if found.placement.devices > 1 and not found.options.by_rows else 0.0


def _compute_band(found: Arrangement, number: int) -> tuple[int, float, float]:
    """Compute buffer with its band; where a GPU works for the host, what it copies is less certain. [bytes]"""
    size = found.phases(number).compute_bytes
    guests = number == 0 and (HOST in found.placement.layer or HOST in found.placement.experts)
    below, above = (_GUESTS_BELOW, _GUESTS_ABOVE) if guests else (_COMPUTE_BELOW, _COMPUTE_ABOVE)
    return size, size * (1 - below), size * (1 + above)


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
    compute = Quantity(*map(float, _compute_band(found, 0 if found.placement.devices else HOST)))
    figures = {
        "kv_buffer_bytes": Quantity(kv, kv - _PRINTED_BYTES, kv + _PRINTED_BYTES),
        "kv_cache_tokens": Quantity(tokens, tokens, tokens),
        "compute_buffer_bytes": compute,
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
    return Quantity(size, size * (1 - error), size * (1 + error))
