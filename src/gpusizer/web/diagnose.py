"""A log that somebody pastes or sends, read over HTTP: the document, and the page with its form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gpusizer.diagnosis.diagnose import Diagnosis, diagnose
from gpusizer.diagnosis.row import Given
from gpusizer.errors import GpusizerError, InputError
from gpusizer.i18n import error_sentence
from gpusizer.rendering.diagnose import diagnosis_document
from gpusizer.rendering.document import Block, Document
from gpusizer.web.asked import pairs_of, refuse_files
from gpusizer.web.bodies import pairs_of_body
from gpusizer.web.fit_asked import fit_asked
from gpusizer.web.job import Job
from gpusizer.web.templating import rendered

__all__ = ["answer", "page"]

PATH = "/diagnose"
NAME = "log"
"""What a log that came over HTTP is called in errors."""

_BESIDE = ("model", "gpu", "engine", "engine_version", "command")


@dataclass(frozen=True)
class _Asked:
    log: str
    given: Given


def answer(job: Job) -> Document:
    """What the log that was sent tells."""
    return diagnosis_document(_diagnosis(_asked([*pairs_of(job.query), *pairs_of_body(job.body)])), job.language)


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The page: the form alone before anything is pasted, and why there is no answer where something is wrong."""
    typed = dict(pairs_of(job.query))
    blocks: Sequence[Block] = ()
    failed = False
    if error is None and typed.get("log"):
        found = _diagnosis(_asked(typed.items()))
        blocks, failed = diagnosis_document(found, job.language).blocks, found.failed
    said = None if error is None else error_sentence(error.code, job.language, error.parameters)
    return rendered("diagnose.html", job, PATH, blocks=blocks, failed=failed, said=said, log=typed.get("log", ""), typed=_filled(typed))


def _filled(typed: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, typed.get(name, "")) for name in _BESIDE]


def _diagnosis(asked: _Asked) -> Diagnosis:
    return diagnose([asked.log.encode("utf-8", "replace")], asked.given, NAME)


def _asked(pairs: Iterable[tuple[str, Any]]) -> _Asked:
    """The log and what is said beside it, from a stranger, who may name no file."""
    said: dict[str, Any] = {}
    rest = []
    for name, value in pairs:
        if name not in ("log", "model"):
            rest.append((name, value))
        elif said.setdefault(name, value) is not value:
            raise InputError("given-twice", name=name)
    log, model = said.get("log"), said.get("model")
    if not isinstance(log, str) or not log.strip():
        raise InputError("missing-field", name="log")
    refuse_files({"model": model}, ("model",))
    beside = fit_asked(rest)
    named = {name: beside.named[name] for name in ("engine", "engine_version") if name in beside.named}
    command = (beside.command,) if beside.command else ()
    return _Asked(log, Given(str(model) if model else None, beside.gpus, flags=dict(beside.flags), command=command, **named))
