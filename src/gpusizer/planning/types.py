"""What a plan is: options that hold the load, what was rejected and why, and the figures of the model. Plain data, no words."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.types import Deployment, Fit, Layout
from gpusizer.facts.types import Accelerator, Converted, ServiceFloor
from gpusizer.formulas.load import cost_per_million_tokens, energy_per_million_tokens_kwh
from gpusizer.planning.companions import OWN, Placed
from gpusizer.planning.drafts import Drafts
from gpusizer.planning.model import Model
from gpusizer.planning.need import Need
from gpusizer.planning.request import Request, alternatives
from gpusizer.planning.service import below_floor

if TYPE_CHECKING:
    from gpusizer.article.answer import ArticleResult
    from gpusizer.article.model_figures import ModelFigures
    from gpusizer.performance.types import Performance
    from gpusizer.planning.finalists import Simulated
    from gpusizer.planning.named import NamedLine
    from gpusizer.planning.nearest import Nearest
    from gpusizer.planning.option_speeds import OptionSpeeds
    from gpusizer.planning.sensitivity import Sensitivity

__all__ = ["FITS", "TIGHT", "Cost", "Found", "Option", "Plan", "PrefillWorkers", "Rejected", "Undrafted"]

FITS, TIGHT = "fits", "tight"
"""Verdicts of an option: it holds the load on the safe side of the estimate, or by its middle only."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a deployment costs: a range of prices times the GPUs that are paid for; ``per`` is "hour" (rent) or "deployment" (purchase)."""

    amount: Decimal
    high: Decimal
    currency: str
    per: str
    kind: str  # "on-demand", "spot", "rent-3-years" ...: different kinds are not compared
    date: str
    source: str
    converted: Converted | None = None  # what it was in the currency of its source
    market: str | None = None  # the only country that it holds in


@dataclass(frozen=True, slots=True)
class Undrafted:
    """The best that was found without drafts, where drafts were taken by themselves: None where nothing kept the targets."""

    gpus: int
    tpot_s: float


@dataclass(frozen=True, slots=True)
class PrefillWorkers:
    """Workers that only compute prompts: how one of them is started, what its memory holds, and how many there are."""

    launch: Deployment
    fit: Fit
    workers: int

    @property
    def gpus(self) -> int:
        """GPUs of all of them."""
        return self.launch.layout.gpus * self.workers


@dataclass(frozen=True, repr=False)
class Option:
    """One deployment that holds the load.

    Parameters
    ----------
    rank : int
        1 is the answer.
    accelerator : Accelerator
        The device.
    gpus, gpus_to_order : int
        GPUs that work, and GPUs that must be bought where the part is sold in whole servers only; 0 where they are there already.
    nodes, replicas : int
        Servers, and copies of the engine.
    layout : Layout
        How one replica is cut.
    architecture : Architecture
        The model in the precision that is loaded.
    launch : Deployment
        The start that is proposed: only what differs from the engine's defaults.
    fit : Fit
        Memory of one replica with every default filled in.
    held_requests, held_requests_low : int
        Requests of full length that the whole deployment holds, and on the safe side of the band.
    cost, purchase : Cost or None
        Rent per hour, and purchase.
    notices : tuple of Notice
        What must be said about this option.
    tier : int
        0 where engine and precision are known to run natively on this device; higher where less is.
    assumed : bool
        Overheads or speed were never measured on a device of its kind.
    verdict : str
        "fits", or "tight" where the load is held by the middle of the estimate and not on the safe side.
    knobs : tuple of Notice
        Settings that were turned before GPUs were added, words under "knob".
    speeds : OptionSpeeds
        Times and rates, worked out when they are asked for.
    simulated : Simulated or None
        What a simulation says, where the first options were run.
    drafts : Drafts or None
        What each step drafts.
    undrafted : Undrafted or None
        The best without drafts, where they were taken by themselves.
    floor : ServiceFloor or None
        What is marked as slow; None marks nothing.
    spare_replicas : int
        Replicas in reserve: they are among ``gpus`` and hold no load, so that the others keep it where one is lost.
    companions : tuple of Placed
        Models beside this one, each on its GPU.
    prefill : PrefillWorkers or None
        Workers beside the replicas that only compute prompts; ``layout``, ``launch`` and ``replicas`` are then of those that decode.
    """

    rank: int
    accelerator: Accelerator
    gpus: int
    gpus_to_order: int
    nodes: int
    replicas: int
    layout: Layout
    architecture: Architecture
    launch: Deployment
    fit: Fit
    held_requests: int
    held_requests_low: int
    cost: Cost | None
    purchase: Cost | None
    notices: tuple[Notice, ...]
    tier: int
    assumed: bool
    speeds: OptionSpeeds
    verdict: str = FITS
    knobs: tuple[Notice, ...] = ()
    simulated: Simulated | None = None
    drafts: Drafts | None = None
    undrafted: Undrafted | None = None
    prefill: PrefillWorkers | None = None
    floor: ServiceFloor | None = None
    spare_replicas: int = 0
    companions: tuple[Placed, ...] = ()

    @cached_property
    def slow(self) -> tuple[Notice, ...]:
        """What is said where it is slower than a person would call usable; timed when it is asked for."""
        return below_floor(self.floor, self.performance)

    def __repr__(self) -> str:
        sizes = {name: getattr(self.layout, name) for name in ("tp", "pp", "dp", "ep")}
        cut = " ".join(f"{name}{size}" for name, size in sizes.items() if name == "tp" or size > 1)
        return f"<Option {self.rank}: {self.gpus} x {self.gpu}, {self.replicas} x ({cut})>"

    @property
    def is_there(self) -> bool:
        """Whether nothing is to order: its GPUs stand somewhere already."""
        return self.gpus_to_order == 0

    @property
    def gpu(self) -> str:
        """Id of the device."""
        return self.accelerator.id

    @property
    def own_gpus(self) -> int:
        """GPUs of models that have their own."""
        return len({each.number for each in self.companions if each.placed == OWN})

    @property
    def ttft_s(self) -> float | None:
        """Time to the first token at the load that is asked for; None where no speed is known. [s]"""
        return None if self.performance is None else self.performance.ttft_s.value

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first. [s]"""
        return None if self.performance is None else self.performance.tpot_s.value

    @property
    def output_tokens_per_s(self) -> float | None:
        """Output tokens of the whole deployment. [tokens/s]"""
        return None if self.performance is None else self.performance.output_tokens_per_s.value

    @property
    def performance(self) -> Performance | None:
        """Times and rates at the load that is asked for; None where no speed is known."""
        return self.speeds.performance

    @property
    def saturated(self) -> Performance | None:
        """Times and rates with as many requests as the cache holds."""
        return self.speeds.saturated

    @property
    def cost_per_million_tokens(self) -> float | None:
        """Rent of a million output tokens at this load. [currency]"""
        if self.performance is None or self.cost is None:
            return None
        rate = self.performance.output_tokens_per_s.value
        return float(cost_per_million_tokens(cost_per_hour=float(self.cost.amount), output_tokens_per_s=rate))

    @property
    def energy_per_million_tokens_kwh(self) -> float | None:
        """Energy of a million output tokens at this load, at the rated power of the GPUs. [kWh]"""
        if self.performance is None or self.accelerator.tdp_w is None:
            return None
        rate = self.performance.output_tokens_per_s.value
        return float(energy_per_million_tokens_kwh(gpus=self.gpus, tdp_w=self.accelerator.tdp_w, output_tokens_per_s=rate))


@dataclass(frozen=True, slots=True)
class Rejected:
    """An accelerator, or one layout on it, that will not do, with the reason."""

    accelerator: Accelerator
    layout: Layout | None
    reason: Notice


@dataclass(frozen=True)
class Found:
    """The smallest deployment on one accelerator, the largest one that was too small (or the only reason, where nothing will do), and one with fewer
    GPUs that holds the load by the middle of the estimate."""

    option: Option | None
    rejected: Rejected | None
    tight: Option | None = None


@dataclass(frozen=True, repr=False)
class Plan:
    """The whole answer: every input after defaults, the model, ranked options, what was rejected."""

    request: Request
    need: Need
    model: Model
    architecture: Architecture  # in the first precision that was asked for
    options: tuple[Option, ...]
    rejected: tuple[Rejected, ...]
    warnings: tuple[Notice, ...]

    def __repr__(self) -> str:
        return f"<Plan {self.architecture.id or self.model.name}: {len(self.options)} options, the first {self.best!r}>"

    @property
    def best(self) -> Option | None:
        """The option of rank 1."""
        return self.options[0] if self.options else None

    @cached_property
    def front(self) -> frozenset[int]:
        """Ranks of the options that no other beats in both size (or rent, where that is the order) and time per token."""
        from gpusizer.planning.rank import front_of

        return front_of(self.options, self.request.sort)

    @cached_property
    def named(self) -> tuple[NamedLine, ...]:
        """What becomes of a single card and a single server of each accelerator that was named."""
        from gpusizer.planning.named import named_lines

        return named_lines(self)

    @cached_property
    def nearest(self) -> Nearest | None:
        """Where nothing within the limits will do: what does beyond them."""
        from gpusizer.planning.nearest import nearest_of

        return nearest_of(self)

    @cached_property
    def advice(self) -> tuple[Notice, ...]:
        """What would be quicker than the answer on the same GPUs."""
        from gpusizer.planning.advice import draft_advice

        return () if self.best is None else draft_advice(self, self.best)

    @cached_property
    def sensitivity(self) -> tuple[Sensitivity, ...]:
        """What the answer's device needs if twice as many are at work, or requests are twice as long."""
        from gpusizer.planning.sensitivity import sensitivity_of

        return sensitivity_of(self)

    @cached_property
    def near_misses(self) -> tuple[Notice, ...]:
        """Fewer GPUs of the answer's device that hold most of the load."""
        from gpusizer.planning.near_misses import near_misses

        return near_misses(self)

    @cached_property
    def figures(self) -> ModelFigures:
        """What is printed of the model."""
        from gpusizer.article.model_figures import model_figures

        return model_figures(self.architecture, self.request.kv_precision)

    @cached_property
    def article(self) -> ArticleResult | None:
        """The article's figures for the same need; None where its method cannot read the model."""
        from gpusizer.article.answer import article_of

        precision = alternatives(self.request.precision)[0]
        return article_of(self.architecture, self.model.entry, precision, self.need.concurrency, self.need.context_tokens)
