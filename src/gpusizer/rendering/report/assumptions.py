"""What the answer rests on before any hardware: model, each part of the need with where it is from, limits, precision, market."""

from __future__ import annotations

from collections.abc import Iterator

from gpusizer.facts.catalog import scenario
from gpusizer.facts.types import is_source
from gpusizer.i18n import has, printable, text
from gpusizer.planning.request import FIELDS, to_mapping
from gpusizer.planning.types import Plan
from gpusizer.rendering.devices import currency_words
from gpusizer.rendering.need import need_data
from gpusizer.rendering.plan import weights_words
from gpusizer.rendering.report.view import Cell, Comparison, Footnotes, Line
from gpusizer.units import format_share

__all__ = ["assumptions"]

_LIMITS = (
    *("ttft_s", "tpot_s", "ttft_p50_s", "ttft_p95_s", "ttft_p99_s", "tpot_p95_s", "tpot_p99_s"),
    *("max_gpus", "spare", "with_models", "other_memory_bytes", "vendor"),
)
_BILLION = 10**9


def assumptions(plan: Plan, notes: Footnotes, language: str) -> Comparison:
    """The need part by part: how much, and whether somebody gave it, a scenario or a default.

    Parameters
    ----------
    plan : Plan
        An answer.
    notes : Footnotes
        Where sources go.
    language : str
        "en" or "zh".
    """
    rows = [(_named("model", language), [_model(plan, notes, language), _origin("given", language)])]
    typical = () if plan.need.scenario is None else notes.of(scenario(plan.need.scenario).sources)
    for name, value, origin in (*_parts(plan), *_limits(plan), *_choices(plan, language)):
        rows.append((_named(name, language), [[Line(value)], _origin(origin, language, typical if origin == "scenario" else ())]))
    return Comparison(text("report", "part", language), [[Line(text("report", name, language))] for name in ("value", "origin")], rows)


def _origin(origin: str, language: str, notes: tuple[int, ...] = ()) -> Cell:
    return [Line(text("report", f"origin-{origin}", language), notes)]


def _model(plan: Plan, notes: Footnotes, language: str) -> Cell:
    figures = plan.figures
    sizes = {"total": f"{figures.total_params / _BILLION:,.1f}", "activated": f"{figures.activated_params / _BILLION:,.1f}"}
    code = "parameters" if figures.activated_params == figures.total_params else "parameters-activated"
    return [Line(printable(plan.model.name, language), notes.of(_model_sources(plan))), Line(text("report", code, language, **sizes))]


def _model_sources(plan: Plan) -> list[str]:
    entry = plan.model.entry
    found = () if entry is None else (entry.config_source, entry.published_source, entry.checkpoint_source)
    return [each for each in found if each is not None and is_source(each)]


def _parts(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """The load and its lengths."""
    data = need_data(plan)
    for part, origin in data["origin"].items():
        value = data.get(part)
        if value is not None:
            yield part, format_share(value) if part == "active_share" else f"{value:,}", origin


def _limits(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Targets and limits that were asked for."""
    said = to_mapping(plan.request)
    for field in FIELDS:
        if field.name in _LIMITS and field.name in said:
            value = said[field.name]
            yield field.name, ", ".join(map(field.write, value)) if field.many else field.write(value), "given"


def _choices(plan: Plan, language: str) -> Iterator[tuple[str, str, str]]:
    """What decides the answer and is rarely given: formats, market, currency."""
    request = plan.request
    cache = text("report", "cache-auto", language) if request.kv_precision == "auto" else request.kv_precision
    yield "precision", weights_words(plan, language), "usual" if request.precision == "checkpoint" else "given"
    yield "kv_precision", cache, "usual" if request.kv_precision == "auto" else "given"
    yield "market", text("report", f"market-{request.market}", language), "usual" if request.market == "global" else "given"
    yield "currency", currency_words(request.money, language), "usual" if request.currency is None else "given"


def _named(part: str, language: str) -> str:
    """A part of the need, or another field of the request, in words."""
    return text("need", f"part-{part}", language) if has("need", f"part-{part}", language) else text("report", f"part-{part}", language)
