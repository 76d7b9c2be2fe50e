"""Devices with what somebody's own cases say of their speed, and what of it must be said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gpusizer.architecture.types import Notice
from gpusizer.facts.types import Accelerator
from gpusizer.performance.device_speeds import engine_family

__all__ = ["case_notices", "with_cases"]


def with_cases(device: Accelerator, path: str | None) -> Accelerator:
    """A device with the shifts that a file of cases tells of it; the very device where there is no file, or it says nothing of it."""
    if path is None:
        return device
    from gpusizer.validation.calibration import own_calibration  # here: most requests bring none

    shifts = own_calibration(path).shifts.get(device.id)
    return replace(device, shifts=shifts) if shifts else device


def case_notices(devices: Sequence[Accelerator], engines: Iterable[str], path: str | None) -> tuple[Notice, ...]:
    """By how much own cases move which device, what they say nothing of, and how many were left out.

    Parameters
    ----------
    devices : sequence of Accelerator
        Those of the answer, as :func:`with_cases` gives them.
    engines : iterable of str
        Those of the answer.
    path : str or None
        The file of cases.

    Returns
    -------
    tuple of Notice
        None without a file.
    """
    if path is None:
        return ()
    from gpusizer.validation.calibration import own_calibration

    families = {engine_family(each) for each in engines}
    found = [
        Notice(
            "calibrated-by-cases",
            {
                "gpu": device.id,
                "engine": shift.family,
                "cases": shift.cases,
                "decode_factor": shift.decode_factor,
                "prefill_factor": shift.prefill_factor,
            },
        )
        for device in devices
        for shift in device.shifts
        if shift.family in families
    ]
    told = own_calibration(path)
    if not found:
        measured = sorted(f"{device} ({shift.family})" for device, shifts in told.shifts.items() for shift in shifts)
        found.append(Notice("cases-of-other-devices", {"measured": measured}))
    if told.left_out:
        found.append(Notice("cases-left-out", {"left_out": told.left_out, "cases": told.cases}))
    return tuple(found)
