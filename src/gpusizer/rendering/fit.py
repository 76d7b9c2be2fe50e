"""A verdict on one deployment: JSON by the contract, and what people read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from gpusizer.architecture.types import Notice
from gpusizer.engines import engine_name, get_engine
from gpusizer.engines.base.ledger import per_gpu, worst_evidence
from gpusizer.engines.base.log_lines import ExpectedLine, expected_lines
from gpusizer.engines.base.types import Deployment, Fit, Item
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.types import Accelerator
from gpusizer.i18n import LANGUAGES, text
from gpusizer.rendering.devices import counted_devices, device_name, device_unit
from gpusizer.rendering.document import Block, Column, Document, Fixed, Heading, Lines, Paragraph, Table
from gpusizer.rendering.host import host_data, host_lines, host_table, speed_data
from gpusizer.rendering.launch import command_blocks, command_line, launch_command, layout_words, version_of
from gpusizer.rendering.ledger import budget_paragraphs, item_data, ledger_bar, ledger_table
from gpusizer.rendering.notices import notice_data, notice_words, warning_lines
from gpusizer.units import GiB

if TYPE_CHECKING:
    from gpusizer.planning.host_speed import LoneRequest
    from gpusizer.planning.remedies import Remedy
    from gpusizer.planning.verdict import Verdict

__all__ = ["cache_words", "change_words", "fit_data", "fit_document", "fit_sentence", "log_lines", "memory_data", "ranks_table", "remedy_words"]


def fit_data(fit: Fit, launch: Deployment) -> dict[str, Any]:
    """One verdict as the contract's JSON; the worst rank is described, ``ranks`` lists all that differ; ``launch`` leaves defaults open."""
    memory, command = memory_data(fit), launch_command(launch)
    return {
        "fits": fit.fits,
        "reason": None if fit.reason is None else notice_data(fit.reason, "reason"),
        "engine": fit.deployment.engine,
        "engine_version": version_of(fit.deployment),
        "per_gpu": memory["per_gpu"],
        "kv_cache": memory["kv_cache"],
        "max_concurrency": fit.max_concurrency,
        "evidence": worst_evidence(fit.ranks[fit.worst].items),
        "quantities": {
            name: {"value": each.value, "low": each.low, "high": each.high, "owners": each.owners} for name, each in fit.quantities.items()
        },
        "items": memory["items"],
        "ranks": memory["ranks"],
        "command": command.line,
        "warnings": [notice_data(each, "warning") for each in (*fit.warnings, *command.notices)],
    }


def log_lines(fit: Fit) -> tuple[ExpectedLine, ...]:
    """The lines that the engine will print, in the words of its version."""
    return expected_lines(fit, get_engine(fit.deployment.engine).version_of(fit.deployment))


def memory_data(fit: Fit) -> dict[str, Any]:
    """The memory of one GPU as the contract's JSON: of the worst rank the sums and the items, of all that differ the sums; and the cache."""
    worst = fit.ranks[fit.worst]
    return {
        "per_gpu": {**_totals(worst.items), "budget_bytes": fit.budget_bytes},
        "kv_cache": asdict(fit.kv_cache),
        "items": [item_data(item) for item in worst.items],
        "ranks": [{"pp_rank": rank.pp_rank, "tp_rank": rank.tp_rank, "per_gpu": _totals(rank.items)} for rank in fit.ranks],
    }


def _totals(items: Sequence[Item]) -> dict[str, int]:
    sums = per_gpu(items)
    return {"device_total_bytes": sum(sums.values()), **sums}


def _machine(deployment: Deployment, first: Accelerator, language: str) -> tuple[int, str]:
    """How many of the first kind, and its name; the further kinds behind it where devices differ."""
    kinds = Counter(deployment.devices)
    if len(kinds) < 2:
        return deployment.layout.gpus, device_name(first.name, language)
    further = [counted_devices(count, accelerator(id), language) for id, count in kinds.items() if id != first.id]
    return kinds.get(first.id, 1), " + ".join([device_name(first.name, language), *further])


def fit_sentence(fit: Fit, name: str, accelerator: Accelerator, language: str) -> str:
    """The sentence to copy."""
    deployment = fit.deployment
    gpus, machine = _machine(deployment, accelerator, language)
    said = {"model": name, "gpus": gpus, "gpu": machine, "layout": layout_words(deployment.layout), "unit": device_unit(accelerator, language)}
    said |= {"engine": deployment.fork or engine_name(deployment.engine), "version": version_of(deployment)}
    if not fit.fits:
        reason = fit.reason or Notice("does-not-fit")
        return text("ui", "fit-no", language, **said, reason=notice_words(reason, "reason", language))
    said |= {"tokens": fit.kv_cache.tokens, "requests": f"{fit.max_concurrency:,.2f}", "context": deployment.max_model_len or 0}
    if not fit.kv_cache.bytes_per_token and not fit.kv_cache.fixed_bytes_per_request:
        return text("ui", "fit-yes-reads", language, **{**said, "requests": f"{fit.max_concurrency:,.0f}"})
    spread = fit.quantities.get("kv_cache_tokens")
    if spread is None or spread.low == spread.high:
        return text("ui", "fit-yes", language, **said)
    return text("ui", "fit-yes-band", language, **said, low=round(spread.low) * deployment.dp, high=round(spread.high) * deployment.dp)


def fit_document(verdict: Verdict, remedies: Sequence[Remedy], language: str) -> Document:
    """One verdict with its ledger, its ranks, the models beside it, and what would help.

    Parameters
    ----------
    verdict : Verdict
        The start as it was asked for, and what becomes of it.
    remedies : sequence of Remedy
        Changes that would make it start; empty where it starts.
    language : str
        "en" or "zh".
    """
    from gpusizer.rendering.companions import companion_blocks, companions_data, ledger_blocks  # here: they show fits themselves

    fit, launch, beside = verdict.fit, verdict.launch, verdict.companions
    sentences = {each: fit_sentence(fit, verdict.model.name, verdict.accelerator, each) for each in LANGUAGES}
    data = {
        "schema": "gpusizer.fit/1",
        **fit_data(fit, launch),
        "sentence": sentences,
        "expected_log": [each._asdict() for each in log_lines(fit)],
        "host": host_data(fit),
        "speed": speed_data(verdict.request),
        "deployment": {each.name: getattr(fit.deployment, each.name) for each in fields(fit.deployment)},
        "remedies": [_remedy_data(each) for each in remedies],
        "companions": companions_data(beside),
    }
    items = fit.ranks[fit.worst].items
    blocks: list[Block] = [Heading(sentences[language]), *command_blocks(launch, language), *companion_blocks(beside, language)]
    blocks += _facts(fit, verdict.request, remedies, language)
    blocks += warning_lines(fit.warnings, language)
    if len(items) > 1:
        blocks += [ledger_bar(per_gpu(items), language), ledger_table(items, language), *budget_paragraphs(fit, language)]
    if (host := host_table(fit, language)) is not None:
        blocks.append(host)
    if len(fit.ranks) > 1:
        blocks.append(ranks_table(fit, language))
    if lines := log_lines(fit):
        blocks += [Paragraph(text("ui", "expected-log", language)), Fixed("\n".join(each.line for each in lines))]
    blocks += ledger_blocks(beside, language)
    return Document(data, blocks, csv=_items_table(items))


def cache_words(fit: Fit, language: str) -> str:
    """The cache in the engine's own terms; empty where it counts no blocks."""
    cache = fit.kv_cache
    if not cache.blocks:
        return ""
    words = {"blocks": cache.blocks, "block_size": cache.block_size, "token": cache.bytes_per_token, "request": cache.fixed_bytes_per_request}
    return text("ui", "fit-cache-fixed" if cache.fixed_bytes_per_request else "fit-cache", language, **words)


def _facts(fit: Fit, request: LoneRequest | None, remedies: Sequence[Remedy], language: str) -> list[Block]:
    """The cache in the engine's own terms, what lies on the host, and what would help, a line each."""
    said = cache_words(fit, language)
    pool = fit.quantities.get("kv_cache_pool_bytes")
    behind = [text("ui", "fit-band-owners", language, owners=pool.owners)] if fit.fits and pool is not None and pool.owners and pool.high > 0 else []
    lines = [*([said] if said else []), *behind, *host_lines(fit, request, language), *(remedy_words(each, language) for each in remedies)]
    return [Lines(lines)] if lines else []


def _items_table(items: Sequence[Item]) -> Table:
    """The ledger for a spreadsheet: fields that are named alike in every language, bytes as numbers."""
    names = ("id", "bytes", "low_bytes", "high_bytes", "evidence", "formula")
    return Table([Column(name) for name in names], [[str(getattr(item, name) or "") for name in names] for item in items])


def remedy_words(remedy: Remedy, language: str) -> str:
    """One change that would make it start, and what it would hold then."""
    after = remedy.fit
    settings = [notice_words(each, "knob", language) for each in remedy.knobs]
    return text(
        "ui",
        "remedy-line",
        language,
        change=settings or change_words(remedy, language),
        tokens=after.kv_cache.tokens,
        requests=f"{after.max_concurrency:,.2f}",
    )


def change_words(remedy: Remedy, language: str) -> str:
    """The one change alone."""
    return text("remedy", remedy.code, language, layout=layout_words(remedy.launch.layout), **remedy.parameters)


def _remedy_data(remedy: Remedy) -> dict[str, Any]:
    return {
        "change": remedy.code,
        "parameters": remedy.parameters,
        "kv_cache_tokens": remedy.fit.kv_cache.tokens,
        "max_concurrency": remedy.fit.max_concurrency,
        "command": command_line(remedy.launch),
        "sentence": {language: remedy_words(remedy, language) for language in LANGUAGES},
    }


def ranks_table(fit: Fit, language: str) -> Table:
    """The ranks that differ, side by side."""
    names = ("weights_bytes", "activation_peak_bytes", "kv_cache_pool_bytes", "free_bytes")
    heading = [
        Column(text("ui", "pp-rank", language), right=True),
        *(Column(text("ui", f"part-{name}", language) + ", GiB", right=True) for name in names),
    ]
    rows = [[str(rank.pp_rank), *(f"{per_gpu(rank.items)[name] / GiB:,.2f}" for name in names)] for rank in fit.ranks]
    return Table(heading, rows)
