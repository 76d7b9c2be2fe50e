"""An answer as its page shows it: words, rows and pictures, each made by the functions that every other form uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from markupsafe import Markup

from gpusizer.engines import engine_name
from gpusizer.i18n import text
from gpusizer.planning.deploy import of_plan
from gpusizer.planning.picks import Pick, picks
from gpusizer.planning.rank import SHOWN
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.charts import cost_chart, latency_chart, memory_bar, memory_chart
from gpusizer.rendering.companions import beside_words, companion_blocks
from gpusizer.rendering.deployment.document import carried
from gpusizer.rendering.devices import counted_devices, device_name
from gpusizer.rendering.document import Block, Table
from gpusizer.rendering.launch import LaunchCommand, launch_command
from gpusizer.rendering.ledger import budget_paragraphs, ledger_table
from gpusizer.rendering.named import named_blocks, nearest_blocks
from gpusizer.rendering.need import near_miss_blocks, need_lines
from gpusizer.rendering.notices import notice_words, warning_lines, warning_words
from gpusizer.rendering.plan import plan_sentence, servers_words
from gpusizer.rendering.plan_document import rejected_blocks
from gpusizer.rendering.plan_lines import answer_lines
from gpusizer.rendering.plan_options import option_cells, said_of, speed_bands, verdict_words, why_not_first
from gpusizer.rendering.prefill_workers import launch_of, option_layout, prefill_blocks
from gpusizer.rendering.render import form_names
from gpusizer.rendering.sensitivity import sensitivity_blocks
from gpusizer.rendering.speculation import speculative_blocks
from gpusizer.web.plan_links import FORMS, PlanLinks, deploy_path
from gpusizer.web.templating import link

__all__ = ["Card", "Figure", "PlanPage", "Row"]

_FIGURES = ("holds", "ttft", "tpot", "rate", "rent", "million")
_SORTED_BY = {"gpu": "gpus", "tpot": "speed", "rent": "cost"}


class Figure(NamedTuple):
    """A number in words, the range that it lies in, and what it is."""

    title: str
    words: str
    band: str = ""


class Heading(NamedTuple):
    """The heading of a column: its words, the address that sorts by it, and whether the table is sorted so."""

    title: str
    href: str = ""
    sorted: bool = False
    right: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """An option in the table.

    Parameters
    ----------
    option : Option
        The option.
    id : str
        Of its row on the page.
    device, parts : str
        What is bought, and how it is cut.
    verdict : str
        In a word.
    figures : sequence of Figure
        Load, speed and price.
    remark : str
        Why it is not the first.
    notes : sequence of str
        What must be said of it.
    command : str or None
        How it is started.
    ledger : Table or None
        Its memory; None where ``narrower`` leads to it.
    narrower : str
        The page of this device alone.
    """

    option: Option
    id: str
    device: str
    parts: str
    verdict: str
    figures: Sequence[Figure]
    remark: str
    notes: Sequence[str]
    command: str | None
    ledger: Table | None
    narrower: str


@dataclass(frozen=True, slots=True)
class Card:
    """One of the options that one compares first: as what it was picked, and the row that says all of it."""

    kinds: Sequence[str]
    row: Row
    first: bool


@dataclass(frozen=True)
class PlanPage:
    """A plan as its page shows it, each part worked out when the template asks for it.

    Parameters
    ----------
    plan : Plan
        The answer.
    links : PlanLinks
        Addresses of its request.
    language : str
        "en" or "zh".
    top : int or None
        So many options alone.
    """

    plan: Plan
    links: PlanLinks
    language: str
    top: int | None = field(default=None)

    @cached_property
    def sentence(self) -> str:
        """The sentence to copy."""
        return plan_sentence(self.plan, self.language)

    @cached_property
    def short(self) -> str:
        """The answer where there is no room for the sentence."""
        best = self.plan.best
        return text("web", "no-answer", self.language) if best is None else counted_devices(best.gpus, best.accelerator, self.language)

    @cached_property
    def command(self) -> LaunchCommand:
        """How the answer is started, or why no command is printed."""
        return LaunchCommand(None) if self.plan.best is None else launch_command(launch_of(self.plan.best))

    @cached_property
    def facts(self) -> Sequence[str]:
        """What the answer rests on, a line each, the need first."""
        best = self.plan.best
        return need_lines(self.plan, self.language) if best is None else answer_lines(self.plan, best, self.language).lines

    @cached_property
    def start(self) -> list[Block]:
        """What else must be started or known of the answer's start."""
        best = self.plan.best
        if best is None:
            return []
        beside = companion_blocks(best.companions, self.language)
        return [*beside, *speculative_blocks(self.plan, best, self.language), *prefill_blocks(best, self.language)]

    @cached_property
    def picked(self) -> Sequence[Pick]:
        """The options that one compares first."""
        return picks(self.plan)

    @cached_property
    def cards(self) -> list[Card]:
        """The same in words."""
        names = [[text("web", f"pick-{kind}", self.language) for kind in pick.kinds] for pick in self.picked]
        return [Card(kinds, self._row(pick.option), pick.option is self.plan.best) for kinds, pick in zip(names, self.picked, strict=True)]

    @cached_property
    def bar(self) -> Markup:
        """One GPU of the answer, part by part."""
        best = self.plan.best
        return Markup("" if best is None else memory_bar(best, self.language, concurrency=self.plan.need.concurrency))

    @cached_property
    def bar_of(self) -> str:
        """The device of the bar."""
        return "" if self.plan.best is None else device_name(self.plan.best.accelerator.name, self.language)

    @cached_property
    def budget(self) -> list[Block]:
        """What the engine's share of a card means."""
        return [] if self.plan.best is None else [*budget_paragraphs(self.plan.best.fit, self.language)]

    @cached_property
    def charts(self) -> list[tuple[str, Markup]]:
        """Pictures of the answer, each with its name; those alone that there is something to draw for."""
        plan, best, language = self.plan, self.plan.best, self.language
        if best is None:
            return []
        drawn = {"memory": memory_chart(plan, best, language), "latency": latency_chart(plan, best, language), "cost": cost_chart(plan, language)}
        return [(name, Markup(svg)) for name, svg in drawn.items() if svg]

    @cached_property
    def shown(self) -> Sequence[Option]:
        """Options in the table."""
        return self.plan.options[: self.top or SHOWN]

    @cached_property
    def more(self) -> tuple[str, str] | None:
        """That there are more options, and the address that shows them."""
        rest = len(self.plan.options) - len(self.shown)
        return (text("web", "more-options", self.language, count=rest), self.links.showing(top=len(self.plan.options))) if rest else None

    @cached_property
    def headings(self) -> list[Heading]:
        """Columns of the table of options."""
        by = self.plan.request.sort
        named = [("gpu", False), ("verdict", False), *((name, True) for name in _FIGURES)]
        found = [Heading("#", self.links.changed(sort="best"), by == "best")]
        for name, right in named:
            order = _SORTED_BY.get(name, "")
            href = self.links.changed(sort=order) if order else ""
            found.append(Heading(self._title(name), href, bool(order) and by == order, right))
        return found

    def _title(self, name: str) -> str:
        """The heading of a column, short where there is a short one."""
        code = f"narrow-{name}" if name == "holds" else f"option-{name}"
        return text("ui", code, self.language)

    @cached_property
    def rows(self) -> list[Row]:
        """Rows of the table of options."""
        return [self._row(option) for option in self.shown]

    @cached_property
    def after_options(self) -> list[Block]:
        """Near misses, hardware that was named, and the nearest that does."""
        plan, language = self.plan, self.language
        return [*near_miss_blocks(plan, language), *nearest_blocks(plan, language), *named_blocks(plan, language)]

    @cached_property
    def lifted(self) -> str:
        """The page without the limits in whose way nothing will do; empty where there is none."""
        nearest = self.plan.nearest if self.plan.best is None else None
        return "" if nearest is None else self.links.without(*nearest.lifted)

    @cached_property
    def sensitivity(self) -> list[Block]:
        """How the answer moves with the need."""
        return sensitivity_blocks(self.plan, self.language)

    @cached_property
    def warnings(self) -> Sequence[str]:
        """What must be known of the answer, each once."""
        plan, best = self.plan, self.plan.best
        of_start = () if best is None else (each for each in best.fit.warnings if each not in plan.warnings)
        own = () if best is None else (*self.command.notices, *said_of(plan, best), *of_start)
        found = warning_lines((*own, *plan.warnings), self.language)
        return found[0].lines if found else []

    @cached_property
    def rejected(self) -> list[Block]:
        """Why other devices are not viable."""
        return rejected_blocks(self.plan, self.language)

    @property
    def legend(self) -> str:
        """What short words mean."""
        return text("ui", "legend", self.language)

    @property
    def downloads(self) -> list[tuple[str, str, str]]:
        """The same answer in other forms: name, address, and where a form is sent to where there is none."""
        known = ("xlsx", *form_names())
        return [(text("web", f"form-{name}", self.language), self.links.form(name), self.links.sent(name)) for name in FORMS if name in known]

    @cached_property
    def deployments(self) -> list[tuple[str, str, str, str]]:
        """What starts the answer, by each target that carries it: name, address, where a form is sent to, and the target."""
        if self.plan.best is None:
            return []
        found = carried(of_plan(self.plan, self.plan.best.rank), self.language)
        names = {each: text("deploy", f"target-{each}", self.language) for each in found}
        return [(names[each], self.links.deploy(each), link(self.links.job, deploy_path(each)), each) for each in found]

    def _row(self, option: Option) -> Row:
        plan, language = self.plan, self.language
        reason = why_not_first(plan, option)
        command = launch_command(launch_of(option))
        said = (*said_of(plan, option), *option.fit.warnings, *command.notices)
        settings = [text("ui", "plan-knobs", language, knobs=[notice_words(each, "knob", language) for each in option.knobs])] if option.knobs else []
        with_ledger = option is plan.best or any(option is pick.option for pick in self.picked) or len(plan.options) == 1
        return Row(
            option,
            f"option-{option.rank}",
            counted_devices(option.gpus, option.accelerator, language),
            text("ui", "semicolon", language).join(self._parts(option)),
            verdict_words(option, language),
            self._figures(option),
            "" if reason is None else notice_words(reason, "reason", language),
            list(dict.fromkeys([*settings, *(warning_words(each, language) for each in said)])),
            command.line,
            ledger_table(option.fit.ranks[option.fit.worst].items, language) if with_ledger else None,
            self.links.changed(gpus=(option.accelerator.id,), vendor=None),
        )

    def _parts(self, option: Option) -> list[str]:
        """Layout and servers; engine and precision where options differ in them."""
        several = self._several
        found = [option_layout(option), servers_words(option, self.language)]
        found += [engine_name(option.launch.engine)] if several[0] else []
        found += [beside_words(option.companions, self.language)] if option.companions else []
        return found + ([option.launch.precision] if several[1] else [])

    @cached_property
    def _several(self) -> tuple[bool, bool]:
        launches = [option.launch for option in self.shown]
        return len({each.engine for each in launches}) > 1, len({each.precision for each in launches}) > 1

    def _figures(self, option: Option) -> list[Figure]:
        bands = speed_bands(option)
        return [Figure(text("ui", f"option-{name}", self.language), self._cells[name](option), bands.get(name, "")) for name in _FIGURES]

    @cached_property
    def _cells(self) -> Mapping[str, Callable[[Option], str]]:
        return option_cells(self.plan, self.language)
