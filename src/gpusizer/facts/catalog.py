"""The catalogue: accelerators, scenarios, number formats and models by id. Everything is read from files of this package when first asked for."""

from __future__ import annotations

from gpusizer.facts.accelerator_names import find_accelerator
from gpusizer.facts.accelerators import read_accelerators
from gpusizer.facts.model_names import find_model, known_ids, resolve_model
from gpusizer.facts.number_formats import read_number_formats
from gpusizer.facts.own_card import is_own_card, own_card
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
    """An accelerator by id, alias or any name that means one device, or a card that a line describes.

    See :func:`gpusizer.facts.accelerator_names.find_accelerator` and :func:`gpusizer.facts.own_card.own_card`.

    >>> accelerator("NVIDIA H200").id, accelerator("48GB,864GB/s").memory_bytes
    ('h200-sxm-141gb', 48000000000)
    """
    return own_card(name) if is_own_card(name) else find_accelerator(name)


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
