"""llama.cpp: model, cache and compute buffers of each device, exactly the lines of its log; what it shrinks by itself; how it is launched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.device import driver_reserved
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.engine import Engine, LayoutChoice, Start
from gpusizer.engines.base.launch_words import device_names, printed_values, words_for
from gpusizer.engines.base.ledger import combined, item, total_bytes, weight_items
from gpusizer.engines.base.types import Deployment, Evidence, Fit, Item, KVCache, Layout, Quantity, Rank
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.engines.llama_cpp.arrangement import Arrangement, fitted
from gpusizer.engines.llama_cpp.options import ALL_LAYERS, Options, options_of
from gpusizer.engines.llama_cpp.placement import HOST
from gpusizer.errors import UnknownIdError
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.budget import free_bytes
from gpusizer.units import KiB, MiB

__all__ = ["ENGINE", "LlamaCpp"]

NEWEST = (11550,)  # by 412 builds a month since b7900 of February 2026
_SOURCE = "ggml-org/llama.cpp@0c1e57098: "
# CUDA context, kernels and cuBLAS: the log's "unaccounted" is 150 to 500 MiB on an idle card.
_CONTEXT_BYTES = (150 * MiB, 300 * MiB, 550 * MiB)
_NOT_IN_GGUF = frozenset({"fp8", "mxfp8", "int8", "int4", "int2"})
_MOST_SEQUENCES = 256  # LLAMA_MAX_SEQ
_PRINTED_BYTES = 64 * KiB  # a log prints 0.01 MiB, and a quantised cache ends in up to 0.03 MiB of padding on a card
# Bands, as shares: stored tensors of an exact recipe and of a similar one; compute buffers as scripts/calibrate_llama_cpp.py prints them.
_RECIPE_ERROR, _SIMILAR_ERROR = 0.02, 0.15
_COMPUTE_BELOW, _COMPUTE_ABOVE = 0.13, 0.15
_GUESTS_BELOW, _GUESTS_ABOVE = 0.45, 0.25


class LlamaCpp(Engine):
    """llama.cpp, builds 1500 to today, and the fork that caches latents by ``-mla``. ``pp`` counts GPUs that share layers, ``tp`` rows."""

    id: ClassVar[str] = "llama.cpp"
    newest: ClassVar[tuple[int, ...]] = NEWEST
    weight_error: ClassVar[float] = _RECIPE_ERROR
    weight_sources: ClassVar[tuple[str, ...]] = (_SOURCE + "src/llama-model.cpp, load_tensors",)
    offloads_by_itself: ClassVar[bool] = False

    # ---- what was started ------------------------------------------------------------------------------------------

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Number of the build ("b5192", "5192"); the newest known where none is given."""
        return super().version_of(replace(deployment, engine_version=(deployment.engine_version or "").lstrip("b")))

    def options(self, deployment: Deployment) -> Options:
        """Its flags with the defaults of its build."""
        return options_of(deployment, self.version_of(deployment)[0])

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open; an open context is found by :meth:`fit`."""
        options = self.options(deployment)
        return replace(deployment, max_num_seqs=options.sequences, max_num_batched_tokens=options.micro_batch)

    def problem(self, start: Start) -> Notice | None:
        """Layers or rows over GPUs: any number of them, but no data or expert parallelism."""
        layout, layers = start.layout, len(start.architecture.layers)
        for name, value in (("tp", layout.tp), ("pp", layout.pp), ("dp", layout.dp), ("ep", layout.ep), ("dcp", layout.dcp)):
            if value < 1:
                return Notice("layout-not-positive", {"name": name, "value": value})
            if value > 1 and name in ("dp", "ep", "dcp"):
                return Notice("layers-or-rows-only", {"name": name, "value": value})
        if layout.tp > 1 and layout.pp > 1:
            return Notice("layers-or-rows-only", {"name": "tp", "value": layout.tp})
        if layout.pp > layers + 1:
            return Notice("pp-more-than-layers", {"pp": layout.pp, "layers": layers})
        return None

    def layouts(self, architecture: Architecture, accelerator: Accelerator, gpus: int, *, across_nodes: bool = True) -> tuple[LayoutChoice, ...]:
        """Layers shared out over the GPUs, which is what it does by itself."""
        layout = Layout(pp=gpus)
        return (LayoutChoice(layout, self._layout_problem(architecture, accelerator, layout)),)

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """As many sequences, each with its own cells, as fit on the safe side; at least one."""
        low, high = 1, max(min(requests, _MOST_SEQUENCES), 1)
        while low < high:
            middle = (low + high + 1) // 2
            fit = self.fit(replace(deployment, max_num_seqs=middle), architecture, accelerator)
            fits = fit.fits and all(_safely_free(rank) for rank in fit.ranks) and not _on_host(fit)
            low, high = (middle, high) if fits else (low, middle - 1)
        return replace(deployment, max_num_seqs=low)

    def experts_first(self, deployment: Deployment) -> bool:
        """What goes to the host by itself: routed experts before whole layers."""
        return True

    # ---- the story -------------------------------------------------------------------------------------------------

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say?

        Parameters
        ----------
        deployment : Deployment
            One start.
        architecture : Architecture
            The model in the precision of the deployment.
        accelerator : Accelerator
            The device; ``devices`` among the flags names unequal ones.

        Returns
        -------
        Fit
            Ledger of every GPU, cache, verdict, and the buffers of the log.
        """
        options = self.options(deployment)
        architecture, converted = _as_gguf(architecture)
        start = self.start(deployment, architecture, accelerator)
        problem = self.problem(start)
        if problem is not None:
            return self._refused(start, problem)
        devices = self._devices(start)
        spared = int(start.flag("gpu_overhead", 0) or 0)
        free = [device.memory_bytes - sum(line.bytes for line in self._outside(device)) - spared for device in devices]
        to_host = self.offloads_by_itself or str(start.flag("fit", "")).lower() in ("on", "true", "1")
        found = fitted(architecture, options, free, to_host=to_host, experts_first=self.experts_first(deployment))
        items = {number: self._items(start, found, number) for number in range(len(devices))}
        ranks = tuple(self._closed(number, device, items[number]) for number, device in enumerate(devices))
        ranks = ranks or (Rank(0, 0, (item("free", accelerator.memory_bytes),)),)
        worst = min(range(len(ranks)), key=lambda number: ranks[number].items[-1].bytes)
        short = -ranks[worst].items[-1].bytes
        reason = Notice("out-of-memory", {"bytes": short, "pp_rank": worst}) if short > 0 else None
        longest = deployment.max_model_len or min(found.cells.full, found.context)
        settled = {"ctx_size": found.cells.tokens, "kv_unified": found.options.unified}
        completed = replace(start.deployment, max_model_len=longest, flags={**deployment.flags, **settled})
        return Fit(
            deployment=completed,
            fits=reason is None,
            reason=reason,
            ranks=ranks,
            worst=worst,
            kv_cache=self._cache(architecture, found, worst if devices else HOST),
            max_concurrency=found.cells.tokens / max(completed.max_model_len or 1, 1),
            quantities=self._figures(start, found, items),
            budget_bytes=free[0] if free else 0,
            warnings=(*self.warnings(start), *converted, *self._told(architecture, options, found)),
        )

    def _devices(self, start: Start) -> tuple[Accelerator, ...]:
        """The GPUs of this start; unequal ones by their ids, with the memory that was told."""
        if str(start.flag("device", "")).lower() == "none":
            return ()
        count = start.layout.gpus
        ids, sizes = start.deployment.devices, start.deployment.device_memory_bytes
        found = []
        for number in range(count):
            device = start.accelerator
            if number < len(ids):
                device = _named(ids[number], device)
            if number < len(sizes) and sizes[number] != device.memory_bytes:
                device = replace(device, memory_bytes=sizes[number], torch_total_bytes=None)
            found.append(device)
        return tuple(found)

    def _outside(self, device: Accelerator) -> list[Item]:
        low, value, high = _CONTEXT_BYTES
        context = item("device_context", value, low=low, high=high, evidence=Evidence.ASSUMED)
        return [*driver_reserved(device), context]

    def _items(self, start: Start, found: Arrangement, number: int) -> list[Item]:
        """Weights, cache and compute buffer of one GPU."""
        error = _SIMILAR_ERROR if start.deployment.similar_precision else _RECIPE_ERROR
        evidence = Evidence.EXACT if error <= _RECIPE_ERROR else Evidence.ASSUMED
        drift = _layers_adrift(start, found, number)
        error += drift
        lines = weight_items(found.weights[number], error=error, evidence=evidence, sources=self.weight_sources)
        if number == 0:
            lines += self._extra_weights(start, found)
        kv, state = found.cache_bytes(number)
        cells = {"cells": found.cells.full, "streams": found.cells.streams}
        source = (_SOURCE + "src/llama-kv-cache.cpp",)
        if kv:
            spread = _PRINTED_BYTES + drift * kv
            lines.append(
                item(
                    "kv_cache_pool",
                    kv,
                    low=kv - spread,
                    high=kv + spread,
                    formula="memory.llama_cpp.kv_buffer",
                    inputs=cells,
                    sources=source,
                )
            )
        if state:
            inputs = {"sequences": found.options.sequences}
            lines.append(item("state_pool", state, formula="memory.llama_cpp.sequence_state", inputs=inputs, sources=source))
        phases = found.phases[number]
        size, below, above = _compute_band(found, number)
        lines.append(
            item(
                "compute_buffer",
                size,
                low=below,
                high=above,
                formula="memory.llama_cpp.compute_buffer",
                inputs=phases.inputs,
                sources=(_SOURCE + "ggml/src/ggml-alloc.c",),
                evidence=Evidence.CALIBRATED,
            )
        )
        return lines

    def _extra_weights(self, start: Start, found: Arrangement) -> list[Item]:
        """A projector file and draft layers, both on the first GPU."""
        lines = []
        table, whole = weight_table(start.architecture), Cut(vocabulary_multiple=1)
        if found.options.projector:
            towers = table.stage_bytes(range(0), whole, first=True, last=False, tied=False).get("vision", 0)
            lines += weight_items({"vision": towers}, error=_RECIPE_ERROR, evidence=Evidence.EXACT)
        if start.deployment.speculative_tokens and start.architecture.mtp:
            size = table.draft_bytes(whole)
            inputs = {"layers": len(start.architecture.mtp)}
            lines.append(item("weights_draft", size, low=size * 0.97, high=size * 1.1, inputs=inputs))
        return lines

    def _closed(self, number: int, device: Accelerator, items: Sequence[Item]) -> Rank:
        lines = (*items, *self._outside(device))
        inputs = {"device_total_bytes": device.memory_bytes, "used_bytes": total_bytes(lines)}
        free = item("free", free_bytes(**inputs), formula="memory.budget.free", inputs=inputs, evidence=Evidence.CALIBRATED)
        return Rank(number, 0, (*lines, free))

    def _cache(self, architecture: Architecture, found: Arrangement, device: int) -> KVCache:
        kv, state = found.cache_bytes(device)
        tokens = found.cells.tokens
        padding = found.options.padding
        return KVCache(kv // max(tokens, 1), state // max(found.options.sequences, 1), padding, tokens // padding, tokens)

    def _figures(self, start: Start, found: Arrangement, items: Mapping[int, Sequence[Item]]) -> dict[str, Quantity]:
        """Buffers as the log prints them: all caches together, the GPUs' model buffers together, the first GPU's compute buffer."""
        everywhere = (HOST, *range(found.placement.devices))
        kv = float(sum(found.cache_bytes(device)[0] for device in everywhere))
        state = float(sum(found.cache_bytes(device)[1] for device in everywhere))
        tokens = float(found.cells.tokens)
        compute = Quantity(*map(float, _compute_band(found, 0 if found.placement.devices else HOST)))
        figures = {
            "kv_buffer_bytes": Quantity(kv, kv - _PRINTED_BYTES, kv + _PRINTED_BYTES),
            "kv_cache_tokens": Quantity(tokens, tokens, tokens),
            "compute_buffer_bytes": compute,
        }
        if state:
            figures["state_buffer_bytes"] = Quantity(state, state, state)
        if not items:
            return figures
        weights = [[line for line in lines if line.id.startswith("weights") and line.id != "weights_towers"] for lines in items.values()]
        figures["weights_bytes"] = combined(weights[0])
        figures["model_buffer_bytes"] = self._all_weights(start, found, weights)
        figures["kv_cache_pool_bytes"] = combined(line for line in items[0] if line.id in ("kv_cache_pool", "state_pool"))
        return figures

    def _all_weights(self, start: Start, found: Arrangement, weights: Sequence[Sequence[Item]]) -> Quantity:
        """Model buffers of all GPUs: what one holds too much the next has too little, unless the engine sent layers to the host by itself."""
        size = float(sum(total_bytes(lines) for lines in weights))
        error = _SIMILAR_ERROR if start.deployment.similar_precision else _RECIPE_ERROR
        error += _layers_adrift(start, found, 0) if HOST in found.placement.layer else 0.0
        return Quantity(size, size * (1 - error), size * (1 + error))

    def _told(self, architecture: Architecture, options: Options, found: Arrangement) -> list[Notice]:
        """What lies on the host, and what the engine shrank."""
        told = []
        layers = len(architecture.layers)
        placement = found.placement
        hosted = placement.layer.count(HOST)
        if placement.devices and hosted:
            told.append(Notice("layers-on-host", {"layers": hosted, "total": layers}))
        elif placement.devices and HOST in placement.experts:
            told.append(Notice("experts-on-host", {"layers": placement.experts.count(HOST)}))
        longest = architecture.max_position_embeddings
        if options.context is None and longest and found.cells.full < longest:
            told.append(Notice("context-fitted", {"context_tokens": found.cells.full, "longest_tokens": longest}))
        return told

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument; the context is that of all sequences together, several devices are named."""
        options, values = self.options(deployment), printed_values(deployment)
        for name in ("tp", "pp", "max_model_len", "kv_precision"):
            values.pop(name, None)
        if options.context:
            values["ctx_size"] = options.context
        if deployment.layout.gpus > 1 and "device" not in values:
            values["device"] = device_names(deployment.gpu, deployment.layout.gpus)
        if deployment.tp > 1:
            values["split_mode"] = "row"
        if options.gpu_layers >= ALL_LAYERS and not options.fit:
            values["n_gpu_layers"] = 999  # before, none went to a GPU unless it was said
        if deployment.kv_precision != "auto":
            values = {"cache_type_k": _cache_word(deployment.kv_precision), "cache_type_v": _cache_word(deployment.kv_precision)} | values
        _, words = words_for(values, self.id)
        return ["llama-server", "--model", _file_name(deployment), *words]


def _cache_word(precision: str) -> str:
    return {"fp16": "f16", "fp32": "f32"}.get(precision, precision)


def _file_name(deployment: Deployment) -> str:
    """A GGUF file as it is, else the name that converters give it ("Qwen3-8B-Q4_K_M.gguf")."""
    if deployment.model.lower().endswith(".gguf"):
        return deployment.model
    recipe = "" if deployment.precision == "checkpoint" else f"-{deployment.precision.upper()}"
    return f"{deployment.model.rpartition('/')[2]}{recipe}.gguf"


def _safely_free(rank: Rank) -> bool:
    """Whether a GPU has room even where its lines end up high."""
    lines = combined(line for line in rank.items if line.id != "free")
    return rank.items[-1].bytes >= lines.high - lines.value


def _on_host(fit: Fit) -> bool:
    return any(notice.code in ("layers-on-host", "experts-on-host") for notice in fit.warnings)


def _as_gguf(architecture: Architecture) -> tuple[Architecture, list[Notice]]:
    """The model as its converter writes it: what a GGUF file cannot hold becomes 16 bits."""
    foreign = [family for family in weight_formats(architecture) if family in _NOT_IN_GGUF]
    if not foreign:
        return architecture, []
    return with_precision(architecture, "bf16"), [Notice("converted-to-gguf", {"precision": foreign[0]})]


def _layers_adrift(start: Start, found: Arrangement, number: int) -> float:
    """Share of a GPU that a layer more or less makes up, where free memory (not the operator) decides how many it holds."""
    layers = max(len(found.placement.holds_layers(number)), 1)
    if HOST in found.placement.layer and "n_gpu_layers" not in start.deployment.flags:
        return 2 / layers
    return 1 / layers if found.placement.devices > 1 and not found.options.by_rows else 0.0


def _compute_band(found: Arrangement, number: int) -> tuple[int, float, float]:
    """Compute buffer with its band; where a GPU works for the host, what it copies is less certain. [bytes]"""
    size = found.phases[number].compute_bytes
    guests = number == 0 and (HOST in found.placement.layer or HOST in found.placement.experts)
    below, above = (_GUESTS_BELOW, _GUESTS_ABOVE) if guests else (_COMPUTE_BELOW, _COMPUTE_ABOVE)
    return size, size * (1 - below), size * (1 + above)


def _named(id: str, otherwise: Accelerator) -> Accelerator:
    from gpusizer.facts.catalog import accelerator

    if id == otherwise.id:
        return otherwise
    try:
        return accelerator(id)
    except UnknownIdError:
        return otherwise


ENGINE = LlamaCpp()
