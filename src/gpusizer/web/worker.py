"""A worker process: bounded in memory and in time by itself, whatever becomes of the process that asked it."""

from __future__ import annotations

import gc
import gzip
import signal
from dataclasses import replace
from functools import cache

from gpusizer.web.job import Job, Reply
from gpusizer.web.replies import reply_to

__all__ = ["packed", "work_on"]

_WORTH_PACKING_BYTES = 1000
_FAST = 1  # most of what the best level saves, in a fifth of its time
_PACKED_TYPES = ("text/", "application/json", "application/problem+json", "image/svg+xml")


def work_on(job: Job, most_bytes: int, most_s: float) -> Reply:
    """The reply to one job, packed where that saves much.

    Parameters
    ----------
    job : Job
        The question.
    most_bytes : int
        Memory that this process may take. [bytes]
    most_s : float
        After this time the process ends by itself, in case nobody is left to end it. [s]
    """
    _settle(most_bytes)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, most_s)
    try:
        return packed(reply_to(job))
    finally:
        _keep_what_is_loaded()
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


@cache  # once in a process
def _settle(most_bytes: int) -> None:
    """What is set once: Ctrl+C at a terminal is for the process that serves, and no question takes the memory of the whole machine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import resource
    except ImportError:  # no such bound on Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard), hard))


@cache  # once in a process
def _keep_what_is_loaded() -> None:
    """After the first answer the catalogue is there to stay: no collection need look through it again, which took as long as a plan."""
    gc.collect()
    gc.freeze()


def packed(reply: Reply) -> Reply:
    """The reply with its content packed, where it is long and text.

    >>> packed(Reply(200, "application/json", b"{}")).is_packed, packed(Reply(200, "text/html", b"<p>" * 1000)).is_packed
    (False, True)
    """
    if len(reply.body) < _WORTH_PACKING_BYTES or not reply.media_type.startswith(_PACKED_TYPES):
        return reply
    return replace(reply, body=gzip.compress(reply.body, _FAST, mtime=0), is_packed=True)
