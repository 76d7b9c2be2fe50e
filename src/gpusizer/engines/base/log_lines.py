"""The lines that an engine will print of a start, in the words of its version, with the figures of the prediction.

An engine's folder has a module ``log_lines`` with ``LINES``; its declaration names it. What nobody predicts (seconds, names of classes) stands as
"…". A line begins behind the prefix of its process, date and place in the code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from gpusizer.engines import declaration
from gpusizer.engines.base.launch_words import device_names
from gpusizer.engines.base.types import Fit, Quantity
from gpusizer.units import GiB

__all__ = ["UNTOLD", "ExpectedLine", "LogLine", "expected_lines"]

UNTOLD = "…"
"""What stands for a figure that nobody predicts."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line as some versions print it.

    Parameters
    ----------
    words : str
        With quantities of the prediction in braces, each with a format of :meth:`str.format` or "short" (two digits at most);
        ``{context_tokens}`` is the longest request, ``{device}`` the first device as the engine names it.
    quantity : str
        What the line is looked at for.
    since, until : tuple of int
        The first version that prints it, and the first that does not any more; empty without such a bound.
    unit_bytes : int
        In which sizes are printed. [bytes]
    fits_only : bool
        Printed only where the start goes on behind its cache.
    one_device : bool
        The figure is of all devices, and the line of each: it is known where there is one.
    """

    words: str
    quantity: str
    since: tuple[int, ...] = ()
    until: tuple[int, ...] = ()
    unit_bytes: int = GiB
    fits_only: bool = True
    one_device: bool = False


class ExpectedLine(NamedTuple):
    """A line with the figures of a prediction.

    Parameters
    ----------
    line : str
        As it will be printed.
    quantity : str
        The figure to look at.
    value, low, high : float
        The figure with its band, in bytes, tokens or requests.
    """

    line: str
    quantity: str
    value: float
    low: float
    high: float


class _Figure(float):
    """A number that can be printed with two digits at most."""

    def __format__(self, form: str) -> str:
        return str(round(float(self), 2)) if form == "short" else super().__format__(form)


def expected_lines(fit: Fit, version: tuple[int, ...]) -> tuple[ExpectedLine, ...]:
    """What the engine will print of a start.

    Parameters
    ----------
    fit : Fit
        The prediction.
    version : tuple of int
        Of the engine.

    Returns
    -------
    tuple of ExpectedLine
        In the order of the log; empty for an engine whose log nobody has described, and for a fork.
    """
    named = declaration(fit.deployment.engine).log_lines
    if not named or fit.deployment.fork:
        return ()
    lines: tuple[LogLine, ...] = import_module(named).LINES
    return tuple(_filled(fit, version, lines))


def _filled(fit: Fit, version: tuple[int, ...], lines: tuple[LogLine, ...]) -> Iterator[ExpectedLine]:
    deployment = fit.deployment
    beside: Mapping[str, object] = {
        "context_tokens": _Figure(deployment.max_model_len or 0),
        "device": device_names(deployment.gpu, 1),
    }
    for each in lines:
        known = version >= each.since and (not each.until or version < each.until)
        quantity = fit.quantities.get(each.quantity)
        if not known or quantity is None or (each.fits_only and not fit.fits) or (each.one_device and deployment.layout.gpus > 1):
            continue
        figures = {name: _printed(name, one, each.unit_bytes) for name, one in fit.quantities.items()}
        try:
            line = each.words.format(**figures, **beside)
        except KeyError:  # a figure that this start has not
            continue
        yield ExpectedLine(line, each.quantity, quantity.value, quantity.low, quantity.high)


def _printed(name: str, quantity: Quantity, unit_bytes: int) -> _Figure:
    return _Figure(quantity.value / unit_bytes if name.endswith("_bytes") else quantity.value)
