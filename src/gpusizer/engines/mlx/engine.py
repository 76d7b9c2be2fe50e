"""MLX (mlx-lm): weights as converted, a cache as long as its requests, what the server keeps of finished ones, on one Apple machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.architecture.types import Attention, LatentAttention, Notice
from gpusizer.engines.base.band import Band, Basis, Spread
from gpusizer.engines.base.cache import CacheFormat
from gpusizer.engines.base.device import driver_reserved, models_beside, system_memory
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.engine import LayoutChoice, Start
from gpusizer.engines.base.flag import MAX_TOKENS
from gpusizer.engines.base.knobs import Knobs
from gpusizer.engines.base.launch_words import printed_values, words_for
from gpusizer.engines.base.ledger import banded, combined, computed, free_line
from gpusizer.engines.base.placed import PlacedEngine, safe_room
from gpusizer.engines.base.search import largest
from gpusizer.engines.base.types import Account, Deployment, Evidence, Fit, Item, KVCache, Layout, Quantity, Rank, Section
from gpusizer.engines.mlx.flags import MAX_BYTES
from gpusizer.engines.mlx.memory import STEP, Batch, Cache, Prompts, cache_of
from gpusizer.errors import FlagError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.mlx import grown_cache_bytes, prompt_peak_bytes
from gpusizer.units import MiB

__all__ = ["ENGINE", "MLX"]

_SOURCE = "ml-explore/mlx-lm@d78bf58e2 (0.32.0): "
_DECODED = 32  # --decode-concurrency
_PROMPTS = 8  # --prompt-concurrency
_PIECE = 2048  # --prefill-step-size
_KEPT = 10  # --prompt-cache-size
_QUANTISED_FROM = 5000  # --quantized-kv-start [tokens]
_GROUP = 64  # --kv-group-size
_ALONE = ("kv_group_size", "quantized_kv_start", "max_kv_size")  # of mlx_lm.generate, which serves one request
# Metal's compiled kernels and command buffers, and Python's own: nobody prints them.
_CONTEXT = Band(300 * MiB, 150 * MiB, 300 * MiB, Basis("mlx.context", 0, 150, 600, "MiB"))
_PEAK_SPREAD = Spread(0.4, 0.5)
_PEAK_BASIS = Basis("mlx.layers_at_once", 24, 1.7, 2.9, "layers")
_READ_AS_STORED = frozenset({"mxfp4", "mxfp8", "nvfp4", "bf16", "fp16", "fp32"})  # and integers in groups
_CACHE = re.compile(r"(?:mlx_|int)([234568])(?:bit)?")


class MLX(PlacedEngine):
    """mlx-lm 0.32 on one machine."""

    id: ClassVar[str] = "mlx"
    newest: ClassVar[tuple[int, ...]] = (0, 32, 0)
    mixers: ClassVar[frozenset[str] | None] = frozenset({"attention", "latent", "linear", "state_space"})
    most_devices: ClassVar[int | None] = 1
    weight_error: ClassVar[float] = 0.01
    weight_sources: ClassVar[tuple[str, ...]] = (_SOURCE + "mlx_lm/utils.py, quantize_model, load_model",)
    # a quarter of the step: 11 GB less at 128k tokens, and prompts as fast as before
    knobs: ClassVar[Knobs] = Knobs(sequences=False, step_tokens=(512,), sources=("ml-explore/mlx-lm pull 1781",))

    # ---- what was started ------------------------------------------------------------------------------------------

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """One request at a time, to the longest context, unless it was said otherwise: a server says only what its caches may take."""
        requests, longest = deployment.max_num_seqs or 1, architecture.max_position_embeddings or 4096
        return replace(
            deployment,
            max_model_len=deployment.max_model_len or _length_held(deployment, architecture, requests, longest),
            max_num_seqs=requests,
            max_num_batched_tokens=deployment.max_num_batched_tokens or _PIECE,
            kv_precision=_cache_word(deployment.kv_precision, architecture),
        )

    def start(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Start:
        """One start with every default filled in, of the model as it is loaded: what MLX has no kernels for becomes 16 bits."""
        return super().start(deployment, _as_loaded(architecture), accelerator)

    def problem(self, start: Start) -> Notice | None:
        """One machine; no GGUF files; a cache that can be quantised where that is asked for."""
        if start.layout.gpus > 1:
            return Notice("one-gpu-only", {"gpus": start.layout.gpus})
        blocks = next((name for name in weight_formats(start.architecture) if re.match(r"i?q\d|tq\d", name)), None)
        if blocks is not None:
            return Notice("no-gguf-files", {"precision": blocks})
        return self.unknown_mixer(start.architecture) or _cache_problem(start)

    def layouts(self, architecture: Architecture, accelerator: Accelerator, gpus: int, *, across_nodes: bool = True) -> Iterator[LayoutChoice]:
        """One machine."""
        layout = Layout(pp=gpus)
        yield LayoutChoice(layout, self.layout_refusal(architecture, accelerator, layout))

    def loads_towers(self, start: Start) -> bool:
        """No: mlx-lm drops the weights of towers (``sanitize`` of its models)."""
        return False

    def weights_depend_on(self, start: Start) -> tuple[object, ...]:
        """Nothing of the device."""
        return ()

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """A server for so many requests, or for as many as fit on the safe side; what it keeps of finished ones is bounded by what they take."""
        start = self.start(replace(deployment, max_num_seqs=1), architecture, accelerator)
        if self.problem(start) is not None:
            return replace(deployment, max_num_seqs=1)
        loaded, tokens = _Loaded(self, start), start.deployment.max_model_len or 1
        most = 1 if _one_by_one(start) else min(max(requests, 1), _DECODED)
        held = max(largest(lambda count: loaded.safe_room_bytes(Batch(count, tokens)), most), 1)
        flags = dict(deployment.flags)
        if not _generates(start.deployment):
            flags["prompt_cache_bytes"] = loaded.cache.bytes_of(Batch(held, tokens))
        return replace(deployment, max_num_seqs=held, flags=flags)

    # ---- the story -------------------------------------------------------------------------------------------------

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does a batch of full length run?

        Parameters
        ----------
        deployment : Deployment
            ``max_num_seqs`` requests of ``max_model_len`` tokens.
        architecture : Architecture
            The model in the precision of the deployment.
        accelerator : Accelerator
            The machine, with the share of its memory that macOS lends the GPU.

        Returns
        -------
        Fit
            Ledger, the batch that would fit, verdict.
        """
        start = self.start(deployment, architecture, accelerator)
        problem = self.problem(start)
        if problem is not None:
            return self.refused(start, problem)
        loaded, asked = _Loaded(self, start), start.deployment
        batch = Batch(asked.max_num_seqs or 1, asked.max_model_len or 1)
        rank = Rank(0, 0, loaded.lines(batch))
        free = rank.items[-1].bytes
        most_asked = 1 if _one_by_one(start) else _DECODED if asked.max_num_seqs is None else max(asked.max_num_seqs, _DECODED)
        most = largest(lambda count: loaded.free_bytes(Batch(count, batch.tokens)), most_asked)
        safe = largest(lambda count: loaded.safe_room_bytes(Batch(count, batch.tokens)), most) if most else 0
        longest = batch.tokens if most else largest(lambda tokens: loaded.free_bytes(Batch(1, tokens)), batch.tokens)
        tokens, cache = most * batch.tokens if most else longest, loaded.cache
        return Fit(
            deployment=asked,
            fits=free >= 0,
            reason=_reason(loaded, batch, -free, longest) if free < 0 else None,
            worst=0,
            kv_cache=KVCache(cache.token_bytes, cache.bounded_bytes(batch.tokens), STEP, -(-tokens // STEP), tokens),
            max_concurrency=float(most),
            low_concurrency=float(safe),
            free_bytes=free,
            budget_bytes=start.visible_bytes,
            account=Account(
                lambda: (rank,),
                lambda: _figures(rank.items, tokens, most, safe),
                lambda: (*self.warnings(start), *_told(start, architecture, loaded, batch)),
            ),
        )

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument; what only ``mlx_lm.generate`` takes is asked of that."""
        values = {name: value for name, value in printed_values(deployment).items() if name not in ("max_model_len", "tp", "pp", "kv_precision")}
        bits = _CACHE.fullmatch(deployment.kv_precision)
        values |= {"kv_bits": int(bits[1])} if bits else {}
        alone = _generates(deployment)
        for name in ("max_num_seqs", "prompt_concurrency", "max_num_batched_tokens", "prompt_cache_size", "prompt_cache_bytes") if alone else _ALONE:
            values.pop(name, None)
        if values.get("max_num_batched_tokens") == _PIECE:
            del values["max_num_batched_tokens"]
        _, words = words_for(values, self.id)
        return ["mlx_lm.generate" if alone else "mlx_lm.server", "--model", deployment.model, *words]


def _length_held(deployment: Deployment, architecture: Architecture, requests: int, longest: int) -> int:
    """Tokens of so many requests whose caches take what they may, no more than the longest. [tokens]"""
    held = deployment.flags.get("prompt_cache_bytes")
    if not isinstance(held, int) or not held:
        return longest
    cache = cache_of(architecture.layers, _own_form(architecture), element_bytes(architecture.dtype))
    return largest(lambda tokens: held - cache.bytes_of(Batch(requests, tokens)), longest) or longest


def _cache_word(words: str, architecture: Architecture) -> str:
    """The format of the cache by our word; it has the model's own type, or groups of few bits."""
    name = words.lower()
    match = _CACHE.fullmatch(name)
    if match:
        return f"mlx_{match[1]}bit"
    if name in ("auto", "", architecture.dtype) or (name in ("bf16", "fp16") and architecture.dtype in ("bf16", "fp16")):
        return "auto"
    raise FlagError("bad-flag-value", flag="--kv-precision", found=words[:40])


def _as_loaded(architecture: Architecture) -> Architecture:
    """In 16 bits where the checkpoint holds what MLX does not compute: FP8 (``sanitize`` of its models)."""
    strange = any(name not in _READ_AS_STORED and not re.match(r"int\d|i?q\d|tq\d", name) for name in weight_formats(architecture))
    return with_precision(architecture, "bf16") if strange else architecture


def _bits(start: Start) -> int | None:
    """Bits of a quantised cache; it stays as it is below a length."""
    match = _CACHE.fullmatch(start.deployment.kv_precision)
    first = start.whole("quantized_kv_start", _QUANTISED_FROM, MAX_TOKENS)
    return int(match[1]) if match and (start.deployment.max_model_len or 1) >= first else None


def _own_form(architecture: Architecture) -> CacheFormat:
    size = float(element_bytes(architecture.dtype))
    return CacheFormat("own", size, index_element_bytes=size, index_scale_bytes=0)


def _cache_form(start: Start) -> CacheFormat:
    bits, own = _bits(start), _own_form(start.architecture)
    if bits is None:
        return own
    return replace(own, id=f"mlx_{bits}bit", element_bytes=bits / 8 + 4 / start.whole("kv_group_size", _GROUP))


def _cache_problem(start: Start) -> Notice | None:
    """Why the cache cannot be as it is asked for: mlx_lm/models/cache.py and base.py raise for each of these."""
    if not _CACHE.fullmatch(start.deployment.kv_precision):
        return None
    architecture, group = start.architecture, start.whole("kv_group_size", _GROUP)
    if start.flag("max_kv_size") or any(mixer.windowed for mixer in architecture.mixers):
        return Notice("cache-of-windows-not-quantised")
    if architecture.mixers_of(LatentAttention):
        return Notice("cache-of-latents-not-quantised")
    if any(_sinks(mixer) or mixer.head_dim % group or mixer.v_head_dim % group for mixer in architecture.mixers_of(Attention)):
        return Notice("cache-of-heads-not-quantised", {"group": group})
    return None


def _sinks(mixer: Attention) -> bool:
    return any("sinks" in tensor.name for tensor in mixer.tensors)


def _generates(deployment: Deployment) -> bool:
    """Whether something is asked for that only ``mlx_lm.generate`` takes."""
    return bool(_CACHE.fullmatch(deployment.kv_precision) or any(name in deployment.flags for name in _ALONE))


def _one_by_one(start: Start) -> bool:
    """Whether requests wait for each other: without a server, or with a cache that cannot be merged (ChunkedKVCache)."""
    return _generates(start.deployment) or any(mixer.chunk for mixer in start.architecture.mixers_of(Attention))


class _Loaded:
    """The machine with the model loaded."""

    def __init__(self, engine: MLX, start: Start) -> None:
        self.start = start
        architecture, accelerator, asked = start.architecture, start.accelerator, start.deployment
        plain = not any(mixer.seen_tokens or mixer.state for mixer in architecture.mixers)
        cut = start.whole("max_kv_size", 0, MAX_TOKENS) if plain else 0
        self.cache: Cache = cache_of(architecture.layers, _cache_form(start), element_bytes(architecture.dtype), most_tokens=cut or None)
        self.prompts = Prompts(
            architecture,
            piece=asked.max_num_batched_tokens or _PIECE,
            at_once=1 if _one_by_one(start) else start.whole("prompt_concurrency", _PROMPTS),
            quantised_cache=_bits(start) is not None,
        )
        self.held_bytes = 0 if _generates(asked) else start.whole("prompt_cache_bytes", 0, MAX_BYTES)
        any_batch = replace(start, deployment=replace(asked, max_num_seqs=None, flags={}))  # weights are the same for any batch
        self.fixed: Sequence[Item] = (
            *engine.stage_weights(any_batch, engine.stages(start)[0]),
            *driver_reserved(accelerator),
            banded("device_context", _CONTEXT, section=Section.OUTSIDE, evidence=Evidence.ASSUMED),
            *system_memory(accelerator, asked),
            *models_beside(asked),
        )

    def moving(self, batch: Batch) -> tuple[Item, Item]:
        """Cache and widest moment of a batch."""
        cache = computed(
            "kv_cache_pool",
            grown_cache_bytes,
            section=Section.CACHE,
            sources=(_SOURCE + "mlx_lm/models/cache.py",),
            **self.cache.inputs(batch, self.held_bytes),
        )
        peak = computed(
            "activation_peak",
            prompt_peak_bytes,
            section=Section.ACTIVATION,
            band=_PEAK_SPREAD,
            sources=(_PEAK_BASIS.source,),
            **self.prompts.inputs(batch, self.cache),
        )
        return cache, peak

    def lines(self, batch: Batch) -> tuple[Item, ...]:
        """The ledger of a batch."""
        lines = (*self.fixed, *self.moving(batch))
        return (*lines, free_line(lines, self.start.device_total_bytes))

    def free_bytes(self, batch: Batch) -> int:
        """What is left, negative where it does not fit. [bytes]"""
        return self.lines(batch)[-1].bytes

    def safe_room_bytes(self, batch: Batch) -> int:
        """What is left when every line is at the upper end of its band, negative where that is too little. [bytes]"""
        return safe_room((*self.fixed, *self.moving(batch)), self.start.device_total_bytes)


def _told(start: Start, stored: Architecture, loaded: _Loaded, batch: Batch) -> list[Notice]:
    """What was dequantised, and what the server keeps where nobody bounds it."""
    told = []
    if start.architecture is not stored:
        told.append(Notice("dequantised-on-load", {"precision": weight_formats(stored)[0], "gpu": start.accelerator.id}))
    if loaded.held_bytes and (start.asked is None or start.asked.max_model_len is None):
        told.append(Notice("context-of-cache", {"requests": batch.requests, "tokens": batch.tokens}))
    if not _generates(start.deployment) and not loaded.held_bytes:
        kept = start.whole("prompt_cache_size", _KEPT)
        told += [Notice("kept-prompts", {"count": kept, "bytes": loaded.cache.bytes_of(Batch(kept, batch.tokens))})] if kept else []
    return told


def _reason(loaded: _Loaded, batch: Batch, short: int, longest: int) -> Notice:
    if batch.requests == 1 and longest:
        needed = loaded.cache.bytes_of(batch)
        return Notice(
            "context-too-long",
            {"max_model_len": batch.tokens, "needed_bytes": needed, "available_bytes": max(needed - short, 0), "longest_tokens": longest},
        )
    return Notice("out-of-memory", {"bytes": short, "pp_rank": 0})


def _figures(lines: Sequence[Item], tokens: int, most: int, safe: int) -> dict[str, Quantity]:
    return {
        "weights_bytes": combined(line for line in lines if line.id.startswith("weights")),
        "kv_cache_pool_bytes": combined(line for line in lines if line.id == "kv_cache_pool"),
        "activation_peak_bytes": combined(line for line in lines if line.id == "activation_peak"),
        "kv_cache_tokens": Quantity(float(tokens), tokens * 0.85, tokens * 1.15),
        "max_concurrency": Quantity(float(most), float(safe), most * 1.15),
    }


ENGINE = MLX()
