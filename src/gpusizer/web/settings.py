"""How a server behaves: who may ask it, how much, and how long."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpusizer.units import KB, MB, GiB

__all__ = ["ANY_HOST", "Settings", "trusted_by_default"]

ANY_HOST = "*"
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Settings:
    """What somebody who starts a server may set.

    Parameters
    ----------
    workers : int
        Processes that compute. [processes]
    root_path : str
        Where a proxy has put the server ("/gpusizer"); empty without one.
    trusted_hosts : tuple of str
        Names in the Host header that are answered, in small letters; "*" for all.
    time_limit_s : float
        Longest computation of one answer, and longest wait for a worker. [s]
    waiting : int
        Questions that may wait for a worker; more are sent away. [requests]
    body_bytes, query_bytes, header_bytes : int
        Longest body, address and head of a request. [bytes]
    patience_s : float
        Longest wait for the head of a request, for its body, and for somebody to take the answer. [s]
    connections : int
        Clients at once; more are not let in. [connections]
    worker_bytes : int
        Memory that a worker may take. [bytes]
    kept_bytes : int
        Answers that are kept to be given again. [bytes]
    """

    workers: int = os.cpu_count() or 1
    root_path: str = ""
    trusted_hosts: tuple[str, ...] = (ANY_HOST,)
    time_limit_s: float = 20.0
    waiting: int = 64
    body_bytes: int = int(2 * MB)
    query_bytes: int = int(16 * KB)
    header_bytes: int = int(32 * KB)
    patience_s: float = 10.0
    connections: int = 500
    worker_bytes: int = int(4 * GiB)
    kept_bytes: int = int(64 * MB)


def trusted_by_default(host: str) -> tuple[str, ...]:
    """The names that are answered where nobody says which: a page of somebody else's must not reach a server of one machine by a name of its own.

    >>> trusted_by_default("127.0.0.1"), trusted_by_default("0.0.0.0")
    (('127.0.0.1', '::1', 'localhost'), ('*',))
    """
    return _THIS_MACHINE if host.lower() in _THIS_MACHINE or host.startswith("127.") else (ANY_HOST,)
