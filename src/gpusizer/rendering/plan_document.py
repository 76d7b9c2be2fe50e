"""A plan as people read it: first the decision on one screen, then what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.i18n import text
from gpusizer.planning.rank import SHOWN
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.article import article_blocks
from gpusizer.rendering.companions import companion_blocks, ledger_blocks
from gpusizer.rendering.devices import device_name
from gpusizer.rendering.document import Block, Column, Heading, Lines, Table
from gpusizer.rendering.launch import command_blocks, layout_words
from gpusizer.rendering.ledger import budget_paragraphs, ledger_bar, ledger_table
from gpusizer.rendering.named import named_blocks, nearest_blocks
from gpusizer.rendering.need import near_miss_blocks, need_lines
from gpusizer.rendering.notices import notice_words, warning_lines
from gpusizer.rendering.plan import plan_sentence
from gpusizer.rendering.plan_data import plan_data
from gpusizer.rendering.plan_lines import answer_lines, article_line, more_line, rejected_line
from gpusizer.rendering.plan_options import options_table, said_of
from gpusizer.rendering.plan_rows import picked, rows_table
from gpusizer.rendering.prefill_workers import launch_of, prefill_blocks
from gpusizer.rendering.report.cover import BARE, Cover
from gpusizer.rendering.sensitivity import sensitivity_blocks
from gpusizer.rendering.speculation import speculative_blocks

__all__ = ["PlanDocument", "rejected_blocks"]

FIRST = 7
"""Options on the first screen; as many as a person reads, ``SHOWN``, where details are asked for."""


@dataclass(frozen=True)
class PlanDocument:
    """The plan for people and programs, each part worked out when a form asks for it.

    Parameters
    ----------
    plan : Plan
        The answer.
    language : str
        "en" or "zh".
    detail : bool
        Whether one GPU's memory and what was rejected are shown to people.
    top : int or None
        So many options alone.
    fields : tuple of str
        What programs get of an option; all without.
    cover : Cover
        Title, customer and date of the report.
    """

    plan: Plan
    language: str
    detail: bool = False
    top: int | None = None
    fields: tuple[str, ...] = ()
    cover: Cover = BARE

    @cached_property
    def data(self) -> dict[str, Any]:
        """The contract's JSON."""
        data = plan_data(self.plan, self.top)
        return picked(data, self.plan, self.fields) if self.fields else data

    @cached_property
    def csv(self) -> Table:
        """Every option and what was rejected, a flat row each."""
        return rows_table(self.plan, self.language, self.top, self.fields)

    @property
    def html(self) -> str:
        """The report, as one page."""
        from gpusizer.rendering.report.build import plan_report  # here: most plans are no pages
        from gpusizer.rendering.report.page import report_page

        return report_page(plan_report(self.plan, self.language, self.cover))

    @cached_property
    def blocks(self) -> list[Block]:
        """Sentence, command, need, speed, price, the options, warnings; then details."""
        plan, language = self.plan, self.language
        blocks: list[Block] = [Heading(plan_sentence(plan, language))]
        if plan.request.method == "article":
            blocks += article_blocks(plan, language)
        best = plan.best
        if best is None:
            blocks += [Lines(need_lines(plan, language)), *near_miss_blocks(plan, language), *nearest_blocks(plan, language)]
            blocks += named_blocks(plan, language)
            blocks += rejected_blocks(plan, language)
        else:
            blocks += _answer_blocks(plan, best, language)
            blocks += [*self._options(), *prefill_blocks(best, language)]
        own = () if best is None else [*said_of(plan, best), *(each for each in best.fit.warnings if each not in plan.warnings)]
        blocks += warning_lines((*own, *plan.warnings), language)
        if best is not None and self.detail:
            blocks += _detail_blocks(plan, best, language)
        return [*blocks, *self._last_lines()]

    def _options(self) -> list[Block]:
        """The table, what follows it, what its headings mean, and devices that were named."""
        plan, language = self.plan, self.language
        shown = self.top or (SHOWN if self.detail else FIRST)
        blocks: list[Block] = [options_table(plan, plan.options[:shown], language)]
        blocks.append(Lines([*more_line(plan, shown, language), text("ui", "legend", language)]))
        return [*blocks, *near_miss_blocks(plan, language), *named_blocks(plan, language), *sensitivity_blocks(plan, language)]

    def _last_lines(self) -> list[Block]:
        """In a line each: what is not shown, and where it is."""
        plan, language = self.plan, self.language
        lines = [] if plan.request.method == "article" else article_line(plan, language)
        if plan.best is not None and not self.detail:
            lines += [] if plan.named else rejected_line(plan, language)
            lines.append(text("ui", "detail-hint", language))
        return [Lines(lines)] if lines else []


def _answer_blocks(plan: Plan, best: Option, language: str) -> list[Block]:
    """How the answer is started, and what it rests on."""
    return [
        *command_blocks(launch_of(best), language),
        *companion_blocks(best.companions, language),
        answer_lines(plan, best, language),
        *speculative_blocks(plan, best, language),
    ]


def _detail_blocks(plan: Plan, best: Option, language: str) -> list[Block]:
    """One GPU's memory, and why other devices will not do."""
    items = best.fit.ranks[best.fit.worst].items
    return [
        ledger_bar(per_gpu(items), language),
        ledger_table(items, language),
        *budget_paragraphs(best.fit, language),
        *ledger_blocks(best.companions, language),
        *rejected_blocks(plan, language),
    ]


def rejected_blocks(plan: Plan, language: str) -> list[Block]:
    """Why the rest will not do: one line a device; devices with the same reason share it."""
    chosen = {option.accelerator.id for option in plan.options}
    grouped: dict[str, list[str]] = {}
    for each in plan.rejected:
        words, name = notice_words(each.reason, "reason", language), device_name(each.accelerator.name, language)
        if each.accelerator.id not in chosen:
            grouped.setdefault(words, []).append(name if each.layout is None else f"{each.layout.gpus} x {name} ({layout_words(each.layout)})")
    rows = [[text("ui", "comma", language).join(names), reason] for reason, names in grouped.items()]
    if not rows:
        return []
    heading = [Column(text("ui", "rejected-gpu", language)), Column(text("ui", "rejected-why", language))]
    return [Table(heading, rows)]
