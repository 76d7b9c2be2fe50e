"""The options of a plan in a table, wide for files and narrow for a terminal of 80 columns, and what is said of one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gpusizer.architecture.types import Notice
from gpusizer.engines import engine_name
from gpusizer.engines.base.ledger import per_gpu, worst_evidence
from gpusizer.engines.base.types import Evidence
from gpusizer.i18n import has, text
from gpusizer.planning.rank import runner_up_reason
from gpusizer.planning.types import FITS, Cost, Option, Plan
from gpusizer.rendering.costs import price_remark
from gpusizer.rendering.devices import currency_words, device_name, short_device_name
from gpusizer.rendering.document import Column, Table
from gpusizer.rendering.notices import notice_words
from gpusizer.rendering.prefill_workers import option_layout
from gpusizer.units import GiB

__all__ = ["amount_words", "cost_words", "evidence_of", "option_cells", "options_table", "said_of", "speed_bands", "verdict_words", "why_not_first"]

_DEAR = 1000
_NUMBERS = ("gpus", "order", "weights-gib", "cache-gib", "holds", "ttft", "tpot", "rate", "saturated", "rent", "million")

# Columns of the narrow form, and which of them still go where there is no room, the last first.
_NARROW = ("rank", "gpus", "gpu", "engine", "precision", "layout", "holds", "ttft", "tpot", "rate", "rent", "verdict", "why-not-first")
_SPARE = {"verdict": 1, "layout": 2, "rank": 3, "precision": 10, "engine": 11, "rate": 12, "why-not-first": 13}


def verdict_words(option: Option, language: str) -> str:
    """The verdict on an option in one word."""
    return text("ui", f"verdict-{option.verdict}", language)


def said_of(plan: Plan, option: Option) -> tuple[Notice, ...]:
    """What must be said of an option; of the best also what would be quicker."""
    said = (*option.notices, *option.slow)
    return (*said, *plan.advice) if option is plan.best else said


def evidence_of(option: Option) -> str:
    """The least sure evidence of an option, memory and speed together."""
    return Evidence.ASSUMED if option.assumed or option.drafts is not None else worst_evidence(option.fit.ranks[option.fit.worst].items)


def why_not_first(plan: Plan, option: Option) -> Notice | None:
    """Why an option is not the first one; None of the first."""
    return None if plan.best is None or option is plan.best else runner_up_reason(option, plan.best, plan.request)


def cost_words(cost: Cost | None, language: str) -> str:
    """A cost as a range with its currency; that it is unknown is said."""
    if cost is None:
        return text("ui", "price-unknown", language)
    return f"{amount_words(cost, language)}{price_remark(cost, language)}"


def amount_words(cost: Cost, language: str) -> str:
    """A cost as a range with its currency."""
    return f"{_range(cost, ' - ')} {currency_words(cost.currency, language)}"


def _range(cost: Cost, dash: str) -> str:
    """From - to; of what is dear the cents do not matter."""
    ends = dict.fromkeys(f"{each:,.0f}" if each >= _DEAR else f"{each:,.2f}" for each in (cost.amount, cost.high))
    return dash.join(ends)


def options_table(plan: Plan, options: Sequence[Option], language: str) -> Table:
    """Options, a row each; a narrow screen gets what one compares, under short headings.

    Parameters
    ----------
    plan : Plan
        The whole answer.
    options : sequence of Option
        Those to show: what tells them apart decides the columns.
    language : str
        "en" or "zh".
    """
    several = {
        "engine": len({option.launch.engine for option in options}) > 1,
        "precision": len({option.launch.precision for option in options}) > 1,
    }
    cells = {name: cell for name, cell in option_cells(plan, language).items() if several.get(name, True)}
    short = {**cells, **_short_cells(options, language)}
    names = [name for name in _NARROW if name in cells]
    currency = _currency(options)
    titles = {name: text("ui", f"option-{name}", language) for name in cells}
    narrow = {name: text("ui", code, language) for name in names if has("ui", code := f"narrow-{name}", language)}
    narrow["rent"] = text("ui", "narrow-rent", language, currency=currency_words(currency, language))
    columns = [Column(titles[name], right=name in _NUMBERS) for name in cells]
    fewer = [Column(narrow.get(name, titles[name]), right=name in _NUMBERS, spare=_SPARE.get(name, 0)) for name in names]
    rows = [[cell(option) for cell in cells.values()] for option in options]
    return Table(columns, rows, Table(fewer, [[short[name](option) for name in names] for option in options]))


def option_cells(plan: Plan, language: str) -> dict[str, Callable[[Option], str]]:
    """What each column says of an option, by the code of the column, in the order of the columns.

    Parameters
    ----------
    plan : Plan
        The whole answer.
    language : str
        "en" or "zh".
    """

    def memory(name: str) -> Callable[[Option], str]:
        return lambda option: f"{per_gpu(option.fit.ranks[option.fit.worst].items)[name] / GiB:,.1f}"

    def reason(option: Option) -> str:
        found = why_not_first(plan, option)
        return "" if found is None else notice_words(found, "reason", language)

    return {
        "rank": lambda option: str(option.rank),
        "gpus": lambda option: str(option.gpus),
        "gpu": lambda option: device_name(option.accelerator.name, language),
        "order": lambda option: str(option.gpus_to_order),
        "engine": lambda option: engine_name(option.launch.engine),
        "precision": lambda option: option.launch.precision,
        "layout": option_layout,
        "servers": lambda option: str(option.nodes),
        "weights-gib": memory("weights_bytes"),
        "cache-gib": memory("kv_cache_pool_bytes"),
        "holds": _held,
        **_SPEEDS,
        "rent": lambda option: cost_words(option.cost, language) if not option.is_there else "",
        "million": lambda option: "-" if option.cost_per_million_tokens is None else f"{option.cost_per_million_tokens:,.2f}",
        "evidence": lambda option: text("ui", f"evidence-{evidence_of(option)}", language),
        "verdict": lambda option: verdict_words(option, language),
        "why-not-first": reason,
    }


def _held(option: Option) -> str:
    """Requests that it holds on the safe side; of a tight one up to the middle of the estimate."""
    low = f"{option.held_requests_low:,}"
    return low if option.verdict == FITS else f"{low}-{option.held_requests:,}"


_SPEEDS: dict[str, Callable[[Option], str]] = {
    "ttft": lambda option: "-" if option.performance is None else f"{option.performance.ttft_s.value:.2f}",
    "tpot": lambda option: "-" if option.performance is None else f"{1000 * option.performance.tpot_s.value:.1f}",
    "rate": lambda option: "-" if option.performance is None else f"{option.performance.output_tokens_per_s.value:,.0f}",
    "saturated": lambda option: "-" if option.saturated is None else f"{option.saturated.output_tokens_per_s.value:,.0f}",
}


def speed_bands(option: Option) -> dict[str, str]:
    """From - to of the figures of speed, by the code of their column; empty where no speed is known."""
    speed = option.performance
    if speed is None:
        return {}
    ttft, tpot, rate = speed.ttft_s, speed.tpot_s, speed.output_tokens_per_s
    return {
        "ttft": f"{ttft.low:.2f} - {ttft.high:.2f}",
        "tpot": f"{1000 * tpot.low:.1f} - {1000 * tpot.high:.1f}",
        "rate": f"{rate.low:,.0f} - {rate.high:,.0f}",
    }


def _short_cells(options: Sequence[Option], language: str) -> dict[str, Callable[[Option], str]]:
    """The same for a narrow screen: names without brackets where they stay apart, and rent without the currency that the heading says."""
    currency = _currency(options)
    short = {option.accelerator.name: short_device_name(option.accelerator.name) for option in options}
    apart = len(set(short.values())) == len(short)

    def rent(option: Option) -> str:
        cost = option.cost
        if cost is None:
            return "-"
        kind = price_remark(cost, language).strip(" ()")
        return " ".join(filter(None, (_range(cost, "-"), "" if cost.currency == currency else currency_words(cost.currency, language), kind)))

    def gpu(option: Option) -> str:
        return short[option.accelerator.name] if apart else device_name(option.accelerator.name, language)

    return {"gpu": gpu, "rent": rent}


def _currency(options: Sequence[Option]) -> str:
    """The currency of most rents; USD where none is known."""
    found = [option.cost.currency for option in options if option.cost is not None]
    return max(found, key=found.count, default="USD")
