"""A graph of tensors with their sizes, in the order in which llama.cpp computes them (ggml_build_forward_expand)."""

from __future__ import annotations

__all__ = ["ELSEWHERE", "HERE", "Graph", "Tensor"]

HERE, ELSEWHERE = 0, 1
"""Places: the device whose buffer is asked for, and everything else (the host, other cards)."""


class Tensor:
    """A tensor of the graph, known by its size and by what it is computed from.

    Parameters
    ----------
    operation : str
        What computes it; "leaf" for what is given, "view" for a part of another.
    size_bytes : int
        Its size. [bytes]
    sources : tuple of Tensor
        What it is computed from.
    place : int
        Where it is computed or stored.
    part : str
        Part of the moment that it counts for: inputs, attention, feed_forward, copied_weights, output.
    """

    __slots__ = ("begins", "given", "lasting", "of", "operation", "part", "place", "size_bytes", "sources")

    def __init__(self, operation: str, size_bytes: int, sources: tuple[Tensor, ...], place: int, part: str) -> None:
        self.operation, self.size_bytes, self.sources, self.place, self.part = operation, size_bytes, list(sources), place, part
        self.of: Tensor | None = None  # the tensor that a view looks at
        self.begins = True  # a view that begins where that tensor begins
        self.given = False  # stored in a buffer of its own: weights and caches
        self.lasting = False  # kept through the whole graph

    @property
    def root(self) -> Tensor:
        """The tensor whose memory it is."""
        return self.of or self


class Graph:
    """Tensors in the order of their computation; ``place`` and ``part`` are those of the tensors that are made next."""

    def __init__(self) -> None:
        self.order: list[Tensor] = []
        self.leaves: list[Tensor] = []
        self.place, self.part = HERE, "inputs"
        self._known: set[Tensor] = set()

    def leaf(self, size_bytes: int, place: int, *, part: str = "inputs", given: bool = False) -> Tensor:
        """What is there before the graph is computed: an input, or (given) weights and caches.

        Parameters
        ----------
        size_bytes : int
            Its size, as a copy of it has it. [bytes]
        place : int
            Where it lies.
        part : str
            What a copy of it counts for.
        given : bool
            It lies in a buffer of its own.

        Returns
        -------
        Tensor
            The leaf.
        """
        made = Tensor("leaf", size_bytes, (), place, part)
        made.given = given
        return made

    def node(self, operation: str, size_bytes: int, *sources: Tensor) -> Tensor:
        """What is computed from other tensors."""
        return Tensor(operation, size_bytes, sources, self.place, self.part)

    def view(self, tensor: Tensor, size_bytes: int | None = None, *, begins: bool = True) -> Tensor:
        """A part of a tensor, or all of it in another shape."""
        made = Tensor("view", tensor.size_bytes if size_bytes is None else size_bytes, (tensor,), tensor.place, self.part)
        made.of = tensor.root
        made.begins = begins and (tensor.of is None or tensor.begins)
        return made

    def written(self, cache: Tensor, *sources: Tensor) -> None:
        """Rows are written to a cache at once."""
        made = Tensor("written", 0, (*sources, cache), cache.place, self.part)
        made.of = cache
        self.expand(made)

    def expand(self, tensor: Tensor) -> None:
        """Put a tensor, and before it whatever it needs, at the end of the order."""
        stack = [(tensor, 0)]
        if tensor in self._known:
            return
        self._known.add(tensor)
        while stack:
            current, position = stack.pop()
            if position < len(current.sources):
                stack.append((current, position + 1))
                source = current.sources[position]
                if source not in self._known:
                    self._known.add(source)
                    stack.append((source, 0))
            else:
                (self.leaves if current.operation == "leaf" else self.order).append(current)
