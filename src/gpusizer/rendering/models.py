"""Models for readers: the catalogue, and how one configuration was understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import DenseMLP, FeedForward, Layer, Mixer, MixtureOfExperts
from gpusizer.facts.model_cards import Card, source_of
from gpusizer.facts.model_list import ListedModel, listed_model
from gpusizer.facts.types import ModelEntry
from gpusizer.i18n import has, text
from gpusizer.rendering.catalog import columns, facts_table
from gpusizer.rendering.document import Block, Column, Document, Heading, Paragraph, Table
from gpusizer.rendering.notices import notice_data, warning_paragraphs
from gpusizer.units import GB, GiB

__all__ = ["architecture_document", "model_document", "model_sources", "model_words", "models_document"]


def models_document(models: Sequence[tuple[ModelEntry, ListedModel]], language: str) -> Document:
    """All models of the catalogue: parameters as we count them, the published size of their files, what they are for."""
    numbers = ("total-params", "activated-params", "checkpoint-gb")
    rows = [
        [
            each.id,
            each.name,
            f"{listed.total_params:,}",
            f"{listed.activated_params:,}",
            "" if each.checkpoint_bytes is None else f"{each.checkpoint_bytes / GB:,.1f}",
            listed.licence or "",
            listed.released or "",
            _uses(listed, language),
        ]
        for each, listed in models
    ]
    spare = ("total-params", "activated-params", "uses", "licence", "released", "checkpoint-gb", "name")
    heading = columns(language, "id", "name", *numbers, "licence", "released", "uses", numbers=numbers, spare=spare)
    told = [{**_entry_data(each), **listed._asdict()} for each, listed in models]
    data = {"schema": "gpusizer.models/1", "models": told}
    fields = ("id", "name", "total_params", "activated_params", "checkpoint_bytes", "licence", "commercial", "released", "context_tokens", "copy_of")
    lists = ("uses", "aliases")
    plain = [["" if each[name] is None else str(each[name]) for name in fields] + [", ".join(each[name]) for name in lists] for each in told]
    table = Table([Column(name) for name in (*fields, *lists)], plain)
    return Document(data, [Table(heading, rows)], csv=table)


def model_words(entry: ModelEntry, architecture: Architecture) -> tuple[str, ...]:
    """What a model may be looked for by: its names, and how it is made."""
    experts = any(isinstance(block, MixtureOfExperts) for layer in architecture.layers for block in layer.feed_forwards)
    codes = {code for layer in architecture.layers for mixer in layer.mixers for code, _ in mixer.labels}
    made = ("moe" if experts else "dense", "mtp" if architecture.mtp else "", "mla" if "mixer-latent" in codes else "")
    return (entry.id, entry.name, entry.licence or "", *entry.uses, *entry.aliases, *made, *(code.removeprefix("mixer-") for code in codes))


def model_document(entry: ModelEntry, architecture: Architecture, cache: Sequence[tuple[str, int]], language: str) -> Document:
    """One model of the catalogue: what the reader makes of it, and what was published."""
    document = architecture_document(architecture, cache, language)
    published = facts_table(
        language,
        [
            ("total-params", _count(entry.published_total_params)),
            ("activated-params", _count(entry.published_activated_params)),
            ("checkpoint-gb", "" if entry.checkpoint_bytes is None else f"{entry.checkpoint_bytes / GB:,.2f}"),
            ("licence", entry.licence or ""),
            ("released", entry.released or ""),
            ("uses", _uses(listed, language) if (listed := listed_model(entry.id)) else ""),
            ("aliases", ", ".join(entry.aliases)),
        ],
    )
    blocks = [*document.blocks, Paragraph(text("ui", "published", language)), published]
    blocks += [Paragraph(text("ui", "source-line", language, source=each)) for each in model_sources(entry)]
    return Document({**document.data, "schema": "gpusizer.model/1", "catalogue": _entry_data(entry)}, blocks)


def model_sources(entry: ModelEntry) -> list[str]:
    """Where what is said of a model was read."""
    own = (entry.published_source, entry.checkpoint_source, entry.config_source, entry.reasoning_source, entry.uses_source)
    return list(dict.fromkeys(each for each in (*own, *(source_of(entry.id, fact) for fact in Card._fields)) if each))


def _uses(model: ListedModel, language: str) -> str:
    """What a model is for, in words."""
    return ", ".join([*(text("ui", f"use-{use}", language) for use in model.uses), *([text("ui", "base-model", language)] if model.base else [])])


def architecture_document(architecture: Architecture, cache: Sequence[tuple[str, int]], language: str) -> Document:
    """How a configuration was understood.

    Parameters
    ----------
    architecture : Architecture
        What the reader made of it.
    cache : sequence of (str, int)
        Further figures by their code: cache bytes a token, checkpoint bytes.
    language : str
        "en" or "zh".
    """
    count = architecture.parameters
    facts = [
        ("total-params", f"{count.total:,}"),
        ("activated-params", f"{count.activated:,}"),
        ("mtp-params", f"{count.mtp:,}" if count.mtp else ""),
        ("layers", f"{len(architecture.layers)}" + (f" + {len(architecture.mtp)} MTP" if architecture.mtp else "")),
        ("hidden-size", f"{architecture.hidden_size:,}"),
        ("vocab-size", f"{architecture.vocab_size:,}"),
        ("longest-context", f"{architecture.max_position_embeddings:,}" if architecture.max_position_embeddings else ""),
        ("number-format", f"{architecture.dtype}" + (f", {architecture.quantization.method}" if architecture.quantization.method else "")),
        *((code, f"{value:,}" if value < GB else f"{value:,} ({value / GB:,.1f} GB, {value / GiB:,.1f} GiB)") for code, value in cache),
    ]
    kinds = Counter(_layer(layer, language) for layer in architecture.layers)
    groups = sorted(count.groups.items(), key=lambda pair: -pair[1])
    shares = [[_group(name, language), f"{value:,}", f"{100 * value / count.total:.1f}%"] for name, value in groups if value]
    blocks: list[Block] = [
        Heading(f"{architecture.name} ({architecture.id})" if architecture.id else architecture.name),
        facts_table(language, facts),
        Table(columns(language, "layers", "mixer", "feed-forward", numbers=("layers",)), [[str(number), *kind] for kind, number in kinds.items()]),
        Table(columns(language, "group", "parameters", "share", numbers=("parameters", "share")), shares),
        *warning_paragraphs(architecture.warnings, language),
    ]
    if not architecture.warnings:
        blocks.append(Paragraph(text("ui", "all-understood", language)))
    data = {
        "schema": "gpusizer.architecture/1",
        "id": architecture.id,
        "name": architecture.name,
        "total_params": count.total,
        "activated_params": count.activated,
        "mtp_params": count.mtp,
        "groups": dict(count.groups),
        "layers": [{"count": number, "mixer": kind[0], "feed_forward": kind[1]} for kind, number in kinds.items()],
        "hidden_size": architecture.hidden_size,
        "vocab_size": architecture.vocab_size,
        "max_position_embeddings": architecture.max_position_embeddings,
        "dtype": architecture.dtype,
        "quantization": architecture.quantization.method,
        **{code.replace("-", "_"): value for code, value in cache},
        "warnings": [notice_data(each, "warning") for each in architecture.warnings],
    }
    return Document(data, blocks)


def _layer(layer: Layer, language: str) -> tuple[str, str]:
    return (
        " + ".join(_mixer(mixer, language) for mixer in layer.mixers) or "-",
        " + ".join(_feed_forward(block, language) for block in layer.feed_forwards) or "-",
    )


def _mixer(mixer: Mixer, language: str) -> str:
    return "".join(text("ui", code, language, **parameters) for code, parameters in mixer.labels)


def _feed_forward(block: FeedForward, language: str) -> str:
    match block:
        case MixtureOfExperts():
            words = text("ui", "experts", language, experts=block.experts, top_k=block.top_k, width=block.expert_width)
            return words + text("ui", "experts-shared", language, width=block.shared_width) if block.shared_width else words
        case DenseMLP():
            return text("ui", "dense", language, width=block.width)
        case _:
            assert_never(block)


def _group(name: str, language: str) -> str:
    """The words of a group of parameters."""
    return text("ui", f"group-{name}", language) if has("ui", f"group-{name}", language) else name


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _entry_data(entry: ModelEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "aliases": list(entry.aliases),
        "licence": entry.licence,
        "published_total_params": entry.published_total_params,
        "published_activated_params": entry.published_activated_params,
        "published_source": entry.published_source,
        "checkpoint_bytes": entry.checkpoint_bytes,
        "checkpoint_dtype": entry.checkpoint_dtype,
        "checkpoint_source": entry.checkpoint_source,
        "released": entry.released,
        "config_source": entry.config_source,
        "reasoning_source": entry.reasoning_source,
        "uses": entry.uses,
        "uses_source": entry.uses_source,
    }
