"""What an engine answers, whatever its shape: is a start possible, what does a GPU hold, does it fit, how is it launched.

Two shapes stand on it, and an engine subclasses one of them:

* :class:`~gpusizer.engines.base.pooled.PooledEngine` sets a pool aside for the cache (vLLM, SGLang, TensorRT-LLM);
* :class:`~gpusizer.engines.base.placed.PlacedEngine` places a model and a cache of known length (llama.cpp, Transformers).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import LatentAttention, Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.added_weights import checkpoint_drafts
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.device_support import Support, device_support, layout_refusal
from gpusizer.engines.base.drafts import OwnDraft, own_method
from gpusizer.engines.base.knobs import Knobs
from gpusizer.engines.base.launch import CachePlan, LayoutChoice, Stage, StageResult, Start, stage_layers
from gpusizer.engines.base.layout_rules import dimensions, layout_problem
from gpusizer.engines.base.ledger import computed, free_line, weight_items
from gpusizer.engines.base.margins import owners_behind
from gpusizer.engines.base.recipe_band import recipe_line
from gpusizer.engines.base.serving import Node
from gpusizer.engines.base.types import Account, Deployment, Evidence, Fit, Inputs, Item, KVCache, Layout, Rank, Section
from gpusizer.engines.base.weights import Cut, layer_kinds, once_per_architecture, weight_table
from gpusizer.facts.margins import FEW_OWNERS
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.loaded import absorbed_latent_bytes, rope_table_bytes
from gpusizer.once import Remembered

__all__ = ["CachePlan", "Engine", "LayoutChoice", "Stage", "StageResult", "Start"]


@once_per_architecture
def _known_weights(architecture: Architecture) -> Remembered[tuple[object, ...], list[Item]]:
    """Weights of stages by what they depend on, for one architecture."""
    return Remembered(1024)


class Engine(ABC):
    """How one serving engine uses memory; the base holds what all have in common."""

    id: ClassVar[str] = ""
    newest: ClassVar[tuple[int, ...]] = (0,)
    stacked: ClassVar[bool] = False  # queries, keys and values are one parameter: keys that are the values take both places
    weight_error: ClassVar[float] = 0.01  # band of stored tensors after loading, as a share
    weight_sources: ClassVar[tuple[str, ...]] = ()
    # Kinds of mixers that it is known to run; None for an engine that takes a model's own code.
    mixers: ClassVar[frozenset[str] | None] = frozenset({"attention", "latent", "compressed", "linear", "state_space"})
    encoders: ClassVar[frozenset[str]] = frozenset()  # kinds of mixers of encoders that it is known to run beside them
    most_devices: ClassVar[int | None] = None  # GPUs that one replica may have, None for any number
    own_drafts: ClassVar[Mapping[str, tuple[OwnDraft, ...]]] = {}  # whose own draft layers it runs, by ``model_type``
    draft_heads: ClassVar[frozenset[str]] = frozenset()  # methods of drafts with a checkpoint of their own whose memory is counted
    shares_cut_experts: ClassVar[bool] = False  # fewer ranks may share the experts than there are: the rest cut them
    attention_dp_since: ClassVar[tuple[int, ...] | None] = None  # ranks of one replica may each hold requests of their own
    spelled: ClassVar[tuple[str, ...]] = ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "memory_fraction")  # defaults worth writing out
    knobs: ClassVar[Knobs] = Knobs(sequences=False)  # what a plan turns before it adds GPUs

    @property
    def declared(self) -> Declaration:
        """What its folder says of it."""
        return declaration(self.id)

    # ---- what an engine answers ------------------------------------------------------------------------------------

    @abstractmethod
    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Fill in every default that the operator left open."""

    def cut(self, start: Start) -> Cut:
        """How the weights of one rank are made."""
        layout = start.layout
        experts_tp = 1 if layout.ep > 1 else layout.tp * layout.dp
        return Cut(tp=layout.tp, experts_tp=experts_tp, ep=layout.ep, towers_tp=layout.tp, stacked=self.stacked)

    def padded_formats(self, start: Start) -> frozenset[str]:
        """Formats of routed experts that are padded to whole blocks, so that any cut will do."""
        return frozenset()

    def budget_bytes(self, start: Start) -> int:
        """What the engine allows itself of one GPU; the whole device unless it says otherwise. [bytes]"""
        return start.device_total_bytes

    @abstractmethod
    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say?

        Parameters
        ----------
        deployment : Deployment
            One start of this engine.
        architecture : Architecture
            The model in the precision of the deployment.
        accelerator : Accelerator
            The device.

        Returns
        -------
        Fit
            Ledger of each GPU that differs, cache, verdict with its reason, and the figures of the log with bands.
        """

    def support(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Support:
        """Whether this version runs the model's formats, its kinds of attention and the cache that is asked for on the device at all."""
        version = self.version_of(deployment)
        return device_support(self.id, architecture, accelerator, version=version, kv_precision=deployment.kv_precision)

    def judge(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start? What the engine does not run on the device is refused before memory is looked at; see :meth:`fit`."""
        support = self.support(deployment, architecture, accelerator)
        if support.refusal is not None:
            return self.refused(self.start(deployment, architecture, accelerator), support.refusal)
        found = self.fit(deployment, architecture, accelerator)
        said = tuple(each for each in support.notices if each not in found.warnings)
        return found.warned(*said)

    @abstractmethod
    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument."""

    def on_node(self, deployment: Deployment, node: Node) -> list[str] | None:
        """Further arguments on one of several servers that one replica spans; None where its own command starts no other server."""
        return None

    def spelled_out(self, launch: Deployment, fit: Fit) -> Deployment:
        """A start with every default written out that its prediction rests on, so that another version's default changes nothing."""
        return launch.changed(**{name: getattr(fit.deployment, name) for name in self.spelled})

    def options_file(self, deployment: Deployment) -> tuple[str, dict[str, object]] | None:
        """A file that the command reads, with what it holds; None where arguments say all."""
        return None

    @abstractmethod
    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """The start that serves so many requests, or as many as fit."""

    def offloaded(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment | None:
        """The start with as little on the host as will do on the safe side; None where none is known, or where the operator placed weights."""
        return None

    def rank_requests(self, deployment: Deployment) -> int | None:
        """Most requests that one attention-data-parallel rank runs at once; None where only the cache limits them. [requests]"""
        return deployment.max_num_seqs

    def in_role(self, deployment: Deployment, role: str) -> Deployment | None:
        """The same start as one of two kinds of workers, "prefill" or "decode"; None where the engine does not part them."""
        return None

    # ---- what all have in common -----------------------------------------------------------------------------------

    def own_draft(self, deployment: Deployment, architecture: Architecture) -> str | None:
        """Its word for drafting with the checkpoint's own layers, empty for the usual one; None where this version does not run them."""
        return own_method(self.own_drafts, architecture, self.version_of(deployment))

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Version as numbers; the newest known where none is given or none can be read."""
        numbers: list[int] = []
        for part in (deployment.engine_version or "").lstrip("v").split("."):
            digits = part[: len(part) - len(part.lstrip("0123456789"))]
            if not digits or len(digits) > 6:
                break
            numbers.append(int(digits))
            if len(digits) != len(part):
                break
        return tuple(numbers) if numbers else self.newest

    def start(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Start:
        """One start with every default filled in."""
        complete = self.complete(deployment, architecture, accelerator)
        return Start(complete, architecture, accelerator, self.version_of(complete), deployment)

    def stages(self, start: Start) -> tuple[Stage, ...]:
        """The pipeline stages of one replica."""
        given = start.flag("pp_layer_partition")
        partition = tuple(given) if isinstance(given, list | tuple) and all(isinstance(part, int) and part >= 0 for part in given) else None
        ranges = stage_layers(len(start.architecture.layers), start.layout.pp, partition)
        return tuple(Stage(index, layers, index == 0, index == len(ranges) - 1) for index, layers in enumerate(ranges))

    def unknown_mixer(self, architecture: Architecture) -> Notice | None:
        """The kind of layer that this engine is not known to run, None where it knows all."""
        known = architecture.mixer_kinds if self.mixers is None else self.mixers | self.encoders
        kind = next((kind for kind in architecture.mixer_kinds if kind not in known), None)
        return None if kind is None else Notice("mixer-not-known", {"kind": kind})

    def problem(self, start: Start) -> Notice | None:
        """Why this layout cannot be, None where it can."""
        stored = start.architecture.quantization
        return (
            self.unknown_mixer(start.architecture)
            or layout_problem(
                start.architecture,
                start.layout,
                redundant_experts=start.whole("num_redundant_experts", 0),
                padded_formats=self.padded_formats(start),
                cuts_shared=self.shares_cut_experts,
                own_blocks=not (stored.asked or stored.ends or start.deployment.similar_precision),
            )
            or layout_refusal(self.id, start.architecture, start.accelerator, start.layout, start.version)
        )

    def layouts(self, architecture: Architecture, accelerator: Accelerator, gpus: int, *, across_nodes: bool = True) -> Iterator[LayoutChoice]:
        """Every way to cut one replica over so many GPUs: tensor parallelism inside a node, pipeline stages beyond.

        Parameters
        ----------
        architecture : Architecture
            The model.
        accelerator : Accelerator
            The device.
        gpus : int
            GPUs of one replica.
        across_nodes : bool
            Pipeline stages may lie on different nodes.

        Yields
        ------
        LayoutChoice
            Legal ones first, the widest tensor-parallel cut first; then the others with their reason. Each is looked at when it is asked for.
        """
        node = accelerator.node_size
        illegal: list[LayoutChoice] = []
        for tp in range(min(gpus, node), 0, -1):
            if gpus % tp:
                continue
            pp = gpus // tp
            if pp > 1 and tp * pp > node and not across_nodes:
                continue
            layout = Layout(tp=tp, pp=pp)
            for each in self._expert_cuts(layout) if tp > 1 and dimensions(architecture).experts else (layout,):
                choice = LayoutChoice(each, self.layout_refusal(architecture, accelerator, each))
                if choice.reason is None:
                    yield choice
                else:
                    illegal.append(choice)
        yield from illegal

    def _expert_cuts(self, layout: Layout) -> Iterator[Layout]:
        """Experts cut by all ranks, shared out whole, or (where the engine can) shared out to groups of ranks that cut them."""
        yield layout
        yield replace(layout, ep=layout.tp)
        if self.shares_cut_experts:
            yield from (replace(layout, ep=ep) for ep in range(layout.tp // 2, 1, -1) if layout.tp % ep == 0)

    def attention_layouts(self, architecture: Architecture, accelerator: Accelerator, gpus: int, version: tuple[int, ...]) -> Iterator[Layout]:
        """Legal cuts whose ranks each hold requests of their own while all share the experts (attention data parallelism).

        Parameters
        ----------
        architecture : Architecture
            The model.
        accelerator : Accelerator
            The device.
        gpus : int
            GPUs of one replica; several servers may make it up.
        version : tuple of int
            Of the engine.

        Yields
        ------
        Layout
            Most ranks first; whole experts before experts that are cut.
        """
        if self.attention_dp_since is None or version < self.attention_dp_since or not dimensions(architecture).experts:
            return
        for tp in range(1, min(gpus // 2, accelerator.node_size) + 1):
            for each in (Layout(tp, 1, gpus // tp, gpus), Layout(tp, 1, gpus // tp)) if gpus % tp == 0 else ():
                if self.layout_refusal(architecture, accelerator, each) is None:
                    yield each

    def layout_refusal(self, architecture: Architecture, accelerator: Accelerator, layout: Layout) -> Notice | None:
        """Why this engine cannot lay the model out so, None where it can."""
        bare = Deployment(model="", gpu=accelerator.id, tp=layout.tp, pp=layout.pp, dp=layout.dp, ep=layout.ep, engine=self.id)
        return Start(bare, architecture, accelerator, self.newest).lasting(self.problem)

    def loads_towers(self, start: Start) -> bool:
        """Whether vision and audio towers are loaded, where the model has some."""
        return not start.flag("language_model_only")

    def weights(self, start: Start, stage: Stage) -> list[Item]:
        """Everything that stays on one GPU after loading: stored tensors, second copies, tables, draft layers."""
        architecture, cut = start.architecture, start.once(self.cut)
        table = weight_table(architecture)
        towers = self.loads_towers(start)
        groups = table.stage_bytes(stage.layers, cut, first=stage.first, last=stage.last, tied=architecture.tied_head, towers=towers)
        items = weight_items(groups, error=self.weight_error_of(start), evidence=self.weight_evidence(start), sources=self.weight_sources)
        items += recipe_line(architecture, stage, cut, counted_bytes=sum(groups.values()), towers=towers)
        return items + self.added_weights(start, stage, cut)

    def weights_depend_on(self, start: Start) -> tuple[object, ...] | None:
        """What the weights depend on beside version, layout, precision and drafts: starts that are alike in it share them; None shares nothing."""
        return None

    def stage_weights(self, start: Start, stage: Stage) -> list[Item]:
        """What :meth:`weights` gives, shared by starts that are alike in all that weights depend on."""
        device, asked = self.weights_depend_on(start), start.deployment
        if device is None or asked.flags or asked.similar_precision:
            return self.weights(start, stage)
        kinds = layer_kinds(start.architecture)
        rest = (start.version, asked.layout, asked.precision, asked.speculative_tokens, stage.first, stage.last)
        known, key = _known_weights(start.architecture), (self.id, device, rest, *kinds[stage.layers.start : stage.layers.stop])
        return known.once(key, lambda: self.weights(start, stage))

    def weight_error_of(self, start: Start) -> float:
        """Band of stored tensors after loading, as a share; a class figure unless the engine tells formats apart."""
        return self.weight_error

    def weight_evidence(self, start: Start) -> Evidence | None:
        """How surely the stored tensors are known; None for what the band says."""
        return None

    def added_weights(self, start: Start, stage: Stage, cut: Cut) -> list[Item]:
        """What loading adds to the stored tensors; by default the draft layers of the checkpoint."""
        if not stage.last or not start.deployment.speculative_tokens or not start.architecture.mtp:
            return []
        return checkpoint_drafts(start.architecture, cut)

    def absorbed_latent(self, start: Start, stage: Stage, element_bytes: float = 2) -> list[Item]:
        """Second copies of latent projections on one GPU, for engines that keep them."""
        counts: dict[tuple[int, int, int, int], int] = {}
        for index in stage.layers:
            for mixer in start.architecture.layers[index].mixers_of(LatentAttention):
                shape = (mixer.heads, mixer.qk_nope_head_dim, mixer.v_head_dim, mixer.kv_lora_rank)
                counts[shape] = counts.get(shape, 0) + 1
        items = []
        for (heads, nope, value, rank), layers in counts.items():
            inputs: Inputs = {
                "layers": layers,
                "heads": heads,
                "qk_nope_head_dim": nope,
                "v_head_dim": value,
                "kv_lora_rank": rank,
                "element_bytes": element_bytes,
                "tp": start.layout.tp,
            }
            items.append(computed("weights_absorbed", absorbed_latent_bytes, section=Section.WEIGHTS, sources=self.weight_sources, **inputs))
        return items

    def rope_tables(self, start: Start, stage: Stage, element_bytes: int = 2) -> list[Item]:
        """Tables of rotary positions on one GPU, once for each distinct rotated width."""
        widths = set()
        for index in stage.layers:
            for mixer in start.architecture.layers[index].mixers:
                width = mixer.rotary_width
                if width:
                    widths.add((width, mixer.windowed))
        positions = start.architecture.max_position_embeddings or 0
        rotated = sum(width for width, _ in widths)
        if not positions or not rotated:
            return []
        inputs: Inputs = {"positions": positions, "rotary_dim": rotated, "element_bytes": element_bytes}
        return [computed("weights_tables", rope_table_bytes, section=Section.WEIGHTS, sources=self.weight_sources, **inputs)]

    def warnings(self, start: Start) -> tuple[Notice, ...]:
        """What a reader of the answer must know."""
        found = list(start.architecture.warnings)
        node = start.accelerator.devices_per_node
        if node and start.layout.tp > node:
            found.append(Notice("tp-across-nodes", {"tp": start.layout.tp, "devices_per_node": node}))
        owners = owners_behind(start)
        if owners < FEW_OWNERS:
            found.append(Notice("few-measurements", {"owners": owners}))
        return tuple(found)

    def refused(self, start: Start, reason: Notice) -> Fit:
        """The answer for a start that cannot be: an empty device."""
        rest = free_line((), start.device_total_bytes)
        return Fit(
            deployment=start.deployment,
            fits=False,
            reason=reason,
            worst=0,
            kv_cache=KVCache(0, 0, 0, 0, 0),
            max_concurrency=0.0,
            low_concurrency=0.0,
            free_bytes=rest.bytes,
            budget_bytes=self.budget_bytes(start),
            account=Account(lambda: (Rank(0, 0, (rest,)),), dict, lambda: self.warnings(start)),
        )
