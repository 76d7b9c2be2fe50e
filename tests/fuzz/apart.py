"""Inputs fed in a process of its own, with little memory; one that dies or stands still leaves the input that it died of."""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
from multiprocessing.connection import Connection

from fuzz.guard import peak_bytes
from fuzz.loop import Found, fuzz
from fuzz.surface import Surface
from fuzz.surfaces import SURFACES

__all__ = ["fuzz_apart"]

_PATIENCE_S = 180  # without a new input: beyond every bound of one input, on a machine with other work
_FED = b"+"  # before an input; what is empty is the end
_MOST_MEMORY_BYTES = 2 << 30  # for the sake of the machine; the bound of an input is far below


def fuzz_apart(surface: Surface, count: int, number: int, found: Found | None) -> tuple[Found, int]:
    """Feed a surface in a process that may die of it.

    Parameters
    ----------
    surface : Surface
        One of :data:`~fuzz.surfaces.SURFACES`.
    count, number : int
        Inputs, and what chance starts from.
    found : Found or None
        What came of a run that this one goes on with.

    Returns
    -------
    tuple of (Found, int)
        What came of all of it, and the most memory that the process held. [bytes]
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_worker, args=(surface.name, count, number, found, theirs), daemon=True)
    process.start()
    theirs.close()
    fed, last = 0, b""
    try:
        while ours.poll(_PATIENCE_S):
            message = ours.recv_bytes()
            if not message:
                result: tuple[Found, int] = ours.recv()
                return result
            fed, last = fed + 1, message.removeprefix(_FED)
        why = f"stood still for {_PATIENCE_S} s"
    except EOFError:
        why = f"died with {process.exitcode}"
    finally:
        process.kill()
        process.join()
    before = found or Found()
    died = {f"process {hashlib.sha256(last).hexdigest()[:8]}": (last, why)}
    return Found(before.inputs + fed, before.answers, before.failures | died), 0


def _worker(name: str, count: int, number: int, found: Found | None, told: Connection) -> None:
    """Feed one surface in a process of its own; each input is told before it is fed, what came of all of them at the end."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    result = fuzz(SURFACES[name], count, number, found, lambda content: told.send_bytes(_FED + content))
    told.send_bytes(b"")
    told.send((result, peak_bytes()))
