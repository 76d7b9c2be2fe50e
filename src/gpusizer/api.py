"""The answers of the Python face: the plan or the verdict itself, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.types import Accelerator
from gpusizer.performance.simulation.summary import Summary
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.remedies import Remedy, remedies_for
from gpusizer.planning.request import Request
from gpusizer.planning.simulate import Simulation, SimulationRequest, make_simulations
from gpusizer.planning.types import Option, Plan
from gpusizer.planning.verdict import Verdict, make_fit
from gpusizer.planning.words import checked_start
from gpusizer.rendering.fit import fit_document
from gpusizer.rendering.forms.json import plain, to_json
from gpusizer.rendering.plan import plan_data, plan_sentence
from gpusizer.rendering.simulate import simulation_data

__all__ = ["FitAnswer", "PlanAnswer", "SimulationAnswer", "fit", "plan", "simulate"]


@dataclass(frozen=True)
class PlanAnswer:
    """A plan; ``result`` is the plan itself, ``to_dict`` and ``to_json`` are the document of ``gpusizer plan --format json``."""

    result: Plan

    @property
    def options(self) -> tuple[Option, ...]:
        """Deployments that hold the load, the best first."""
        return self.result.options

    def sentence(self, language: str = "en") -> str:
        """The answer in one sentence."""
        return plan_sentence(self.result, language)

    def to_dict(self) -> dict[str, Any]:
        """Plain data by the schema ``gpusizer.plan/1``."""
        data: dict[str, Any] = plain(plan_data(self.result))
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(self.to_dict())


@dataclass(frozen=True)
class FitAnswer:
    """A verdict; ``to_dict`` and ``to_json`` are the document of ``gpusizer fit --format json``."""

    verdict: Verdict

    @property
    def result(self) -> Fit:
        """What the engine says to the start."""
        return self.verdict.fit

    @property
    def launch(self) -> Deployment:
        """The start as it was asked for, the engine's defaults left open."""
        return self.verdict.launch

    @property
    def architecture(self) -> Architecture:
        """The model as it is loaded."""
        return self.verdict.architecture

    @property
    def accelerator(self) -> Accelerator:
        """The device."""
        return self.verdict.accelerator

    @property
    def fits(self) -> bool:
        """Whether it starts."""
        return self.result.fits

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """Changes that would make it start, each verified."""
        return remedies_for(self.result, self.launch, self.architecture, self.accelerator)

    def to_dict(self) -> dict[str, Any]:
        """Plain data by the schema ``gpusizer.fit/1``."""
        data: dict[str, Any] = plain(fit_document(self.result, self.launch, self.verdict.model.name, self.accelerator, self.remedies, "en").data)
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(self.to_dict())


@dataclass(frozen=True)
class SimulationAnswer:
    """A simulated run; ``to_dict`` and ``to_json`` are the document of ``gpusizer simulate --format json``."""

    result: Simulation

    @property
    def summary(self) -> Summary | None:
        """What requests saw; None where the deployment does not start."""
        return self.result.summary

    def to_dict(self) -> dict[str, Any]:
        """Plain data by the schema ``gpusizer.simulate/1``."""
        data: dict[str, Any] = plain(simulation_data(self.result))
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(self.to_dict())


def plan(request: Request) -> PlanAnswer:
    """From a need to hardware.

    Parameters
    ----------
    request : Request
        A model, a need, limits.

    Returns
    -------
    PlanAnswer
        Ranked options, reasons, and the JSON of the contract.

    Examples
    --------
    >>> answer = plan(Request(model="deepseek-v3", concurrency=10, context_tokens=2048, gpus=("h200-sxm-141gb",)))
    >>> answer.options[0].gpus
    8
    """
    return PlanAnswer(make_plan(request))


def fit(deployment: Deployment, *, hub: str | None = None) -> FitAnswer:
    """Does exactly this start, and what will its log say?

    Parameters
    ----------
    deployment : Deployment
        One start of one engine.
    hub : str or None
        "huggingface" or "modelscope": where a model is looked up that the catalogue lacks; without it nothing touches a network.

    Returns
    -------
    FitAnswer
        The verdict, the ledger of each GPU, and the JSON of the contract.

    Examples
    --------
    >>> fit(Deployment(model="deepseek-v3", gpu="h200-sxm-141gb", tp=8, max_model_len=8192)).fits
    True
    """
    launch = checked_start(deployment, hub=hub)
    return FitAnswer(make_fit(launch.deployment, launch.notices))


def simulate(request: SimulationRequest) -> SimulationAnswer:
    """What requests see under arrivals, request by request.

    Parameters
    ----------
    request : SimulationRequest
        A deployment and what arrives.

    Returns
    -------
    SimulationAnswer
        Percentiles, rates, the queue over time, and the JSON of the contract.

    Examples
    --------
    >>> deployment = Deployment(model="qwen3-8b", gpu="h100-sxm-80gb", max_model_len=8192)
    >>> answer = simulate(SimulationRequest(deployment, burst=1, input_tokens=1000, output_tokens=100))
    >>> answer.summary.requests, answer.summary.e2e_s.p50 == answer.summary.e2e_s.p99
    (1, True)
    """
    launch = checked_start(request.deployment)
    return SimulationAnswer(make_simulations([replace(request, deployment=launch.deployment)], notices=launch.notices)[0])
