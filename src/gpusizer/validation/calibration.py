"""What somebody's own cases say of the speed of their devices: a shift of few terms, as far as the cases bear it out.

Two factors are sought for each device and family of engines: one of what decoding waits for, one of what prompts wait for. Both follow from all times
together, each time by how it follows the terms; a case that lies far away pulls no harder than one that is near, so that a slip does no harm. A prior
holds the factors at ours, as firmly as the bands are narrow: a single case moves them little, many that agree move them nearly all the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, inf, log
from statistics import median
from typing import Any, NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.errors import UnreadableFileError
from gpusizer.facts.types import SpeedShift
from gpusizer.formulas.calibration import case_variance, kept_width
from gpusizer.given_files import state_of
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.device_speeds import engine_family
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.types import Performance
from gpusizer.validation.accuracy import quantile
from gpusizer.validation.case_file import read_cases
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.memory_cases import is_performance
from gpusizer.validation.speed_cases import performance_case, question_of

__all__ = ["Calibration", "calibration_of", "own_calibration"]

MOST_CASES = 2_000
FARTHEST = log(8)  # a case that lies farther from its prediction describes another set-up, or has a slip in a unit
ROUNDS = 8
BUMP = log(1.25)
BAND_DEVIATIONS, WITHIN_BAND = 1.645, 0.9  # a band holds nine of ten
WITHIN = 2.0
"""Variance of runs on one device over that from device to device. Of the published runs (groups of one device, engine and owner, four runs at least)
it is 1.1 and 0.6 for the time per token, 2.3 and 1.5 for the first token: the careful end."""
PRIOR_CASES = 5.0  # as how many cases that variance counts


@dataclass(frozen=True)
class Calibration:
    """What a file of cases says.

    Parameters
    ----------
    shifts : mapping of str to tuple of SpeedShift
        By id of the device.
    cases : int
        Cases of the file. [cases]
    left_out : int
        Of them those that say nothing of a speed, cannot be predicted, or lie too far away. [cases]
    """

    shifts: Mapping[str, tuple[SpeedShift, ...]]
    cases: int
    left_out: int


class _Run(NamedTuple):
    """One case: what is asked, and the logarithms of what was measured; None where it was not."""

    question: Question
    decode: float | None
    prompt: float | None


def own_calibration(path: str) -> Calibration:
    """What a file of somebody's own cases says; kept until the file is written anew.

    Parameters
    ----------
    path : str
        JSON lines in the format of ``validate``.

    Returns
    -------
    Calibration
        Shifts by device.

    Raises
    ------
    UnreadableFileError
        Unreadable, or without one case that says something of a speed.
    """
    return _calibration(path, state_of(path))


@lru_cache(maxsize=4)
def _calibration(path: str, state: tuple[int, ...]) -> Calibration:
    rows = read_cases(path)
    if len(rows) > MOST_CASES:
        raise UnreadableFileError("too-many-cases", path=path, limit=MOST_CASES)
    found = calibration_of(rows)
    if not found.shifts:
        raise UnreadableFileError("cases-without-speed", path=path, cases=len(rows))
    return found


def calibration_of(rows: Iterable[Mapping[str, Any]]) -> Calibration:
    """What cases say of the speed of their devices.

    Parameters
    ----------
    rows : iterable of mapping
        Cases; those that are not judged count as left out.

    Returns
    -------
    Calibration
        Shifts by device and family of engines.
    """
    groups: dict[tuple[str, str], list[_Run]] = {}
    count = used = 0
    for row in rows:
        count += 1
        run = _run(row)
        if run is not None:
            used += 1
            groups.setdefault((run.question.accelerator.id, engine_family(run.question.deployment.engine)), []).append(run)
    shifts: dict[str, tuple[SpeedShift, ...]] = {}
    for (device, family), runs in groups.items():
        shifts[device] = (*shifts.get(device, ()), _shift(family, runs))
    return Calibration(shifts, count, count - used)


def _run(row: Mapping[str, Any]) -> _Run | None:
    """A case as it can be asked about; None where it says nothing, or breaks its prediction, which leaves the others alone."""
    if not is_performance(row) or row.get("confidence") == "low":
        return None
    try:
        case, measured = performance_case(row), measured_performance(row)
        if isinstance(case, Notice):
            return None
        fit = memory_answer(case.architecture, case.accelerator, case.deployment, case.load)
        question = question_of(case)._replace(fit=fit)
        token, first = _times(answer(question))
    except Exception:
        return None
    decode, prompt = _near(measured.get("tpot_s"), token), _near(measured.get("ttft_s"), first)
    return None if decode is None and prompt is None else _Run(question, decode, prompt)


def _near(measured: float | None, predicted: float) -> float | None:
    """The logarithm of what was measured, where it can be a run of what is predicted."""
    found = log(measured) if measured is not None and measured > 0 else inf
    return found if abs(found - predicted) <= FARTHEST else None


def _shift(family: str, runs: Sequence[_Run]) -> SpeedShift:
    follows = [_follows(run, family) for run in runs]
    ours = [_predicted(run, family) for run in runs]
    known = _Prior.of(ours, "tpot_s"), _Prior.of(ours, "ttft_s")
    at, left = (0.0, 0.0), (known[0].common, known[1].common)
    for _ in range(ROUNDS):
        seen = _seen(runs, [_times(_predicted(run, family, at)) for run in runs], follows)
        singles = _single(seen[0], known[0]), _single(seen[1], known[1])
        at, left = _step(seen, at, singles, known)
    decode, prompt = (_width(*each) for each in zip(known, singles, left, strict=True))
    return SpeedShift(family, exp(at[0]), exp(at[1]), decode, prompt, len(runs))


class _Prior(NamedTuple):
    """Variances of logarithms of measured over predicted: of what is common to a device, and of a single run around that."""

    common: float
    single: float

    @classmethod
    def of(cls, ours: Sequence[Performance], name: str) -> _Prior:
        """From the bands of predictions."""
        whole = (median(_half_width(each, name) for each in ours) / BAND_DEVIATIONS) ** 2
        return cls(whole / (1 + WITHIN), whole * WITHIN / (1 + WITHIN))


class _Seen(NamedTuple):
    """How far one time lies from its prediction, as a logarithm, and how it follows the terms of decoding and of prompts."""

    off: float
    by_decode: float
    by_prompt: float


def _predicted(run: _Run, family: str, at: tuple[float, float] = (0.0, 0.0)) -> Performance:
    """With the terms of the device moved."""
    shifts = (SpeedShift(family, exp(at[0]), exp(at[1])),) if any(at) else ()
    return answer(run.question._replace(accelerator=replace(run.question.accelerator, shifts=shifts)))


def _times(found: Performance) -> tuple[float, float]:
    return log(found.tpot_s.value), log(found.ttft_s.value)


def _half_width(found: Performance, name: str) -> float:
    quantity = getattr(found, name)
    return log(quantity.high / quantity.low) / 2


def _follows(run: _Run, family: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """How much longer the time per token, and that to the first one, become with each term: by decoding, by prompts."""
    plain, decode, prompt = (_times(_predicted(run, family, at)) for at in ((0.0, 0.0), (BUMP, 0.0), (0.0, BUMP)))
    token, first = (((decode[each] - plain[each]) / BUMP, (prompt[each] - plain[each]) / BUMP) for each in (0, 1))
    return token, first


def _seen(runs: Sequence[_Run], times: Sequence[tuple[float, float]], follows: Sequence[Any]) -> tuple[list[_Seen], list[_Seen]]:
    """Times per token, and to the first one, of all cases that have them."""
    rows = list(zip(runs, times, follows, strict=True))
    token = [_Seen(run.decode - time[0], *each[0]) for run, time, each in rows if run.decode is not None]
    first = [_Seen(run.prompt - time[1], *each[1]) for run, time, each in rows if run.prompt is not None]
    return token, first


def _single(seen: Sequence[_Seen], prior: _Prior) -> float:
    """Variance of a single case around what is common: the one known before, and what cases show, told by where a tenth of them lies beyond."""
    if not seen:
        return prior.single
    middle = median(each.off for each in seen)
    scatter = (quantile([abs(each.off - middle) for each in seen], WITHIN_BAND) / BAND_DEVIATIONS) ** 2
    return float(case_variance(prior_variance=prior.single, scatter_variance=scatter, cases=len(seen), prior_cases=PRIOR_CASES))


def _width(prior: _Prior, single: float, left: float) -> float:
    """What is left of the width of a band."""
    return float(kept_width(common_variance=prior.common, prior_variance=prior.single, case_variance=single, left_variance=left))


def _step(
    seen: tuple[list[_Seen], list[_Seen]], at: tuple[float, float], singles: tuple[float, float], known: tuple[_Prior, _Prior]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """One step of least squares that a far case pulls no harder than a near one, each term held back by its prior; and what variance is left open."""
    precision = [[1 / known[0].common, 0.0], [0.0, 1 / known[1].common]]
    pull = [-at[0] / known[0].common, -at[1] / known[1].common]
    for cases, single in zip(seen, singles, strict=True):
        for each in cases:
            weight = min(1.0, single**0.5 / max(abs(each.off), 1e-12)) / single
            follows = (each.by_decode, each.by_prompt)
            for row in (0, 1):
                pull[row] += weight * follows[row] * each.off
                for column in (0, 1):
                    precision[row][column] += weight * follows[row] * follows[column]
    (a, b), (_, d) = precision
    apart = a * d - b * b
    moved = (d * pull[0] - b * pull[1]) / apart, (a * pull[1] - b * pull[0]) / apart
    there = tuple(max(-FARTHEST, min(each + step, FARTHEST)) for each, step in zip(at, moved, strict=True))
    return (there[0], there[1]), (d / apart, a / apart)
