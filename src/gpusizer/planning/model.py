"""The model of a request: where it comes from, what was published of it, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpusizer.architecture.load import load_architecture, remembered
from gpusizer.architecture.model import Architecture
from gpusizer.facts.catalog import model_entry
from gpusizer.facts.model_words import model_meant
from gpusizer.facts.types import ModelEntry
from gpusizer.given_files import stands_here

__all__ = ["POOLED_USES", "Model", "model_of"]

POOLED_USES = frozenset({"embedding", "rerank"})
"""Uses of a model that writes nothing."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it was named.

    Parameters
    ----------
    source : str
        A catalogue id or alias, or a path.
    entry : ModelEntry or None
        What was published of it; None for a file.
    stored : Architecture
        The model as its checkpoint stores it.
    """

    source: str
    entry: ModelEntry | None
    stored: Architecture

    @property
    def only_reads(self) -> bool:
        """Whether it embeds or ranks and does nothing else: by its layers, or as its publisher says."""
        uses = () if self.entry is None else self.entry.uses
        return self.stored.pooled or self.stored.reads_only or (bool(uses) and POOLED_USES.issuperset(uses))

    @property
    def name(self) -> str:
        """The name to print: the catalogue's, the configuration's, or that of the file."""
        return self.entry.name if self.entry is not None else self.stored.name or self.stored.id or Path(self.source).name


def model_of(source: str, checkpoint_bytes: int | None = None) -> Model:
    """Read a model, once.

    Parameters
    ----------
    source : str
        A catalogue id or alias in any letter case, or the path of a configuration, a checkpoint folder or a GGUF file.

    checkpoint_bytes : int or None
        Size of its files, where the owner told it. [bytes]

    Returns
    -------
    Model
        The model with what was published of it.

    Examples
    --------
    >>> model_of("DeepSeek-V3").name
    'DeepSeek-V3'
    """
    stored = load_architecture(source, checkpoint_bytes)
    elsewhere = remembered(source) is not None or stands_here(source)
    return Model(source, None if elsewhere else model_entry(model_meant(source).id), stored)
