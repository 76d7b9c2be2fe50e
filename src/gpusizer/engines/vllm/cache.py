"""From cached rows to blocks as vLLM plans them: pages, groups of layers that share one pool, and the blocks that a request needs.

A *page* is one block of one layer. Layers of one kind form groups; every group draws blocks from one pool, and a block is as large as the
widest group. The plan is made for the whole model; a pipeline stage holds its own layers of each group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import CompressedAttention, LatentAttention, Layer
from gpusizer.engines.base.cache import CHUNK, FULL, PARTIAL, POOLED, STATE, WINDOW, CacheFormat, LayerCache, layer_caches
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.formulas.memory.cache_blocks import blocks_of_group, hybrid_block_tokens, page_bytes
from gpusizer.formulas.memory.kv_cache import attention_token_bytes
from gpusizer.formulas.memory.weights import cut_units, padded_size
from gpusizer.once import Remembered

__all__ = ["CacheLayout", "CacheRequest", "Group", "Kept", "cache_layout"]


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """What the layout of a cache depends on, beside the model.

    Parameters
    ----------
    form : CacheFormat
        Number format of keys, values and latents.
    tp : int
        Tensor-parallel ranks of attention. [ranks]
    block_tokens : int
        Block asked for, or the default of the attention kernel. [tokens]
    drafts : int
        Draft tokens of one step; 0 without speculation. [tokens]
    draft_layers : tuple of Layer
        Layers of the draft that cache in the same pool.
    conv_bytes : int
        Bytes of the model's own 16-bit type. [bytes]
    state_bytes : int or None
        Bytes of one element of a recurrent state, where the operator chose them. [bytes]
    unified : bool
        Windows are held like full attention (hybrid manager off, or older than it).
    widest_share : float
        Groups take the size of the largest kind where it is below this multiple of the smallest.
    latent_alignment : int
        Multiple that blocks of latent attention take beside states. [tokens]
    tuples : bool
        Older packing of compressed attention: pages of windows and states take the size of a page of the full group, a block has equally many of
        each size, and a request's need is counted in bytes of the first group.
    expanded : bool
        Latents are cached as the keys and values of all heads, values padded to the width of keys.
    states : int
        Recurrent states that a request keeps in each layer: the running one, one for each draft token, one behind the last cached block.
    """

    form: CacheFormat
    tp: int
    block_tokens: int
    drafts: int = 0
    draft_layers: tuple[Layer, ...] = ()
    conv_bytes: int = 2
    state_bytes: int | None = None
    unified: bool = False
    widest_share: float = 1.5
    latent_alignment: int = 128
    tuples: bool = False
    expanded: bool = False
    states: int = 1


@dataclass(frozen=True, slots=True)
class Page:
    """One block of one cache of one layer. Pages with the same ``kind``, ``window`` and ``block_tokens`` need the same number of blocks."""

    kind: str
    window: int
    block_tokens: int
    bytes: int
    row_bytes: int
    latent: bool = False


ENDLESS = 2**40  # tokens; beyond the length of any request


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a request the layers of a group keep; numbers, or figures of a sheet.

    Parameters
    ----------
    kept_tokens : int
        Tokens beside those in flight. [tokens]
    kept_steps : int
        1 where tokens in flight are kept beside them, else 0. [steps]
    block_tokens : int
        Tokens of a block. [tokens]
    added_blocks : int
        Blocks beside these. [blocks]
    """

    kept_tokens: Any
    kept_steps: Any
    block_tokens: Any
    added_blocks: Any

    def blocks(self, context_tokens: Any, in_flight_tokens: Any) -> Any:
        """Blocks of a request of a length. [blocks]"""
        return blocks_of_group(
            context_tokens=context_tokens,
            kept_tokens=self.kept_tokens,
            kept_steps=self.kept_steps,
            in_flight_tokens=in_flight_tokens,
            block_tokens=self.block_tokens,
            added_blocks=self.added_blocks,
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that share one table of blocks.

    ``members`` are (layer, bytes of its page); draft layers are numbered after the last.
    """

    kind: str
    window: int
    block_tokens: int
    members: tuple[tuple[int, int], ...]

    def kept(self, states: int) -> Kept:
        """What of a request the group keeps, as plain numbers."""
        if self.kind == STATE:
            return Kept(0, 0, 1, states)
        if self.kind in (WINDOW, PARTIAL):
            return Kept(self.window - 1, 1, self.block_tokens, 1)
        if self.kind == CHUNK:
            return Kept(self.window, 1, self.block_tokens, 0)
        return Kept(ENDLESS, 0, self.block_tokens, 0)

    def blocks(self, context_tokens: int, in_flight_tokens: int, states: int, context_parallel: int) -> int:
        """Blocks that are reserved for one request of a length."""
        length = -(-context_tokens // context_parallel) if self.kind not in (STATE, WINDOW, PARTIAL, CHUNK) else context_tokens
        return int(self.kept(states).blocks(length, in_flight_tokens))


@dataclass(frozen=True, slots=True)
class CacheLayout:
    """Groups of the whole model; ``tuples`` as in :class:`CacheRequest`."""

    groups: tuple[Group, ...]
    tuples: bool = False
    _sizes: dict[tuple[range, bool], int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def block_tokens(self) -> int:
        """The smallest block of the groups, by which older logs count. [tokens]"""
        return min((group.block_tokens for group in self.groups), default=1)

    def block_bytes(self, layers: range, decoder_layers: int, *, last: bool) -> int:
        """Bytes of one block on the stage that holds ``layers`` (the last one also holds the drafts). [bytes]"""
        if (layers, last) not in self._sizes:
            self._sizes[layers, last] = self._block_bytes(layers, decoder_layers, last=last)
        return self._sizes[layers, last]

    def _block_bytes(self, layers: range, decoder_layers: int, *, last: bool) -> int:
        whole = len(layers) == decoder_layers
        if self.tuples:
            counts: dict[int, int] = {}
            for group in self.groups:
                here: dict[int, int] = {}
                for layer, size in group.members:
                    if whole or layer in layers or (last and layer >= decoder_layers):
                        here[size] = here.get(size, 0) + 1
                counts = {size: max(counts.get(size, 0), here.get(size, 0)) for size in {*counts, *here}}
            return max(counts.values(), default=0) * sum(counts)
        return max(
            (sum(size for layer, size in group.members if whole or layer in layers or (last and layer >= decoder_layers)) for group in self.groups),
            default=0,
        )

    def counted_bytes(self, blocks: Sequence[int]) -> int:
        """Bytes that blocks of each group hold, every group by its own width. [bytes]"""
        return sum(count * sum(size for _, size in group.members) for count, group in zip(blocks, self.groups, strict=True))


@once_per_architecture
def _layouts(architecture: Architecture) -> Remembered[CacheRequest, CacheLayout]:
    return Remembered(256)


def cache_layout(architecture: Architecture, request: CacheRequest) -> CacheLayout:
    """Pages and groups of a model (remembered)."""
    return _layouts(architecture).once(request, lambda: _plan(architecture, request))


def _plan(architecture: Architecture, request: CacheRequest) -> CacheLayout:
    layers = (*architecture.layers, *request.draft_layers)
    if any(isinstance(mixer, CompressedAttention) for layer in architecture.layers for mixer in layer.mixers):
        if request.tuples and request.form.packed_latent:  # forks of then keep the pages of FP8, which hold the compressors' states: n = 1, 0.4 %
            request = replace(request, form=replace(request.form, id="fp8_ds_mla", element_bytes=1.0, scaled_latent=True, packed_latent=False))
        packed = _compressed_pages(layers, request)
        return CacheLayout(_packed(_widened(packed) if request.tuples else packed), request.tuples)
    pages = _pages(layers, request)
    own = tuple(map(id, request.draft_layers)) and not set(map(id, request.draft_layers)) & set(map(id, (*architecture.layers, *architecture.mtp)))
    drafts_from = len(architecture.layers) if own else len(layers)
    if request.unified and any(page.kind == FULL for _, page in pages):
        pages = [(layer, replace(page, kind=FULL, window=0) if page.kind in (WINDOW, CHUNK) else page) for layer, page in pages]
    if len({(page.kind, page.window, page.block_tokens) for _, page in pages}) <= 1:
        return CacheLayout(_one_group(pages))
    latent = [(layer, page) for layer, page in pages if page.kind == FULL]
    states = [(layer, page) for layer, page in pages if page.kind == STATE]
    if len(latent) + len(states) == len(pages) and all(page.latent for _, page in latent) and len({page.bytes for _, page in latent}) > 1:
        return CacheLayout(_latent_with_states(latent, states))
    return CacheLayout(_equal_pages(pages, request.widest_share, drafts_from))


# ---- pages ----------------------------------------------------------------------------------------------------------


def _pages(layers: Sequence[Layer], request: CacheRequest) -> list[tuple[int, Page]]:
    """Pages of attention layers and states, the block widened until an attention page holds a state."""
    rows: list[tuple[int, LayerCache, bool]] = []
    states: list[tuple[int, int]] = []
    known: dict[tuple[int, ...], tuple[bool, tuple[LayerCache, ...]]] = {}
    for index, layer in enumerate(layers):
        same = tuple(map(id, layer.mixers))
        if same not in known:
            known[same] = _caches(layer, request)
        latent, caches = known[same]
        for cache in caches:
            if cache.kind == STATE:
                states.append((index, cache.row_bytes + request.drafts * cache.per_draft_bytes))
            else:
                rows.append((index, cache, latent))
    block = request.block_tokens
    state_page = max((size for _, size in states), default=0)
    drafts_from = len(layers) - len(request.draft_layers)
    if states and rows:
        token = max((cache.row_bytes for index, cache, _ in rows if index < drafts_from), default=max(cache.row_bytes for _, cache, _ in rows))
        alignment = max(block, request.latent_alignment) if any(latent for *_, latent in rows) else block
        if block * token < state_page:
            block = int(hybrid_block_tokens(state_bytes=state_page, token_bytes=token, alignment=alignment))
        state_page = max(state_page, block * token)
    found = [(index, _page(cache, block, latent=latent)) for index, cache, latent in rows]
    found += [(index, Page(STATE, 0, block, state_page, 0)) for index, _ in states]
    return sorted(found, key=lambda entry: entry[0])


def _page(cache: LayerCache, block: int, *, latent: bool) -> Page:
    """The page of a cache that holds a row for every token, or for a few."""
    size = int(page_bytes(block_tokens=block, token_bytes=cache.row_bytes, ratio=cache.ratio, alignment_bytes=1))
    return Page(FULL if cache.kind == POOLED else cache.kind, cache.window, block, size, cache.row_bytes, latent)


def _caches(layer: Layer, request: CacheRequest) -> tuple[bool, tuple[LayerCache, ...]]:
    """Whether a layer caches latents, and all that it caches."""
    latent = any(isinstance(mixer, LatentAttention) for mixer in layer.mixers)
    if latent and request.expanded:
        return True, tuple(_expanded(mixer, request) for mixer in layer.mixers if isinstance(mixer, LatentAttention))
    caches = layer_caches(layer, request.form, tp=request.tp, model_element_bytes=request.conv_bytes, state_element_bytes=request.state_bytes)
    return latent, caches


def _expanded(mixer: LatentAttention, request: CacheRequest) -> LayerCache:
    width = mixer.qk_nope_head_dim + mixer.qk_rope_head_dim
    row = attention_token_bytes(
        kv_heads=cut_units(size=mixer.heads, parts=request.tp), head_dim=width, v_head_dim=width, element_bytes=request.form.element_bytes
    )
    return LayerCache(FULL, "keys-values", ceil(row))


# DeepSeek-V4: blocks of the window cache and of the compressors' states, and what pages are rounded up to.
_WINDOW_BLOCK = 64
_OVERLAPPING_BLOCK, _PLAIN_BLOCK = 4, 8
_SCALED_ALIGNMENT, _WHOLE_ALIGNMENT = 576, 512


def _compressed_pages(layers: Sequence[Layer], request: CacheRequest) -> list[tuple[int, Page]]:
    """Pages of compressed attention: pooled entries, windows, and states of unfinished entries."""
    alignment = _SCALED_ALIGNMENT if request.form.element_bytes <= 1 else _WHOLE_ALIGNMENT
    found: list[tuple[int, Page]] = []
    for index, layer in enumerate(layers):
        overlapping = any(isinstance(mixer, CompressedAttention) and mixer.indexer is not None for mixer in layer.mixers)
        for cache in layer_caches(layer, request.form, tp=request.tp, model_element_bytes=request.conv_bytes):
            if cache.kind == WINDOW:
                block = _WINDOW_BLOCK
            elif cache.kind == PARTIAL:
                block = _OVERLAPPING_BLOCK if overlapping else _PLAIN_BLOCK
            else:
                block = request.block_tokens
            size = int(page_bytes(block_tokens=block, token_bytes=cache.row_bytes, ratio=cache.ratio, alignment_bytes=alignment))
            kind = FULL if cache.kind == POOLED else cache.kind
            found.append((index, Page(kind, cache.window, block, size, cache.row_bytes, latent=True)))
    return found


def _widened(pages: list[tuple[int, Page]]) -> list[tuple[int, Page]]:
    """Pages of windows and states as large as the next page of the full group."""
    sizes = sorted({page.bytes for _, page in pages if page.kind == FULL})
    return [(layer, replace(page, bytes=next((size for size in sizes if size >= page.bytes), page.bytes))) for layer, page in pages]


# ---- groups ---------------------------------------------------------------------------------------------------------


def _one_group(pages: list[tuple[int, Page]]) -> tuple[Group, ...]:
    if not pages:
        return ()
    first = pages[0][1]
    return (Group(first.kind, first.window, first.block_tokens, tuple((layer, page.bytes) for layer, page in pages)),)


def _latent_with_states(latent: list[tuple[int, Page]], states: list[tuple[int, Page]]) -> tuple[Group, ...]:
    """Latents and index keys in one group; each state takes the place of a latent page."""
    widest = max(page.bytes for _, page in latent)
    places = max(sum(1 for _, page in latent if page.bytes == widest), 1)
    count = ceil(len(states) / places)
    groups = [Group(STATE, 0, latent[0][1].block_tokens, tuple((layer, widest) for layer, _ in states[part::count])) for part in range(count)]
    return (*_one_group(latent), *groups)


def _equal_pages(pages: list[tuple[int, Page]], widest_share: float, drafts_from: int) -> tuple[Group, ...]:
    """Pages made equal (a longer block where it divides, else padding), then groups of equally many layers of one kind; drafts are one."""
    widest = max(page.bytes for _, page in pages)
    buckets: dict[tuple[str, int, int, bool], list[int]] = {}
    for layer, page in pages:
        block = page.block_tokens
        if page.kind != STATE and widest % page.bytes == 0:
            block *= widest // page.bytes
        buckets.setdefault((page.kind, page.window, block, layer >= drafts_from), []).append(layer)
    smallest, largest = min(map(len, buckets.values())), max(map(len, buckets.values()))
    size = largest if largest < smallest * widest_share else smallest
    groups = []
    for (kind, window, block, _), members in buckets.items():
        count = ceil(len(members) / size)
        groups += [Group(kind, window, block, tuple((layer, widest) for layer in members[part::count])) for part in range(count)]
    return tuple(groups)


def _packed(pages: list[tuple[int, Page]]) -> tuple[Group, ...]:
    """Pages of different sizes side by side in a block: one kind is one bucket, a bucket that repeats one pattern may be split."""
    buckets: dict[tuple[str, int, int], dict[int, list[int]]] = {}
    for layer, page in pages:
        buckets.setdefault((page.kind, page.window, page.block_tokens), {}).setdefault(page.bytes, []).append(layer)
    balanced = {key: len({len(layers) for layers in sizes.values()}) == 1 for key, sizes in buckets.items()}
    repeats = {key: max(map(len, sizes.values())) for key, sizes in buckets.items()}
    floor = max((repeats[key] for key, sizes in buckets.items() if balanced[key] and len(sizes) > 1), default=0)
    size = _least_padding([repeats[key] for key in buckets if balanced[key]], floor) if floor else 0
    groups: list[Group] = []
    for (kind, window, block), sizes in buckets.items():
        count = ceil(repeats[kind, window, block] / size) if size and balanced[kind, window, block] else 1
        for part in range(count):
            members = tuple((layer, page) for page, layers in sizes.items() for layer in layers[part::count])
            groups.append(Group(kind, window, block, members))
    return tuple(groups)


def _least_padding(counts: Sequence[int], floor: int) -> int:
    """Size of a group, at least ``floor``, that pads the counts least; the larger one of equals."""
    sizes = range(floor, max(counts) + 1)
    return min(sizes, key=lambda size: (sum(int(padded_size(size=count, multiple=size)) - count for count in counts), -size), default=floor)
