"""The page of one start: the sentence, what it holds, the bar and its lines, what would help, and the same in other forms."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.pasted import words_of_command
from gpusizer.engines.base.types import Item
from gpusizer.errors import GpusizerError
from gpusizer.i18n import text
from gpusizer.planning.deploy import of_verdict
from gpusizer.planning.remedies import Remedy, remedies_for
from gpusizer.planning.verdict import Verdict
from gpusizer.rendering.charts import memory_bar
from gpusizer.rendering.companions import companion_blocks, ledger_blocks
from gpusizer.rendering.deployment.document import carried
from gpusizer.rendering.devices import device_name
from gpusizer.rendering.document import Paragraph
from gpusizer.rendering.fit import cache_words, fit_sentence, log_lines, ranks_table, remedy_words
from gpusizer.rendering.formulas import worked
from gpusizer.rendering.host import host_lines
from gpusizer.rendering.launch import launch_command, layout_words
from gpusizer.rendering.ledger import budget_paragraphs, ledger_table
from gpusizer.rendering.notices import warning_words
from gpusizer.units import GiB
from gpusizer.web.fit_asked import FitAsked, applied
from gpusizer.web.fit_form import fit_form
from gpusizer.web.job import Job
from gpusizer.web.plan_form import said_of_error
from gpusizer.web.plan_links import deploy_path
from gpusizer.web.sources import Piece, linked
from gpusizer.web.templating import LONGEST, link, rendered

__all__ = ["FORMS", "fit_page", "on_command_line"]

PATH = "/fit"
FORMS: Mapping[str, str] = {"markdown": f"{PATH}.md", "csv": f"{PATH}.csv", "json": f"{PATH}.json"}
"""Addresses of the same answer in other forms."""


class Line(NamedTuple):
    """One line of the ledger: cells as the table has them, and what stands behind: the formula with its numbers, and sources."""

    id: str
    cells: Sequence[str]
    formula: Mapping[str, str]
    sources: Sequence[Sequence[Piece]]


class Help(NamedTuple):
    """A change that makes it start: its sentence, and the address that applies it; empty where that is too long for one."""

    sentence: str
    href: str


def fit_page(job: Job, typed: Sequence[tuple[str, str]], asked: FitAsked | None, verdict: Verdict | None, error: GpusizerError | None) -> str:
    """The page.

    Parameters
    ----------
    job : Job
        Language and address.
    typed : sequence of (str, str)
        Names and values as they were typed.
    asked : FitAsked or None
        What they ask; None where it is not enough, or wrong.
    verdict : Verdict or None
        What becomes of it.
    error : GpusizerError or None
        Why there is no answer.
    """
    start = None if verdict is None else verdict.launch
    form = fit_form(job, typed, asked, start, error)
    shown = {} if verdict is None or asked is None else _answer(job, asked, verdict)
    told = {} if error is None else {"said": said_of_error(error, job.language), "near": _near(job, typed, form.wrong, error)}
    return rendered("fit.html", job, PATH, form=form, error=error, verdict=verdict, lists=_lists(job.language), **told, **shown)


def _near(job: Job, typed: Sequence[tuple[str, str]], name: str | None, error: GpusizerError) -> list[tuple[str, str]]:
    """What may have been meant, each with the page that asks for it."""
    near = error.parameters.get("nearest") or ()
    if name not in ("model", "gpu", "command") or not isinstance(near, list | tuple) or "option" in error.parameters:
        return []
    meant = "model" if name == "command" else name  # beside a command a model decides
    rest = [(each, value) for each, value in typed if each != meant]
    return [(str(each), link(job, PATH, urlencode([*rest, (meant, str(each))]))) for each in near]


def _answer(job: Job, asked: FitAsked, verdict: Verdict) -> dict[str, Any]:
    fit, language = verdict.fit, job.language
    items = fit.ranks[fit.worst].items
    judged = len(items) > 1
    remedies = remedies_for(fit, verdict.launch, verdict.architecture, verdict.accelerator)
    command = launch_command(verdict.launch)
    warnings = [warning_words(each, language) for each in (*fit.warnings, *command.notices)]
    return {
        "sentence": fit_sentence(fit, verdict.model.name, verdict.accelerator, language),
        "figures": _figures(verdict, language) if judged else [],
        "launch": command.line,
        "log_lines": "\n".join(each.line for each in log_lines(fit)) if judged else "",
        "beside": companion_blocks(verdict.companions, language),
        "ledgers": ledger_blocks(verdict.companions, language),
        "bar": memory_bar(fit, language),
        "remedies": [_remedy(job, asked, verdict, each) for each in remedies],
        "warnings": warnings,
        "ledger": ledger_table(items, language) if judged else None,
        "lines": [_line(item, cells, language) for item, cells in _with_cells(items, language)] if judged else [],
        "total": ledger_table(items, language).rows[-1] if judged else [],
        "budget": [each.words for each in budget_paragraphs(fit, language) if isinstance(each, Paragraph)] if judged else [],
        "cache": cache_words(fit, language),
        "host": host_lines(fit, verdict.request, language),
        "ranks": ranks_table(fit, language) if len(fit.ranks) > 1 else None,
        "forms": [(name, link(job, path, asked.query)) for name, path in FORMS.items() if len(asked.query) <= LONGEST],
        "deployments": _deployments(job, asked, verdict),
        "on_command_line": on_command_line(asked),
        "plan_href": None if asked.config is not None else link(job, "/", f"model={verdict.model.source}"),
        "gpu_href": None if verdict.accelerator.own else link(job, f"/accelerators/{verdict.accelerator.id}"),
        "model_href": None if verdict.model.entry is None else link(job, f"/models/{verdict.model.entry.id}"),
        "gpu_name": device_name(verdict.accelerator.name, language),
    }


def _deployments(job: Job, asked: FitAsked, verdict: Verdict) -> list[tuple[str, str]]:
    """What starts it, by each target that carries it: name and address; nothing where it does not start."""
    if not verdict.fit.fits or len(asked.query) > LONGEST:
        return []
    found = carried(of_verdict(verdict), job.language)
    return [(text("deploy", f"target-{each}", job.language), link(job, deploy_path(each), f"{asked.query}&target={each}")) for each in found]


def _figures(verdict: Verdict, language: str) -> list[tuple[str, str, str]]:
    """What a log says first: a name, a number, and what it is said of."""
    fit = verdict.fit
    sums = per_gpu(fit.ranks[fit.worst].items)
    context = text("site", "of-context", language, context=fit.deployment.max_model_len or 0)
    spread = fit.quantities.get("kv_cache_tokens")
    band = ""
    if spread is not None and spread.low != spread.high:
        low, high = (round(each) * fit.deployment.dp for each in (spread.low, spread.high))
        band = text("site", "from-to", language, low=low, high=high)
    missing = -sums["free_bytes"]
    last = (
        (text("site", "missing-memory", language), f"{missing / GiB:,.1f} GiB", text("site", "fullest-gpu", language))
        if missing > 0
        else (
            text("ui", "part-kv_cache_pool_bytes", language),
            f"{sums['kv_cache_pool_bytes'] / GiB:,.1f} GiB",
            text("site", "fullest-gpu", language),
        )
    )
    return [
        (text("site", "figure-tokens", language), f"{fit.kv_cache.tokens:,}", band),
        (text("site", "figure-concurrency", language), f"{fit.max_concurrency:,.2f}", context),
        (text("ui", "part-weights_bytes", language), f"{sums['weights_bytes'] / GiB:,.1f} GiB", layout_words(fit.deployment.layout)),
        last,
    ]


def _remedy(job: Job, asked: FitAsked, verdict: Verdict, remedy: Remedy) -> Help:
    changed = applied(asked, verdict.launch, remedy.launch)
    href = link(job, PATH, changed.query) if len(changed.query) <= LONGEST else ""
    return Help(remedy_words(remedy, job.language), href)


def _with_cells(items: Sequence[Item], language: str) -> list[tuple[Item, Sequence[str]]]:
    """Lines that hold something, each with its row of the ledger."""
    rows = ledger_table(items, language).rows
    return list(zip((item for item in items if item.bytes), rows, strict=False))


def _line(item: Item, cells: Sequence[str], language: str) -> Line:
    formula = worked(item.formula, item.inputs, language)
    sources = dict.fromkeys([*item.sources, formula["reference"]])
    return Line(item.id, cells[:5], {**formula, "id": item.formula}, [linked(each) for each in sources])


def on_command_line(asked: FitAsked) -> str:
    """The same question for a terminal; a configuration that was pasted lies there as a file."""
    model = "config.json" if asked.config is not None else asked.model
    words = ["gpusizer", "fit", *([model] if model else [])]
    words += [word for gpu in asked.gpus for word in ("--gpu", gpu)]
    words += [f"--{name.replace('_', '-')}={value}" for name, value in asked.named.items()]
    words += [f"{name if name.startswith('-') else ('-' if len(name) == 1 else '--') + name}={value}" for name, value in asked.flags]
    command = [] if asked.command is None else ["--", *words_of_command([asked.command])]
    return shlex.join([*words, *command])


def _lists(language: str) -> dict[str, Sequence[tuple[str, str]]]:
    """What is searched in while one types."""
    from gpusizer.web.plan_form import datalists

    lists = datalists(language)
    return {"model": lists["model"], "gpu": lists["gpus"], "precision": lists["precision"]}
