"""How many GPUs does this model need: which, how many, in what layout, how fast, at what price, and why.

The public face: :func:`plan`, :func:`fit`, :func:`simulate`, :func:`run_on`, :func:`largest_context`, :func:`diagnose`,
:func:`load_architecture`, and the types that they take. Nothing else is promised.

>>> import gpusizer
>>> gpusizer.load_architecture("deepseek-v3").parameters.total
671026404352
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpusizer.errors import speak_with

if TYPE_CHECKING:
    from gpusizer.api import FitAnswer, PlanAnswer, SimulationAnswer, fit, plan, simulate
    from gpusizer.architecture.load import load_architecture
    from gpusizer.engines.base.types import Deployment
    from gpusizer.errors import GpusizerError
    from gpusizer.log_api import DiagnosisAnswer, diagnose
    from gpusizer.owned_api import LargestContextAnswer, RunOnAnswer, largest_context, run_on
    from gpusizer.planning.request import Request
    from gpusizer.planning.run_on.request import RunOnRequest
    from gpusizer.planning.simulate import SimulationRequest

__all__ = [
    "Deployment",
    "DiagnosisAnswer",
    "FitAnswer",
    "GpusizerError",
    "LargestContextAnswer",
    "PlanAnswer",
    "Request",
    "RunOnAnswer",
    "RunOnRequest",
    "SimulationAnswer",
    "SimulationRequest",
    "diagnose",
    "fit",
    "largest_context",
    "load_architecture",
    "plan",
    "run_on",
    "simulate",
]

_HOME = {
    "Deployment": "gpusizer.engines.base.types",
    "DiagnosisAnswer": "gpusizer.log_api",
    "FitAnswer": "gpusizer.api",
    "GpusizerError": "gpusizer.errors",
    "LargestContextAnswer": "gpusizer.owned_api",
    "PlanAnswer": "gpusizer.api",
    "Request": "gpusizer.planning.request",
    "RunOnAnswer": "gpusizer.owned_api",
    "RunOnRequest": "gpusizer.planning.run_on.request",
    "SimulationAnswer": "gpusizer.api",
    "SimulationRequest": "gpusizer.planning.simulate",
    "diagnose": "gpusizer.log_api",
    "fit": "gpusizer.api",
    "largest_context": "gpusizer.owned_api",
    "load_architecture": "gpusizer.architecture.load",
    "plan": "gpusizer.api",
    "run_on": "gpusizer.owned_api",
    "simulate": "gpusizer.api",
}


def _sentence(code: str, parameters: Mapping[str, Any]) -> str:
    """The words of an error in English, which programs log; the command line chooses its own language."""
    from gpusizer.i18n import error_sentence

    return error_sentence(code, "en", parameters)


speak_with(_sentence)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the command line pays only for what it needs."""
    if name not in _HOME:
        raise AttributeError(f"module 'gpusizer' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
