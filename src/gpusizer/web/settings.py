"""How a server behaves: who may ask it, how much, and how long."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gpusizer.units import KB, MB

__all__ = ["Settings"]


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
        Names in the Host header that are answered; "*" for all.
    time_limit_s : float
        Longest computation of one answer. [s]
    waiting : int
        Questions that may wait for a worker; more are sent away. [requests]
    body_bytes, query_bytes : int
        Longest body and query. [bytes]
    kept_bytes : int
        Answers that are kept to be given again. [bytes]
    """

    workers: int = os.cpu_count() or 1
    root_path: str = ""
    trusted_hosts: tuple[str, ...] = ("*",)
    time_limit_s: float = 20.0
    waiting: int = 64
    body_bytes: int = int(2 * MB)
    query_bytes: int = int(16 * KB)
    kept_bytes: int = int(64 * MB)
