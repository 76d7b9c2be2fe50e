"""What is to run: an option of a plan, or one start as somebody asks for it, with every default written out that its figures rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines import declaration, get_engine
from gpusizer.engines.base.device_support import other_checkpoint
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import DoesNotFitError, FlagError
from gpusizer.facts.deployment import pace, storage
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import ceil_div
from gpusizer.planning.companions import Placed
from gpusizer.planning.fields import Field
from gpusizer.planning.model import Model
from gpusizer.planning.types import Option, Plan, PrefillWorkers
from gpusizer.planning.verdict import Verdict

__all__ = ["COMMAND", "COMPOSE", "FIELDS", "KUBERNETES", "TARGETS", "ToRun", "Wishes", "of_plan", "of_verdict", "wishes_of"]

COMMAND, COMPOSE, KUBERNETES = "command", "compose", "kubernetes"
TARGETS = (COMMAND, COMPOSE, KUBERNETES, "production-stack", "kserve", "ray")
"""What may carry a deployment: each is a module of ``rendering/deployment/targets``."""

FIELDS: tuple[Field, ...] = (
    Field("target", "choice", "--target", TARGETS),
    Field("option", "count", "--option"),
    Field("image", "word", "--image"),
    Field("registry", "word", "--registry"),
    Field("hub_endpoint", "word", "--hub-endpoint"),
    Field("offline", "choice", "--offline", ("on", "off")),
    Field("leader", "word", "--leader"),
)
"""How it is to be carried, in the order of the help."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a deployment is to be carried.

    Parameters
    ----------
    target : str
        One of :data:`TARGETS`.
    option : int or None
        Rank of the option of a plan; the best without, and none where one start is named.
    image : str or None
        The container image; the usual one of the engine on the device without.
    registry : str or None
        What stands before every image in place of its own registry ("registry.example:5000/mirror").
    hub_endpoint : str or None
        Address of a mirror of the hub that the engine downloads from.
    offline : str
        "on" where nothing is downloaded: the checkpoint lies there already.
    leader : str
        The address of the first server, where a replica spans several and commands are typed on each.
    """

    target: str = COMMAND
    option: int | None = None
    image: str | None = None
    registry: str | None = None
    hub_endpoint: str | None = None
    offline: str = "off"
    leader: str = "node-0"


def wishes_of(values: Mapping[str, Any]) -> Wishes:
    """What was said of how to carry it; the rest stays as usual.

    >>> wishes_of({"target": "compose", "option": "2", "image": None}).option
    2
    """
    return Wishes(**{each.name: each.read(values[each.name]) for each in FIELDS if values.get(each.name) is not None})


@dataclass(frozen=True, slots=True)
class ToRun:
    """What is to run.

    Parameters
    ----------
    plan, option : Plan and Option, or None
        Where it comes from a plan.
    verdict : Verdict or None
        Where it is one start.
    model : Model
        The model.
    architecture : Architecture
        As it is loaded.
    accelerator : Accelerator
        The device.
    launch : Deployment
        The start of one replica, defaults written out.
    fit : Fit
        What it holds.
    replicas : int
        How many of them, those in reserve among them.
    """

    plan: Plan | None
    option: Option | None
    verdict: Verdict | None
    model: Model
    architecture: Architecture
    accelerator: Accelerator
    launch: Deployment
    fit: Fit
    replicas: int

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return len(self.launch.devices) or self.launch.layout.gpus

    @property
    def companions(self) -> tuple[Placed, ...]:
        """Other models beside it."""
        return self.option.companions if self.option is not None else self.verdict.companions if self.verdict is not None else ()

    @property
    def prefill(self) -> PrefillWorkers | None:
        """Workers beside it that only compute prompts."""
        return None if self.option is None else self.option.prefill

    @property
    def nodes(self) -> int:
        """Servers that one replica spans."""
        return int(ceil_div(self.gpus, self.accelerator.node_size))

    @property
    def checkpoint_bytes(self) -> int:
        """Size of the files that are read. [bytes]"""
        converted = declaration(self.launch.engine).takes_gguf or other_checkpoint(self.launch.engine, self.model.stored, self.launch.precision)
        return checkpoint_bytes(self.architecture if converted else self.model.stored)

    @property
    def storage_bytes(self) -> int:
        """Room for them, in whole steps. [bytes]"""
        room = storage()
        return int(ceil_div(int(self.checkpoint_bytes * (1 + room.spare_share)), room.step_bytes)) * room.step_bytes

    @property
    def startup_s(self) -> int:
        """Longest start that is waited for, where the files lie there. [s]"""
        return int(ceil_div(self.checkpoint_bytes, pace().read_bytes_per_s)) + pace().start_s


def of_plan(plan: Plan, rank: int | None = None) -> ToRun:
    """An option of a plan.

    Parameters
    ----------
    plan : Plan
        The answer.
    rank : int or None
        1 is the best, and what is taken without.

    Raises
    ------
    DoesNotFitError
        Nothing was found that holds the load.
    FlagError
        There is no option of that rank.
    """
    if not plan.options:
        raise DoesNotFitError("deploy-nothing", model=plan.model.name)
    option = next((each for each in plan.options if each.rank == (rank or 1)), None)
    if option is None:
        raise FlagError("out-of-bounds", option="--option", low=1, high=len(plan.options), found=rank)
    launch = option.launch
    if option.prefill is not None:
        launch = get_engine(launch.engine).in_role(launch, "decode") or launch
    return ToRun(
        plan=plan,
        option=option,
        verdict=None,
        model=plan.model,
        architecture=option.architecture,
        accelerator=option.accelerator,
        launch=_spelled(launch, option.fit),
        fit=option.fit,
        replicas=option.replicas + option.spare_replicas,
    )


def of_verdict(verdict: Verdict) -> ToRun:
    """One start.

    Parameters
    ----------
    verdict : Verdict
        What becomes of it.

    Raises
    ------
    DoesNotFitError
        It would not start.
    """
    if not verdict.fit.fits:
        raise DoesNotFitError("deploy-does-not-fit", model=verdict.model.name)
    return ToRun(
        plan=None,
        option=None,
        verdict=verdict,
        model=verdict.model,
        architecture=verdict.architecture,
        accelerator=verdict.accelerator,
        launch=_spelled(verdict.launch, verdict.fit),
        fit=verdict.fit,
        replicas=1,
    )


def _spelled(launch: Deployment, fit: Fit) -> Deployment:
    return get_engine(launch.engine).spelled_out(launch, fit)
