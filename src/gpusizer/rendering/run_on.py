"""What runs on somebody's machines: JSON by the contract, and tables by use for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gpusizer.engines import engine_name
from gpusizer.engines.base.types import Fit, Section
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.model_sizes import model_sizes
from gpusizer.i18n import LANGUAGES, text
from gpusizer.planning.run_on.types import Row, RunOn, Start
from gpusizer.planning.starts import held_range
from gpusizer.rendering.companions import companion_blocks, companions_data
from gpusizer.rendering.devices import counted_devices
from gpusizer.rendering.document import Block, Column, Document, Heading, Lines, Paragraph, Points, Table
from gpusizer.rendering.forms.json import plain
from gpusizer.rendering.launch import command_blocks, command_line
from gpusizer.rendering.notices import notice_data, notice_words, warning_lines
from gpusizer.units import GB

__all__ = [
    "UsePart",
    "beyond_lines",
    "published_words",
    "run_on_data",
    "run_on_document",
    "run_on_notes",
    "run_on_rows",
    "run_on_sentence",
    "run_on_table",
    "size_words",
    "use_parts",
]

_MOST_FILES = 3
_BILLION, _MILLION = 1e9, 1e6
_NUMBERS = ("ro-size", "ro-context", "ro-at-once", "ro-ttft", "ro-speed", "ro-gpus")
_SPARE = {"ro-released": 1, "ro-ttft": 2, "ro-verdict": 3, "ro-context": 4}
_FIELDS = (
    *("model", "name", "verdict", "precision", "engine", "gpu", "gpus", "replicas", "context_tokens", "max_concurrency"),
    *("gpu_bytes", "host_bytes", "ttft_s", "tpot_s", "output_tokens_per_s", "total_params", "activated_params", "released", "licence", "command"),
)
_COLUMNS = (
    *("ro-model", "ro-size", "ro-released", "ro-precision", "ro-engine", "ro-gpus"),
    *("ro-context", "ro-at-once", "ro-ttft", "ro-speed", "ro-verdict"),
)


class UsePart(NamedTuple):
    """What is shown of one use.

    Parameters
    ----------
    title : str
        What the use is called.
    above : str
        Its models that stand in a part before this one, in words; empty without any.
    rows : sequence of Row
        The others.
    """

    title: str
    above: str
    rows: Sequence[Row]


def use_parts(answer: RunOn, language: str) -> list[UsePart]:
    """The models that run, by use, each model once."""
    parts: list[UsePart] = []
    shown: set[str] = set()
    for use, rows in answer.by_use:
        again = [row.model.name for row in rows if row.model.id in shown]
        above = text("run-on", "above", language, models=again) if again else ""
        parts.append(UsePart(text("ui", f"use-{use}", language), above, [row for row in rows if row.model.id not in shown]))
        shown |= {row.model.id for row in rows}
    return parts


def run_on_document(answer: RunOn, language: str, *, detail: bool = False) -> Document:
    """The whole answer.

    Parameters
    ----------
    answer : RunOn
        What runs.
    language : str
        "en" or "zh".
    detail : bool
        With the launch command of every row; without, of the first of each use.
    """
    blocks: list[Block] = [Heading(run_on_sentence(answer, language)), *warning_lines(answer.machine.notices, language)]
    for part in use_parts(answer, language):
        blocks.append(Paragraph(part.title))
        if part.above:
            blocks.append(Lines([part.above]))
        if part.rows:
            blocks.append(run_on_table(answer, part.rows, language))
        for row in part.rows if detail else part.rows[:1]:
            if row.start is not None:
                blocks += [Paragraph(text("run-on", "command-of", language, model=row.model.name)), *command_blocks(row.start.launch, language)]
                blocks += companion_blocks(row.start.companions, language)
                blocks += [Lines([files])] if (files := published_words(row, language)) else []
    if answer.beyond:
        blocks += [Paragraph(text("run-on", "beyond", language)), Points(beyond_lines(answer, language))]
    blocks.append(Lines(run_on_notes(answer, language)))
    return Document(run_on_data(answer), blocks, csv=_csv(answer))


def run_on_data(answer: RunOn) -> Mapping[str, Any]:
    """The answer as plain data by the schema ``gpusizer.run-on/1``."""
    return {
        "schema": "gpusizer.run-on/1",
        "machine": [{"gpu": group.accelerator.id, "count": group.gpus} for group in answer.machine.groups],
        "host_memory_bytes": answer.machine.host_memory_bytes,
        "host_bandwidth_bytes_per_s": answer.machine.host_bandwidth_bytes_per_s,
        "need": {
            "concurrency": answer.need.concurrency,
            "input_tokens": answer.need.input_tokens,
            "output_tokens": answer.need.output_tokens,
            "context_tokens": answer.need.context_tokens,
        },
        "sentence": {language: run_on_sentence(answer, language) for language in LANGUAGES},
        "models": [_row_data(row) for row in (*answer.rows, *answer.beyond)],
        "by_use": {use: [row.model.id for row in rows] for use, rows in answer.by_use},
        "warnings": [notice_data(each, "warning") for each in answer.machine.notices],
    }


def run_on_rows(answer: RunOn) -> list[dict[str, Any]]:
    """Every model as a flat record, for a data frame; the fields of the CSV."""
    found = [_row_data(row) for row in (*answer.rows, *answer.beyond)]
    return [{name: plain(row[name]) for name in _FIELDS} for row in found]


def _row_data(row: Row) -> dict[str, Any]:
    model, start = row.model, row.start
    about = {
        "model": model.id,
        "name": model.name,
        "uses": list(model.uses),
        "total_params": model.total_params,
        "activated_params": model.activated_params,
        "released": model.released,
        "licence": model.licence,
        "verdict": row.verdict,
    }
    reason = None if row.reason is None else notice_data(row.reason, "reason")
    remedies = [notice_data(each, "remedy") for each in row.remedies]
    if start is None:
        empty = ("precision", "engine", "gpu", "gpus", "devices", "replicas", "context_tokens", "max_concurrency", "gpu_bytes", "host_bytes")
        return about | dict.fromkeys((*empty, "ttft_s", "tpot_s", "output_tokens_per_s", "command")) | {"reason": reason, "remedies": remedies}
    speed = start.performance
    return about | {
        "precision": start.launch.precision,
        "engine": start.launch.engine,
        "gpu": start.group.accelerator.id,
        "gpus": start.gpus,
        "devices": list(start.group.devices),
        "replicas": start.replicas,
        "context_tokens": start.fit.deployment.max_model_len,
        "max_concurrency": start.fit.max_concurrency,
        "gpu_bytes": _gpu_bytes(start.fit),
        "host_bytes": start.host_bytes,
        "ttft_s": None if speed is None else speed.ttft_s.value,
        "tpot_s": None if speed is None else speed.tpot_s.value,
        "output_tokens_per_s": None if speed is None else speed.output_tokens_per_s.value,
        "command": command_line(start.launch),
        "companions": companions_data(start.companions),
        "files": [each._asdict() for each in row.published],
        "reason": reason,
        "remedies": remedies,
        "warnings": [notice_data(each, "warning") for each in row.slow],
    }


def published_words(row: Row, language: str) -> str:
    """The largest published files that find room, by name, size and publisher; empty without any."""
    files = [f"{each.mix} {each.size_bytes / GB:,.1f} GB ({each.by})" for each in row.published[:_MOST_FILES]]
    return text("run-on", "published", language, files=files) if files else ""


def _gpu_bytes(fit: Fit) -> int:
    """What all GPUs of a replica hold: everything but what is free."""
    alike = fit.deployment.layout.gpus // max(len(fit.ranks), 1)
    return max(alike, 1) * sum(item.bytes for rank in fit.ranks for item in rank.items if item.section != Section.FREE)


def run_on_sentence(answer: RunOn, language: str) -> str:
    """The answer in one sentence."""
    machine = " + ".join(counted_devices(group.gpus, group.accelerator, language) for group in answer.machine.groups)
    if answer.machine.host_memory_bytes is not None:
        machine = text("run-on", "with-host", language, machine=machine, memory=answer.machine.host_memory_bytes)
    best = next((rows[0] for _, rows in answer.by_use if rows), None)
    if best is None or best.start is None:
        return text("run-on", "nothing", language, machine=machine)
    said = {"model": best.model.name, "precision": _precision(best.start), "engine": engine_name(best.start.launch.engine)}
    return text("run-on", "answer", language, machine=machine, **said)


def run_on_table(answer: RunOn, rows: Sequence[Row], language: str) -> Table:
    """Models that run as a table; columns that are empty for all of them are left out."""
    cells = [_cells(answer, row, row.start, language) for row in rows if row.start is not None]
    kept = [code for code in _COLUMNS if any(each[code] for each in cells)]
    columns = [Column(text("run-on", code, language), code in _NUMBERS, _SPARE.get(code, 0)) for code in kept]
    return Table(columns, [[each[code] for code in kept] for each in cells])


def _cells(answer: RunOn, row: Row, start: Start, language: str) -> dict[str, str]:
    speed, several = start.performance, len(answer.machine.groups) > 1
    held = held_range(start.fit)[0] * start.replicas
    gpus = _devices(start, language) if several else f"{start.gpus} / {start.group.gpus}"
    alone = not several and start.group.gpus == 1
    return {
        "ro-model": row.model.name,
        "ro-size": size_words(row),
        "ro-released": row.model.released or "",
        "ro-precision": _precision(start),
        "ro-engine": engine_name(start.launch.engine),
        "ro-gpus": "" if alone else gpus,
        "ro-context": f"{start.fit.deployment.max_model_len or 0:,}",
        "ro-at-once": f"{held:,}" if start.speeds is not None else "",
        "ro-ttft": "" if speed is None else f"{speed.ttft_s.value:.2g}" if speed.ttft_s.value < 1 else f"{speed.ttft_s.value:,.1f}",
        "ro-speed": "" if speed is None else f"{1 / speed.tpot_s.value:,.0f}",
        "ro-verdict": text("run-on", "slow" if row.slow else f"verdict-{row.verdict}", language),
    }


def _devices(start: Start, language: str) -> str:
    """The GPUs of one replica; of unequal ones each kind."""
    kinds = Counter(start.group.devices) or {start.group.accelerator.id: start.gpus}
    return " + ".join(counted_devices(count, accelerator(each), language) for each, count in kinds.items())


def _precision(start: Start) -> str:
    """The precision as a file or a repository is named by it; of a checkpoint as it is, its formats."""
    word = start.launch.precision
    if word != "checkpoint":
        return word.upper()
    return (start.architecture.quantization.method or start.architecture.dtype).upper()


def size_words(row: Row) -> str:
    """Total and activated parameters as names of models write them: "30.5B-A3.3B"."""
    total, activated = (_count(each) for each in (row.model.total_params, row.model.activated_params))
    return f"{total}-A{activated}" if model_sizes()[row.model.id].expert_share else total


def _count(params: int) -> str:
    if params >= _BILLION:
        return f"{params / _BILLION:,.0f}B" if params >= 100 * _BILLION else f"{params / _BILLION:,.1f}B"
    return f"{params / _MILLION:,.0f}M"


def beyond_lines(answer: RunOn, language: str) -> list[str]:
    """What does not run, why, and what would make it run."""
    return [_beyond_words(row, language) for row in answer.beyond]


def _beyond_words(row: Row, language: str) -> str:
    said = "" if row.reason is None else notice_words(row.reason, "reason", language)
    helps = [notice_words(each, "remedy", language) for each in row.remedies]
    line = text("run-on", "beyond-model", language, model=row.model.name, size=size_words(row), reason=said)
    return line if not helps else text("run-on", "beyond-helps", language, line=line, helps=text("run-on", "or", language).join(helps))


def run_on_notes(answer: RunOn, language: str) -> list[str]:
    """What was counted for, what the order means, where one reads on."""
    need = answer.need
    tokens = {"input_tokens": need.input_tokens, "output_tokens": need.output_tokens, "context_tokens": need.context_tokens}
    return [
        text("run-on", "need", language, concurrency=need.concurrency, **tokens),
        text("run-on", "order", language),
        text("run-on", "further", language),
    ]


def _csv(answer: RunOn) -> Table:
    rows = run_on_rows(answer)
    return Table([Column(name) for name in _FIELDS], [["" if value is None else str(value) for value in row.values()] for row in rows])
