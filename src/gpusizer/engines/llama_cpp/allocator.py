"""What a device reserves for a graph: ggml's allocator (ggml/src/ggml-alloc.c), and the copies that its scheduler makes (ggml-backend.cpp).

Freed memory is used again where a tensor fits, the smallest gap first, so a buffer ends up larger than what ever lives at once. The gaps depend on
the order of the graph; nothing simpler than the allocator itself tells them.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from gpusizer.engines.llama_cpp.graph import HERE, Graph, Tensor

__all__ = ["Moment", "widest_moment"]

_ALIGNMENT = 128
_ENDLESS = 1 << 62
# ggml-alloc.c, ggml_op_can_inplace
_IN_PLACE = frozenset({"scale", "add", "sub", "mul", "div", "unary", "rope", "rms_norm", "soft_max"})


@dataclass(slots=True)
class Moment:
    """The moment at which a buffer is largest.

    Parameters
    ----------
    total_bytes : int
        Size of the buffer. [bytes]
    parts : dict of str to int
        What lives then, by part. [bytes]
    """

    total_bytes: int = 0
    parts: dict[str, int] = field(default_factory=dict)


def widest_moment(graph: Graph, *, copies: int = 1) -> Moment:
    """What the device of a graph reserves for it.

    Parameters
    ----------
    graph : Graph
        The graph of one micro-batch.
    copies : int
        Copies of what comes from elsewhere: micro-batches under way at once.

    Returns
    -------
    Moment
        The size, and what it holds.
    """
    order, lasting = _with_copies(graph, copies)
    run = _Run()
    for tensor in (*lasting, *graph.leaves):  # inputs come first, so that nothing else lies in their way
        run.allocate(tensor)
    for tensor in order:
        if tensor.of is not None and tensor.operation != "awaited":
            run.views[tensor.of] = run.views.get(tensor.of, 0) + 1
        for source in tensor.sources:
            run.children[source] = run.children.get(source, 0) + 1
    for tensor in order:
        for source in tensor.sources:
            run.allocate(source)
        run.allocate(tensor)
        for source in tensor.sources:
            run.release(source)
    return run.moment


def _splits(graph: Graph) -> list[tuple[int, list[Tensor]]]:
    """Parts of the order that one place computes, each beginning where the place changes or weights of the other place are needed."""
    found: list[tuple[int, list[Tensor]]] = []
    for tensor in graph.order:
        if tensor.operation == "view":
            if found:
                found[-1][1].append(tensor)
            continue
        foreign = any(source.given and source.operation == "leaf" and source.place != tensor.place for source in tensor.sources)
        if not found or found[-1][0] != tensor.place or foreign:
            found.append((tensor.place, []))
        found[-1][1].append(tensor)
    return found


def _with_copies(graph: Graph, copies: int) -> tuple[list[Tensor], list[Tensor]]:
    """The order with a copy of what one place needs of the other, made where the part that needs it first begins; copies that last."""
    order: list[Tensor] = []
    lasting: list[Tensor] = []
    known: dict[tuple[Tensor, int], Tensor] = {}
    for place, tensors in _splits(graph):
        for tensor in tensors:
            for position, source in enumerate(tensor.sources):
                if tensor.operation == "view" or source.root.place == place or not source.size_bytes:
                    continue
                if (source, place) not in known:
                    known[source, place] = _copied(source, place)
                    order += _made(source, known[source, place])
                    lasting += _lasting(source, known[source, place], copies)
                tensor.sources[position] = known[source, place]
        order += tensors
    return order, lasting


def _copied(source: Tensor, place: int) -> Tensor:
    return Tensor("leaf", source.size_bytes, (), place, source.part)


def _made(source: Tensor, copy: Tensor) -> list[Tensor]:
    """A copy in the order of the graph, and that what is copied must be there until then."""
    if source.given:
        return [copy]
    awaited = Tensor("awaited", 0, (source,), source.root.place, source.part)
    awaited.of = source.root
    return [awaited, copy]


def _lasting(source: Tensor, copy: Tensor, copies: int) -> list[Tensor]:
    """Copies for all micro-batches that are under way at once, where there are several."""
    if copies == 1 or copy.place != HERE:
        return []
    made = [copy, *(_copied(source, HERE) for _ in range(copies - 1))]
    for each in made:
        each.lasting = True
    return made


class _Run:
    """One run of the allocator; only what lies here takes memory."""

    def __init__(self) -> None:
        self.children: dict[Tensor, int] = {}
        self.views: dict[Tensor, int] = {}
        self.moment = Moment()
        self._where: dict[Tensor, tuple[int, int]] = {}
        self._live: dict[str, int] = {}
        self._starts: list[int] = [0]
        self._sizes: list[int] = [_ENDLESS]

    def allocate(self, tensor: Tensor) -> None:
        """Find memory for a tensor: that of a source that nobody else needs, the smallest gap, or the end."""
        if tensor.given or tensor.of is not None or tensor.place != HERE or tensor in self._where or not tensor.size_bytes:
            return
        inherited = self._inherited(tensor) if tensor.operation in _IN_PLACE else None
        if inherited is not None:
            self._where[tensor] = self._where.pop(inherited)
            self._live[inherited.part] -= self._where[tensor][1]
        else:
            self._where[tensor] = self._take(-(-tensor.size_bytes // _ALIGNMENT) * _ALIGNMENT)
        start, size = self._where[tensor]
        self._live[tensor.part] = self._live.get(tensor.part, 0) + size
        if start + size > self.moment.total_bytes:
            self.moment = Moment(start + size, dict(self._live))

    def release(self, source: Tensor) -> None:
        """One of those that need a tensor is computed."""
        left = self.children[source] = self.children[source] - 1
        if left or self.views.get(source):
            return
        if source.of is None:
            self._free(source)
            return
        self.views[source.of] -= 1
        if not self.views[source.of] and not self.children.get(source.of):
            self._free(source.of)

    def _inherited(self, tensor: Tensor) -> Tensor | None:
        for source in tensor.sources:
            if source.size_bytes != tensor.size_bytes or self.children.get(source) != 1 or self.views.get(source) or source.root.lasting:
                continue
            if source.of is None:
                if source in self._where:
                    return source
            elif source.begins and source.of in self._where and self.views[source.of] == 1 and not self.children.get(source.of):
                return source.of
        return None

    def _take(self, size: int) -> tuple[int, int]:
        starts, sizes = self._starts, self._sizes
        last = len(sizes) - 1
        best = last
        for position in range(last):
            if size <= sizes[position] and (best == last or sizes[position] <= sizes[best]):
                best = position
        start = starts[best]
        if sizes[best] == size:
            del starts[best], sizes[best]
        else:
            starts[best] += size
            sizes[best] -= size
        return start, size

    def _free(self, tensor: Tensor) -> None:
        if tensor.lasting or tensor not in self._where:
            return
        start, size = self._where.pop(tensor)
        self._live[tensor.part] -= size
        starts, sizes = self._starts, self._sizes
        position = bisect_left(starts, start)
        joins_next = position < len(starts) and start + size == starts[position]
        if position and starts[position - 1] + sizes[position - 1] == start:
            sizes[position - 1] += size
            if joins_next:
                sizes[position - 1] += sizes[position]
                del starts[position], sizes[position]
        elif joins_next:
            starts[position] = start
            sizes[position] += size
        else:
            starts.insert(position, start)
            sizes.insert(position, size)
