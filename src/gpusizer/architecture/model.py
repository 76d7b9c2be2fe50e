"""The whole model: its layers, embeddings, head, extra modules and number formats, and what can be counted from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.types import EncoderAttention, Layer, Mixer, MixerBase, Notice, Tensor

__all__ = ["Architecture", "ParameterCount"]

_Kind = TypeVar("_Kind", bound=MixerBase)


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Parameters of a model; MTP layers and vision are counted apart from the decoder's own groups.

    Parameters
    ----------
    total : int
        Everything but the MTP layers.
    activated : int
        What one token touches: everything but vision, unselected routed experts and rows of n-gram tables that it does not look up (embedding,
        head and per-layer embedding tables included).
    mtp : int
        Multi-token-prediction layers, without the copies of embedding and head.
    mtp_with_copies : int
        Those layers with the copies, as a checkpoint stores them.
    groups : mapping of str to int
        Total by group.
    """

    total: int
    activated: int
    mtp: int
    mtp_with_copies: int
    groups: Mapping[str, int]


@dataclass(frozen=True)
class Architecture:
    """What a model is, read from a configuration, a checkpoint or the catalogue.

    Parameters
    ----------
    id, name : str
        Catalogue id or the file's name, and a name to print.
    hidden_size, vocab_size : int
        Width of the residual stream; rows of the embedding as configured.
    max_position_embeddings : int or None
        Longest context that the model declares.
    layers : tuple of Layer
        Decoder layers in order.
    embedding, final, head, towers : tuple of Tensor
        Input embeddings; final norm and what follows the last layer; output head (empty when tied); vision and audio towers with projectors.
    tied_head : bool
        The output head is the embedding.
    mtp : tuple of Layer
        Multi-token-prediction layers, not part of ``layers``; their projections and norms are among their tensors.
    mtp_copies : tuple of Tensor
        Embedding and head that some checkpoints store again for MTP.
    checkpoint_only : tuple of Tensor
        What a checkpoint stores and no engine keeps: the head of Falcon, although it is the embedding.
    dtype : str
        Format of what is not quantised: "bf16", "fp16" or "fp32".
    quantization : Quantization
        Format of every stored tensor.
    pooled : bool
        The states of its last layer are pooled: it writes nothing and has no head.
    residual_streams : int
        Parallel residual streams (hyper-connections), 1 without.
    warnings : tuple of Notice
        What could not be read with certainty.
    header_bytes : mapping of str to int or None
        Exact bytes by tensor name where headers (safetensors, GGUF) were read.
    config : mapping
        The configuration as read, for engines that need a further key.
    """

    id: str
    name: str
    hidden_size: int
    vocab_size: int
    max_position_embeddings: int | None
    layers: tuple[Layer, ...]
    embedding: tuple[Tensor, ...]
    final: tuple[Tensor, ...]
    head: tuple[Tensor, ...]
    tied_head: bool
    dtype: str
    quantization: Quantization
    towers: tuple[Tensor, ...] = ()
    mtp: tuple[Layer, ...] = ()
    mtp_copies: tuple[Tensor, ...] = ()
    checkpoint_only: tuple[Tensor, ...] = ()
    pooled: bool = False
    residual_streams: int = 1
    warnings: tuple[Notice, ...] = ()
    header_bytes: Mapping[str, int] | None = None
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_pooled(self) -> Architecture:
        """The model as one whose states are pooled: without a head."""
        final = tuple(tensor for tensor in self.final if tensor.group != "lm_head")
        return replace(self, head=(), tied_head=False, final=final, pooled=True)

    @property
    def mixers(self) -> Iterator[Mixer]:
        """The mixers of all decoder layers in order."""
        return (mixer for layer in self.layers for mixer in layer.mixers)

    @cached_property
    def mixer_kinds(self) -> tuple[str, ...]:
        """The different kinds of its mixers, in the order of the layers."""
        return tuple(dict.fromkeys(mixer.kind for mixer in self.mixers))

    @cached_property
    def reads_only(self) -> bool:
        """Whether every layer sees both ways: a text is read whole, nothing is kept of it and nothing is written."""
        return bool(self.layers) and all(isinstance(mixer, EncoderAttention) for mixer in self.mixers)

    def mixers_of(self, kind: type[_Kind]) -> tuple[_Kind, ...]:
        """Those of one class."""
        return tuple(mixer for layer in self.layers for mixer in layer.mixers_of(kind))

    def tensors(self) -> Iterator[Tensor]:
        """Every stored tensor but MTP."""
        yield from self.embedding
        for layer in self.layers:
            yield from layer.all_tensors()
        yield from self.final
        yield from self.head
        yield from self.towers

    @cached_property
    def parameters(self) -> ParameterCount:
        """Parameter counts by group, total, activated and MTP."""
        groups: Counter[str] = Counter()
        outside = (*self.embedding, *self.final, *self.head, *self.towers)
        for tensor in outside:
            if tensor.group != "buffer":  # stored, but no parameters
                groups[tensor.group] += tensor.params
        idle = groups["vision"]
        for layer, count in self._alike():
            for tensor in layer.all_tensors():
                if tensor.group != "buffer":
                    groups[tensor.group] += tensor.params * count
                    idle += tensor.idle * count
            for block in layer.experts:
                if not block.experts:
                    continue
                routed = sum(tensor.params for tensor in block.tensors if tensor.group == "routed_experts")
                idle += (routed - routed * min(block.top_k, block.experts) // block.experts) * count
        total = sum(groups.values())
        mtp = sum(tensor.params for layer in self.mtp for tensor in layer.all_tensors() if tensor.group != "buffer")
        copies = sum(tensor.params for tensor in self.mtp_copies)
        return ParameterCount(total, total - idle, mtp, mtp + copies, dict(groups))

    def _alike(self) -> list[tuple[Layer, int]]:
        """Layers made of the same objects, once, with how many there are: readers share the parts of equal layers."""
        counts: dict[tuple[int, ...], tuple[Layer, int]] = {}
        for layer in self.layers:
            same = (*map(id, layer.mixers), 0, *map(id, layer.feed_forwards), id(layer.tensors))
            counts[same] = (layer, counts.get(same, (layer, 0))[1] + 1)
        return list(counts.values())
