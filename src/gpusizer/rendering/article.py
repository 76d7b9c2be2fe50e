"""The article's table for readers, and in one line a point why the truth differs."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from gpusizer.article.answer import ArticleResult, article_gpus
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.types import Accelerator
from gpusizer.i18n import text
from gpusizer.planning.types import Plan
from gpusizer.rendering.document import Block, Column, Heading, Paragraph, Points, Table
from gpusizer.rendering.notices import notice_data, notice_words
from gpusizer.units import GB, GiB

__all__ = ["ARTICLE_CARDS", "article_blocks", "article_cards", "article_data", "article_verdict"]

ARTICLE_CARDS = ("h100-sxm-80gb", "a100-sxm-80gb", "h20-sxm-96gb", "h200-sxm-141gb", "l40s-48gb", "rtx4090-24gb")
"""NVIDIA cards to compare with, as the article's own table: what a reader in its place would choose from."""


def article_data(result: ArticleResult) -> dict[str, Any]:
    """The article's figures as plain data.

    Parameters
    ----------
    result : ArticleResult
        The figures.
    """
    return {
        "precision": result.precision,
        "concurrency": result.concurrency,
        "context_tokens": result.context_tokens,
        "weights_bytes": result.weights_bytes,
        "kv_cache_bytes_per_user": result.kv_cache_bytes_per_user,
        "activation_bytes_per_user": result.activation_bytes_per_user,
        "bytes_per_user": result.bytes_per_user,
        "total_bytes": result.total_bytes,
        "items": [
            {"id": item.id, "bytes": item.bytes, "formula": item.formula, "inputs": {name: _plain(value) for name, value in item.inputs.items()}}
            for item in result.items
        ],
        "cards": [{"gpu": card.id, "gpus": number} for card, number in article_gpus(result, article_cards())],
        "differences": [notice_data(each, "warning") for each in result.notices],
    }


def article_blocks(plan: Plan, language: str) -> list[Block]:
    """The table, the cards that the article's reader would buy, and what is wrong with it.

    Parameters
    ----------
    plan : Plan
        The whole answer; its best option tells whether the article's cards would do.
    language : str
        "en" or "zh".
    """
    result = plan.article
    if result is None:
        if plan.request.method != "article":
            return []
        return [Paragraph(text("ui", "article-none", language, precision=plan.request.precision))]
    heading = {"precision": result.precision.upper(), "concurrency": result.concurrency, "context": result.context_tokens}
    return [
        Heading(text("ui", "article-heading", language, **heading)),
        _table(result, language),
        *article_verdict(plan, result, language),
        Paragraph(text("ui", "article-source", language)),
    ]


def article_verdict(plan: Plan, result: ArticleResult, language: str) -> list[Block]:
    """What the article's reader would buy, whether that would do, and what is wrong with the figures.

    Parameters
    ----------
    plan : Plan
        The whole answer.
    result : ArticleResult
        Its figures by the article's method.
    language : str
        "en" or "zh".
    """
    cards = article_gpus(result, article_cards())
    words = {"total": result.total_bytes, "cards": text("ui", "or", language).join(f"{number} x {card.name}" for card, number in cards[:3])}
    code = "article-answer" if _too_few(plan, cards) else "article-answer-right"
    return [
        Paragraph(text("ui", code, language, **words)),
        Points([notice_words(each, "warning", language) for each in result.notices]),
    ]


def _table(result: ArticleResult, language: str) -> Table:
    lines = [(item.id, item.bytes, item.formula) for item in result.items]
    lines += [("article_user", result.bytes_per_user, "article.user"), ("article_total", result.total_bytes, "article.total")]
    rows = [[text("item", id, language), f"{size:,}", f"{size / GB:,.3f}", f"{size / GiB:,.3f}", formula] for id, size, formula in lines]
    columns = [
        Column(text("ui", "article-item", language)),
        Column("bytes", right=True),
        Column("GB", right=True),
        Column("GiB", right=True),
        Column(text("ui", "formula", language), spare=1),
    ]
    return Table(columns, rows)


def _too_few(plan: Plan, cards: Sequence[tuple[Accelerator, int]]) -> bool:
    """Whether the article's number of a card is below what the plan found for the same card, or cannot even hold the weights."""
    resident = (
        max((each.parameters["true_bytes"] for each in plan.article.notices if each.code == "article-weights"), default=0) if plan.article else 0
    )
    if any(number * card.memory_bytes < resident for card, number in cards[:3]):
        return True
    needed = {option.accelerator.id: option.gpus for option in plan.options}
    refused = {each.accelerator.id for each in plan.rejected}
    return any(number < needed.get(card.id, 0) or (card.id in refused and card.id not in needed) for card, number in cards[:3])


def article_cards() -> list[Accelerator]:
    """The cards that the article's reader would choose from."""
    return [accelerator(id) for id in ARTICLE_CARDS]


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Fraction) else value
