"""Measured cases predicted one by one, and what the errors come to: the accuracy of gpusizer, for anybody to check."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.base.margins import traits_of
from gpusizer.engines.base.types import Fit
from gpusizer.errors import InputError
from gpusizer.validation.accuracy import Accuracy, Compared, accuracy_of
from gpusizer.validation.measured import MEMORY_QUANTITIES, PERFORMANCE_QUANTITIES, measured_memory, measured_performance
from gpusizer.validation.memory_cases import Case, deployment_of, is_performance, text
from gpusizer.validation.owners import owner_of, owner_of_start

__all__ = ["KINDS", "CaseResult", "Validation", "compared", "validate"]

LONGEST_ID = 200
KINDS = ("plain", "hard", "build")


@dataclass(frozen=True)
class CaseResult:
    """One case: what was predicted and measured, or why nothing was predicted.

    Parameters
    ----------
    id, engine : str
        Of the case.
    quantities : mapping of str to Compared
        What was predicted, in the order of the contract.
    measured : mapping
        What was measured, predicted or not.
    reason : Notice or None
        Why it is not covered.
    notices : tuple of Notice
        What was taken for granted.
    owner : str
        Who published it. Errors are told apart by it, predictions never see it.
    kind : str
        Of a start that is covered: "plain", "hard" (something of it is hard to foresee), "build" (a fork, a branch); empty for a speed.
    regime : str
        Kind of load of a measured speed; empty where it is not known.
    judged : bool
        Its errors count: not where its publisher or its neighbours contradict it.
    """

    id: str
    engine: str
    quantities: Mapping[str, Compared] = field(default_factory=dict)
    measured: Mapping[str, float | bool] = field(default_factory=dict)
    reason: Notice | None = None
    notices: tuple[Notice, ...] = ()
    owner: str = "?"
    kind: str = ""
    regime: str = ""
    judged: bool = True

    @property
    def covered(self) -> bool:
        """Whether anything was predicted."""
        return self.reason is None


@dataclass(frozen=True)
class Validation:
    """All cases and their summary.

    Parameters
    ----------
    cases : tuple of CaseResult
        In the order of the file.
    """

    cases: tuple[CaseResult, ...]

    def summary(self, **wanted: str | None) -> dict[str, Accuracy]:
        """Accuracy by quantity, of those of one engine, owner, kind of start or regime of load, or of all; what nobody measured is left out."""
        cases = [case for case in self.cases if case.judged and all(value in (None, getattr(case, name)) for name, value in wanted.items())]
        found = {}
        for name in (*MEMORY_QUANTITIES, *PERFORMANCE_QUANTITIES):
            told = [case for case in cases if name in case.quantities]
            unpredicted = sum(1 for case in cases if name in case.measured and name not in case.quantities)
            accuracy = accuracy_of([case.quantities[name] for case in told], unpredicted, [case.owner for case in told])
            if accuracy.measured:
                found[name] = accuracy
        return found

    def owners(self) -> tuple[str, ...]:
        """Who published what is judged, the one with most cases first."""
        return _ordered(case.owner for case in self.cases if case.judged)

    def kinds(self) -> tuple[str, ...]:
        """Kinds of the starts that are judged, plain ones first."""
        there = {case.kind for case in self.cases if case.judged}
        return tuple(kind for kind in KINDS if kind in there)

    def regimes(self) -> tuple[str, ...]:
        """Kinds of load of the speeds that are judged, the commonest first."""
        return _ordered(case.regime for case in self.cases if case.judged and case.regime)

    @property
    def not_judged(self) -> int:
        """Cases whose errors do not count."""
        return sum(1 for case in self.cases if not case.judged)

    def engines(self) -> tuple[str, ...]:
        """Engines in the order of their number of cases."""
        return _ordered(case.engine for case in self.cases)

    def coverage(self, engine: str | None = None) -> dict[str, int]:
        """Cases, and those that could be predicted."""
        cases = [case for case in self.cases if engine is None or case.engine == engine]
        return {"cases": len(cases), "covered": sum(1 for case in cases if case.covered)}


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, the commonest first."""
    counts = Counter(names)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def validate(rows: Iterable[Mapping[str, Any]]) -> Validation:
    """Predict each case and compare.

    Parameters
    ----------
    rows : iterable of mapping
        Cases, memory and performance in any order, told apart by their keys.

    Returns
    -------
    Validation
        Every case with its errors or its reason.
    """
    return Validation(tuple(_result(row) for row in rows))


def _result(row: Mapping[str, Any]) -> CaseResult:
    """One case; where a prediction breaks, that case says so and the others go on."""
    timed = is_performance(row)
    try:
        return replace(_performance(row) if timed else _memory(row), **_told_apart(row, timed=timed))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = Notice("case-defect", {"detail": f"{type(error).__name__}, {Path(last.filename).name}:{last.lineno}"})
        measured = measured_performance(row) if timed else measured_memory(row)
        found = CaseResult(text(row, "id")[:LONGEST_ID], _engine_id(row), measured=measured, reason=reason)
        return replace(found, **_told_apart(row, timed=timed))


def _told_apart(row: Mapping[str, Any], *, timed: bool) -> dict[str, Any]:
    """What errors are grouped by, and whether they count."""
    return {"owner": owner_of(row.get("source")), "judged": row.get("confidence") != "low"} if timed else {"owner": owner_of_start(row)}


def _memory(row: Mapping[str, Any]) -> CaseResult:
    id, engine, measured = text(row, "id")[:LONGEST_ID], _engine_id(row), measured_memory(row)
    case = deployment_of(row)
    if isinstance(case, Notice):
        return CaseResult(id, engine, measured=measured, reason=case)
    try:
        fit = get_engine(case.deployment.engine).fit(case.deployment, case.architecture, case.accelerator)
    except InputError as error:
        return CaseResult(id, engine, measured=measured, reason=Notice(error.code, dict(error.parameters)))
    return CaseResult(id, engine, compared(case, fit, measured), measured, notices=case.notices, kind=_kind(case))


def compared(case: Case, fit: Fit, measured: Mapping[str, float | bool]) -> dict[str, Compared]:
    """What was predicted of a start beside what it measured.

    Parameters
    ----------
    case : Case
        The start.
    fit : Fit
        What its engine says to it.
    measured : mapping
        Figures by quantity, as of :func:`gpusizer.validation.measured.measured_memory`.

    Returns
    -------
    dict of str to Compared
        In the order of the contract; what depends on something that the case does not say is left out.
    """
    quantities = {
        name: Compared(quantity.value, quantity.low, quantity.high, measured.get(name))
        for name, quantity in fit.quantities.items()
        if name in MEMORY_QUANTITIES and name not in case.unpredictable
    }
    if "fits" not in case.unpredictable:
        quantities["fits"] = _fits(fit, measured=measured.get("fits"))
    return {name: quantities[name] for name in MEMORY_QUANTITIES if name in quantities}


def _kind(case: Case) -> str:
    engine = get_engine(case.deployment.engine)
    traits = traits_of(engine.start(case.deployment, case.architecture, case.accelerator))
    return "build" if "build" in traits else "hard" if traits else "plain"


def _fits(fit: Fit, *, measured: float | bool | None) -> Compared:
    """Did it start? The band says whether the edges of the pool's band would change the answer."""
    pool, requests = fit.quantities.get("kv_cache_pool_bytes"), fit.quantities.get("max_concurrency")
    surely = fit.fits and (pool is None or pool.low > 0) and (requests is None or requests.low >= 1)
    by_memory = fit.reason is not None and fit.reason.code in ("no-memory-for-cache", "context-too-long", "fewer-blocks-than-requests")
    perhaps = fit.fits or (by_memory and pool is not None and pool.high > 0 and (requests is None or requests.high >= 1))
    return Compared(fit.fits, surely, perhaps, bool(measured) if measured is not None else None)


def _performance(row: Mapping[str, Any]) -> CaseResult:
    from gpusizer.validation.speed_cases import performance_case, speed_of
    from gpusizer.validation.speed_load import regime_of

    id, engine, measured = text(row, "id")[:LONGEST_ID], _engine_id(row), dict(measured_performance(row))
    try:
        case = performance_case(row)
        if isinstance(case, Notice):
            return CaseResult(id, engine, measured=measured, reason=case)
        speed = speed_of(case)
    except InputError as error:
        return CaseResult(id, engine, measured=measured, reason=Notice(error.code, dict(error.parameters)))
    quantities = {
        name: Compared(quantity.value, quantity.low, quantity.high, measured.get(name))
        for name in PERFORMANCE_QUANTITIES
        if isfinite((quantity := getattr(speed, name)).value)
    }
    if not quantities:
        return CaseResult(id, engine, measured=measured, reason=Notice("load-beyond-numbers", {}))
    regime = regime_of(case.load, disaggregated=case.prefill is not None)
    return CaseResult(id, engine, quantities, measured, notices=(*case.notices, *speed.notices), regime=regime)


def _engine_id(row: Mapping[str, Any]) -> str:
    """The engine's id, or the word of the case where there is none."""
    words = text(row, "engine")[:LONGEST_ID]
    try:
        return get_engine(words.partition(" (")[0]).id
    except InputError:
        return words.lower() or "?"
