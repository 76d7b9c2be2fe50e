"""What the readers of towers share: a shelf for stored tensors, the usual blocks of a transformer, and how a reader registers itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.types import Split, Tensor

__all__ = [
    "MAX_BLOCKS",
    "READERS",
    "Shelf",
    "Tower",
    "TowerReader",
    "attention",
    "fused_attention",
    "gated_mlp",
    "plain_mlp",
    "register_tower",
    "side",
]

MAX_BLOCKS = 1024  # blocks of a tower; the deepest known has 63
_MAX_SIDE = 1 << 16


class Shelf:
    """Stored tensors under a prefix, each ``copies`` times where the prefix stands for every block (``blocks.*.``).

    Examples
    --------
    >>> shelf = Shelf("visual.")
    >>> shelf.each("blocks", 2).linear("mlp.fc1", 8, 4, bias=True, split=Split.COLUMN)
    >>> [(tensor.name, tensor.shape, tensor.copies) for tensor in shelf.tensors]
    [('visual.blocks.*.mlp.fc1.weight', (8, 4), 2), ('visual.blocks.*.mlp.fc1.bias', (8,), 2)]
    """

    def __init__(self, prefix: str = "", copies: int = 1, tensors: list[Tensor] | None = None) -> None:
        self.prefix = prefix
        self.copies = copies
        self.tensors: list[Tensor] = [] if tensors is None else tensors

    def under(self, part: str) -> Shelf:
        """This shelf, with names below a part of the path."""
        return Shelf(f"{self.prefix}{part}.", self.copies, self.tensors)

    def each(self, part: str, count: int) -> Shelf:
        """This shelf, for ``count`` equal blocks below a part of the path."""
        return Shelf(f"{self.prefix}{part}.*.", self.copies * count, self.tensors)

    def array(self, name: str, *shape: int, split: Split = Split.REPLICATED, units: int = 0, linear: bool = False) -> None:
        """One tensor; nothing where it would be empty."""
        if self.copies and all(shape):
            self.tensors.append(Tensor(self.prefix + name, shape, "vision", split, units, self.copies, linear))

    def linear(self, name: str, rows: int, columns: int, split: Split = Split.REPLICATED, units: int = 0, *, bias: bool = False) -> None:
        """A matrix product; the bias of a cut output is cut with it."""
        self.array(f"{name}.weight", rows, columns, split=split, units=units, linear=True)
        if bias:
            cut = split is not Split.ROW
            self.array(f"{name}.bias", rows, split=split if cut else Split.REPLICATED, units=units if cut else 0)

    def conv(self, name: str, *shape: int, bias: bool = False) -> None:
        """A convolution, held whole by every rank."""
        self.array(f"{name}.weight", *shape)
        if bias:
            self.array(f"{name}.bias", shape[0])

    def norm(self, name: str, width: int, *, bias: bool = True) -> None:
        """A layer norm, or an RMS norm without ``bias``."""
        self.array(f"{name}.weight", width)
        if bias:
            self.array(f"{name}.bias", width)


@dataclass(frozen=True)
class Tower:
    """What a reader is given.

    Parameters
    ----------
    part : Keys
        ``vision_config`` or ``audio_config`` over the defaults of its class.
    whole : Keys
        The part of the configuration that holds it, over the defaults of its class (projector keys).
    hidden_size : int
        Width of the language model.
    """

    part: Keys
    whole: Keys
    hidden_size: int


@dataclass(frozen=True)
class TowerReader:
    """A kind of tower: its name, which configuration it belongs to, how it is recognised, and how it is read."""

    name: str
    section: str
    recognises: Callable[[Tower], bool]
    read: Callable[[Tower, Shelf], bool]


READERS: list[TowerReader] = []


def register_tower(
    name: str, section: str, recognises: Callable[[Tower], bool]
) -> Callable[[Callable[[Tower, Shelf], bool]], Callable[[Tower, Shelf], bool]]:
    """Register a reader of towers.

    Parameters
    ----------
    name : str
        Name of the kind.
    section : str
        "vision" or "audio".
    recognises : callable
        Whether the keys are those of this kind; no two readers may recognise the same tower.

    Returns
    -------
    callable
        Decorator; the function puts the tower's tensors on the shelf and says whether it understood all of it.
    """

    def register(read: Callable[[Tower, Shelf], bool]) -> Callable[[Tower, Shelf], bool]:
        READERS.append(TowerReader(name, section, recognises, read))
        return read

    return register


def side(keys: Keys, name: str) -> int:
    """A length of an image or a patch; where both sides are given, the first (towers take squares)."""
    value = keys.raw(name)
    if isinstance(value, (list, tuple)):
        sides = keys.integers(name, low=1, high=_MAX_SIDE) or ()
        if not sides:
            raise keys.missing(name)
        return sides[0]
    return keys.needed(name, high=_MAX_SIDE)


def attention(
    shelf: Shelf,
    width: int,
    heads: int,
    *,
    bias: bool = True,
    key_bias: bool = True,
    out_bias: bool = True,
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "out_proj"),
) -> None:
    """Four projections of multi-head attention."""
    query, key, value, out = names
    shelf.linear(query, width, width, Split.COLUMN, heads, bias=bias)
    shelf.linear(key, width, width, Split.COLUMN, heads, bias=bias and key_bias)
    shelf.linear(value, width, width, Split.COLUMN, heads, bias=bias)
    shelf.linear(out, width, width, Split.ROW, heads, bias=out_bias)


def fused_attention(shelf: Shelf, width: int, heads: int, rows: int, *, bias: bool, out_bias: bool) -> None:
    """Attention with one stored matrix for queries, keys and values (``rows`` of all three together)."""
    shelf.linear("qkv", rows, width, Split.COLUMN, heads, bias=bias)
    shelf.linear("proj", width, width, Split.ROW, heads, bias=out_bias)


def plain_mlp(shelf: Shelf, width: int, inner: int, names: tuple[str, str] = ("fc1", "fc2"), *, bias: bool = True) -> None:
    """Up and down."""
    shelf.linear(names[0], inner, width, Split.COLUMN, bias=bias)
    shelf.linear(names[1], width, inner, Split.ROW, bias=bias)


def gated_mlp(shelf: Shelf, width: int, inner: int, *, bias: bool = False) -> None:
    """Gate, up and down."""
    shelf.linear("gate_proj", inner, width, Split.COLUMN, bias=bias)
    shelf.linear("up_proj", inner, width, Split.COLUMN, bias=bias)
    shelf.linear("down_proj", width, inner, Split.ROW, bias=bias)
