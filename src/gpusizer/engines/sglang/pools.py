"""From cached rows to the pools that SGLang cuts from one budget: cells of a token, windows, recurrent states, compressed rows, drafts.

The budget is shared out in this order: recurrent states (a fixed ratio to the cache), pools whose size follows from the number of requests, and the
rest for tokens at so many bytes a token. Read from sgl-project/sglang 0.5.9 to 0.5.23: model_executor/pool_configurator.py,
mem_cache/kv_cache_configurator.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes, plain_dtype
from gpusizer.architecture.types import CompressedAttention, Layer
from gpusizer.engines.base.cache import CHUNK, FULL, POOLED, STATE, WINDOW, CacheFormat, LayerCache, cache_format, layer_caches
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.sglang.defaults import verified_tokens
from gpusizer.engines.sglang.drafts import draft_token_bytes, priced_in_tokens
from gpusizer.engines.sglang.windows import own_windows
from gpusizer.errors import FlagError
from gpusizer.formulas.memory.cache_blocks import page_bytes
from gpusizer.formulas.memory.kv_cache import compressed_row_bytes, compressed_state_bytes, indexer_token_bytes
from gpusizer.formulas.memory.pools import state_rows, window_request_cap
from gpusizer.once import Remembered

__all__ = ["Pools", "formats", "positive", "stage_pools"]

WINDOW_RATIO = 0.8  # swa_full_tokens_ratio
COMPRESSED_WINDOW_RATIO = 0.1
PRICED_AS_STORED_SINCE = (0, 5, 10)  # before, a scaled sparse row was budgeted as a raw one
CAPPED_SINCE = (0, 5, 17)  # a window pool is sized for the most requests, where no prefixes are kept
RINGS_SINCE = (0, 5, 16)  # compressor states of the long ratio by request, no longer by token


@dataclass(frozen=True, slots=True)
class Pools:
    """What one stage caches on one rank, before any budget is known; what it does not have is 0.

    Parameters
    ----------
    full_bytes, window_bytes : float
        One token in all layers that keep everything; in all layers with a window of their own pool. [bytes per token]
    window_ratio : float
        Tokens of a window pool for each token of the full pool, where both grow together.
    window_share : float
        Tokens of the window pool for each token of the printed capacity; 0 where its size is fixed.
    split : int
        1 where a window pool grows with the full one, so that either may run out first.
    window : int
        Tokens that the widest window sees. [tokens]
    stored_share : float
        What is really allocated for each byte that the budget counts, without a draft.
    printed_share : float
        Of what the budget counts, what the log prints for the model itself; the rest is the cache of a draft.
    draft_share : float
        Cache of a draft beyond the budget, for each byte of it.
    slot_bytes : int
        Recurrent state of one request in all layers. [bytes]
    fixed : tuple of (str, int)
        Pools whose size follows from the number of requests, by name. [bytes]
    """

    axes: ClassVar[tuple[str, ...]] = ("model", "class", "layout", "stage")

    full_bytes: Any
    window_bytes: Any
    window_ratio: Any
    window_share: Any
    split: Any
    window: Any
    stored_share: Any = 1.0
    printed_share: Any = 1.0
    draft_share: Any = 0.0
    slot_bytes: Any = 0
    fixed: tuple[tuple[str, Any], ...] = ()


def _token_pools(full: float, window: float, ratio: float, widest: int, cap: int = 0) -> Pools:
    """Pools of tokens: windows have ``cap`` tokens, or grow with the full pool, or are all there is."""
    if cap:
        return Pools(full, window, ratio, 0, 0, widest, fixed=(("windows", round(cap * window)),))
    return Pools(full, window, ratio, ratio if full else 1, int(bool(window and full)), widest)


def formats(start: Start) -> tuple[CacheFormat, CacheFormat]:
    """Number format of the cache as it is budgeted and as it is stored."""
    deployment = start.deployment
    form = cache_format(deployment.kv_precision, start.architecture.dtype)
    if form is None:
        raise FlagError("unknown-cache-format", found=deployment.kv_precision)
    if form.id != "fp8" or not kinds_of(start.architecture).sparse:
        return form, form
    scaled = replace(form, scaled_latent=True)
    nvidia = start.accelerator.vendor.lower() == "nvidia"
    if start.version < PRICED_AS_STORED_SINCE:
        return form, scaled
    raw = not nvidia or 10 <= start.capability < 12
    return (form, form) if raw else (scaled, scaled)


@once_per_architecture
def _known(architecture: Architecture) -> Remembered[tuple[object, ...], Pools]:
    return Remembered(256)


def stage_pools(start: Start, stage: Stage) -> Pools:
    """What one stage caches on one rank (remembered by all that it depends on)."""
    deployment, known = start.deployment, _known(start.architecture)
    fields = ("tp", "dp", "max_num_seqs", "max_num_batched_tokens", "kv_precision", "block_size", "speculative_tokens")
    flags = (
        *("swa_full_tokens_ratio", "disable_hybrid_swa_memory", "disable_radix_cache", "mamba_ssm_dtype"),
        *("speculative_method", "speculative_model"),
    )
    key = (
        *(getattr(deployment, name) for name in fields),
        *(str(start.flag(name)) for name in flags),
        start.accelerator.id,
        start.version,
        stage.layers,
    )
    return known.once(key, lambda: _stage_pools(start, stage))


def _stage_pools(start: Start, stage: Stage) -> Pools:
    layers = [start.architecture.layers[index] for index in stage.layers]
    if kinds_of(start.architecture).compressed:
        return _compressed(start, layers)
    priced, stored = formats(start)
    windows_apart = own_windows(start)
    chosen = plain_dtype(start.flag("mamba_ssm_dtype"))
    state_bytes = element_bytes(chosen) if chosen else None
    full = window = stored_full = 0.0
    slot, widest, caching = 0, 0, 0
    for layer in layers:
        for cache, same in zip(_caches(start, layer, priced, state_bytes), _caches(start, layer, stored, state_bytes), strict=True):
            if cache.kind == STATE:
                slot += cache.row_bytes
            elif cache.kind in (WINDOW, CHUNK) and windows_apart:
                window += cache.row_bytes
                widest = max(widest, cache.window)
            elif cache.kind in (FULL, WINDOW, CHUNK):
                full += cache.row_bytes
                stored_full += same.row_bytes
                caching += cache.part != "index"
            elif cache.kind == POOLED:  # keys of an indexer that stand for a few tokens
                full += cache.row_bytes / cache.ratio
                stored_full += same.row_bytes / cache.ratio
    stored_share = stored_full / full if full else 1.0
    draft = draft_token_bytes(start, priced, full / caching) if caching else 0.0
    priced_too = priced_in_tokens(start)
    ratio = positive(start, "swa_full_tokens_ratio", WINDOW_RATIO)
    cap = _window_cap(start, widest) if window and full else 0
    pools = _token_pools(full + draft * priced_too, window, ratio, widest, cap)
    cell = pools.full_bytes + pools.window_share * window
    return replace(
        pools,
        stored_share=stored_share,
        printed_share=1 - draft * priced_too / cell if cell else 1.0,
        draft_share=0.0 if priced_too or not cell else draft / cell,
        slot_bytes=slot,
    )


def _caches(start: Start, layer: Layer, form: CacheFormat, state_bytes: int | None) -> tuple[LayerCache, ...]:
    # Layers that read the keys and values of an earlier one get rows of their own all the same: the pool counts attention layers (a public log of
    # Gemma 4 E4B: 79.94 GiB for 997,846 tokens, all 42 layers).
    layer = replace(layer, mixers=tuple(mixer.with_own_cache() for mixer in layer.mixers))
    element = element_bytes(start.architecture.dtype)
    state = state_bytes
    if state is None and not any(mixer.state is not None and mixer.state.dtype for mixer in layer.mixers):
        state = 4  # recurrent states are FP32 where neither the operator nor the configuration says
    return layer_caches(layer, form, tp=start.layout.tp, model_element_bytes=element, state_element_bytes=state)


def _window_cap(start: Start, window: int) -> int:
    """Tokens of a window pool that is sized for the most requests; 0 where it grows with the full pool."""
    deployment = start.deployment
    if start.version < CAPPED_SINCE or deployment.max_num_seqs is None or not start.flag("disable_radix_cache"):
        return 0
    page, drafts = deployment.block_size or 1, verified_tokens(deployment)
    return int(
        window_request_cap(
            requests=max(deployment.max_num_seqs // start.layout.dp, 1),
            window=window,
            draft_tokens=max(drafts, 1),
            page_tokens=page,
            decode_tokens=2 * max(drafts, page) if drafts else page,
            prefill_tokens=2 * (deployment.max_num_batched_tokens or 0),
            tails=0,
        )
    )


def _compressed(start: Start, layers: list[Layer]) -> Pools:
    """Raw windows, pooled rows, index keys and compressor states (DeepSeek-V4); rows are packed whatever the cache format."""
    mixers = [mixer for layer in layers for mixer in layer.mixers_of(CompressedAttention)]
    by_request = start.version >= RINGS_SINCE
    page, drafts = start.deployment.block_size or 256, start.deployment.speculative_tokens
    ratio = positive(start, "swa_full_tokens_ratio", COMPRESSED_WINDOW_RATIO)
    full, window = 0.0, 0.0
    rings: dict[str, int] = {}
    widest = 0
    requests = max((start.deployment.max_num_seqs or 256) // start.layout.dp, 1)
    for mixer in mixers:
        widest = max(widest, mixer.window)
        window += _row_bytes(mixer, page, 1, aligned=by_request)
        if not mixer.pools:
            continue
        full += _row_bytes(mixer, page, mixer.ratio, aligned=by_request) / mixer.ratio
        overlaps = mixer.overlap
        states = compressed_state_bytes(head_dim=mixer.head_dim, vectors=2 * overlaps, element_bytes=4)
        ring = (2 if drafts else 1) * overlaps * mixer.ratio
        if mixer.indexer is not None:
            full += indexer_token_bytes(head_dim=mixer.indexer.head_dim, element_bytes=1, scale_bytes=4) / mixer.ratio
            states += compressed_state_bytes(head_dim=mixer.indexer.head_dim, vectors=2 * overlaps, element_bytes=4)
        if by_request and mixer.indexer is None:
            name = f"ring_{ring}"
            rings[name] = rings.get(name, 0) + int(state_rows(requests=requests, ring=ring, alignment=128) * states)
        else:
            window += states * ring / (page if by_request else mixer.window)
    total = len(mixers)
    if not by_request and mixers:  # older builds price a window for each listed ratio, draft layers among them
        extra = len(start.architecture.mtp)
        window += extra * _row_bytes(mixers[0], page, 1, aligned=by_request)
        total += extra
    if drafts and total:
        full, window = full * (total + 1) / total, window * (total + 1) / total
    return replace(_token_pools(full, window, ratio, widest), fixed=tuple(rings.items()))


def _row_bytes(mixer: CompressedAttention, page: int, ratio: int, *, aligned: bool) -> float:
    """One packed row, its share of the alignment of a page included."""
    row = compressed_row_bytes(head_dim=mixer.head_dim, rope_head_dim=mixer.rope_head_dim, scale_group=64, padding_bytes=1)
    if not aligned:
        return float(row)
    rows = max(page // ratio, 1)
    alignment = mixer.head_dim + mixer.rope_head_dim  # 576 elements of one byte
    return float(page_bytes(block_tokens=page, token_bytes=row, ratio=ratio, alignment_bytes=alignment) / rows)


def positive(start: Start, name: str, default: float) -> float:
    """A further flag that is a number above 0, else the default."""
    value = start.flag(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else default
