"""What is asked of the catalogue, of a start and of a formula, answered as a document, for the command line, pages, the HTTP API and agents alike.

A plan has its own document, :class:`~gpusizer.rendering.plan_document.PlanDocument`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpusizer.architecture.model import Architecture
    from gpusizer.planning.verdict import Verdict
    from gpusizer.rendering.document import Document

__all__ = [
    "accelerator_answer",
    "accelerators_answer",
    "accuracy_answer",
    "architecture_answer",
    "engine_answer",
    "engines_answer",
    "fit_answer",
    "formula_answer",
    "model_answer",
    "models_answer",
    "number_formats_answer",
    "scenario_answer",
    "scenarios_answer",
]


def fit_answer(verdict: Verdict, language: str) -> Document:
    """What becomes of a start, with changes that would make it start."""
    from gpusizer.planning.remedies import remedies_for
    from gpusizer.rendering.fit import fit_document

    remedies = remedies_for(verdict.fit, verdict.launch, verdict.architecture, verdict.accelerator)
    return fit_document(verdict, remedies, language)


def models_answer(language: str, words: str | None = None, use: str | None = None, licence: str | None = None) -> Document:
    """The models of the catalogue that have every word, that use and that licence."""
    from gpusizer.architecture.load import load_architecture
    from gpusizer.facts.catalog import model_entry
    from gpusizer.facts.filters import has_words, suiting
    from gpusizer.facts.model_list import listed_models
    from gpusizer.rendering.models import model_words, models_document

    found = [(model_entry(each.id), each) for each in suiting(listed_models(), use, licence)]
    kept = [(entry, each) for entry, each in found if words is None or has_words(words, model_words(entry, load_architecture(each.id)))]
    return models_document(kept, language)


def model_answer(model_id: str, language: str) -> Document:
    """One model of the catalogue, by id or in words that mean one."""
    from gpusizer.architecture.load import load_architecture
    from gpusizer.facts.catalog import model_entry
    from gpusizer.facts.model_words import model_meant
    from gpusizer.rendering.models import model_document

    entry = model_entry(model_meant(model_id).id)
    architecture = load_architecture(model_id)
    return model_document(entry, architecture, _figures(architecture), language)


def architecture_answer(source: str, language: str) -> Document:
    """What a configuration, a checkpoint folder or a GGUF file is."""
    from gpusizer.architecture.load import load_architecture
    from gpusizer.rendering.models import architecture_document

    architecture = load_architecture(source)
    return architecture_document(architecture, _figures(architecture), language)


def number_formats_answer(language: str) -> Document:
    """Every number format."""
    from gpusizer.facts.catalog import number_formats
    from gpusizer.rendering.catalog import number_formats_document

    return number_formats_document(number_formats(), language)


def accelerators_answer(
    language: str, vendor: str | None = None, memory: Callable[[float], bool] | None = None, words: str | None = None
) -> Document:
    """The accelerators that pass every filter.

    Parameters
    ----------
    language : str
        "en" or "zh".
    vendor : str or None
        A part of the maker's name.
    memory : callable or None
        Whether a memory will do, as of :func:`gpusizer.facts.filters.memory_bound`.
    words : str or None
        All of them stand somewhere in what is known of it.

    Raises
    ------
    UnknownIdError
        No such vendor.
    """
    from gpusizer.facts.catalog import accelerators
    from gpusizer.facts.filters import matching
    from gpusizer.rendering.accelerators import accelerators_document

    return accelerators_document(matching(accelerators(), vendor, memory, words), language)


def accelerator_answer(accelerator_id: str, language: str) -> Document:
    """One accelerator."""
    from gpusizer.facts.catalog import accelerator
    from gpusizer.rendering.accelerators import accelerator_document

    return accelerator_document(accelerator(accelerator_id), language)


def engines_answer(language: str) -> Document:
    """Every engine."""
    from gpusizer.engines import engine_ids
    from gpusizer.rendering.engines import engines_document

    return engines_document(engine_ids(), language)


def engine_answer(engine_id: str, language: str) -> Document:
    """One engine, by id or alias."""
    from gpusizer.engines import get_engine
    from gpusizer.rendering.engines import engine_document

    return engine_document(get_engine(engine_id).id, language)


def scenarios_answer(language: str) -> Document:
    """Every scenario."""
    from gpusizer.facts.catalog import scenarios
    from gpusizer.rendering.catalog import scenarios_document

    return scenarios_document(scenarios(), language)


def scenario_answer(scenario_id: str, language: str) -> Document:
    """One scenario."""
    from gpusizer.facts.catalog import scenario
    from gpusizer.rendering.catalog import scenario_document

    return scenario_document(scenario(scenario_id), language)


def formula_answer(formula_id: str | None, language: str) -> Document:
    """One formula, or the list of all."""
    from gpusizer.rendering.formulas import formula_document, formulas_document

    return formula_document(formula_id, language) if formula_id else formulas_document(language)


def _figures(architecture: Architecture) -> list[tuple[str, int]]:
    """Checkpoint and cache by the codes of their words."""
    from gpusizer.article.model_figures import model_figures

    figures = model_figures(architecture)
    names = ("checkpoint_bytes", "kv_cache_bytes_per_token", "fixed_bytes_per_request")
    return [(name.replace("_", "-"), getattr(figures, name)) for name in names]


def accuracy_answer(language: str) -> Document:
    """How far this release lay from what others measured."""
    from gpusizer.facts.accuracy import measured_accuracy
    from gpusizer.rendering.accuracy import accuracy_document

    return accuracy_document(measured_accuracy(), language)
