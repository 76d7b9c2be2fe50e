"""Why an answer is what it is: each figure of memory and speed with its formula, the numbers in it, what is known of it, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gpusizer.article.answer import article_gpus
from gpusizer.i18n import text
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.article import article_blocks, article_cards
from gpusizer.rendering.devices import counted_devices
from gpusizer.rendering.document import Block, Heading
from gpusizer.rendering.formulas import worked
from gpusizer.units import GB, GiB

__all__ = ["Article", "Why", "article_of", "memory_whys", "speed_whys"]


class Why(NamedTuple):
    """One figure: what it is, its value, how it is known, and its formula with the numbers in it.

    ``sources`` are in the words of their authors.
    """

    name: str
    value: str
    evidence: str
    formula: str
    formula_id: str
    expression: str
    with_numbers: str
    sources: Sequence[str]


class Article(NamedTuple):
    """The usual rule of thumb beside the answer: its sum, the cards that its reader would buy, what the plan takes, and what it leaves out."""

    total: str
    cards: str
    answer: str
    blocks: Sequence[Block]


def memory_whys(option: Option, language: str) -> list[Why]:
    """The memory of the fullest GPU, line by line."""
    found = []
    for item in option.fit.ranks[option.fit.worst].items:
        if item.bytes:
            evidence = text("ui", f"evidence-{item.evidence}", language)
            value = f"{item.bytes / GiB:,.2f} GiB"
            found.append(_why(item.id, value, evidence, (item.formula, dict(item.inputs)), item.sources, language))
    return found


def speed_whys(option: Option, language: str) -> list[Why]:
    """Times and rates, from the parts of a step to what a request sees; empty where no speed is known."""
    speed = option.performance
    if speed is None:
        return []
    evidence = text("ui", f"evidence-{speed.evidence}", language)
    return [_why(each.id, f"{each.value:,.4g} {each.unit}", evidence, (each.formula, dict(each.inputs)), (), language) for each in speed.items]


def _why(id: str, value: str, evidence: str, formula: tuple[str, dict[str, float]], sources: Sequence[str], language: str) -> Why:
    made = worked(*formula, language)
    return Why(
        text("item", id, language),
        value,
        evidence,
        made["name"],
        formula[0],
        made["expression"],
        made["with_numbers"],
        list(dict.fromkeys([*sources, made["reference"]])),
    )


def article_of(plan: Plan, language: str) -> Article | None:
    """The rule of thumb beside the answer; None where it cannot read the model."""
    result = plan.article
    if result is None:
        return None
    card, number = article_gpus(result, article_cards())[0]
    best = plan.best
    answer = text("web", "no-answer", language) if best is None else counted_devices(best.gpus, best.accelerator, language)
    blocks = [each for each in article_blocks(plan, language) if not isinstance(each, Heading)]
    return Article(f"{result.total_bytes / GB:,.1f} GB", counted_devices(number, card, language), answer, blocks)
