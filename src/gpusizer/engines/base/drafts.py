"""Drafts: which engine runs the prediction layers of which checkpoint, and what a draft with a checkpoint of its own is made of.

Of such a draft only a name is known. EAGLE's is one layer like the model's; DFlash's are a few dense layers of the model's width beside a projection
of hidden states: 5 layers and 5 hidden states for dense models (configurations of z-lab/Qwen3-4B-DFlash-b16 and Qwen3.6-27B-DFlash); for models with
experts 6 and 8 (z-lab/Qwen3.5-122B-A10B-DFlash), for narrow ones 8 and 5 with half the keys (Qwen3.6-35B-A3B-DFlash). Where the model's attention has
windows it is 6 and 6 with the model's heads (poolside/Laguna-S-2.1-DFlash), 5 and 6 with twice as many half as wide where those are 256 wide
(gemma-4-31B-it-DFlash, gemma-4-26B-A4B-it-DFlash). Both use the model's embedding, DFlash its head too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from gpusizer.architecture.mixers import Attention
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import CompressedAttention, DenseMLP, LatentAttention, Layer
from gpusizer.engines.base.launch import Start

__all__ = ["Blocks", "Kind", "OwnDraft", "block_draft", "draft_kind", "head_draft", "own_layers", "own_method"]


class Kind(StrEnum):
    """What drafts a start."""

    NONE = "none"
    FREE = "free"  # looked up in what was written
    OWN = "own"  # layers of the checkpoint
    HEAD = "head"
    BLOCKS = "blocks"
    UNKNOWN = "unknown"


_FREE = frozenset({"ngram", "ngram_gpu", "suffix"})
_STAGES = "dspark"  # DeepSeek's drafter of several stages


def draft_kind(start: Start) -> Kind:
    """What drafts, by the method or by the name of the draft, as engines tell it (vllm/config/speculative.py)."""
    if not start.deployment.speculative_tokens:
        return Kind.NONE
    method, draft = str(start.flag("speculative_method", "")).lower(), str(start.flag("speculative_model", "")).lower()
    if method in _FREE:
        return Kind.FREE
    stages = Kind.OWN if _pools(start.architecture) and start.architecture.mtp else Kind.BLOCKS  # of other models it is built on DFlash
    for word, kind in (("dflash", Kind.BLOCKS), ("eagle", Kind.HEAD), (_STAGES, stages)):
        if word in method or (method in ("", "draft") and word in draft):
            return kind
    return Kind.OWN if start.architecture.mtp else Kind.UNKNOWN


def _pools(architecture: Architecture) -> bool:
    """Attention of DeepSeek-V4, whose checkpoints hold their drafters."""
    return any(isinstance(mixer, CompressedAttention) for layer in architecture.layers for mixer in layer.mixers)


_STAGES_OF_V4 = 3  # mtp.0 to mtp.2 of DeepSeek-V4-Flash-DSpark (155.43 GiB against 148.66 with one) and of DeepSeek-V4-Flash-0731


def own_layers(start: Start) -> tuple[Layer, ...]:
    """The checkpoint's own draft layers; a model that is drafted for in stages without telling them is loaded from its copy that holds them."""
    layers = start.architecture.mtp
    in_stages = _STAGES in str(start.flag("speculative_method", "")).lower()
    return layers * _STAGES_OF_V4 if in_stages and len(layers) == 1 else layers


class Blocks(NamedTuple):
    """A draft of dense layers; ``width`` is that of their feed-forward blocks, ``taps`` the layers whose hidden states it reads."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    width: int
    taps: int

    def cached(self) -> tuple[Layer, ...]:
        """Its layers as the cache sees them: every one keeps every token."""
        mixer = Attention(self.heads, self.kv_heads, self.head_dim, self.head_dim, ())
        return tuple(Layer(f"draft.{number}.", (mixer,), ()) for number in range(self.layers))


_HEADS, _KV_HEADS, _HEAD_DIM = 32, 8, 128
_HEAD_TAPS = 3
_DENSE, _EXPERTS, _NARROW_EXPERTS = (5, 5, _KV_HEADS), (6, 8, _KV_HEADS), (8, 5, _KV_HEADS // 2)  # layers, hidden states, heads of keys
_WINDOWED_TAPS = 6
_NARROW = 2048  # hidden size up to which a model with experts is narrow
_WIDTH_OF_EXPERTS = 3  # times the hidden size, where the model's own blocks are experts


def _width(architecture: Architecture) -> int:
    blocks = [block for layer in architecture.layers for block in layer.feed_forwards]
    dense = [block.width for block in blocks if isinstance(block, DenseMLP)]
    return max(dense) if dense and not _has_experts(architecture) else _WIDTH_OF_EXPERTS * architecture.hidden_size


def _has_experts(architecture: Architecture) -> bool:
    return any(layer.experts for layer in architecture.layers)


def _windowed_draft(architecture: Architecture) -> Blocks | None:
    """A draft of a model with windows: queries as wide together as the model's; None where no such draft is known."""
    mixers = (mixer for layer in architecture.layers for mixer in layer.mixers if isinstance(mixer, Attention))
    local = next((mixer for mixer in mixers if mixer.window), None)
    if local is None or local.head_dim not in (_HEAD_DIM, 2 * _HEAD_DIM) or (local.head_dim == _HEAD_DIM and not _has_experts(architecture)):
        return None
    dense = [block.width for layer in architecture.layers for block in layer.feed_forwards if isinstance(block, DenseMLP)]
    wide = local.head_dim > _HEAD_DIM
    width = 2 * architecture.hidden_size if wide else max(dense, default=_width(architecture))
    return Blocks(5 if wide else 6, local.heads * local.head_dim // _HEAD_DIM, _KV_HEADS, _HEAD_DIM, width, _WINDOWED_TAPS)


def block_draft(architecture: Architecture) -> Blocks:
    """A draft of DFlash for a model."""
    windowed = _windowed_draft(architecture)
    if windowed is not None:
        return windowed
    experts = _NARROW_EXPERTS if architecture.hidden_size <= _NARROW else _EXPERTS
    layers, taps, kv_heads = experts if _has_experts(architecture) else _DENSE
    return Blocks(layers, _HEADS, kv_heads, _HEAD_DIM, _width(architecture), taps)


def head_draft(architecture: Architecture) -> Blocks | None:
    """A draft of EAGLE for a model whose first layer is none that it could be like: one dense layer of the model's attention; None where it is."""
    first = architecture.layers[0]
    alike = all(isinstance(mixer, LatentAttention) or (isinstance(mixer, Attention) and not mixer.window) for mixer in first.mixers)
    if alike and first.mixers and all(isinstance(block, DenseMLP) for block in first.feed_forwards):
        return None
    mixer = next((mixer for layer in architecture.layers for mixer in layer.mixers if isinstance(mixer, Attention)), None)
    heads = (mixer.heads, mixer.kv_heads, mixer.head_dim) if mixer is not None else (_HEADS, _KV_HEADS, _HEAD_DIM)
    return Blocks(1, *heads, _width(architecture), _HEAD_TAPS)


class OwnDraft(NamedTuple):
    """That an engine drafts with the checkpoint's own layers for multi-token prediction.

    Parameters
    ----------
    since : tuple of int
        First version that is known to.
    method : str
        Its word for it; the engine's usual one where empty.
    """

    since: tuple[int, ...]
    method: str = ""


def own_method(table: Mapping[str, tuple[OwnDraft, ...]], architecture: Architecture, version: tuple[int, ...]) -> str | None:
    """The word by which a version of an engine takes a checkpoint's own draft layers, empty for its usual one; None where it does not run them.

    Parameters
    ----------
    table : mapping
        By ``model_type`` of the configuration: what runs it, the newest first.
    architecture : Architecture
        The model.
    version : tuple of int
        Of the engine.
    """
    config = architecture.config
    if not architecture.mtp or config.get("dspark_target_layer_ids"):  # blocks that draft together are another method
        return None
    known = table.get(str(config.get("model_type")), ())
    return next((each.method for each in known if version >= each.since), None)
