"""What one start of llama.cpp was told, with the defaults of its build filled in. Flags go by llama.cpp's own long names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpusizer.architecture.storage.expressions import Expressions
from gpusizer.engines.base.cache import CacheFormat, cache_format
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import FlagError

__all__ = ["ALL_LAYERS", "SPLITS_BY_ROWS", "SPLITS_WITH_CACHES", "Options", "options_of"]

ALL_LAYERS = 1 << 20

# Builds from which something changed. Read from ggml-org/llama.cpp where a pull request is named, else from dated logs with a build number.
LATENT_CACHE_FROM = 5140  # pull 12801: the latent of MLA models is cached, not the keys and values of every head
WINDOW_CACHE_FROM = 5430  # pull 13194: window layers have a cache of their own
STREAMS_FROM = 5920  # pull 14363: a stream for each sequence unless the cache is unified
FLASH_AUTO_FROM = 6325  # pull 15434: flash attention is chosen by itself
OUTPUT_FIRST_FROM = 7400  # the output layer is the first that goes to a GPU when few do
AUTO_PARALLEL_FROM = 7300  # the server takes four sequences over one unified cache when it is not told
LATENT_ONLY_FROM = 7840  # pull 19067: no values beside the latent
FIT_FROM = 7400  # pull 16653: context and layers are fitted to free memory
HALF_MASKS_FROM = 9360  # pull 23764: masks are FP16 from the start for flash attention
LEAN_FROM = 9430  # pull 23861: the server reserves logits of its sequences only
GATE_FUSED_FROM = 5787  # pull 14158: gate and product of a feed-forward block are one operation
OVERRIDES_END_PIPELINE_FROM = 5280  # tensors placed by hand leave one micro-batch under way
ROTATES_IN_PLACE_FROM = 4000  # logs of 2024 have room for queries twice
ROWS_NUMBERED_FROM = 6060  # pulls 14285 and 14959: rows of a cache are written by their numbers
VALUES_FIRST_FROM = 6920  # pull 16884: values are computed before keys
EMBEDS_BOTH_FROM = 7780  # pull 18898: a graph has room for embedded rows beside tokens, whichever a batch brings
EXPERTS_OF_LAYERS_FROM = 6089  # pull 15077: --n-cpu-moe
OVERRIDES_FROM = 5020  # pull 11397: --override-tensor
FUSED_INDEXER_FROM = 10420  # pulls 24231 and 25545: an indexer's scores are one operation on CUDA as well
# Ways to split a model that cut matrices, and those of them that cut caches as well: pull 19378 (tensor), the fork's pull 1022 (graph).
SPLITS_WITH_CACHES = ("tensor", "graph")
SPLITS_BY_ROWS = ("row", *SPLITS_WITH_CACHES)
_PIPELINE_COPIES = 4  # GGML_SCHED_MAX_COPIES

# Builds of the fork, ikawrakow/ik_llama.cpp, by the pull request that changed something.
FORK_EXPANDS_IN_HALVES_FROM = 3590  # pull 260: -mla 2 expands keys and values in FP16, in pieces that -amb limits
FORK_COUNTS_EXPERTS_FROM = 3745  # pull 520: experts are copied where each has 32 tokens to do
FORK_DRAFTS_FROM = 3827, 4216  # pulls 668 and 1270: a layer that drafts tokens has a cache, used or not; only where it is used
FORK_ONE_COPY_FROM = 3873  # pull 751: GGML_SCHED_MAX_COPIES is 1
FORK_HALF_MASKS_FROM = 3907  # pull 825
FORK_FLASH_FROM = 3928  # pull 863: flash attention and fused experts unless they are refused
FORK_OVERRIDES_END_PIPELINE_FROM = 3941  # pull 879
FORK_MLA_FROM = 3983  # pull 943: -mla 3 by itself
FORK_PIECES_FREED_FROM = 4161  # pull 1211: expanded keys and values go as soon as their heads have attended
FORK_AMB_FROM = 4832  # pull 2312: -amb 256 by itself
FORK_OVERRIDES_FROM = 3573  # pull 232
FORK_EXPERTS_OF_LAYERS_FROM = 3833  # pull 672
FORK_SPREADS_EXPERTS_FROM = 4325  # pull 1464: the last layers, of every device its share; only layers with experts count
# Types with interleaved rows that a GPU multiplies, and from which build on (pulls 461, 462, 492, 494); all others stay on the host.
_INTERLEAVED_ON_CUDA = {
    **dict.fromkeys(("iq2_k_r4", "iq3_k_r4", "iq4_k_r4", "iq5_k_r4"), 3714),
    **dict.fromkeys(("iq4_ks_r4", "iq5_ks_r4"), 3715),
    "iq1_s_r4": 3726,
    "iq1_m_r4": 3729,
}
_FORK_FORMAT = CacheFormat("q6_0", 26 / 32)
# common/arg.cpp, kv_cache_types
_CACHE_FORMATS = frozenset(["f32", "fp32", "f16", "fp16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl", "q6_0"])


@dataclass(frozen=True, slots=True)
class Options:
    """One start with every default filled in.

    Parameters
    ----------
    build : int
        Number of the build, of a fork its own.
    fork : bool
        A fork that caches latents by its own ``mla`` and keeps no window caches.
    context : int or None
        Context of all sequences together, None where the engine is left to choose. [tokens]
    sequences : int
        Sequences served at once. [sequences]
    unified : bool
        All sequences share one stream.
    micro_batch : int
        Tokens that are computed at once. [tokens]
    keys, values : CacheFormat
        Number formats of the cache.
    flash : bool
        Flash attention.
    window_full : bool
        Window layers keep the whole context.
    mla : int
        How latent attention is cached: 0 every head's keys and values; 1 latent and its transpose; 2 and 3 the latent alone.
    attention_mib : int
        Most MiB of one piece of attention in the fork, 0 without a limit. [MiB]
    fused_experts : bool
        Up and gate of experts are one operation (fork).
    gpu_layers : int
        Layers on GPUs, the output counted as one.
    shares : tuple of float
        ``tensor_split``, empty where free memory decides.
    by_rows : bool
        Matrices are cut over the GPUs, instead of layers.
    cuts_caches : bool
        Caches are cut with them, head by head.
    host_expert_layers : int
        First layers whose routed experts stay on the host.
    overrides : tuple of (str, str)
        Patterns of tensor names and where those tensors go, the first that fits decides.
    host_cache : bool
        The cache stays on the host.
    offload_operations : bool
        Long batches are computed on a GPU even where weights are on the host.
    remote : bool
        Devices of other machines take part.
    projector : bool
        Towers are loaded from a file of their own.
    fit : bool
        The engine may shrink what was left open until it fits.
    lean : bool
        Logits are reserved for sequences only.
    most_outputs : int
        Tokens whose logits are reserved where the operator said so, 0 for all (fork). [tokens]
    half_masks : bool
        Masks are FP16 from the start for flash attention.
    pipeline_copies : int
        Micro-batches under way at once where layers are shared over GPUs. [micro-batches]
    overrides_end_pipeline : bool
        Not where tensors were placed by hand.
    experts_on_card : bool
        A GPU multiplies experts as they are stored.
    counts_experts : bool
        Experts are copied only where each has enough tokens to do (fork).
    expands_in_float : bool
        Keys and values are expanded in FP32, all heads at once (fork).
    caches_drafts : bool
        Layers that draft tokens have a cache even where they are not used (fork).
    pieces_freed : bool
        Expanded keys and values go as soon as their heads have attended (fork).
    embeds_both : bool
        A graph has room for embedded rows that are handed in beside those that it looks up.
    spreads_experts : bool
        Layers whose experts stay on the host are the last ones, of every GPU its share (fork).
    gate_fused : bool
        Gate and product of a feed-forward block are one operation.
    fused_indexer : bool
        An indexer's scores are one operation.
    rotates_in_place : bool
        Queries and keys are rotated where they lie.
    rows_numbered : bool
        Rows of the cache are written by their numbers, which are inputs.
    values_first : bool
        Values are computed before keys.
    """

    build: int
    fork: bool
    context: int | None
    sequences: int
    unified: bool
    micro_batch: int
    keys: CacheFormat
    values: CacheFormat
    flash: bool
    window_full: bool
    mla: int
    attention_mib: int
    fused_experts: bool
    gpu_layers: int
    shares: tuple[float, ...]
    by_rows: bool
    cuts_caches: bool
    host_expert_layers: int
    overrides: tuple[tuple[str, str], ...]
    host_cache: bool
    offload_operations: bool
    remote: bool
    projector: bool
    fit: bool
    lean: bool
    most_outputs: int
    half_masks: bool
    pipeline_copies: int
    overrides_end_pipeline: bool
    experts_on_card: bool
    counts_experts: bool
    expands_in_float: bool
    caches_drafts: bool
    pieces_freed: bool
    embeds_both: bool
    spreads_experts: bool
    gate_fused: bool
    fused_indexer: bool
    rotates_in_place: bool
    rows_numbered: bool
    values_first: bool

    @property
    def padding(self) -> int:
        """What the cells of a cache are a multiple of. [cells]"""
        return 256 if self.flash or (not self.fork and self.build >= FLASH_AUTO_FROM) else 32

    @property
    def output_first(self) -> bool:
        """Whether the output is the first to go to a GPU where few layers do."""
        return not self.fork and self.build >= OUTPUT_FIRST_FROM

    @property
    def streams(self) -> int:
        """Streams with cells of their own."""
        return 1 if self.unified else self.sequences


def options_of(deployment: Deployment, build: int) -> Options:
    """Read the flags of a start; what is not a number where one must be is refused.

    Parameters
    ----------
    deployment : Deployment
        The start.
    build : int
        Number of the build.

    Returns
    -------
    Options
        Everything filled in.
    """
    flags = deployment.flags
    fork = bool(deployment.fork)
    parallel = _whole(flags, "parallel", 0, 1 << 16) or deployment.max_num_seqs or 0
    automatic = parallel <= 0 and not fork and build >= AUTO_PARALLEL_FROM
    sequences = parallel if parallel > 0 else (4 if automatic else 1)
    unified = _flag(flags, "kv_unified", default=automatic or fork or build < STREAMS_FROM or sequences == 1)
    context = _whole(flags, "ctx_size", 0, 1 << 30) or None
    if context is None and deployment.max_model_len:
        context = deployment.max_model_len * (1 if automatic else sequences)
    batch = _whole(flags, "batch_size", 2048, 1 << 24)
    micro_batch = min(_whole(flags, "ubatch_size", deployment.max_num_batched_tokens or 512, 1 << 24), batch)
    if context:
        micro_batch = min(micro_batch, context)
    keys, values = _format(flags, "cache_type_k", deployment), _format(flags, "cache_type_v", deployment)
    mla_default = 3 if build >= (FORK_MLA_FROM if fork else LATENT_CACHE_FROM) else 0
    mla = _whole(flags, "mla", mla_default, 3)
    flash = _flag(flags, "flash_attn", default=build >= (FORK_FLASH_FROM if fork else FLASH_AUTO_FROM))
    if not flash and values.id not in ("f16", "fp16", "bf16", "f32", "fp32") and not (fork and mla):
        flash = not _off(flags.get("flash_attn"))  # quantised values need it: switched on unless it was refused
    layers = flags.get("n_gpu_layers")
    return Options(
        build=build,
        fork=fork,
        context=context,
        sequences=sequences,
        unified=unified,
        micro_batch=max(micro_batch, 1),
        keys=keys,
        values=values,
        flash=flash,
        window_full=fork or build < WINDOW_CACHE_FROM or _flag(flags, "swa_full"),
        mla=mla,
        attention_mib=_whole(flags, "amb", 256 if fork and build >= FORK_AMB_FROM else 0, 1 << 24),
        fused_experts=fork and _flag(flags, "fmoe", default=build >= FORK_FLASH_FROM),
        gpu_layers=0 if _no_device(flags) else _layers(layers),
        shares=_shares(flags.get("tensor_split")),
        by_rows=deployment.tp > 1 or flags.get("split_mode") in SPLITS_BY_ROWS,
        cuts_caches=flags.get("split_mode") in SPLITS_WITH_CACHES,
        host_expert_layers=ALL_LAYERS if _flag(flags, "cpu_moe") else _whole(flags, "n_cpu_moe", 0, ALL_LAYERS),
        overrides=_overrides(flags.get("override_tensor")),
        host_cache=_flag(flags, "no_kv_offload") or not _flag(flags, "kv_offload", default=True),
        offload_operations=not _flag(flags, "no_op_offload") and _flag(flags, "op_offload", default=True) and not _flag(flags, "rtr"),
        remote=bool(flags.get("rpc")),
        projector=bool(flags.get("mmproj")),
        fit=not fork and build >= FIT_FROM and not _off(flags.get("fit")),
        most_outputs=_whole(flags, "worst_graph_tokens", 0, 1 << 24),
        pipeline_copies=_copies(flags, build, fork=fork),
        experts_on_card=_on_card(str(flags.get("interleaved", "")), build),
        **_dated(build, fork=fork),
    )


def _dated(build: int, *, fork: bool) -> dict[str, bool]:
    """What a build does, whatever it was told."""
    return {
        "overrides_end_pipeline": build >= (FORK_OVERRIDES_END_PIPELINE_FROM if fork else OVERRIDES_END_PIPELINE_FROM),
        "counts_experts": fork and build >= FORK_COUNTS_EXPERTS_FROM,
        "expands_in_float": fork and build < FORK_EXPANDS_IN_HALVES_FROM,
        "caches_drafts": fork and FORK_DRAFTS_FROM[0] <= build < FORK_DRAFTS_FROM[1],
        "pieces_freed": fork and build >= FORK_PIECES_FREED_FROM,
        "embeds_both": not fork and build >= EMBEDS_BOTH_FROM,
        "spreads_experts": fork and build >= FORK_SPREADS_EXPERTS_FROM,
        "gate_fused": fork or build >= GATE_FUSED_FROM,
        "fused_indexer": not fork and build >= FUSED_INDEXER_FROM,
        "rotates_in_place": fork or build >= ROTATES_IN_PLACE_FROM,
        "rows_numbered": not fork and build >= ROWS_NUMBERED_FROM,
        "values_first": not fork and build >= VALUES_FIRST_FROM,
        "lean": not fork and build >= LEAN_FROM,
        "half_masks": build >= (FORK_HALF_MASKS_FROM if fork else HALF_MASKS_FROM),
    }


def _copies(flags: Mapping[str, Any], build: int, *, fork: bool) -> int:
    """Micro-batches under way at once; an operator who built the engine otherwise says so."""
    default = 1 if fork and build >= FORK_ONE_COPY_FROM else _PIPELINE_COPIES
    return max(_whole(flags, "sched_max_copies", default, 64), 1)


def _on_card(interleaved: str, build: int) -> bool:
    """Whether a GPU multiplies experts of a type, which is "" where its rows are not interleaved."""
    return not interleaved or build >= _INTERLEAVED_ON_CUDA.get(interleaved, build + 1)


def _no_device(flags: Mapping[str, Any]) -> bool:
    return str(flags.get("device", "")).lower() == "none"


def _layers(value: Any) -> int:
    if value is None or value is True or str(value).lower() in ("all", "auto"):
        return ALL_LAYERS
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,7}", str(value)):
        raise FlagError("bad-flag-value", flag="n_gpu_layers", found=str(value)[:40])
    return ALL_LAYERS if int(value) < 0 else int(value)


def _whole(flags: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = flags.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,12}", str(value)) or int(value) > most:
        raise FlagError("bad-flag-value", flag=name, found=str(value)[:40])
    return int(value)


def _off(value: Any) -> bool:
    return value is False or str(value).lower() in ("off", "0", "false", "no", "disabled")


def _flag(flags: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = flags.get(name)
    return default if value is None or str(value).lower() == "auto" else not _off(value)


def _format(flags: Mapping[str, Any], name: str, deployment: Deployment) -> CacheFormat:
    wish = flags.get(name)
    if wish is None:
        wish = "f16" if deployment.kv_precision in ("auto", "") else deployment.kv_precision
    name_of = str(wish).lower()[:40]
    found = _FORK_FORMAT if deployment.fork and name_of == _FORK_FORMAT.id else cache_format(name_of)
    if found is None or found.id not in _CACHE_FORMATS:
        raise FlagError("bad-flag-value", flag=name, found=str(wish)[:40])
    return found


def _shares(value: Any) -> tuple[float, ...]:
    if value is None:
        return ()
    parts = value if isinstance(value, list | tuple) else re.split(r"[,/]", str(value)[:400])
    shares = []
    for part in parts[:256]:
        if isinstance(part, bool) or not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", str(part).strip()):
            raise FlagError("bad-flag-value", flag="tensor_split", found=str(value)[:40])
        shares.append(float(part))
    return tuple(shares) if sum(shares) > 0 else ()


def _overrides(value: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of (pattern, place); pairs without a place are left out, patterns that are no expressions are refused, as the engine refuses them."""
    lines = value if isinstance(value, list | tuple) else [value] if value else []
    found = []
    for line in lines[:256]:
        for pair in re.split(r",(?=[^=]*=[A-Za-z])", str(line)[:4000]):
            pattern, equals, place = pair.rpartition("=")
            if equals:
                found.append((pattern, place.strip()))
    refused = Expressions(pattern for pattern, _ in found).refused
    if refused:
        raise FlagError("bad-flag-value", flag="override_tensor", found=found[refused[0][0]][0][:40])
    return tuple(found)
