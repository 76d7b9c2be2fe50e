"""Graphs of mixers, in the order in which llama.cpp builds them (src/llama-graph.cpp, src/models); those of the fork in src/graphs."""

from __future__ import annotations

import re
from typing import assert_never

from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, LinearAttention, Mixer, StateMixer
from gpusizer.engines.llama_cpp.builder import Builder
from gpusizer.engines.llama_cpp.cache import cells_in_window
from gpusizer.engines.llama_cpp.graph import Tensor
from gpusizer.formulas.memory.llama_cpp import pooled_cells, scores_bytes, window_cells
from gpusizer.units import MiB

__all__ = ["mixed"]

_FUSED = re.compile(r"qkv|query_key_value|c_attn|W_pack", re.IGNORECASE)
_LEAST_EXPANDED_BATCH = 128  # tokens from which latents are expanded (fork)


def mixed(build: Builder, mixer: Mixer, normed: Tensor, hidden: int) -> Tensor:
    """What a mixer adds to the residual stream.

    Parameters
    ----------
    build : Builder
        The graph.
    mixer : Mixer
        The mixer.
    normed : Tensor
        Its input.
    hidden : int
        Width of the residual stream. [elements]

    Returns
    -------
    Tensor
        Its output.
    """
    match mixer:
        case LatentAttention():
            attended = _latent(build, mixer, normed)
        case LinearAttention():
            attended = _recurrent(build, mixer, normed)
        case StateMixer():
            streamed = build.mixed(mixer.stream_elements // 2, normed)
            attended = build.node("scan", streamed.size_bytes, streamed)
        case CompressedAttention():
            attended = _compressed(build, mixer, normed)
        case Attention():
            attended = _attention(build, mixer, normed)
        case _:
            assert_never(mixer)
    build.graph.expand(attended)
    return build.mixed(hidden, attended)


def _recurrent(build: Builder, mixer: LinearAttention, normed: Tensor) -> Tensor:
    """A gated delta net: queries, keys and values pass a short convolution and change the state of their sequence."""
    graph, sequences = build.graph, build.options.sequences
    keys, values, heads = mixer.key_heads * mixer.key_dim, mixer.value_heads * mixer.value_dim, mixer.value_heads
    channels = mixer.conv_channels or 2 * keys + values
    streamed, gate = build.mixed(channels, normed), build.mixed(values, normed)
    share = build.node("unary", build.rows(heads), build.mixed(heads, normed))
    decay = build.node("mul", build.rows(heads), build.node("unary", build.rows(heads), build.mixed(heads, normed)))
    columns = max(mixer.conv_kernel - 1, 0) * channels * 4 * sequences
    joined = build.node("concat", streamed.size_bytes + columns, build.node("get_rows", columns, build.stored(0)), graph.view(streamed))
    graph.written(build.stored(0), graph.view(joined, columns, begins=False))
    convolved = build.node("unary", streamed.size_bytes, build.node("convolution", streamed.size_bytes, joined))
    query = build.node("l2_norm", build.rows(keys), graph.view(convolved, build.rows(keys), begins=False))
    key = build.node("l2_norm", build.rows(keys), graph.view(convolved, build.rows(keys), begins=False))
    state = heads * mixer.key_dim * mixer.value_dim * 4 * sequences
    value = graph.view(convolved, build.rows(values), begins=False)
    found = build.node("delta_net", build.rows(values) + state, query, key, value, decay, share, build.node("get_rows", state, build.stored(0)))
    graph.written(build.stored(0), graph.view(found, state, begins=False))
    output = build.norm(graph.view(found, build.rows(values), begins=False))
    return build.node("mul", output.size_bytes, output, build.node("unary", gate.size_bytes, gate))


def _attention(build: Builder, mixer: Attention, normed: Tensor) -> Tensor:
    """Queries, keys and values; heads attend to cached rows."""
    graph = build.graph
    wide, keys, values = mixer.heads * mixer.head_dim, mixer.kv_heads * mixer.head_dim, mixer.kv_heads * mixer.v_head_dim
    gate = None
    if any(_FUSED.search(tensor.name) for tensor in mixer.tensors):
        piece = build.mixed(wide + keys + values, normed)
        query = build.rotated(graph.view(piece, build.rows(wide)), wide, in_place=False)
        key = build.rotated(graph.view(piece, build.rows(keys), begins=False), keys, in_place=False)
        value = graph.view(piece, build.rows(values), begins=False)
    else:
        query = build.mixed(_query_width(mixer, wide), normed)
        if query.size_bytes > build.rows(wide):  # queries with a gate beside them
            gate = build.node("unary", build.rows(wide), build.node("cont", build.rows(wide), graph.view(query, build.rows(wide), begins=False)))
            query = build.node("picked", build.rows(wide), graph.view(query, build.rows(wide), begins=False))
        key, value = build.mixed(keys, normed), build.mixed(values, normed)
        if any("q_norm" in tensor.name for tensor in mixer.tensors):
            query, key = build.norm(graph.view(query)), build.norm(graph.view(key))
        in_place = build.options.rotates_in_place
        query, key = build.rotated(graph.view(query), in_place=in_place), build.rotated(graph.view(key), in_place=in_place)
    for tensor in (query, value, key) if build.options.values_first else (query, key, value):
        graph.expand(tensor)
    build.written(keys=key, values=value)
    cells = cells_in_window(build.options, build.cells, mixer.seen_tokens)
    limited = mixer.kv_heads == mixer.heads  # the fork cuts scores of equal heads only
    attended = _heads(build, graph.view(query), mixer.heads, mixer.v_head_dim, cells, window=mixer.seen_tokens, limited=limited)
    return attended if gate is None else build.node("mul", attended.size_bytes, attended, gate)


def _query_width(mixer: Attention, wide: int) -> int:
    """Columns of the matrix of queries: twice those of the heads where it gives a gate as well."""
    rows = sum(tensor.shape[0] for tensor in mixer.tensors if "q_proj" in tensor.name and len(tensor.shape) == 2)
    return max(wide, rows)


def _heads(build: Builder, query: Tensor, heads: int, width: int, cells: int, *, window: int = 0, limited: bool = True) -> Tensor:
    """Heads attend to so many cells: in one operation, or by their scores."""
    graph, keys, values = build.graph, build.cached(0.5), build.cached(0.5)
    mask = build.mask(cells, window)
    if build.options.flash:
        return graph.view(build.node("flash_attention", build.rows(heads * width), query, keys, values, mask))
    size = int(scores_bytes(heads=heads, tokens=build.tokens, cells=cells))
    most = build.options.attention_mib * MiB
    steps = min(-(-size // most), heads) if limited and most else 1
    piece, part = size // steps, build.rows(heads * width) // steps
    attended: Tensor | None = None
    for step in range(steps):
        query_piece = query if steps == 1 else graph.view(query, query.size_bytes // steps, begins=not step)
        scores = build.node("soft_max", piece, build.node("product", piece, keys, query_piece), mask)
        found = build.node("product", part, values, scores)
        attended = found if attended is None else build.node("concat", attended.size_bytes + part, attended, found)
        graph.expand(attended)
    assert attended is not None
    return build.node("cont", attended.size_bytes, graph.view(attended))


def _latent(build: Builder, mixer: LatentAttention, normed: Tensor) -> Tensor:
    """Latent attention: queries of all heads, and one latent with one rotated key for all of them."""
    options, graph, heads = build.options, build.graph, mixer.heads
    key, rope, latent = mixer.qk_nope_head_dim + mixer.qk_rope_head_dim, mixer.qk_rope_head_dim, mixer.kv_lora_rank
    query = build.mixed(heads * key, build.norm(build.mixed(mixer.q_lora_rank, normed)) if mixer.q_lora_rank else normed)
    plain = graph.view(query, build.rows(heads * mixer.qk_nope_head_dim))
    rotated = build.rotated(graph.view(query, build.rows(heads * rope), begins=False), heads * rope, in_place=False)
    compressed = build.mixed(latent + rope, normed)
    key_rotated = build.rotated(graph.view(compressed, build.rows(rope), begins=False), rope, in_place=False)
    normed_latent = build.norm(graph.view(compressed, build.rows(latent), begins=False))
    if options.mla == 0:
        return _every_head(build, mixer, (plain, rotated, key_rotated, normed_latent))
    row = build.node("concat", build.rows(latent + rope), key_rotated, normed_latent)
    if mixer.picks is not None:
        graph.expand(_picked(build, mixer.picks.heads, mixer.picks.head_dim, build.cells.full, normed))
    if options.fork:
        build.written(keys=row)
        if options.flash and options.mla > 1 and build.tokens >= _LEAST_EXPANDED_BATCH:
            return _expanded(build, mixer, build.node("concat", build.rows(heads * key), rotated, plain))
    absorbed = build.mixed(heads * latent, graph.view(plain))
    joined = build.node("concat", build.rows(heads * (latent + rope)), rotated, graph.view(absorbed))
    if not options.fork:
        for tensor in (joined, normed_latent, row):
            graph.expand(tensor)
        build.written(keys=row)
    attended = _latent_heads(build, mixer, joined)
    width = build.rows(heads * mixer.v_head_dim)
    return build.node("cont", width, graph.view(build.node("product", width, attended)))


def _latent_heads(build: Builder, mixer: LatentAttention, query: Tensor) -> Tensor:
    """Heads attend to latents; the fork turns the latents round where no transposed copy is cached."""
    options, cells = build.options, build.cells.full
    if options.fork and not options.flash and options.mla > 1:
        build.graph.expand(query)
        turned = build.node("cont", cells * mixer.kv_lora_rank * 2, build.cached())
        build.graph.expand(turned)
    return build.graph.view(_heads(build, query, mixer.heads, mixer.kv_lora_rank, cells))


def _every_head(build: Builder, mixer: LatentAttention, pieces: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Keys and values of every head, as they are cached without latents."""
    plain, rotated, key_rotated, normed_latent = pieces
    graph, heads = build.graph, mixer.heads
    both = build.mixed(heads * (mixer.qk_nope_head_dim + mixer.v_head_dim), normed_latent)
    values = build.node("cont", build.rows(heads * mixer.v_head_dim), graph.view(both, build.rows(heads * mixer.v_head_dim), begins=False))
    width = build.rows(heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim))
    query = build.node("concat", width, plain, rotated)
    repeated = build.node("repeat", rotated.size_bytes, key_rotated)
    key = build.node("concat", width, graph.view(both, build.rows(heads * mixer.qk_nope_head_dim)), repeated)
    for tensor in (query, key, values):
        graph.expand(tensor)
    build.written(keys=key, values=values)
    return _heads(build, graph.view(query), heads, mixer.v_head_dim, build.cells.full)


def _expanded(build: Builder, mixer: LatentAttention, joined: Tensor) -> Tensor:
    """The fork's long batches: keys and values of all cells, expanded from the latent for so many heads at a time."""
    options, graph, cells = build.options, build.graph, build.cells.full
    nope, rope, value = mixer.qk_nope_head_dim, mixer.qk_rope_head_dim, mixer.v_head_dim
    if options.expands_in_float:
        return _expanded_in_float(build, mixer, joined)
    heads = _heads_at_once(build, mixer)
    cache = build.cached()
    rows = cache
    if options.keys.element_bytes < 2:
        rows = build.node("cast", rope * cells * 2, cache)
    repeated = build.node("repeat", rope * cells * heads * 2, rows)
    query = graph.view(joined)
    graph.expand(query)
    attended: Tensor | None = None
    for step in range(mixer.heads // heads):
        both = build.node("product", heads * (nope + value) * cells * 4, cache)
        values = build.node("cast", heads * value * cells * 2, graph.view(both, heads * value * cells * 4, begins=False))
        plain = build.node("cast", heads * nope * cells * 2, graph.view(both, heads * nope * cells * 4))
        keys = build.node("concat", heads * (nope + rope) * cells * 2, repeated, plain)
        for tensor in (plain, values, keys):
            graph.expand(tensor)
        piece = graph.view(query, query.size_bytes * heads // mixer.heads, begins=not step)
        found = graph.view(build.node("flash_attention", build.rows(heads * value), piece, keys, values, build.mask(cells)))
        attended = found if attended is None else build.node("concat", attended.size_bytes + found.size_bytes, attended, found)
        if options.pieces_freed:
            graph.expand(attended)
    assert attended is not None
    return attended


def _expanded_in_float(build: Builder, mixer: LatentAttention, joined: Tensor) -> Tensor:
    """The same in builds that made everything in FP32 first, all heads at once."""
    graph, heads, cells = build.graph, mixer.heads, build.cells.full
    nope, rope, value = mixer.qk_nope_head_dim, mixer.qk_rope_head_dim, mixer.v_head_dim
    rows = build.node("cast", (mixer.kv_lora_rank + rope) * cells * 4, build.cached())
    both = build.node("product", heads * (nope + value) * cells * 4, graph.view(rows))
    rotated = build.node("repeat", heads * rope * cells * 4, graph.view(rows, rope * cells * 4, begins=False))
    keys = build.node("concat", heads * (nope + rope) * cells * 4, graph.view(both, heads * nope * cells * 4), rotated)
    graph.expand(keys)
    values = build.node("cast", heads * value * cells * 2, graph.view(both, heads * value * cells * 4, begins=False))
    graph.expand(values)
    keys = build.node("cast", keys.size_bytes // 2, keys)
    return graph.view(build.node("flash_attention", build.rows(heads * value), graph.view(joined), keys, values, build.mask(cells)))


def _heads_at_once(build: Builder, mixer: LatentAttention) -> int:
    """Heads that are expanded together: so many that a piece stays below the limit, all without one."""
    options, heads = build.options, mixer.heads
    size = heads * (mixer.qk_nope_head_dim + mixer.v_head_dim) * build.cells.full * 4 // MiB
    limit = options.attention_mib
    if not limit or size <= limit:
        return heads
    if options.pieces_freed:
        return next((heads // parts for parts in range(2, heads) if heads % parts == 0 and size // parts <= limit), 1)
    while heads % 2 == 0 and size > limit:
        heads, size = heads // 2, size // 2
    return heads


def _compressed(build: Builder, mixer: CompressedAttention, normed: Tensor) -> Tensor:
    """One key for all heads, over a window and over pooled rows that an indexer chooses from."""
    graph, cells, width = build.graph, build.cells.full, mixer.heads * mixer.head_dim
    query = build.mixed(width, normed)
    query = build.node("concat", query.size_bytes, query)
    seen = int(window_cells(cells=cells, window=mixer.window, sequences=1, micro_batch=build.tokens, padding=256))
    if mixer.ratio:
        pooled = int(pooled_cells(cells=cells, ratio=mixer.ratio, padding=256))
        if mixer.indexer is not None:
            graph.expand(_picked(build, mixer.indexer.heads, mixer.indexer.head_dim, pooled, normed))
        seen += pooled
    graph.expand(query)
    build.written(keys=build.mixed(mixer.head_dim, normed))
    if mixer.ratio:
        graph.expand(build.node("concat", seen * mixer.head_dim * 2, build.cached()))
    return _heads(build, graph.view(query), mixer.heads, mixer.head_dim, seen, limited=False)


def _picked(build: Builder, heads: int, width: int, cells: int, normed: Tensor) -> Tensor:
    """An indexer's choice: scores of its heads over all cells, twice before they are one operation, and the mask of what it picks."""
    graph = build.graph
    query = build.mixed(heads * width, normed)
    query = build.node("concat", query.size_bytes, query)
    one = build.tokens * cells * 4
    mask = build.mask(cells)
    if build.options.fused_indexer:
        scores = build.node("indexer", one, query, mask)
    else:
        scores = build.node("product", one * heads, build.cached(), query)
        scores = build.node("unary", one * heads, build.node("cont", one * heads, graph.view(scores)))
        scores = build.node("cont", one, graph.view(build.node("sum_rows", one, scores)))
        scores = build.node("add", one, scores, mask)
    order = build.node("argsort", one, scores)
    return build.node("set_rows", mask.size_bytes, build.node("fill", mask.size_bytes, mask), graph.view(order))
