"""What a reader sees: the model's keys, what its class implies, and one layer's own values out of lists that run over the layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from gpusizer.architecture.readers.classes.class_words import ClassWords
from gpusizer.architecture.readers.keys import MAX_NUMBER, Keys
from gpusizer.architecture.types import Notice

__all__ = ["LayerContext", "ModelContext"]


@dataclass
class ModelContext:
    """One configuration while it is read.

    Parameters
    ----------
    keys : Keys
        The configuration's keys, with the defaults that its class has for absent ones.
    class_words : ClassWords
        What the class hard-codes: biases, norms, names of modules.
    hidden : int
        Width of the residual stream.
    layers : int
        Number of decoder layers.
    notices : list of Notice
        What could not be read with certainty.
    assumed : mapping
        Those keys that the configuration leaves out and its class supplies.
    """

    keys: Keys
    class_words: ClassWords
    hidden: int
    layers: int
    notices: list[Notice] = field(default_factory=list)
    assumed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def both_ways(self) -> bool:
        """Whether a token sees those after it: in an encoder, and in a decoder that was taught to read so."""
        causal, both_ways = self.keys.raw("is_causal"), self.keys.raw("use_bidirectional_attention")  # or a word for images alone
        return self.class_words.encoder or causal is False or both_ways is True

    def told(self, *names: str) -> list[str]:
        """Those of the names that the configuration itself gives a value that is not nothing (null, 0, false, empty)."""
        values = self.keys.values
        return [name for name in names if name not in self.assumed and values.get(name) not in (None, 0, False, "", [], {})]

    def notice(self, code: str, **parameters: Any) -> None:
        """Say something once."""
        if not any(notice.code == code and dict(notice.parameters) == parameters for notice in self.notices):
            self.notices.append(Notice(code, parameters))


class LayerContext:
    """One layer while it is read; what its reading depended on is remembered, so that equal layers are read once.

    Parameters
    ----------
    model : ModelContext
        The whole.
    index : int
        Index of the layer; a reader that needs it asks :attr:`index`, which makes the layer one of its own.
    mixer : str
        Kind of mixer: attention, window, chunk, linear, mamba, conv, none, or the configuration's own word where we do not know it.
    block : str
        Kind of feed-forward: dense, experts, dense+experts, none.
    traits : frozenset of str
        What else sets the layer apart: "shared-kv", "own-key-norm", "no-rope", "mtp", "indexer-shared"; "pools" and "picks" where compressed
        entries and their choice serve later layers; "ngram-0" and on, the table of n-grams that it reads.
    """

    def __init__(self, model: ModelContext, index: int, mixer: str, block: str, traits: frozenset[str] = frozenset()) -> None:
        self.model = model
        self.mixer = mixer
        self.block = block
        self.traits = traits
        self._index = index
        self.depends: dict[str, Any] = {}

    @property
    def keys(self) -> Keys:
        """The configuration's keys."""
        return self.model.keys

    @property
    def class_words(self) -> ClassWords:
        """What the class hard-codes."""
        return self.model.class_words

    @property
    def hidden(self) -> int:
        """Width of the residual stream."""
        return self.model.hidden

    @property
    def index(self) -> int:
        """Index of the layer."""
        self.depends["\0index"] = self._index
        return self._index

    def value_at(self, name: str, index: int) -> Any:
        """The value of a key for the layer at ``index``: an element of a list over the layers, or the value itself."""
        if name == "\0index":
            return index
        value = self.keys.values.get(name)
        if isinstance(value, (list, tuple)):
            if len(value) < self.model.layers:
                raise self.keys.refuse(name, value, f"list of {self.model.layers}")
            return value[index] if index < len(value) else value[-1]
        return value

    def entry(self, *names: str) -> Any:
        """This layer's value of the first of the names that is present and not null."""
        self.keys.ignore(*names)
        for name in names:
            value = self.keys.values.get(name)
            if value is None:
                continue
            if isinstance(value, (list, tuple)):
                value = self.value_at(name, self._index)
                self.depends[name] = value
            if value is not None:
                return value
        return None

    @overload
    def integer(self, *names: str, default: int, low: int = 0, high: int = MAX_NUMBER) -> int: ...
    @overload
    def integer(self, *names: str, default: None = None, low: int = 0, high: int = MAX_NUMBER) -> int | None: ...
    def integer(self, *names: str, default: int | None = None, low: int = 0, high: int = MAX_NUMBER) -> int | None:
        """A whole number of this layer; lists over the layers are taken by index."""
        value = self.entry(*names)
        if value is None:
            return default
        return Keys({names[0]: value}, self.keys.path).integer(names[0], low=low, high=high)

    def flag(self, *names: str) -> bool:
        """A yes or no of this layer, false where it is absent."""
        value = self.entry(*names)
        return value is not None and Keys({names[0]: value}, self.keys.path).flag(names[0])

    def needed(self, *names: str, low: int = 1) -> int:
        """A whole number of this layer that must be there."""
        value = self.integer(*names, low=low)
        if value is None:
            raise self.keys.missing(names[0])
        return value
