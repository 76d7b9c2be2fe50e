"""What a reader must know of the answer, a line each: need, speed, memory, price, what else there is."""

from __future__ import annotations

from gpusizer.architecture.types import Notice
from gpusizer.article.answer import article_gpus
from gpusizer.engines.base.types import Evidence
from gpusizer.i18n import text
from gpusizer.planning.rank import target_words
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.article import article_cards
from gpusizer.rendering.companions import spare_lines
from gpusizer.rendering.costs import price_origin
from gpusizer.rendering.devices import counted_devices, currency_words, date_words
from gpusizer.rendering.document import Lines
from gpusizer.rendering.need import need_lines
from gpusizer.rendering.notices import notice_words, warning_words
from gpusizer.rendering.plan_options import amount_words, evidence_of

__all__ = ["answer_lines", "article_line", "more_line", "rejected_line"]

_NAMED = 4  # further options that are named in a line


def answer_lines(plan: Plan, best: Option, language: str) -> Lines:
    """Need, speed, memory and price of the answer, each with what it rests on."""
    knobs = [notice_words(each, "knob", language) for each in best.knobs]
    turned = [text("ui", "plan-knobs", language, knobs=knobs)] if knobs else []
    return Lines(
        [
            *need_lines(plan, language),
            _speed_line(best, language),
            *_simulated_lines(best, language),
            _memory_line(plan, best, language),
            _price_line(best, language),
            *turned,
            *spare_lines(best, language),
        ]
    )


def _speed_line(best: Option, language: str) -> str:
    """Times of one request with the ranges that measured runs lay in, and rates."""
    speed = best.performance
    if speed is None:
        return text("ui", "plan-speed-unknown", language)
    times = {"ttft": speed.ttft_s, "tpot": speed.tpot_s}
    words = {
        f"{name}_{end}": f"{getattr(each, end):.2g}" if name == "ttft" else f"{1000 * getattr(each, end):.3g}"
        for name, each in times.items()
        for end in ("value", "low", "high")
    }
    words["owners"] = f"{speed.owners:,}"
    code = "plan-speed-own" if speed.evidence == Evidence.OWN else "plan-speed" if speed.owners else "plan-speed-assumed"
    return text("ui", code, language, **words)


def _simulated_lines(option: Option, language: str) -> list[str]:
    """Percentiles of an option that was simulated, and the targets that it misses."""
    if option.simulated is None:
        return []
    one = option.simulated.summary
    seconds = {f"ttft_{name}": f"{getattr(one.ttft_s, name):.2f}" for name in ("p50", "p95", "p99")}
    pace = {f"tpot_{name}": f"{1000 * getattr(one.tpot_s, name):.1f}" for name in ("p50", "p95", "p99")}
    missed = [Notice("misses-percentile", target_words(each)) for each in option.simulated.missed]
    return [text("ui", "plan-simulated", language, requests=one.requests, **seconds, **pace), *(warning_words(each, language) for each in missed)]


def _memory_line(plan: Plan, best: Option, language: str) -> str:
    """What it holds, and how that is known."""
    words = {"held": best.held_requests, "low": best.held_requests_low, "evidence": text("ui", f"evidence-{evidence_of(best)}", language)}
    return text("ui", "plan-margin" if best.held_requests > plan.need.concurrency else "plan-sized", language, **words)


def _price_line(best: Option, language: str) -> str:
    """Rent with its kind and date, what a million tokens cost, and purchase."""
    rent, million, purchase = best.cost, best.cost_per_million_tokens, best.purchase
    if best.is_there:
        return text("ui", "plan-owned", language)
    if rent is None and purchase is None:
        return text("ui", "plan-price-unknown", language)
    parts = []
    if rent is not None:
        parts.append(text("ui", "plan-rent", language, amount=amount_words(rent, language), origin=price_origin(rent, language)))
        if million is not None:
            parts.append(text("ui", "plan-million", language, amount=f"{million:,.2f}", currency=currency_words(rent.currency, language)))
    if purchase is not None:
        origin = date_words(purchase.date, language) or price_origin(purchase, language)
        parts.append(text("ui", "plan-purchase", language, amount=amount_words(purchase, language), origin=origin))
    return text("ui", "plan-price", language, parts=text("ui", "semicolon", language).join(parts))


def more_line(plan: Plan, shown: int, language: str) -> list[str]:
    """How many options follow those that are shown, and the first of them."""
    rest = plan.options[shown:]
    if not rest:
        return []
    named = [counted_devices(each.gpus, each.accelerator, language) for each in rest[:_NAMED]]
    return [text("ui", "more-options" if len(rest) <= _NAMED else "many-more-options", language, count=len(rest), gpus=named)]


def rejected_line(plan: Plan, language: str) -> list[str]:
    """How many accelerators will not do."""
    chosen = {option.accelerator.id for option in plan.options}
    found = {each.accelerator.id for each in plan.rejected} - chosen
    return [text("ui", "rejected-count", language, count=len(found))] if found else []


def article_line(plan: Plan, language: str) -> list[str]:
    """What the usual estimate says, in a line; nothing where it cannot read the model."""
    result = plan.article
    if result is None:
        return []
    card, number = article_gpus(result, article_cards())[0]
    return [text("ui", "article-line", language, total=result.total_bytes, cards=counted_devices(number, card, language))]
