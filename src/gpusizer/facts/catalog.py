"""The catalogue: accelerators, scenarios, number formats and models by id. Everything is read from files of this package when first asked for."""

from __future__ import annotations

from gpusizer.facts.accelerator_names import find_accelerator
from gpusizer.facts.accelerators import read_accelerators
from gpusizer.facts.model_names import find_model, known_ids, resolve_model
from gpusizer.facts.number_formats import read_number_formats
from gpusizer.facts.scenarios import find_scenario, read_scenarios
from gpusizer.facts.types import Accelerator, ModelEntry, NumberFormat, Scenario

__all__ = [
    "accelerator",
    "accelerators",
    "model_entry",
    "model_ids",
    "number_formats",
    "resolve_model",
    "scenario",
    "scenarios",
]


def accelerators() -> tuple[Accelerator, ...]:
    """Every accelerator.

    >>> len(accelerators()) > 100
    True
    """
    return read_accelerators()


def accelerator(name: str) -> Accelerator:
    """An accelerator by id, alias or any name that means one device; see :func:`gpusizer.facts.accelerator_names.find_accelerator`.

    >>> accelerator("NVIDIA H200").id
    'h200-sxm-141gb'
    """
    return find_accelerator(name)


def scenarios() -> tuple[Scenario, ...]:
    """Every scenario, the article's first."""
    return read_scenarios()


def scenario(name: str) -> Scenario:
    """A scenario by id.

    >>> scenario("knowledge-base").output_tokens
    2000
    """
    return find_scenario(name)


def model_ids() -> tuple[str, ...]:
    """The ids of all models, in alphabetical order."""
    return known_ids()


def model_entry(name: str) -> ModelEntry:
    """A model by id or alias, any letter case; only its own file is read.

    >>> model_entry("deepseek-ai/DeepSeek-V3").id
    'deepseek-v3'
    """
    return find_model(name)


def number_formats() -> tuple[NumberFormat, ...]:
    """Every number format with its bits, range and overhead of scales."""
    return read_number_formats()
