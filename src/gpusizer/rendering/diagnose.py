"""What a log tells: JSON by the contract, and what people read. The log is a stranger's: its words go through the forms like any other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.diagnosis.diagnose import Diagnosis
from gpusizer.diagnosis.reader import WHOLE_BYTES
from gpusizer.diagnosis.row import flags_of
from gpusizer.engines import engine_name
from gpusizer.engines.base.log import LogEvent
from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import accelerator
from gpusizer.i18n import LANGUAGES, has, printable, text
from gpusizer.planning.improvements import Cost, Improvement
from gpusizer.rendering.accuracy import quantity_name
from gpusizer.rendering.devices import counted_devices
from gpusizer.rendering.document import Block, Column, Command, Document, Heading, Lines, Paragraph, Points, Table
from gpusizer.rendering.fit import change_words, fit_data
from gpusizer.rendering.launch import launch_command
from gpusizer.rendering.validate import reason_words
from gpusizer.units import GiB
from gpusizer.validation.accuracy import Compared

__all__ = ["diagnosis_document", "diagnosis_sentence", "finding_words"]

_OUTCOMES = {"pool-allocated": "starts", "starts-then-out-of-memory": "starts"}  # in the words of the contract
_RAISED = ("raised", "raised-serving")  # an error of Python, whatever it was: not shown beside what explains it
_SAME = 0.05  # GiB, within which a pool is what was predicted
_WIDEST_QUOTE = 160  # characters of a line that a table shows
_WIDEST_NAME = 120  # characters of a stranger's model that a heading shows


def diagnosis_document(found: Diagnosis, language: str) -> Document:
    """The answer of ``diagnose``.

    Parameters
    ----------
    found : Diagnosis
        What a log tells.
    language : str
        "en" or "zh".

    Returns
    -------
    Document
        JSON; for people the outcome, why, measured beside predicted, what the log says, and remedies with their commands.
    """
    blocks: list[Block] = [Heading(diagnosis_sentence(found, language)), *_facts(found, language)]
    blocks += [Heading(text("diagnose", "why", language)), Points([finding_words(each, language) for each in found.findings])]
    if found.measured or found.compared:
        blocks += [Heading(text("diagnose", "compared", language)), _table(found, language)]
    if found.told.record.events:
        blocks += [Heading(text("diagnose", "events", language)), _events(found.told.record.events, language)]
    blocks += _remedies(found, language)
    return Document(_data(found), blocks, csv=_figures(found))


def _data(found: Diagnosis) -> dict[str, Any]:
    reading, record = found.reading, found.told.record
    return {
        "schema": "gpusizer.diagnose/1",
        "engine": found.engine,
        "engine_version": found.row["engine_version"],
        "model": found.row["model"],
        "gpu": found.row["gpu"],
        "gpus": found.row["gpu_count"],
        "flags": flags_of(found.row),
        "outcome": _OUTCOMES.get(found.outcome, found.outcome),
        "sentence": {each: diagnosis_sentence(found, each) for each in LANGUAGES},
        "measured": dict(found.measured),
        "predicted": None if found.fit is None or found.case is None else fit_data(found.fit, found.case.deployment),
        "compared": {name: {**each.to_dict(), "inside": each.inside} for name, each in found.compared.items()},
        "explanation": {each: " ".join(finding_words(one, each) for one in found.findings) for each in LANGUAGES},
        "findings": [
            {"code": each.code, "parameters": dict(each.parameters), "sentence": {one: finding_words(each, one) for one in LANGUAGES}}
            for each in found.findings
        ],
        "remedies": [_remedy_data(found, each) for each in found.improvements],
        "events": [
            {
                "code": each.code,
                "parameters": each.parameters,
                "line": each.line,
                "times": each.count,
                "quote": each.quote,
                "sentence": {one: event_words(each, one) for one in LANGUAGES},
            }
            for each in record.events
        ],
        "warnings": [
            {"code": each.code, "parameters": dict(each.parameters), "sentence": {one: reason_words(each, one) for one in LANGUAGES}}
            for each in found.notices
        ],
        "log": {
            "lines": reading.lines,
            "bytes": reading.size_bytes,
            "starts": reading.starts,
            "first_line": found.told.first_line,
            "last_line": found.told.last_line,
            "read_whole": reading.is_whole,
        },
    }


def diagnosis_sentence(found: Diagnosis, language: str) -> str:
    """What became of which start, in one sentence."""
    row = found.row
    version = str(row["engine_version"] or "")[:_WIDEST_NAME]
    outcome = finding_words(Notice(f"outcome-{found.outcome}"), language).rstrip(".。")
    words = text(
        "diagnose",
        "title",
        language,
        engine=f"{engine_name(found.engine)} {version}".strip(),
        model=str(row["model"] or text("diagnose", "unknown-model", language))[:_WIDEST_NAME],
        gpu=_gpu_words(found, language),
        outcome=outcome[:1].lower() + outcome[1:] if outcome[1:2].islower() else outcome,  # "KV cache" keeps its capitals
    )
    tokens = found.measured.get("kv_cache_tokens")
    return words if tokens is None or found.failed else words + text("diagnose", "cache", language, tokens=tokens)


def _gpu_words(found: Diagnosis, language: str) -> str:
    named = found.row["gpu"]
    if found.case is not None and found.case.accelerator.id != "unknown":
        deployment = found.case.deployment
        kinds = Counter(deployment.devices or (found.case.accelerator.id,) * deployment.layout.gpus)
        try:
            return " + ".join(counted_devices(count, accelerator(id), language) for id, count in kinds.items())
        except UnknownIdError:
            pass
    if not named:
        return text("diagnose", "unknown-gpu", language)
    count = found.row["gpu_count"]
    return f"{count} x {named}"[:_WIDEST_NAME] if count else str(named)[:_WIDEST_NAME]


def finding_words(notice: Notice, language: str) -> str:
    """A finding as a sentence; figures of a quantity in its unit."""
    named = dict(notice.parameters)
    if isinstance(quantity := named.get("quantity"), str):
        named |= {name: _figure(quantity, named[name], language) for name in ("measured", "predicted", "low", "high")}
        named["quantity"] = quantity_name(quantity, language)
    return text("finding", notice.code, language, **named)


def event_words(event: LogEvent, language: str) -> str:
    """What happened as a sentence; its code where there are no words for it."""
    if not has("log-event", event.code, language):
        return event.code
    return text("log-event", event.code, language, **{name: printable(value, language) for name, value in event.parameters.items()})


def _figure(quantity: str, value: float | None, language: str) -> str:
    """A figure with its unit."""
    if value is None:
        return text("diagnose", "not-said", language)
    if isinstance(value, bool):
        return text("diagnose", "yes" if value else "no", language)
    if quantity.endswith("_bytes"):
        return f"{value / GiB:,.2f} GiB"
    return f"{value:,.0f}" if quantity.endswith("_tokens") or float(value).is_integer() else f"{value:,.2f}"


def _facts(found: Diagnosis, language: str) -> list[Block]:
    """How it was launched, of how many starts it is one, and what is missing."""
    reading, told = found.reading, found.told
    lines = []
    flags = {name: value for name, value in flags_of(found.row).items() if name != "model"}
    if flags:
        lines.append(text("diagnose", "launched", language, flags=", ".join(f"{name}={printable(value)[:80]}" for name, value in flags.items())))
    if reading.starts > 1:
        where = {"first": told.first_line, "last": told.last_line, "lines": reading.lines}
        lines.append(text("diagnose", "of-starts", language, starts=reading.starts, **where))
    if not reading.is_whole:
        lines.append(text("diagnose", "cut", language, limit=WHOLE_BYTES))
    missing = [reason_words(each, language) for each in found.notices]
    if found.fit is None and missing:
        missing[-1] = text("diagnose", "not-predicted", language, why=missing[-1])
    return [Lines([*lines, *missing])] if lines or missing else []


def _table(found: Diagnosis, language: str) -> Table:
    """Measured beside predicted; what was measured and is not predicted stands below."""
    names = [name for name in found.compared if name != "fits"]
    rows = [_row(name, found.compared[name], language) for name in names]
    rows += [
        [_name(name, language), _figure(name, value, language), "", "", ""]
        for name, value in found.measured.items()
        if name not in found.compared and isinstance(value, int | float)
    ]
    return Table(
        [
            Column(text("ui", "quantity", language)),
            Column(text("diagnose", "measured", language), right=True),
            Column(text("diagnose", "predicted", language), right=True),
            Column(text("diagnose", "band", language), right=True),
            Column(text("diagnose", "inside", language)),
        ],
        rows,
    )


def _name(name: str, language: str) -> str:
    if has("ui", f"quantity-{name}", language):
        return quantity_name(name, language)
    if has("diagnose", f"figure-{name}", language):
        return text("diagnose", f"figure-{name}", language)
    return name.removesuffix("_bytes").replace("_", " ")


def _row(name: str, each: Compared, language: str) -> list[str]:
    band = "" if each.low == each.high else f"{_figure(name, each.low, language)} - {_figure(name, each.high, language)}"
    inside = "" if each.inside is None else text("diagnose", "yes" if each.inside else "no", language)
    return [_name(name, language), _figure(name, each.measured, language), _figure(name, each.predicted, language), band, inside]


def _events(events: Sequence[LogEvent], language: str) -> Table:
    columns = [
        Column(text("diagnose", "line", language), right=True),
        Column(text("diagnose", "event", language)),
        Column(text("diagnose", "times", language), right=True, spare=1),
        Column(text("diagnose", "quote", language), spare=2),
    ]
    explained = {each.line for each in events if each.code not in _RAISED}
    shown = [each for each in events if each.code not in _RAISED or each.line not in explained]
    return Table(columns, [[f"{each.line:,}", event_words(each, language), f"{each.count:,}", each.quote[:_WIDEST_QUOTE]] for each in shown])


def _remedies(found: Diagnosis, language: str) -> list[Block]:
    """Each change with what it brings, and the command."""
    if not found.improvements:
        looked = found.fit is not None and found.failed and all(each.code != "prediction-far" for each in found.findings)
        return [Paragraph(text("diagnose", "no-remedy", language))] if looked else []
    blocks: list[Block] = [Heading(text("diagnose", "remedies", language))]
    pool = found.compared.get("kv_cache_pool_bytes")
    if pool is not None and pool.measured is not None and abs(pool.measured - pool.predicted) > _SAME * GiB:
        blocks.append(Paragraph(text("diagnose", "carried-over", language, measured=pool.measured, predicted=pool.predicted)))
    for each in found.improvements:
        blocks.append(Paragraph(_remedy_words(found, each, language)))
        command = launch_command(_as_named(found, each)).parts
        blocks += [] if command is None else [Command(command)]
    return blocks


def _as_named(found: Diagnosis, improvement: Improvement) -> Any:
    """The changed start with the model as its owner names it."""
    named = str(found.row["model"] or "")
    printable_name = named.isprintable() and 0 < len(named) <= _WIDEST_NAME and " " not in named
    return replace(improvement.launch, model=named) if printable_name else improvement.launch


def _remedy_words(found: Diagnosis, each: Improvement, language: str) -> str:
    change = change_words(each, language)
    cost = text("diagnose", f"cost-{Cost(each.cost).name.lower()}", language)
    before = found.measured.get("kv_cache_tokens")
    words = {"change": change[:1].upper() + change[1:], "frees": each.frees_bytes, "tokens": each.kv_cache_tokens, "before": before, "cost": cost}
    starts = found.failed or before is None
    code = f"remedy{'-starts' if starts else ''}{'' if each.frees_bytes > _SAME * GiB else '-alike'}"
    return text("diagnose", code, language, **words)


def _remedy_data(found: Diagnosis, each: Improvement) -> dict[str, Any]:
    return {
        "change": each.code,
        "parameters": each.parameters,
        "cost": Cost(each.cost).name.lower(),
        "frees_bytes": each.frees_bytes,
        "kv_cache_tokens": each.kv_cache_tokens,
        "command": launch_command(_as_named(found, each)).line,
        "sentence": {language: _remedy_words(found, each, language) for language in LANGUAGES},
    }


def _figures(found: Diagnosis) -> Table:
    """For a spreadsheet: numbers as they are, named alike in every language."""
    rows: list[Mapping[str, Any]] = [{"quantity": name, **each.to_dict()} for name, each in found.compared.items()]
    rows += [{"quantity": name, "measured": value} for name, value in found.measured.items() if name not in found.compared]
    columns = ("quantity", "measured", "predicted", "low", "high", "error")
    cells = [["" if (value := row.get(name)) is None else str(value) for name in columns] for row in rows]
    return Table([Column(name) for name in columns], cells)
