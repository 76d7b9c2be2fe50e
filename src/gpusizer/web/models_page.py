"""Pages of the models: all of them in a table, and one with all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from gpusizer.answers import model_answer
from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import MixtureOfExperts
from gpusizer.article.model_figures import cache_figures
from gpusizer.errors import GpusizerError
from gpusizer.facts.catalog import model_entry, model_ids
from gpusizer.facts.filters import has_words
from gpusizer.facts.model_words import model_meant
from gpusizer.facts.types import ModelEntry
from gpusizer.i18n import has, text
from gpusizer.rendering.document import Paragraph, Table
from gpusizer.rendering.models import model_sources, model_words
from gpusizer.units import GB, KiB
from gpusizer.web.job import Job
from gpusizer.web.not_here import not_here
from gpusizer.web.sorted_table import Cell, Column, sorted_table
from gpusizer.web.sources import linked
from gpusizer.web.templating import link, rendered

__all__ = ["page"]

PATH = "/models"
BILLION = 10**9


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page of all, or of one."""
    return _models_page(job, error) if job.kind == "models" else _model_page(job, error)


def _models_page(job: Job, error: GpusizerError | None) -> str:
    """All models that have the words that are looked for."""
    words = dict(parse_qsl(job.query)).get("filter", "")
    found = [(model_entry(each), load_architecture(each)) for each in model_ids()]
    kept = [(entry, model) for entry, model in found if has_words(words, model_words(entry, model))]
    columns = [
        Column("name", text("ui", "name", job.language)),
        *(Column(code, text("site", f"model-{code}", job.language), right=True) for code in ("total", "activated", "cache", "context", "checkpoint")),
        Column("kind", text("site", "model-kind", job.language)),
        Column("licence", text("ui", "licence", job.language)),
        Column("plan", ""),
    ]
    rows = [_row(job, entry, model) for entry, model in kept]
    table = sorted_table(job, PATH, columns, rows)
    return rendered("models.html", job, PATH, table=table, words=words, count=len(kept), all=len(found), error=error)


def _row(job: Job, entry: ModelEntry, model: Architecture) -> list[Cell]:
    count, (token, _) = model.parameters, cache_figures(model)
    context, checkpoint, made = model.max_position_embeddings, entry.checkpoint_bytes, _kinds(model, job.language)
    return [
        Cell(entry.name, entry.name, link(job, f"{PATH}/{entry.id}"), entry.id),
        Cell(f"{count.total / BILLION:,.2f}", count.total),
        Cell(f"{count.activated / BILLION:,.2f}", count.activated),
        Cell(f"{token / KiB:,.1f}", token),
        Cell(f"{context:,}" if context else "", context or None),
        Cell("" if checkpoint is None else f"{checkpoint / GB:,.1f}", checkpoint),
        Cell(made, made),
        Cell(entry.licence or "", entry.licence),
        Cell(text("site", "plan-it", job.language), None, link(job, "/", f"model={entry.id}")),
    ]


def _kinds(model: Architecture, language: str) -> str:
    """How it is made in a few words: experts or not, and its kinds of attention."""
    experts = any(isinstance(block, MixtureOfExperts) for layer in model.layers for block in layer.feed_forwards)
    codes = {code: None for layer in model.layers for mixer in layer.mixers for code, _ in mixer.labels}
    kinds = [text("site", f"kind-of-{code}", language) for code in codes if has("site", f"kind-of-{code}")]
    return " · ".join([text("site", "kind-of-experts" if experts else "kind-of-dense", language), *kinds])


def _model_page(job: Job, error: GpusizerError | None) -> str:
    """One model: how it is made, what was published, where that was read, and ways on."""
    if error is not None:
        return not_here(job, PATH, text("web", "nav-models", job.language), error)
    document = model_answer(job.path, job.language)
    entry = model_entry(model_meant(job.path).id)
    tables = [each for each in document.blocks if isinstance(each, Table)]
    said = [each.words for each in document.blocks if isinstance(each, Paragraph)]
    facts, layers, groups, published = tables
    return rendered(
        "model.html",
        job,
        f"{PATH}/{job.path}",
        entry=entry,
        facts=facts,
        layers=layers,
        groups=_shares(document.data["groups"], document.data["total_params"], groups),
        group_columns=groups.columns,
        published=published,
        notes=[*_notes(said, job.language), *entry.notes],
        sources=[linked(each) for each in model_sources(entry)],
        forms=[(name, link(job, f"{PATH}/{entry.id}.{ending}")) for name, ending in (("markdown", "md"), ("json", "json"))],
    )


def _notes(said: Sequence[str], language: str) -> list[str]:
    """Paragraphs that stand before what was published: what was not understood, or that all was."""
    end = said.index(text("ui", "published", language))
    return list(said[:end])


def _shares(groups: dict[str, int], total: int, table: Table) -> list[tuple[Sequence[str], float]]:
    """Rows of the groups of parameters, each with its share of all."""
    sizes = sorted((size for size in groups.values() if size), reverse=True)
    return [(row, size / total) for row, size in zip(table.rows, sizes, strict=True)]
