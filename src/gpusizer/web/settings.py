"""How a server behaves: who may ask it, how much, and how long."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gpusizer.units import KB, MB, GiB

__all__ = ["ANY_HOST", "Settings", "trusted"]

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


def trusted(names: Sequence[str], host: str) -> tuple[str, ...]:
    """The names that are answered: a page of somebody else's must not reach a server of a closed network by a name of its own.

    Parameters
    ----------
    names : sequence of str
        Those that were given.
    host : str
        Where the server listens; where nobody says a name, one that listens on all networks answers to any.

    Examples
    --------
    >>> trusted([], "127.0.0.1"), trusted([], "0.0.0.0"), trusted(["Sizer.Example"], "0.0.0.0")
    (('127.0.0.1', '::1', 'localhost'), ('*',), ('sizer.example', '127.0.0.1', '::1', 'localhost'))
    """
    if names or host.lower() in _THIS_MACHINE or host.startswith("127."):
        return (*map(str.lower, names), *_THIS_MACHINE)
    return (ANY_HOST,)
