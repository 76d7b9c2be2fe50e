"""The longest context of a start, for one request and for several, as an answer."""

from __future__ import annotations

from typing import Any

from gpusizer.engines import engine_name
from gpusizer.i18n import LANGUAGES, text
from gpusizer.planning.largest_context import LongestContext
from gpusizer.rendering.devices import counted_devices
from gpusizer.rendering.document import Block, Column, Document, Heading, Paragraph, Table
from gpusizer.rendering.launch import command_blocks, command_line
from gpusizer.rendering.notices import notice_data, notice_words, warning_lines

__all__ = ["longest_context_document", "longest_context_rows", "longest_context_sentence", "longest_context_table"]


def longest_context_document(answer: LongestContext, language: str) -> Document:
    """The whole answer.

    Parameters
    ----------
    answer : LongestContext
        Lengths by number of requests.
    language : str
        "en" or "zh".
    """
    verdict, launch, rows = answer.verdict, answer.verdict.launch, longest_context_rows(answer)
    data = {
        "schema": "gpusizer.largest-context/1",
        "model": verdict.model.name,
        "gpu": verdict.accelerator.id,
        "gpus": launch.layout.gpus,
        "engine": launch.engine,
        "precision": launch.precision,
        "model_context_tokens": answer.longest_tokens,
        "sentence": {each: longest_context_sentence(answer, each) for each in LANGUAGES},
        "rows": rows,
        "reason": None if answer.reason is None else notice_data(answer.reason, "reason"),
        "warnings": [notice_data(each, "warning") for each in verdict.fit.warnings],
    }
    blocks: list[Block] = [Heading(longest_context_sentence(answer, language))]
    if answer.rows:
        command = command_blocks(answer.rows[0].launch, language)
        blocks += [longest_context_table(answer, language), Paragraph(text("run-on", "context-command", language)), *command]
    blocks += warning_lines(verdict.fit.warnings, language)
    names = ("requests", "context_tokens", "likely_tokens", "whole", "kv_cache_tokens", "command")
    plain = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    return Document(data, blocks, csv=Table([Column(name) for name in names], plain))


def longest_context_rows(answer: LongestContext) -> list[dict[str, Any]]:
    """One record for each number of requests."""
    return [
        {
            "requests": row.requests,
            "context_tokens": row.context_tokens,
            "likely_tokens": row.likely_tokens,
            "whole": row.whole,
            "kv_cache_tokens": None if row.fit is None else row.fit.kv_cache.tokens,
            "command": command_line(row.launch),
        }
        for row in answer.rows
    ]


def longest_context_table(answer: LongestContext, language: str) -> Table:
    """The lengths as a table."""
    titles = ("ro-at-once", "context-safe", "context-likely", "context-limit")
    columns = [Column(text("run-on", title, language), title != "context-limit") for title in titles]
    cells = [
        [
            f"{row.requests:,}",
            f"{row.context_tokens:,}" if row.context_tokens else text("run-on", "context-unsure", language),
            f"{row.likely_tokens:,}",
            text("run-on", "limit-model" if row.whole else "limit-memory", language),
        ]
        for row in answer.rows
    ]
    return Table(columns, cells)


def longest_context_sentence(answer: LongestContext, language: str) -> str:
    """The answer in one sentence."""
    verdict, launch = answer.verdict, answer.verdict.launch
    said = {
        "model": verdict.model.name,
        "machine": counted_devices(launch.layout.gpus, verdict.accelerator, language),
        "engine": engine_name(launch.engine),
    }
    if answer.reason is not None:
        return text("run-on", "context-none", language, **said, reason=notice_words(answer.reason, "reason", language))
    first = answer.rows[0]
    code = "context-whole" if first.whole else "context-answer" if first.context_tokens else "context-likely-only"
    return text("run-on", code, language, **said, tokens=first.context_tokens or first.likely_tokens, likely=first.likely_tokens)
