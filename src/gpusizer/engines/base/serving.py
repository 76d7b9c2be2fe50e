"""How a server of an engine runs in a container: where it listens, what says that it is well, and what images call its program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Node", "Serving"]


@dataclass(frozen=True, slots=True)
class Serving:
    """A server in a container.

    Parameters
    ----------
    port : int
        Where it listens unless somebody says otherwise.
    listens : tuple of str
        Arguments with which it answers others than its own machine, ``{port}`` filled in.
    health : str
        The address that answers once it can serve.
    programs : tuple of (str, str)
        First words of its command, and what images call them.
    shared_bytes : int
        Shared memory that its processes want. [bytes]
    source : str
        Where all of this was read.
    """

    port: int
    listens: tuple[str, ...]
    health: str
    programs: tuple[tuple[str, str], ...] = ()
    shared_bytes: int = 0
    source: str = ""


class Node(NamedTuple):
    """One of several servers that one replica spans.

    Parameters
    ----------
    nodes : int
        How many there are.
    rank : str
        Its number: digits, or what stands for them where a manifest is filled in.
    leader : str
        The address of the first.
    first : bool
        Whether it is the first, which answers requests.
    """

    nodes: int
    rank: str
    leader: str
    first: bool
