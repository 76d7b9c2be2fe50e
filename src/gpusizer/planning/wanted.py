"""What is looked for, and what a layout comes to: plain data that every search shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.device_support import Support, convert_first
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.types import Deployment, Fit, Layout
from gpusizer.facts.types import Accelerator
from gpusizer.planning.companions import Placed, Stack
from gpusizer.planning.drafts import Drafts, draft_flags
from gpusizer.planning.need import Need
from gpusizer.planning.request import Request
from gpusizer.planning.types import FITS, Rejected

__all__ = ["Candidate", "Search", "Tried"]


@dataclass(frozen=True)
class Search:
    """What is looked for: limits, load, who serves, and the model in one precision.

    Parameters
    ----------
    request : Request
        Limits; one engine and one precision.
    need : Need
        The load with every part filled in.
    engine : Engine
        Who serves.
    stored, architecture : Architecture
        The model as its checkpoint stores it, and in the precision that is wanted.
    drafts : Drafts or None
        What each step drafts.
    usual : bool
        Only replicas that somebody runs: no more servers than a few where no fabric joins them.
    converted : bool
        The device does not run the published weights: they are made into this precision first.
    stacks : mapping of str to Stack
        By device: the models beside this one, and where they lie.
    """

    request: Request
    need: Need
    engine: Engine
    stored: Architecture
    architecture: Architecture
    drafts: Drafts | None = None
    converted: bool = False
    usual: bool = False
    stacks: Mapping[str, Stack] = field(default_factory=dict)

    @cached_property
    def bare(self) -> Deployment:
        """A start of this engine in the version that is asked for, with nothing else said."""
        return Deployment(self.request.model, "", engine=self.engine.id, engine_version=self.request.engine_version)

    @cached_property
    def draft_fields(self) -> Mapping[str, Any]:
        """What a start says of its drafts."""
        if self.drafts is None:
            return {}
        return {"speculative_tokens": self.drafts.tokens, "flags": draft_flags(self.drafts, self.engine, self.bare, self.architecture)}

    @cached_property
    def weights_bytes(self) -> int:
        """Stored tensors of the model: fewer GPUs than hold them are not tried. [bytes]"""
        return checkpoint_bytes(self.architecture, mtp=False)

    @property
    def most_gpus(self) -> int | None:
        """GPUs that one replica may have: what is allowed and what the engine takes; None where neither says."""
        return min((most for most in (self.request.max_gpus, self.engine.most_devices) if most is not None), default=None)

    def support(self, accelerator: Accelerator, kv_precision: str | None = None) -> Support:
        """Whether a device runs the engine, the formats, the kinds of attention and a cache: the one that is asked for where none is named."""
        asked = self.bare.changed(kv_precision=kv_precision or self.request.kv_precision)
        found = self.engine.support(asked, self.architecture, accelerator)
        return replace(found, tier=found.tier + 1) if self.converted else found

    def beside_bytes(self, accelerator: Accelerator, layout: Layout) -> int:
        """What other models hold of the fullest GPU of a replica. [bytes]"""
        stack = self.stacks.get(accelerator.id)
        return 0 if stack is None else stack.beside_bytes(layout.gpus)

    def reserve(self, accelerator: Accelerator) -> dict[str, int]:
        """What every candidate takes beside the replicas that the load needs: replicas in reserve, and GPUs of other models."""
        stack = self.stacks.get(accelerator.id)
        return {"spare": self.request.spare, "own": 0 if stack is None else stack.own_gpus}

    def companions(self, accelerator: Accelerator, best: Candidate) -> tuple[Placed, ...]:
        """The models beside a candidate, each on its GPU."""
        stack = self.stacks.get(accelerator.id)
        return () if stack is None else stack.on_gpus(best.layout.gpus, best.gpus - best.own)

    def notices(self, accelerator: Accelerator) -> tuple[Notice, ...]:
        """What is said of every option: the precision is that of another checkpoint, made with the tool for the device."""
        other = convert_first(self.engine.id, self.stored, accelerator, self.request.precision)
        return () if other is None else (other,)


class Tried(NamedTuple):
    """What a layout, or a size, comes to: what holds the load on the safe side, what does by the middle with fewer GPUs, and why nothing does."""

    safe: Candidate | None
    tight: Candidate | None
    rejected: Rejected | None

    @property
    def answer(self) -> Candidate | Rejected:
        """The one that is sure, or the reason."""
        found = self.safe or self.rejected
        assert found is not None  # one of them is said
        return found


@dataclass(frozen=True)
class Candidate:
    """One layout that starts, with the requests that it holds, the replicas that hold the load, and GPUs of workers beside it.

    ``verdict`` is "fits" where it does on the safe side of the estimate, "tight" where it does by the middle; ``knobs`` are the settings that were
    turned for it; ``plain`` is the start without them, where that starts as well; ``spare`` counts replicas in reserve, ``own`` GPUs of other models.
    """

    layout: Layout
    launch: Deployment
    fit: Fit
    held: int
    held_low: int
    replicas: int
    beside: int = 0
    verdict: str = FITS
    knobs: tuple[Notice, ...] = ()
    plain: Candidate | None = None
    spare: int = 0
    own: int = 0

    @property
    def gpus(self) -> int:
        """GPUs of all replicas, those in reserve among them, and those beside."""
        return self.layout.gpus * (self.replicas + self.spare) + self.beside + self.own
