"""What somebody's own cases say of the speed of their devices: a shift of few terms, as far as the cases bear it out.

Two factors are sought for each device and family of engines: one of what decoding waits for, one of what prompts wait for. Each case is asked by
itself which factors would bring its prediction to what was measured, and the middle of the cases counts, so that one slip does no harm. From there
the factors are drawn back towards ours, the less the more cases there are and the better they agree (``formulas.calibration``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, log
from statistics import median
from typing import Any, NamedTuple

from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError, UnreadableFileError
from gpusizer.facts.types import SpeedShift
from gpusizer.formulas.calibration import case_variance, kept_width, moved_share
from gpusizer.given_files import state_of
from gpusizer.performance.concurrency import memory_answer
from gpusizer.performance.device_speeds import engine_family
from gpusizer.performance.predict import Question, answer
from gpusizer.performance.types import Performance
from gpusizer.validation.case_file import read_cases
from gpusizer.validation.measured import measured_performance
from gpusizer.validation.memory_cases import is_performance
from gpusizer.validation.speed_cases import performance_case, question_of

__all__ = ["Calibration", "calibration_of", "own_calibration"]

MOST_CASES = 2_000
FARTHEST = log(8)  # a case that lies farther from its prediction describes another set-up, or has a slip in a unit
LEAST_ANSWER = 0.4  # a time that hardly follows a term says nothing of it
ROUNDS = 3
BUMP = log(1.25)
BAND_DEVIATIONS = 1.645  # a band ends where a twentieth lies beyond
TO_DEVIATION = 1.4826  # of a normal distribution: deviation over the median distance from the middle
WITHIN = 2.0
"""Variance of runs on one device over that from device to device. Of the published runs (groups of one device, engine and owner, four runs at least)
it is 1.1 and 0.6 for the time per token, 2.3 and 1.5 for the first token: the careful end."""
PRIOR_CASES = 2.0  # as how many cases that variance counts


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


class _Seen(NamedTuple):
    """How far one case lies from its prediction, as logarithms, and how its times follow each term."""

    decode: float | None
    prompt: float | None
    decode_by: tuple[float, float]  # of the time per token: by the factor of decoding, by that of prompts
    prompt_by: tuple[float, float]


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
    if not is_performance(row) or row.get("confidence") == "low":
        return None
    measured = measured_performance(row)
    try:
        case = performance_case(row)
        if isinstance(case, Notice):
            return None
        question = question_of(case)
        question = question._replace(fit=memory_answer(case.architecture, case.accelerator, case.deployment, case.load))
        predicted = answer(question)
    except InputError:
        return None
    decode, prompt = (_near(measured.get(name), getattr(predicted, name).value) for name in ("tpot_s", "ttft_s"))
    return None if decode is None and prompt is None else _Run(question, decode, prompt)


def _near(measured: float | None, predicted: float) -> float | None:
    """The logarithm of what was measured, where it can be a run of what is predicted."""
    if measured is None or not measured > 0 or not predicted > 0 or abs(log(measured / predicted)) > FARTHEST:
        return None
    return log(measured)


def _shift(family: str, runs: Sequence[_Run]) -> SpeedShift:
    ours = [_predicted(run, family) for run in runs]
    at = (0.0, 0.0)
    follows = [_follows(run, family) for run in runs]
    told: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        seen = [_seen(run, _times(_predicted(run, family, at)), each) for run, each in zip(runs, follows, strict=True)]
        told = _told(seen)
        at = (at[0] + (median(told[0]) if told[0] else 0.0), at[1] + (median(told[1]) if told[1] else 0.0))
    decode, decode_width = _drawn_back(at[0], told[0], [_half_width(each, "tpot_s") for each in ours])
    prompt, prompt_width = _drawn_back(at[1], told[1], [_half_width(each, "ttft_s") for each in ours])
    return SpeedShift(family, exp(decode), exp(prompt), decode_width, prompt_width, len(runs))


def _predicted(run: _Run, family: str, at: tuple[float, float] = (0.0, 0.0)) -> Performance:
    """With the terms of the device moved."""
    shifts = (SpeedShift(family, exp(at[0]), exp(at[1])),) if any(at) else ()
    return answer(run.question._replace(accelerator=replace(run.question.accelerator, shifts=shifts)))


def _times(found: Performance) -> tuple[float, float]:
    return log(found.tpot_s.value), log(found.ttft_s.value)


def _follows(run: _Run, family: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """How much longer the time per token and that to the first one become with each term: by decoding, by prompts."""
    plain, decode, prompt = (_times(_predicted(run, family, at)) for at in ((0.0, 0.0), (BUMP, 0.0), (0.0, BUMP)))
    token, first = (((decode[each] - plain[each]) / BUMP, (prompt[each] - plain[each]) / BUMP) for each in (0, 1))
    return token, first


def _seen(run: _Run, times: tuple[float, float], follows: tuple[tuple[float, float], tuple[float, float]]) -> _Seen:
    decode = None if run.decode is None else run.decode - times[0]
    prompt = None if run.prompt is None else run.prompt - times[1]
    return _Seen(decode, prompt, *follows)


def _told(seen: Sequence[_Seen]) -> tuple[list[float], list[float]]:
    """What each case would have the terms moved by, of those that follow them; of a case with both times by both together."""
    decode: list[float] = []
    prompt: list[float] = []
    for each in seen:
        (token, token_too), (first_too, first) = each.decode_by, each.prompt_by
        told = each.decode is not None and token >= LEAST_ANSWER, each.prompt is not None and first >= LEAST_ANSWER
        if told == (True, True) and each.decode is not None and each.prompt is not None:
            apart = token * first - token_too * first_too
            if apart >= LEAST_ANSWER**2:
                decode.append((each.decode * first - each.prompt * token_too) / apart)
                prompt.append((each.prompt * token - each.decode * first_too) / apart)
                continue
        if told[0] and each.decode is not None:
            decode.append(each.decode / token)
        elif told[1] and each.prompt is not None:
            prompt.append(each.prompt / first)
    return decode, prompt


def _half_width(found: Performance, name: str) -> float:
    quantity = getattr(found, name)
    return log(quantity.high / quantity.low) / 2


def _drawn_back(middle: float, left: Sequence[float], half_widths: Sequence[float]) -> tuple[float, float]:
    """How far a term moves, as a logarithm, and what is left of the width of its band; ``left`` is how far each case still lies from the middle."""
    if not left:
        return 0.0, 1.0
    whole = (median(half_widths) / BAND_DEVIATIONS) ** 2
    common, prior = whole / (1 + WITHIN), whole * WITHIN / (1 + WITHIN)
    centre = median(left)
    scatter = (TO_DEVIATION * median(abs(each - centre) for each in left)) ** 2
    single = float(case_variance(prior_variance=prior, scatter_variance=scatter, cases=len(left), prior_cases=PRIOR_CASES))
    moved = float(moved_share(common_variance=common, case_variance=single, cases=len(left)))
    width = float(kept_width(common_variance=common, prior_variance=prior, case_variance=single, moved=moved))
    bounded = max(-FARTHEST, min(middle, FARTHEST))
    return moved * bounded, width
