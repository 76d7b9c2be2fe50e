"""The whole way: a log is read, becomes a measured case, is predicted like any other, compared, explained, and improved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.diagnosis.explain import explained, failed_allocation, outcome_code
from gpusizer.diagnosis.reader import Reading, Told, read_log
from gpusizer.diagnosis.row import FOR_CACHE, Given, measured_of, row_of, says_layout
from gpusizer.engines import declaration, get_engine
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.pasted import engine_of
from gpusizer.engines.base.types import Fit
from gpusizer.errors import InputError, UnreadableFileError
from gpusizer.planning.improvements import Improvement, MeasuredStart, improvements_for
from gpusizer.validation.accuracy import Compared
from gpusizer.validation.measured import measured_memory
from gpusizer.validation.memory_cases import Case, deployment_of
from gpusizer.validation.validate import compared

__all__ = ["Diagnosis", "diagnose"]

_RANKS = (1, 2, 4, 8, 16)
_ALIKE = 0.12  # share of the weights within which a cut of them is the one that was measured
_FAR = 0.3  # share of the weights, or of a card
_STARTED = ("starts", "starts-then-out-of-memory", "pool-allocated")


@dataclass(frozen=True)
class Diagnosis:
    """What a log tells, and what was to be expected.

    Parameters
    ----------
    reading : Reading
        The log.
    engine : str
        Who wrote it.
    row : dict
        The start as a measured case.
    measured : mapping
        Figures of the log. [bytes, tokens, requests]
    outcome : str
        A code: "starts", "pool-allocated", "starts-then-out-of-memory", "out-of-memory", "refused", "unknown".
    case : Case or None
        The start as its engine can be asked about it.
    fit : Fit or None
        What was to be expected.
    compared : mapping of str to Compared
        Predicted beside measured.
    findings : tuple of Notice
        Why it ended so; words under ``finding``.
    improvements : tuple of Improvement
        What would help.
    notices : tuple of Notice
        What is missing or was taken for granted; words under ``warning``, ``reason`` or ``error``.
    """

    reading: Reading
    engine: str
    row: Mapping[str, Any]
    measured: Mapping[str, float]
    outcome: str
    case: Case | None = None
    fit: Fit | None = None
    compared: Mapping[str, Compared] = field(default_factory=dict)
    findings: tuple[Notice, ...] = ()
    improvements: tuple[Improvement, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def told(self) -> Told:
        """The start that counts."""
        return self.reading.told

    @property
    def failed(self) -> bool:
        """Whether it did not start."""
        return self.outcome in ("out-of-memory", "refused")


def diagnose(chunks: Iterable[bytes], given: Given | None = None, name: str = "-") -> Diagnosis:
    """Read a log and say what it means.

    Parameters
    ----------
    chunks : iterable of bytes
        The log as it comes.
    given : Given or None
        What somebody says beside it.
    name : str
        Of the file, for errors.

    Returns
    -------
    Diagnosis
        Measured beside predicted, an explanation, and remedies.

    Raises
    ------
    UnreadableFileError
        The log is packed, or holds nothing that an engine says of its memory.
    FlagError
        A flag that the engine does not have.
    """
    given = given or Given()
    reading = read_log(chunks, name)
    told = reading.told
    engine = _engine(told, given)
    if engine is None or not told.moved:
        raise UnreadableFileError("log-says-nothing", path=name, lines=reading.lines, engines=list(told.records))
    row = row_of(engine, told.record, given)
    found = Diagnosis(reading, engine, row, measured_of(row), outcome_code(told.record, engine))
    predicted = _predicted(row, told, given)
    if isinstance(predicted, Notice):
        return replace(found, findings=explained(found.outcome, told.record, found.measured, {}, None), notices=(predicted,))
    return _beside(replace(found, row=predicted.row, case=predicted.case, fit=predicted.fit, notices=predicted.notices), predicted)


class _Predicted(NamedTuple):
    """A start as a case, and what its engine says to it."""

    row: Mapping[str, Any]
    case: Case
    fit: Fit
    notices: tuple[Notice, ...]


def _beside(found: Diagnosis, predicted: _Predicted) -> Diagnosis:
    """Measured beside predicted, and what follows from it."""
    case, fit, record = predicted.case, predicted.fit, found.told.record
    beside = compared(case, fit, measured_memory(predicted.row))
    known = "fits" not in case.unpredictable
    findings = explained(found.outcome, record, found.measured, beside, fit if known else None)
    improvements: tuple[Improvement, ...] = ()
    if known and _is_far(found, fit):
        findings = (*explained(found.outcome, record, found.measured, {}, None), Notice("prediction-far"))
    elif known:
        improvements = tuple(improvements_for(fit, case.deployment, case.architecture, case.accelerator, _start(found)))
    return replace(found, compared=beside, findings=findings, improvements=improvements)


def _is_far(found: Diagnosis, fit: Fit) -> bool:
    """Whether what was measured of one GPU is that of another start: nothing of the prediction can be carried over.

    The weights tell; where they were not printed, a cache that differs by much of a card does.
    """
    weights, pool = _weights_bytes(fit), fit.quantities.get("kv_cache_pool_bytes")
    measured = found.measured.get("weights_bytes")
    if measured is not None:
        return abs(measured - weights) > _FAR * max(measured, weights)
    cache = found.measured.get("kv_cache_pool_bytes")
    card = per_gpu(fit.ranks[fit.worst].items)
    room = sum(card.values())
    apart = cache is not None and pool is not None and abs(cache - pool.value) > _FAR * room
    return apart or (found.outcome in _STARTED and not fit.fits and weights > room)


def _predicted(row: dict[str, Any], told: Told, given: Given) -> _Predicted | Notice:
    """The prediction; where nobody says over how many GPUs the model is cut, the weights of one of them tell."""
    first = _fitted(row)
    if isinstance(first, Notice) or says_layout(row, told.record, given):
        return first
    weights = measured_memory(row).get("weights_bytes")
    if weights is None:
        heavy = _weights_bytes(first.fit) > first.case.accelerator.memory_bytes
        return first._replace(notices=(*first.notices, Notice("log-without-layout"))) if heavy else first
    for tp in _RANKS:
        each = first if tp == 1 else _fitted({**row, "tp": tp, "gpu_count": tp})
        if not isinstance(each, Notice) and abs(_weights_bytes(each.fit) - weights) <= _ALIKE * weights:
            return each if tp == 1 else each._replace(notices=(*each.notices, Notice("log-layout-inferred", {"tp": tp})))
    return first


def _weights_bytes(fit: Fit) -> float:
    """Of one GPU; 0 where the layout was refused before anything was counted. [bytes]"""
    weights = fit.quantities.get("weights_bytes")
    return 0.0 if weights is None else weights.value


def _fitted(row: Mapping[str, Any]) -> _Predicted | Notice:
    case = _case(row)
    if isinstance(case, Notice):
        return case
    try:
        fit = get_engine(case.deployment.engine).fit(case.deployment, case.architecture, case.accelerator)
    except InputError as error:
        return Notice(error.code, dict(error.parameters))
    return _Predicted(row, case, fit, case.notices)


def _engine(told: Told, given: Given) -> str | None:
    """The engine that somebody names, else the one whose lines were read, else that of the command."""
    if given.engine is not None:
        return declaration(given.engine).id
    return told.engine or (engine_of(given.command) if given.command else None)


def _case(row: Mapping[str, Any]) -> Case | Notice:
    """The start, or what must be said to predict it."""
    if not row["model"]:
        return Notice("log-without-model", {})
    if not row["gpu"] and not declaration(row["engine"]).takes_gguf:
        return Notice("log-without-gpu", {})
    return deployment_of(row)


def _start(found: Diagnosis) -> MeasuredStart:
    """What the remedies must know of the start."""
    measured = found.measured
    asked, free = failed_allocation(found.told.record)
    codes = {each.code: each.parameters for each in found.told.record.events}
    short = codes.get("not-enough-free", {})
    have, total = short.get("initial_free_gib"), short.get("total_gpu_memory_gib")
    tokens = measured.get("kv_cache_tokens")
    return MeasuredStart(
        started=not found.failed,
        pool_bytes=measured.get("kv_cache_pool_bytes"),
        tokens=None if tokens is None else round(tokens),
        missing_bytes=max((asked or 0) - (free or 0), 0) if "out-of-memory" in found.outcome else 0,
        free_share=have / total if found.failed and have and total else None,
        by_memory="out-of-memory" in found.outcome or "not-enough-free" in codes or not FOR_CACHE.isdisjoint(codes),
    )
