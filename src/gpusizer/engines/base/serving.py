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
    variables : tuple of (str, str)
        The same where variables say it.
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
    variables: tuple[tuple[str, str], ...] = ()
    programs: tuple[tuple[str, str], ...] = ()
    shared_bytes: int = 0
    source: str = ""

    def arguments(self, port: int) -> tuple[str, ...]:
        """Arguments with which it listens on a port."""
        return tuple(each.format(port=port) for each in self.listens)

    def environment(self, port: int) -> tuple[tuple[str, str], ...]:
        """Variables with which it listens on a port."""
        return tuple((name, value.format(port=port)) for name, value in self.variables)

    def moved(self, port: int) -> tuple[list[str], list[str]]:
        """What moves it to another port of its own machine alone: variables, and arguments.

        >>> Serving(8000, ("--host", "0.0.0.0", "--port", "{port}"), "/health").moved(8001)
        ([], ['--port', '8001'])
        """
        told = [f"{name}={value.replace('0.0.0.0', '127.0.0.1')}" for name, value in self.environment(port)]
        at = self.listens.index("{port}") if "{port}" in self.listens else 0
        return told, [self.listens[at - 1], str(port)] if at else []


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
