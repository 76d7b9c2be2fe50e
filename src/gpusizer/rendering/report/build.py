"""From a plan to the words of its report, section by section, in the order in which somebody decides."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from gpusizer.i18n import printable, text
from gpusizer.planning.request import to_arguments
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.article import article_verdict
from gpusizer.rendering.charts import cost_chart, latency_chart, memory_bar
from gpusizer.rendering.companions import companion_blocks
from gpusizer.rendering.devices import counted_devices
from gpusizer.rendering.document import Block, Command, Lines, Points
from gpusizer.rendering.launch import command_blocks, quoted
from gpusizer.rendering.named import named_blocks, nearest_blocks
from gpusizer.rendering.need import near_miss_blocks, need_lines
from gpusizer.rendering.plan import plan_sentence
from gpusizer.rendering.prefill_workers import launch_of, prefill_blocks
from gpusizer.rendering.report.assumptions import assumptions
from gpusizer.rendering.report.comparison import comparison
from gpusizer.rendering.report.cover import Cover
from gpusizer.rendering.report.risks import risk_lines
from gpusizer.rendering.report.view import Comparison, Footnotes, Picture, Report, Section
from gpusizer.rendering.sensitivity import sensitivity_blocks
from gpusizer.rendering.speculation import speculative_blocks

__all__ = ["command_again", "plan_report"]


def plan_report(plan: Plan, language: str, cover: Cover) -> Report:
    """The report on a plan.

    Parameters
    ----------
    plan : Plan
        The answer: every figure is its own.
    language : str
        "en" or "zh".
    cover : Cover
        Title, customer and date.

    Returns
    -------
    Report
        Words alone; sections without anything to say are left out.
    """
    notes, best = Footnotes(), plan.best
    found: dict[str, Sequence[Block | Comparison | Picture]] = {"need": [Lines(need_lines(plan, language)), assumptions(plan, notes, language)]}
    if best is None:
        found["options"] = [*near_miss_blocks(plan, language), *nearest_blocks(plan, language), *named_blocks(plan, language)]
    else:
        found["options"] = [comparison(plan, notes, language), *near_miss_blocks(plan, language), *named_blocks(plan, language)]
        found["sensitivity"] = sensitivity_blocks(plan, language)
        found["pictures"] = _pictures(plan, best, language)
        found["launch"] = _launch(plan, best, language)
    found["article"] = [] if plan.article is None else article_verdict(plan, plan.article, language)
    found["risks"] = [Points(risk_lines(plan, language))]
    found["again"] = [Command(command_again(plan, language)), Lines([text("report", "made", language, version=version("gpusizer"))])]
    return Report(
        language=language,
        title=printable(cover.title, language) or text("report", "title", language, model=plan.model.name),
        customer=printable(cover.customer, language),
        date=printable(cover.date, language),
        sentence=plan_sentence(plan, language),
        sections=[Section(code, text("report", f"section-{code}", language), blocks) for code, blocks in found.items() if blocks],
        sources=notes.linked(),
    )


def _pictures(plan: Plan, best: Option, language: str) -> list[Picture]:
    """One GPU's memory and the speed of the recommended option, and all options by price and speed; what cannot be drawn is left out."""
    drawn = {"memory-bar": memory_bar(best, language), "latency-chart": latency_chart(plan, best, language), "cost-chart": cost_chart(plan, language)}
    recommended = counted_devices(best.gpus, best.accelerator, language)
    return [Picture(svg, text("report", f"picture-{code}", language, option=recommended)) for code, svg in drawn.items() if svg]


def _launch(plan: Plan, best: Option, language: str) -> list[Block]:
    """How the recommended option is started."""
    started = [*command_blocks(launch_of(best), language), *companion_blocks(best.companions, language), *prefill_blocks(best, language)]
    return [*started, *speculative_blocks(plan, best, language)]


def command_again(plan: Plan, language: str) -> list[str]:
    """The command line that gives the same answer, word by word, quoted for a shell.

    >>> from gpusizer.planning.pipeline import make_plan
    >>> from gpusizer.planning.request import Request
    >>> " ".join(command_again(make_plan(Request("qwen3-8b", concurrency=8, gpus=("l40s",), context_tokens=2048)), "zh"))
    'gpusizer plan qwen3-8b --concurrency 8 --context-tokens 2048 --gpu l40s --language zh'
    """
    return ["gpusizer", "plan", *map(quoted, to_arguments(plan.request)), "--language", language]
