"""Where llama.cpp puts each layer, its experts, the embedding and the output: on one of the GPUs or on the host."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.expressions import Expressions
from gpusizer.engines.base.weights import ROUTED
from gpusizer.engines.llama_cpp.graph import ELSEWHERE, HERE
from gpusizer.engines.llama_cpp.layers import Kinds, expert_tensors, kinds_of, outside_weights
from gpusizer.engines.llama_cpp.options import Options

__all__ = ["HOST", "Part", "Placement", "Seen", "head_bytes", "layers_of", "place", "share_of", "weights_of"]

HOST = -1
_MOST_ALIKE = 4  # layers of one kind that are laid out: gaps repeat from the third on, those of the output every other layer
# Tensors of a layer that patterns name, with their parameter group: the three expert matrices, then one that stands for each further group.
_TENSORS = (
    *((ROUTED, f"ffn_{part}_exps") for part in ("gate", "up", "down")),
    ("router", "ffn_gate_inp"),
    ("shared_experts", "ffn_up_shexp"),
    ("dense_mlp", "ffn_up"),
    ("attention", "attn_output"),
    ("linear_attention", "ssm_out"),
)
_MATRICES, _DOWN = 3, 2
_ON_HOST = frozenset({"embedding", "per_layer_embedding", "ngram_embedding"})  # looked up on the processor


class Part(NamedTuple):
    """What a device holds of a layer: its kind, whether all but the routed experts is there, and whether those are."""

    kind: int
    layer: bool
    experts: bool


class Apart(NamedTuple):
    """A tensor of a layer (by its number among those that patterns name) that lies elsewhere than is usual."""

    layer: int
    tensor: int
    usual: int
    place: int


class Seen(NamedTuple):
    """A layer as a device has to do with it: its kind, and whether its layer and its experts lie here, elsewhere or on the host."""

    kind: int
    layer: int
    experts: int


@dataclass(frozen=True)
class Placement:
    """Which device holds what.

    Parameters
    ----------
    kinds : Kinds
        The different layers of the model.
    devices : int
        GPUs.
    layer : tuple of int
        Device of each decoder layer, ``HOST`` for the processor.
    experts : tuple of int
        Device of the routed experts of each layer, for dense layers that of the layer.
    output : int
        Device of the output.
    overridden : bool
        Single tensors were placed by the operator.
    apart : tuple of Apart
        What lies elsewhere than ``layer`` and ``experts`` say.
    """

    kinds: Kinds
    devices: int
    layer: tuple[int, ...]
    experts: tuple[int, ...]
    output: int
    overridden: bool
    apart: tuple[Apart, ...] = ()

    @property
    def all_offloaded(self) -> bool:
        """Every layer and the output are on GPUs."""
        return self.output != HOST and HOST not in self.layer

    @cached_property
    def parts(self) -> dict[int, dict[Part, int]]:
        """By device, ``HOST`` among them: how many layers of each kind, or parts of them, lie there, in the order of the model."""
        found: dict[int, dict[Part, int]] = {number: {} for number in (HOST, *range(self.devices))}
        for (kind, layer, experts), count in Counter(zip(self.kinds.of, self.layer, self.experts, strict=True)).items():
            part = Part(kind, layer=True, experts=layer == experts)
            found[layer][part] = found[layer].get(part, 0) + count
            if layer != experts:
                part = Part(kind, layer=False, experts=True)
                found[experts][part] = found[experts].get(part, 0) + count
        return found

    def seen_from(self, device: int) -> tuple[Seen, ...]:
        """The layers that are laid out for a device, in the order of the model: a few of each kind, an odd number of an odd number, and the last."""
        if device not in self._seen:
            self._seen[device] = tuple(_fewer(tuple(self._places(device))))
        return self._seen[device]

    @cached_property
    def _seen(self) -> dict[int, tuple[Seen, ...]]:
        return {}

    def _places(self, device: int) -> Iterator[Seen]:
        """The layers that a device has to do with: its own, and what the first GPU computes for the host."""
        kinds = self.kinds
        for kind, layer, experts in zip(kinds.of, self.layer, self.experts, strict=True):
            if layer == device:
                here = experts == device or kinds.routed[kind] is None
                yield Seen(kinds.alike[kind] if here else kind, HERE, HERE if here else HOST if experts == HOST else ELSEWHERE)
            elif experts == device or (device == 0 and HOST in (layer, experts)):
                yield Seen(kind, HOST if layer == HOST else ELSEWHERE, HERE if experts == device else HOST)

    @cached_property
    def twins(self) -> tuple[int, ...]:
        """For each GPU the first one that holds the same, so that what follows from it is worked out once."""
        first: dict[object, int] = {}
        return tuple(
            first.setdefault((device == 0, device == self.output, tuple(self.parts[device].items()), tuple(self.shifted(device).items())), device)
            for device in range(self.devices)
        )

    def shifted(self, device: int) -> Counter[tuple[int, int]]:
        """By kind of layer and number of the tensor: how many more than :attr:`parts` says lie on a device, fewer where negative."""
        found: Counter[tuple[int, int]] = Counter()
        for index, tensor, usual, place in self.apart:
            found[self.kinds.of[index], tensor] += (place == device) - (usual == device)
        return found


def _fewer(places: tuple[Seen, ...]) -> Iterator[Seen]:
    """A few layers of each kind stand for all of them."""
    counts = Counter(places)
    seen: Counter[Seen] = Counter()
    for number, place in enumerate(places):
        seen[place] += 1
        last = number == len(places) - 1
        if seen[place] <= _MOST_ALIKE - counts[place] % 2 - (place == places[-1] and counts[place] > _MOST_ALIKE) or last:
            yield place


def layers_of(parts: dict[Part, int]) -> int:
    """How many layers there are among so many parts, experts on their own left out."""
    return sum(count for part, count in parts.items() if part.layer)


def place(architecture: Architecture, options: Options, memories: Sequence[int]) -> Placement:
    """Share out the layers: by ``tensor_split``, else by memory; the last ``n_gpu_layers`` of them and the output.

    Parameters
    ----------
    architecture : Architecture
        The model.
    options : Options
        The start.
    memories : sequence of int
        Memory of each GPU. [bytes]

    Returns
    -------
    Placement
        Device of everything.
    """
    kinds, count, layers = kinds_of(architecture), len(memories), len(architecture.layers)
    offloaded = min(options.gpu_layers, layers + 1) if count else 0
    if offloaded == 0:
        everywhere = (HOST,) * layers
        return Placement(kinds, count, everywhere, everywhere, HOST, overridden=False)
    shares = [*options.shares[:count], *([0.0] * (count - len(options.shares)))] if options.shares else [float(size) for size in memories]
    if sum(shares) <= 0:
        shares = [1.0] * count
    bounds = [bound / sum(shares) for bound in accumulate(shares)]
    first = max(layers + 1 - offloaded, 0) if options.output_first else max(layers - offloaded, 0)

    def device(index: int) -> int:
        return min(bisect_right(bounds, (index - first) / offloaded), count - 1) if count > 1 else 0

    where = (HOST,) * min(first, layers) + tuple(map(device, range(first, layers)))
    output = device(layers) if options.output_first or offloaded > layers else HOST
    experts, overridden, apart = _experts(kinds, options, where, count)
    return Placement(kinds, count, where, experts, output, overridden, apart)


def _experts(kinds: Kinds, options: Options, where: tuple[int, ...], count: int) -> tuple[tuple[int, ...], bool, tuple[Apart, ...]]:
    """Device of the experts of each layer, whether any were moved, and what patterns place apart."""
    if not options.overrides and not options.host_expert_layers:
        return where, False, ()
    found, apart, hosted = list(where), [], _hosted(kinds, options, where, count)
    hits = _hits(tuple(pattern for pattern, _ in options.overrides), len(kinds.of)) if options.overrides else ()
    for index, kind in enumerate(kinds.of):
        wishes = [None if hit is None else _device(options.overrides[hit][1], count) for hit in hits[index]] if hits else []
        if kinds.routed[kind] is not None:
            usual = HOST if index in hosted else where[index]
            most = _wish(wishes[:_MATRICES]) if wishes else None
            found[index] = usual if most is None else most
            places = [usual if wish is None else wish for wish in wishes[:_MATRICES]]
            apart += [Apart(index, number, found[index], place) for number, place in enumerate(places) if place != found[index]]
        for number, wish in enumerate(wishes[_MATRICES:], _MATRICES):
            if wish is not None and wish != where[index] and _TENSORS[number][0] in kinds.weights[kind]:
                apart.append(Apart(index, number, where[index], wish))
    return tuple(found), tuple(found) != where or bool(options.overrides), tuple(apart)


def _hosted(kinds: Kinds, options: Options, where: tuple[int, ...], count: int) -> Container[int]:
    """Layers whose experts stay on the host: the first ones; in newer builds of the fork the last ones with experts, of every GPU its share."""
    asked, layers = max(options.host_expert_layers, 0), len(kinds.of)
    if not options.spreads_experts:
        return range(min(asked, layers))
    routed = [index for index, kind in enumerate(kinds.of) if kinds.routed[kind] is not None]
    if count < 2 or options.by_rows or asked >= layers:
        return routed[-asked:] if asked else ()
    left, found = _shares_of(asked, [where.count(device) for device in range(count)]), []
    for index in reversed(range(layers)):
        if where[index] != HOST and left[where[index]] > 0:
            found.append(index)
            left[where[index]] -= 1
    return frozenset(found)


def _shares_of(asked: int, layers: Sequence[int]) -> list[int]:
    """A number shared out by layers of each GPU; what rounding leaves over goes where it is furthest from its share."""
    wanted = [asked * own / max(sum(layers), 1) for own in layers]
    found = [round(share) for share in wanted]
    while (over := sum(found) - min(asked, sum(layers))) != 0:
        step = -1 if over > 0 else 1
        movable = [number for number in range(len(found)) if (found[number] > 0 if over > 0 else found[number] < layers[number])]
        found[min(movable, key=lambda number: step * (found[number] - wanted[number]))] += step
    return found


def _wish(wishes: Sequence[int | None]) -> int | None:
    """Where the operator wants most of the three expert matrices of a layer, None where that was not said."""
    return max(wishes, key=lambda place: (wishes.count(place), place is not None))


@lru_cache(maxsize=16)
def _hits(patterns: tuple[str, ...], layers: int) -> tuple[tuple[int | None, ...], ...]:
    """Which pattern is the first that names each tensor of each layer."""
    expressions = Expressions(patterns)
    return tuple(tuple(expressions.first(f"blk.{index}.{name}.weight", anywhere=True) for _, name in _TENSORS) for index in range(layers))


def _device(buffer: str, count: int) -> int:
    """The device of a buffer by its name."""
    number = re.search(r"\d{1,3}$", buffer)
    return min(int(number[0]), count - 1) if number and not buffer.upper().startswith("CPU") else HOST


def weights_of(architecture: Architecture, placement: Placement, options: Options, device: int) -> dict[str, int]:
    """Stored bytes of a device (or of ``HOST``) by parameter group.

    A tied output is a second copy of the embedding on the device of the output; multi-token prediction and towers are not loaded here.

    Parameters
    ----------
    architecture : Architecture
        The model.
    placement : Placement
        Which device holds what.
    options : Options
        The start.
    device : int
        A GPU, or ``HOST``.

    Returns
    -------
    dict of str to int
        Bytes by group. [bytes]
    """
    if options.by_rows and placement.devices > 1 and device != HOST:
        return _spread(architecture, placement, options, device)
    return _own(architecture, placement, device)


def _own(architecture: Architecture, placement: Placement, device: int) -> dict[str, int]:
    """What was placed on a device, by parameter group. [bytes]"""
    total: dict[str, int] = {}
    for part, count in placement.parts[device].items():
        for group, size in placement.kinds.weights[part.kind].items():
            if part.experts if group == ROUTED else part.layer:
                total[group] = total.get(group, 0) + size * count
    for (kind, number), count in placement.shifted(device).items():
        group, weights = _TENSORS[number][0], placement.kinds.weights[kind]
        size = weights[group] if number >= _MATRICES else expert_tensors(architecture)[kind][number == _DOWN]
        total[group] = total.get(group, 0) + count * size
    before, after = outside_weights(architecture)
    for group, size in before.items():
        if device == (HOST if group in _ON_HOST else placement.output):
            total[group] = total.get(group, 0) + size
    for group, size in after.items() if device == placement.output else ():
        named = "lm_head" if group == "embedding" else group
        total[named] = total.get(named, 0) + size
    return total


def _spread(architecture: Architecture, placement: Placement, options: Options, device: int) -> dict[str, int]:
    """Matrices cut over all GPUs by their shares: those of one GPU."""
    share = share_of(options, placement.devices, device)
    total: dict[str, int] = {}
    for each in range(placement.devices):
        for group, size in _own(architecture, placement, each).items():
            total[group] = total.get(group, 0) + size
    return {group: round(size * share) for group, size in total.items()}


def share_of(options: Options, count: int, device: int) -> float:
    """Share of a GPU in what is cut over all of them: by ``tensor_split``, else equal."""
    shares = [*options.shares[:count], *([0.0] * (count - len(options.shares)))] if options.shares else [1.0] * count
    return shares[device] / sum(shares) if sum(shares) > 0 else 1 / count


def head_bytes(architecture: Architecture) -> int:
    """Stored bytes of the output matrix, or of the embedding that stands in for it. [bytes]"""
    _, groups = outside_weights(architecture)
    return groups.get("lm_head", 0) or groups.get("embedding", 0)
