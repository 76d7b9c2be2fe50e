"""The answers of the Python face: the plan or the verdict itself, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.errors import FlagError
from gpusizer.facts.types import Accelerator
from gpusizer.performance.simulation.summary import Summary
from gpusizer.planning.pipeline import make_plan
from gpusizer.planning.remedies import Remedy, remedies_for
from gpusizer.planning.request import Request
from gpusizer.planning.simulate import Simulation, SimulationRequest, make_simulations
from gpusizer.planning.types import Option, Plan
from gpusizer.planning.verdict import Verdict, make_fit
from gpusizer.planning.words import checked_start
from gpusizer.rendering.fit import fit_document, fit_sentence
from gpusizer.rendering.forms.json import plain, to_json
from gpusizer.rendering.ledger import ledger_table
from gpusizer.rendering.plan import plan_sentence
from gpusizer.rendering.plan_data import plan_data
from gpusizer.rendering.plan_document import PlanDocument
from gpusizer.rendering.plan_options import options_table
from gpusizer.rendering.plan_rows import plan_rows
from gpusizer.rendering.render import ENDINGS, ending_of, form_names, form_of_ending, render_file
from gpusizer.rendering.report.page import table_html
from gpusizer.rendering.simulate import simulation_data, simulation_sentence
from gpusizer.rendering.written_files import write_file

__all__ = ["FitAnswer", "PlanAnswer", "SimulationAnswer", "fit", "plan", "simulate"]


_SHOWN = 8  # options of a plan that a notebook shows


@dataclass(frozen=True, repr=False)
class PlanAnswer:
    """A plan; ``result`` is the plan itself, ``to_dict`` and ``to_json`` are the document of ``gpusizer plan --format json``."""

    result: Plan

    def __repr__(self) -> str:
        return f"<PlanAnswer: {self.sentence()}; {len(self.options)} options>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence and the first options."""
        table = options_table(self.result, self.options[:_SHOWN], "en")
        return table_html(self.sentence(), table.narrow or table)

    @property
    def options(self) -> tuple[Option, ...]:
        """Deployments that hold the load, the best first."""
        return self.result.options

    def sentence(self, language: str = "en") -> str:
        """The answer in one sentence."""
        return plan_sentence(self.result, language)

    def rows(self) -> list[dict[str, Any]]:
        """Options, then what was rejected, as flat records: the fields of ``gpusizer plan --format csv``, for a data frame."""
        return plan_rows(self.result)

    def save(self, path: str | PathLike[str], language: str = "en") -> None:
        """Write the answer to a file, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            Its ending says the form: .txt, .csv, .html (the report), .json, .md, .xlsx.
        language : str
            "en" or "zh".

        Raises
        ------
        FlagError
            No form has this ending.
        InputError
            The file cannot be written.
        """
        path = fspath(path)
        form = form_of_ending(ending_of(path))
        if form == "xlsx":
            from gpusizer.rendering.workbook import plan_workbook
            from gpusizer.rendering.workbook.request import workbook_request

            write_file(plan_workbook(make_plan(workbook_request(self.result.request)), language), path)
            return
        if form not in form_names():
            known = [each for each, name in ENDINGS.items() if name == "xlsx" or name in form_names()]
            raise FlagError("unknown-ending", output=path, ending=ending_of(path) or "?", expected=known)
        write_file(render_file(PlanDocument(self.result, language), form).encode("utf-8", errors="replace"), path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data by the schema ``gpusizer.plan/1``."""
        data: dict[str, Any] = plain(plan_data(self.result))
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(plan_data(self.result))


@dataclass(frozen=True, repr=False)
class FitAnswer:
    """A verdict; ``to_dict`` and ``to_json`` are the document of ``gpusizer fit --format json``."""

    verdict: Verdict

    def __repr__(self) -> str:
        return f"<FitAnswer: {self.sentence()}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence and one GPU's memory."""
        return table_html(self.sentence(), ledger_table(self.result.ranks[self.result.worst].items, "en"))

    def sentence(self, language: str = "en") -> str:
        """The answer in one sentence."""
        return fit_sentence(self.result, self.verdict.model.name, self.accelerator, language)

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
        data: dict[str, Any] = plain(self._data())
        return data

    def to_json(self) -> str:
        """What :meth:`to_dict` gives, as JSON."""
        return to_json(self._data())

    def _data(self) -> Mapping[str, Any]:
        return fit_document(self.verdict, self.remedies, "en").data


@dataclass(frozen=True, repr=False)
class SimulationAnswer:
    """A simulated run; ``to_dict`` and ``to_json`` are the document of ``gpusizer simulate --format json``."""

    result: Simulation

    def __repr__(self) -> str:
        return f"<SimulationAnswer: {simulation_sentence(self.result, 'en')}>"

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
        return to_json(simulation_data(self.result))


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
