"""What the graphs of all layers share: rows, masks, norms, and matrices that may have to be copied from the host."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpusizer.engines.llama_cpp.cache import Cells
from gpusizer.engines.llama_cpp.graph import ELSEWHERE, HERE, Graph, Tensor
from gpusizer.engines.llama_cpp.options import Options
from gpusizer.formulas.memory.llama_cpp import float_rows_bytes, mask_bytes

__all__ = ["Builder"]


@dataclass
class Builder:
    """A graph while it is built.

    Parameters
    ----------
    options : Options
        The start.
    cells : Cells
        Cells of the cache.
    tokens : int
        Tokens of the micro-batch. [tokens]
    first : bool
        The device takes the inputs and casts the masks.
    inputs_place : int
        Where inputs are stored.
    matrix_bytes : tuple of int
        Largest matrix of a mixer and of a dense block, where this layer lies on the host; 0 where it lies here. [bytes]
    cache_bytes : int
        Cache of this layer, where it lies on the host. [bytes]
    """

    options: Options
    cells: Cells
    tokens: int
    first: bool
    inputs_place: int = ELSEWHERE
    matrix_bytes: tuple[int, int] = (0, 0)
    cache_bytes: int = 0
    graph: Graph = field(default_factory=Graph)
    _positions: Tensor | None = None
    _rows: dict[str, Tensor] = field(default_factory=dict)
    _masks: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def rows(self, width: int, tokens: int | None = None) -> int:
        """FP32 rows of all tokens. [bytes]"""
        return int(float_rows_bytes(tokens=self.tokens if tokens is None else tokens, width=width))

    def product(self, width: int, *sources: Tensor, weights_bytes: int = 0) -> Tensor:
        """A matrix product with so many columns a token; its matrix is copied where it lies on the host."""
        return self.node("product", self.rows(width), *self.copied(weights_bytes), *sources)

    def mixed(self, width: int, *sources: Tensor) -> Tensor:
        """A matrix product of a mixer."""
        return self.product(width, *sources, weights_bytes=self.matrix_bytes[0])

    def node(self, operation: str, size_bytes: int, *sources: Tensor) -> Tensor:
        """A node of the graph."""
        return self.graph.node(operation, size_bytes, *sources)

    def norm(self, tensor: Tensor) -> Tensor:
        """A norm with its scale: one operation that needs room of its own in the fork, two that may work in place in llama.cpp."""
        if self.options.fork:
            return self.node("fused_norm", tensor.size_bytes, tensor)
        return self.node("mul", tensor.size_bytes, self.node("rms_norm", tensor.size_bytes, tensor))

    def stored(self, size_bytes: int, *, here: bool = True) -> Tensor:
        """Weights or a cache in a buffer of their own."""
        return self.graph.leaf(size_bytes, HERE if here else ELSEWHERE, part="copied_weights", given=True)

    def cached(self, share: float = 1.0) -> Tensor:
        """A part of this layer's cache as the mixer reads it."""
        size = int(self.cache_bytes * share)
        return self.graph.view(self.stored(size, here=not size), size)

    def rotated(self, tensor: Tensor, width: int | None = None, *, in_place: bool = True) -> Tensor:
        """Rows that are rotated by their positions; a part of wider rows needs room of its own."""
        if self._positions is None:
            self._positions = self.graph.leaf(4 * self.tokens, self.inputs_place)
        size = tensor.size_bytes if width is None else self.rows(width)
        return self.node("rope" if in_place else "rotated", size, tensor, self._positions)

    def written(self, **pieces: Tensor) -> None:
        """Keys, values or states go to their cache, in newer builds to rows whose numbers are inputs."""
        for name, piece in pieces.items():
            if self.options.rows_numbered and name not in self._rows:
                self._rows[name] = self.graph.leaf(8 * self.tokens, self.inputs_place)
            numbers = (self._rows[name],) if name in self._rows else ()
            self.graph.written(self.stored(0), piece, *numbers)

    def mask(self, cells: int, window: int = 0) -> Tensor:
        """The mask over so many cells, one for each window: FP32 in older builds, cast to FP16 for flash attention on the first device."""
        if (cells, window) not in self._masks:
            options = self.options
            cast = options.flash and not options.half_masks
            half = options.flash and (options.half_masks or not self.first)
            size = int(mask_bytes(cells=cells, tokens=self.tokens, element_bytes=2 if half else 4))
            part, self.graph.part = self.graph.part, "inputs"
            mask = self.graph.leaf(size, self.inputs_place)
            self._masks[cells, window] = self.node("cast", size // 2, mask) if cast and not half else mask
            self.graph.part = part
        return self._masks[cells, window]

    def copied(self, size_bytes: int) -> tuple[Tensor, ...]:
        """A matrix that has to come from the host; none where nothing has to."""
        return (self.stored(size_bytes, here=False),) if size_bytes else ()
