"""One way into gpusizer: what is fed to it, and what must hold of the answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

__all__ = ["CORPUS", "Surface"]

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that once failed, a folder for each surface."""


@dataclass(frozen=True)
class Surface:
    """What is fed, and what is asked of the answer.

    Parameters
    ----------
    name : str
        Of the surface, and of its folder in the corpus.
    seeds : callable
        Honest inputs, the simplest first.
    changed : callable
        From the inputs that are known to the strategy of the next ones.
    answer : callable
        Feeds one input and checks the answer. It gives what is worth telling apart (an input with an answer that was not seen before becomes a
        parent of others), raises an error of gpusizer where the input is refused, and ``AssertionError`` where the answer is wrong.
    weight : int
        Its share of all inputs, beside those of the others.
    larger : callable
        Further honest inputs that take their time: parents in the long form.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    changed: Callable[[Sequence[bytes]], SearchStrategy[bytes]]
    answer: Callable[[bytes], Hashable]
    weight: int
    larger: Callable[[], Sequence[bytes]] = tuple

    def corpus(self) -> list[Path]:
        """Files of the inputs that once failed."""
        return sorted(path for path in (CORPUS / self.name).glob("*") if path.is_file())
