"""How far this release lay from measurements when it was made: what ``validate`` said of files that the package does not hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["PATH", "Measured", "MeasuredFile", "measured_accuracy"]

PATH = Path(__file__).parent / "data" / "accuracy.json"
"""Written by ``scripts/update_docs.py``."""


class MeasuredFile(NamedTuple):
    """One file of measured cases.

    Parameters
    ----------
    subject : str
        What was measured: "starts", "serving" or "local".
    file : str
        Its name.
    owners : sequence of str
        Who published the measurements, the one with most cases first; empty where that is not told apart.
    not_judged : int
        Cases that contradict their neighbours or physics. [cases]
    summary : mapping
        The ``summary`` of the JSON of ``validate``.
    """

    subject: str
    file: str
    owners: Sequence[str]
    not_judged: int
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """When predictions were last held against measurements, and with what outcome."""

    date: str
    files: Sequence[MeasuredFile]


@cache
def measured_accuracy() -> Measured:
    """What stands in the package.

    >>> [each.subject for each in measured_accuracy().files]
    ['starts', 'serving', 'local']
    """
    data = json.loads(PATH.read_text(encoding="utf-8"))
    return Measured(data["date"], tuple(MeasuredFile(**each) for each in data["files"]))
