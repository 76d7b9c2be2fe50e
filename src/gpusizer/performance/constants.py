"""Constants of speed, read from ``constants.toml``: what a data sheet does not say, with how each is known."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "FILE",
    "Constant",
    "ConstantTable",
    "Constants",
    "Measured",
    "constant_tables",
    "fit_record",
    "measured_pairs",
    "owners_of",
    "speed_constants",
]

FILE = Path(__file__).with_name("constants.toml")


class Constant(NamedTuple):
    """One constant.

    Parameters
    ----------
    name : str
        What it is of, dotted: ``memory.8.hopper``.
    value : float
        In use, in the unit of its table.
    runs : int
        Measured runs that bear on it, 0 where none does.
    owners : int
        Independent owners of those runs: one alone is one voice.
    error : float or None
        Standard deviation of its logarithm after the fit.
    prior, prior_spread : float or None
        What it was thought to be before the fit, and the spread of its logarithm.
    """

    name: str
    value: float
    runs: int = 0
    owners: int = 0
    error: float | None = None
    prior: float | None = None
    prior_spread: float | None = None


class Measured(NamedTuple):
    """What was measured at all.

    Parameters
    ----------
    devices : mapping of str to int
        Generation and storage class of the weights ("hopper.8") -> independent owners of such measurements.
    engines : mapping of str to int
        Family of engines -> owners.
    """

    devices: Mapping[str, int]
    engines: Mapping[str, int]


class ConstantTable(NamedTuple):
    """Constants of one kind.

    Parameters
    ----------
    heading : str
        Under which it stands in the file.
    unit : str
        Of all of them.
    evidence : str
        "defined", "measured", "calibrated" or "assumed".
    comment : str
        What they are, and where they came from.
    constants : tuple of Constant
        In the order of the file.
    """

    heading: str
    unit: str
    evidence: str
    comment: str
    constants: tuple[Constant, ...]


class Constants:
    """Values by name, with those that stand in for what nobody measured.

    Parameters
    ----------
    values : mapping of str to float
        Every constant.

    Examples
    --------
    >>> Constants({"kernel_s.vllm": 2e-6, "kernel_s.other": 3e-6}).of("kernel_s", "mindie", "other")
    3e-06
    """

    def __init__(self, values: Mapping[str, float]) -> None:
        self.values = values

    def of(self, name: str, *kinds: str) -> float:
        """The constant of the first of some kinds that has one."""
        for kind in kinds:
            found = self.values.get(f"{name}.{kind}")
            if found is not None:
                return found
        raise KeyError(f"{name}.{kinds[0]}")

    def knows(self, name: str) -> bool:
        """Whether there is a constant of just this name."""
        return name in self.values


@cache
def _file() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _rows(table: Mapping[str, Any]) -> Iterator[list[str]]:
    for line in table["rows"].splitlines():
        words = line.split()
        if words:
            yield words


@cache
def speed_constants() -> Constants:
    """The constants in use."""
    return Constants({words[0]: float(words[1]) for table in _file()["table"] for words in _rows(table)})


@cache
def owners_of() -> Mapping[str, int]:
    """Constant -> independent owners of the runs that it was fitted to, of those that were."""
    return {words[0]: int(words[3]) for table in _file()["table"] for words in _rows(table) if len(words) > 3}


def constant_tables() -> tuple[ConstantTable, ...]:
    """Everything that the file says, in its order."""
    return tuple(
        ConstantTable(table["heading"], table["unit"], table["evidence"], table["comment"], tuple(_constant(words) for words in _rows(table)))
        for table in _file()["table"]
    )


def _constant(words: list[str]) -> Constant:
    name, value, *rest = words
    runs, owners = (int(word) for word in [*rest, "0", "0"][:2])
    return Constant(name, float(value), runs, owners, *(float(word) for word in rest[2:]))


@cache
def measured_pairs() -> Measured:
    """Which generations with which formats, and which engines, were among the measurements."""
    found = _file()["measured"]
    return Measured(found["devices"], found["engines"])


def about_constants() -> str:
    """What the file says of itself."""
    return str(_file()["about"])


def fit_record() -> Mapping[str, Any]:
    """Date, runs, groups, owners and errors of the last fit; "unseen" are median errors of owners that were left out, by quantity."""
    record: Mapping[str, Any] = _file()["fit"]
    return record
