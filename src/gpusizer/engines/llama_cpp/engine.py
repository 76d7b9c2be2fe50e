"""llama.cpp: model, cache and compute buffers of each device, exactly the lines of its log; what it shrinks by itself; how it is launched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.engine import LayoutChoice, Start
from gpusizer.engines.base.host import host_refusal
from gpusizer.engines.base.launch_words import device_names, printed_values, words_for
from gpusizer.engines.base.ledger import free_line
from gpusizer.engines.base.margins import measured
from gpusizer.engines.base.placed import PlacedEngine, tightest
from gpusizer.engines.base.search import largest
from gpusizer.engines.base.types import NOTHING_ON_HOST, Account, Deployment, Fit, Layout, OnHost, Rank
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.llama_cpp.arrangement import Arrangement, fitted, keeps_target
from gpusizer.engines.llama_cpp.compute import least_offloaded_tokens
from gpusizer.engines.llama_cpp.host import host_lines
from gpusizer.engines.llama_cpp.ledger import RECIPE_ERROR, SOURCE, Card, cache_of, cards_of, figures_of, on_host, ranks_of, safe_room_bytes
from gpusizer.engines.llama_cpp.offload import fewest_on_host, is_placed, placing_flags
from gpusizer.engines.llama_cpp.options import ALL_LAYERS, Options, options_of
from gpusizer.engines.llama_cpp.placement import HOST
from gpusizer.errors import UnknownIdError
from gpusizer.facts.types import Accelerator

__all__ = ["ENGINE", "LlamaCpp"]

NEWEST_FORK = (4840,)  # ikawrakow/ik_llama.cpp@8337e4cd3 of 2026-08-15
NEWEST = (11550,)  # by 412 builds a month since b7900 of February 2026
_NOT_IN_GGUF = frozenset({"fp8", "fp8_block", "mxfp8", "int8", "int4", "int2"})
_MOST_SEQUENCES = 256  # LLAMA_MAX_SEQ


class LlamaCpp(PlacedEngine):
    """llama.cpp, builds 1500 to today, and the fork that caches latents by ``-mla``. ``pp`` counts GPUs that share layers, ``tp`` rows."""

    id: ClassVar[str] = "llama.cpp"
    newest: ClassVar[tuple[int, ...]] = NEWEST
    weight_error: ClassVar[float] = RECIPE_ERROR
    weight_sources: ClassVar[tuple[str, ...]] = (SOURCE + "src/llama-model.cpp, load_tensors",)
    most_devices: ClassVar[int | None] = 16  # llama_max_devices, GGML_CUDA_MAX_DEVICES
    offloads_by_itself: ClassVar[bool] = False

    # ---- what was started ------------------------------------------------------------------------------------------

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Number of the build ("b5192", "5192"); the newest known where none is given, of the fork its own."""
        if deployment.fork and not deployment.engine_version:
            return NEWEST_FORK
        return super().version_of(replace(deployment, engine_version=(deployment.engine_version or "").lstrip("b")))

    def options(self, deployment: Deployment) -> Options:
        """Its flags with the defaults of its build."""
        return options_of(deployment, self.version_of(deployment)[0])

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open; an open context is found by :meth:`fit`."""
        options = self.options(deployment)
        return replace(deployment, max_num_seqs=options.sequences, max_num_batched_tokens=options.micro_batch)

    def problem(self, start: Start) -> Notice | None:
        """Layers or rows over GPUs, no more of them than it knows; no data or expert parallelism."""
        layout, layers = start.layout, len(start.architecture.layers)
        for name, value in (("tp", layout.tp), ("pp", layout.pp), ("dp", layout.dp), ("ep", layout.ep), ("dcp", layout.dcp)):
            if value < 1:
                return Notice("layout-not-positive", {"name": name, "value": value})
            if value > 1 and name in ("dp", "ep", "dcp"):
                return Notice("layers-or-rows-only", {"name": name, "value": value})
        if self.most_devices is not None and layout.gpus > self.most_devices:
            return Notice("more-devices-than-engine", {"gpus": layout.gpus, "most": self.most_devices})
        if layout.tp > 1 and layout.pp > 1:
            return Notice("layers-or-rows-only", {"name": "tp", "value": layout.tp})
        if layout.pp > layers + 1:
            return Notice("pp-more-than-layers", {"pp": layout.pp, "layers": layers})
        return self.unknown_mixer(start.architecture)

    def layouts(self, architecture: Architecture, accelerator: Accelerator, gpus: int, *, across_nodes: bool = True) -> Iterator[LayoutChoice]:
        """Layers shared out over the GPUs, which is what it does by itself."""
        layout = Layout(pp=gpus)
        yield LayoutChoice(layout, self.layout_refusal(architecture, accelerator, layout))

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """As many sequences, each with its own cells, as fit on the safe side; at least one."""
        most = max(min(requests, _MOST_SEQUENCES), 1)
        model, _ = _as_gguf(architecture)

        def room(sequences: int) -> float:
            asked = self.asked(replace(deployment, max_num_seqs=sequences), model, accelerator)
            return self._room_bytes(asked, model, accelerator)

        return replace(deployment, max_num_seqs=max(largest(room, most), 1) if most > 1 else 1)

    def _room_bytes(self, deployment: Deployment, model: Architecture, accelerator: Accelerator) -> float:
        """What the tightest GPU has left on the safe side with everything on the GPUs, negative where the engine would send layers to the host."""
        start = self.start(deployment, model, accelerator)
        if self.problem(start) is not None:
            return -1
        cards = cards_of(self._devices(start), start.deployment)
        free = _free_bytes(start, cards)
        found = fitted(model, self.options(deployment), free, to_host=False)
        room = safe_room_bytes(start, found, cards)
        if room >= 0 and self._to_host(start) and not keeps_target(found, free):
            found = fitted(model, found.options, free, to_host=True, experts_first=self.experts_first(deployment))
            room = safe_room_bytes(start, found, cards)
        return -1 if room >= 0 and on_host(found) else room

    def offloaded(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment | None:
        """The start with as little on the host as will do: nothing, else experts of as few layers, else as few layers.

        Layers are shared out anew over several GPUs where the first ones lose their experts.
        """
        model, _ = _as_gguf(architecture)
        start = self.start(deployment, model, accelerator)
        options = self.options(deployment)
        if self.problem(start) is not None or is_placed(deployment.flags, options, len(model.layers)):
            return None
        cards = cards_of(self._devices(start), start.deployment)
        free = _free_bytes(start, cards)
        found = fitted(model, options, free, to_host=False)
        if safe_room_bytes(start, found, cards) >= 0:
            return deployment
        placed = self.start(replace(deployment, flags={**deployment.flags, "n_gpu_layers": 0}), model, accelerator)  # by hand: nothing is adrift
        chosen = None if accelerator.unified_memory else fewest_on_host(found, free, lambda each: safe_room_bytes(placed, each, cards))
        return None if chosen is None else replace(deployment, flags={**deployment.flags, **placing_flags(chosen, options)})

    def asked(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """A start as :meth:`fit` reads it, for engines that fill in more than llama.cpp does."""
        return deployment

    def experts_first(self, deployment: Deployment) -> bool:
        """What goes to the host by itself: routed experts before whole layers."""
        return True

    def maps_weights(self, start: Start) -> bool:
        """Whether weights on the host are pages of their file, which is so unless it is told otherwise."""
        return not start.flag("no_mmap")

    def short_of_host(self, start: Start) -> str:
        """What becomes of a start whose host has too little memory: weights that are mapped come from the disk again and again."""
        return "host-memory-too-small-mapped" if self.maps_weights(start) else "host-memory-too-small"

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
            return self.refused(start, problem)
        cards = cards_of(self._devices(start), start.deployment)
        free = _free_bytes(start, cards)
        found = fitted(architecture, options, free, to_host=self._to_host(start), experts_first=self.experts_first(deployment))
        ranks = ranks_of(start, found, cards) or (Rank(0, 0, (free_line((), accelerator.memory_bytes),)),)
        worst = tightest(ranks)
        short = -ranks[worst].items[-1].bytes
        host = cache(lambda: host_lines(start, found))
        full = Notice("out-of-memory", {"bytes": short, "pp_rank": worst}) if short > 0 else None
        reason = full or (None if deployment.host_memory_bytes is None else host_refusal(start, host(), self.short_of_host(start)))
        longest = deployment.max_model_len or min(found.cells.full, found.context)
        settled = {"ctx_size": found.cells.tokens, "kv_unified": found.options.unified}
        completed = replace(start.deployment, max_model_len=longest, flags={**deployment.flags, **settled})
        held = found.cells.tokens / max(completed.max_model_len or 1, 1)
        return Fit(
            deployment=completed,
            fits=reason is None,
            reason=reason,
            worst=worst,
            kv_cache=cache_of(found, worst if cards else HOST),
            max_concurrency=held,
            low_concurrency=held,
            free_bytes=-short,
            budget_bytes=free[0] if free else 0,
            account=Account(
                lambda: ranks,
                lambda: measured(start, figures_of(start, found, ranks if cards else ())),
                lambda: (*self.warnings(start), *converted, *_told(architecture, options, found)),
                host,
            ),
            host_mapped=self.maps_weights(start),
            on_host=_on_host(found),
        )

    def _to_host(self, start: Start) -> bool:
        """Whether the engine sends to the host by itself what does not fit."""
        return self.offloads_by_itself or str(start.flag("fit", "")).lower() in ("on", "true", "1")

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

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument; the context is that of all sequences together, several devices are named."""
        options, values = self.options(deployment), printed_values(deployment)
        for name in ("tp", "pp", "max_model_len", "kv_precision", "backend"):
            values.pop(name, None)
        if options.context:
            values["ctx_size"] = options.context
        if deployment.layout.gpus > 1 and "device" not in values:
            values["device"] = device_names(deployment.gpu, deployment.layout.gpus)
        if deployment.tp > 1:
            values.setdefault("split_mode", "row")
        if options.gpu_layers >= ALL_LAYERS and not options.fit:
            values["n_gpu_layers"] = 999  # before, none went to a GPU unless it was said
        if deployment.kv_precision != "auto":
            values = {"cache_type_k": _cache_word(deployment.kv_precision), "cache_type_v": _cache_word(deployment.kv_precision)} | values
        drafts = values.pop("speculative_tokens", None)
        _, words = words_for(values, self.id)
        return ["llama-server", "--model", _file_name(deployment), *words, *_draft_words(drafts, deployment)]


def _cache_word(precision: str) -> str:
    return {"fp16": "f16", "fp32": "f32"}.get(precision, precision)


def _draft_words(drafts: Any, deployment: Deployment) -> list[str]:
    """How many tokens are drafted, by layers of the checkpoint where no model of its own does so."""
    if not drafts:
        return []
    return [*([] if "model_draft" in deployment.flags else ["--spec-type", "draft-mtp"]), "--spec-draft-n-max", str(drafts)]


def _file_name(deployment: Deployment) -> str:
    """A GGUF file as it is, else the name that converters give it ("Qwen3-8B-Q4_K_M.gguf")."""
    if deployment.model.lower().endswith(".gguf"):
        return deployment.model
    recipe = "" if deployment.precision == "checkpoint" else f"-{deployment.precision.upper()}"
    return f"{deployment.model.rpartition('/')[2]}{recipe}.gguf"


def _free_bytes(start: Start, cards: Sequence[Card]) -> list[int]:
    """Memory of each GPU that the engine finds free and may use. [bytes]"""
    spared = int(start.flag("gpu_overhead", 0) or 0)
    return [card.free_bytes - spared for card in cards]


@once_per_architecture
def _as_gguf(architecture: Architecture) -> tuple[Architecture, tuple[Notice, ...]]:
    """The model as its converter writes it (remembered): what a GGUF file cannot hold becomes 16 bits."""
    foreign = [family for family in weight_formats(architecture) if family in _NOT_IN_GGUF]
    if not foreign:
        return architecture, ()
    return with_precision(architecture, "bf16"), (Notice("converted-to-gguf", {"precision": foreign[0]}),)


def _told(architecture: Architecture, options: Options, found: Arrangement) -> list[Notice]:
    """What lies on the host, and what the engine shrank."""
    told = []
    placement = found.placement
    hosted = placement.layer.count(HOST)
    if placement.devices and hosted:
        told.append(Notice("layers-on-host", {"layers": hosted, "total": len(architecture.layers)}))
    elif placement.devices and HOST in placement.experts:
        told.append(Notice("experts-on-host", {"layers": placement.experts.count(HOST)}))
    longest = architecture.max_position_embeddings
    if options.context is None and longest and found.cells.full < longest:
        told.append(Notice("context-fitted", {"context_tokens": found.cells.full, "longest_tokens": longest}))
    return told


def _on_host(found: Arrangement) -> OnHost:
    """What of the model the processor computes; all of it where no card is there says nothing of speed beside a card."""
    placement, options = found.placement, found.options
    kinds = placement.kinds
    kept = [
        (experts, kinds.routed[kind] is not None)
        for layer, experts, kind in zip(placement.layer, placement.experts, kinds.of, strict=True)
        if layer != HOST
    ]
    routed = [experts for experts, has_experts in kept if has_experts]
    if not placement.devices or (placement.all_offloaded and HOST not in routed):
        return NOTHING_ON_HOST
    return OnHost(
        layers=1 - len(kept) / len(placement.layer),
        experts=routed.count(HOST) / max(len(routed), 1),
        head=placement.output == HOST,
        moved_from_tokens=least_offloaded_tokens(options, kinds),
        handovers=routed.count(HOST),
    )


def _named(id: str, otherwise: Accelerator) -> Accelerator:
    from gpusizer.facts.catalog import accelerator

    if id == otherwise.id:
        return otherwise
    try:
        return accelerator(id)
    except UnknownIdError:
        return otherwise


ENGINE = LlamaCpp()
