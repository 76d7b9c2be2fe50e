"""What models cache, as columns: rows of equal layers that formulas multiply, and groups of layers where a model mixes kinds of cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention, LatentAttention, Layer
from gpusizer.engines.base.cache import CHUNK, FULL, PARTIAL, STATE, WINDOW, CacheFormat
from gpusizer.engines.vllm.cache import CacheLayout, CacheRequest, cache_layout
from gpusizer.formulas.core import ceiling
from gpusizer.formulas.memory.cache_blocks import blocks_of_chunk, blocks_of_context, blocks_of_window, page_bytes
from gpusizer.formulas.memory.kv_cache import attention_token_bytes, indexer_token_bytes, latent_scaled_token_bytes, latent_token_bytes
from gpusizer.formulas.memory.weights import kv_heads_per_rank

__all__ = ["GROUP_KINDS", "SIZES", "Groups", "Rows", "attention_page", "group_blocks", "index_page", "latent_page", "mixers_key", "rows_of"]

GROUP_KINDS = {FULL: 1, WINDOW: 2, PARTIAL: 2, CHUNK: 3, STATE: 4}
"""Numbers of the kinds of groups, as the formula of a request's blocks takes them."""

SIZES = 4
"""Different sizes of pages of one layer in one group."""

_LETTERS = "abcdefghij"
SCALE_GROUP = 128


@dataclass(frozen=True, slots=True)
class Rows:
    """What one layer caches by rows of every token: mixers of each kind and their shape."""

    attentions: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    v_head_dim: int = 0
    latents: int = 0
    kv_lora_rank: int = 0
    rope_dim: int = 0
    indexes: int = 0
    index_dim: int = 0


def rows_of(layer: Layer) -> Rows | None:
    """Rows of a layer; None where they are not of this form."""
    shapes: dict[str, Any] = {}

    def take(count: str, **shape: int) -> bool:
        if any(shapes.get(name, value) != value for name, value in shape.items()):
            return False
        shapes.update(shape)
        shapes[count] = shapes.get(count, 0) + 1
        return True

    for mixer in layer.mixers:
        if isinstance(mixer, Attention):
            if mixer.caches and not take("attentions", kv_heads=mixer.kv_heads, head_dim=mixer.head_dim, v_head_dim=mixer.v_head_dim):
                return None
            indexer = mixer.indexer if mixer.caches and not mixer.window and not mixer.chunk else None
        elif isinstance(mixer, LatentAttention):
            if not take("latents", kv_lora_rank=mixer.kv_lora_rank, rope_dim=mixer.qk_rope_head_dim):
                return None
            indexer = mixer.indexer
        else:
            return None
        if indexer is not None and indexer.caches and not take("indexes", index_dim=indexer.head_dim):
            return None
    return Rows(**shapes)


def attention_page(*, block: Any, kv_heads: Any, head_dim: Any, v_head_dim: Any, element_bytes: Any, tp: Any) -> Any:
    """A block of keys and values of one layer on one rank."""
    heads = kv_heads_per_rank(kv_heads=kv_heads, tp=tp)
    row = ceiling(attention_token_bytes(kv_heads=heads, head_dim=head_dim, v_head_dim=v_head_dim, element_bytes=element_bytes))
    return page_bytes(block_tokens=block, token_bytes=row, ratio=1, alignment_bytes=1)


def latent_page(*, block: Any, kv_lora_rank: Any, rope_dim: Any, element_bytes: Any) -> Any:
    """A block of latents of one layer."""
    row = ceiling(latent_token_bytes(kv_lora_rank=kv_lora_rank, rope_dim=rope_dim, element_bytes=element_bytes))
    return page_bytes(block_tokens=block, token_bytes=row, ratio=1, alignment_bytes=1)


def scaled_latent_page(*, block: Any, kv_lora_rank: Any, rope_dim: Any) -> Any:
    """The same with scales beside the latents."""
    row = latent_scaled_token_bytes(kv_lora_rank=kv_lora_rank, rope_dim=rope_dim, scale_group=SCALE_GROUP)
    return page_bytes(block_tokens=block, token_bytes=row, ratio=1, alignment_bytes=1)


def index_page(*, block: Any, index_dim: Any, element_bytes: Any, scale_bytes: Any) -> Any:
    """A block of index keys of one layer."""
    row = ceiling(indexer_token_bytes(head_dim=index_dim, element_bytes=element_bytes, scale_bytes=scale_bytes))
    return page_bytes(block_tokens=block, token_bytes=row, ratio=1, alignment_bytes=1)


def layer_page(rows: Rows, form: CacheFormat, block: int, tp: int) -> int:
    """A block of all that one layer caches: what the sheet computes, in numbers."""
    total = 0
    if rows.attentions:
        shape = {"kv_heads": rows.kv_heads, "head_dim": rows.head_dim, "v_head_dim": rows.v_head_dim}
        total += rows.attentions * attention_page(block=block, element_bytes=form.element_bytes, tp=tp, **shape)
    if rows.latents:
        latent = {"kv_lora_rank": rows.kv_lora_rank, "rope_dim": rows.rope_dim}
        page = (
            scaled_latent_page(block=block, **latent) if form.scaled_latent else latent_page(block=block, element_bytes=form.element_bytes, **latent)
        )
        total += rows.latents * page
    if rows.indexes:
        scales = {"element_bytes": form.index_element_bytes, "scale_bytes": form.index_scale_bytes}
        total += rows.indexes * index_page(block=block, index_dim=rows.index_dim, **scales)
    return int(total)


def group_blocks(kind: int, **inputs: Any) -> Any:
    """Blocks of one request in a group of a kind (number of :data:`GROUP_KINDS`)."""
    context, block = inputs["context_tokens"], inputs["block_tokens"]
    if kind == 1:
        return blocks_of_context(context_tokens=context, block_tokens=block)
    if kind == 4:
        return 1
    window, flight = inputs["window"], inputs["in_flight_tokens"]
    if kind == 2:
        return blocks_of_window(context_tokens=context, window=window, in_flight_tokens=flight, block_tokens=block)
    return blocks_of_chunk(context_tokens=context, chunk=window, in_flight_tokens=flight, block_tokens=block)


def mixers_key(architecture: Architecture) -> tuple[Any, ...]:
    """What the layout of a cache depends on: the mixers of every layer without their weights."""
    seen: dict[int, tuple[Any, ...]] = {}
    keys = []
    for layer in architecture.layers:
        for mixer in layer.mixers:
            if id(mixer) not in seen:
                seen[id(mixer)] = (mixer.kind, *(getattr(mixer, name) for name in mixer.__slots__ if name != "tensors"))
        keys.append(tuple(seen[id(mixer)] for mixer in layer.mixers))
    return tuple(keys)


@dataclass
class Groups:
    """Rows of the table of groups; a layout is found by its first row and its number of rows."""

    rows: list[list[Any]] = field(default_factory=list)
    most: int = 1
    _layouts: dict[CacheLayout, tuple[int, int]] = field(default_factory=dict)

    def place(self, architecture: Architecture, request: CacheRequest) -> tuple[int, int]:
        """First row (from 1) and number of rows of a layout."""
        layout = cache_layout(architecture, request)
        if layout not in self._layouts:
            self._layouts[layout] = (len(self.rows) + 1, len(layout.groups))
            self.rows += [_row(group, len(architecture.layers)) for group in layout.groups]
            self.most = max(self.most, len(layout.groups))
        return self._layouts[layout]


def _row(group: Any, layers: int) -> list[Any]:
    """Kind, window, block, a letter for each layer, and the bytes that each letter stands for."""
    sizes = [0] * layers
    for layer, size in group.members:
        sizes[layer] += size
    letters = {size: _LETTERS[place] for place, size in enumerate(sorted(set(sizes) - {0}))}
    if len(letters) > SIZES:
        raise ValueError("a group of layers with more sizes of pages than the table has columns")
    pattern = "".join(letters.get(size, "-") for size in sizes)
    widths = [*letters, *[0] * (SIZES - len(letters))]
    return [GROUP_KINDS[group.kind], group.window or None, group.block_tokens, pattern, *(width or None for width in widths)]
