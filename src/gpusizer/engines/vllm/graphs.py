"""Which CUDA graphs a version captures, and what a graph weighs by the blocks of the model.

vllm/config/vllm.py, ``_set_cudagraph_sizes``; vllm/v1/cudagraph_dispatcher.py, ``initialize_cudagraph_keys`` (vllm-project/vllm@009eec3b):
graphs in pieces for each size, whole ones for the sizes that decoding reaches, which is what all requests with their drafts are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention, CompressedAttention, FeedForward, LatentAttention, Layer, MixtureOfExperts, StateMixer
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.types import Deployment, Item, Quantity
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.defaults import mixer_kinds
from gpusizer.engines.vllm.pooling import pools
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.steps import captured_limit
from gpusizer.units import MiB

__all__ = [
    "Modes",
    "attention_splits",
    "block_weight",
    "capture_workspace",
    "captured_graphs",
    "estimates",
    "graph_bytes",
    "graph_modes",
    "graph_sizes",
    "less_warm_up",
    "most_captured",
    "split_width",
    "warms_up",
    "whole_tokens",
]

# First versions of a behaviour.
TWICE_THE_REQUESTS = (0, 8)  # before, sizes reach the requests of a batch
WHOLE_GRAPHS = (0, 11)  # whole graphs for decoding beside those in pieces
WIDER_STEPS = (0, 11, 1)  # sizes above 256 in steps of 16, drafts counted
ALIGNED_DRAFTS = (0, 12)  # sizes are multiples of a request with its drafts: vllm-project/vllm#28207
MORE_SIZES = (0, 27)  # 1,024 on large Blackwell cards: vllm-project/vllm#49390
ESTIMATES_GRAPHS = (0, 17)  # the log estimates graphs before they are captured, and takes what is free after the allocator's rest is given back
NEW_RUNNER_DENSE, NEW_RUNNER_ESTIMATES = (0, 25), (0, 29)  # estimates nothing for dense models between: vllm-project/vllm#44443, #49224
NEWER_DRIVERS = (0, 20)  # built for CUDA 13, which old drivers do not run
DATA_CENTER_AMPERE = 8.0  # compute capability
MOST, MOST_ON_BLACKWELL = 512, 1024  # requests
LONGEST_SIZE = 8192


class Modes(NamedTuple):
    """How often each size is captured: in pieces or for mixed batches, and whole for those that decoding reaches."""

    pieces: int
    whole: int


_MODES = {"NONE": Modes(0, 0), "PIECEWISE": Modes(1, 0), "FULL": Modes(1, 0), "FULL_DECODE_ONLY": Modes(0, 1), "FULL_AND_PIECEWISE": Modes(1, 1)}


def graph_modes(deployment: Deployment, version: tuple[int, ...]) -> Modes:
    """Which kinds of graphs are captured."""
    if deployment.enforce_eager:
        return _MODES["NONE"]
    usual = _MODES["FULL_AND_PIECEWISE" if version >= WHOLE_GRAPHS else "PIECEWISE"]
    return _MODES.get(str(_graph_flag(deployment, "cudagraph_mode") or "").upper(), usual)


def graph_sizes(deployment: Deployment, capability: float, version: tuple[int, ...]) -> list[int]:
    """Batch sizes that are captured, before drafts align them. [tokens]"""
    asked, sizes = _graph_flag(deployment, "max_cudagraph_capture_size"), _graph_flag(deployment, "cudagraph_capture_sizes")
    if isinstance(sizes, list | tuple):
        return sorted({size for size in sizes if isinstance(size, int) and 0 < size <= LONGEST_SIZE})
    drafts = deployment.speculative_tokens if version >= WIDER_STEPS else 0
    limit = int(captured_limit(requests=deployment.max_num_seqs or 1, drafts=drafts, most=most_captured(capability, version)))
    if version < TWICE_THE_REQUESTS:
        limit = deployment.max_num_seqs or 1
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        limit = min(asked, LONGEST_SIZE)
    steps = [*range(8, min(limit + 1, 256), 8), *range(256, limit + 1, 16 if version >= WIDER_STEPS else 8)]
    return [size for size in (1, 2, 4) if size <= limit] + steps


def most_captured(capability: float, version: tuple[int, ...]) -> int:
    """Largest batch that the engine captures by itself. [requests]"""
    return MOST_ON_BLACKWELL if 10 <= capability < 11 and version >= MORE_SIZES else MOST


def captured_graphs(start: Start) -> int:
    """Graphs of a start, all kinds together. [graphs]"""
    pieces, _ = _modes_of(start)
    return pieces * len(_aligned_sizes(start)) + len(_whole_sizes(start))


def whole_tokens(start: Start) -> int:
    """The largest batch that is captured whole, 0 without one. [tokens]"""
    return max(_whole_sizes(start), default=0)


def _modes_of(start: Start) -> Modes:
    modes = graph_modes(start.deployment, start.version)
    if pools(start) and modes.whole:
        return _MODES["PIECEWISE"]  # "Pooling models do not support full cudagraphs": vllm/config/vllm.py
    return Modes(1, 0) if modes.whole and start.deployment.speculative_tokens and _single_tokens_only(start) else modes


def _aligned_sizes(start: Start) -> list[int]:
    """Sizes that are captured: with drafts multiples of what one request takes, where whole graphs are. [tokens]"""
    sizes, step = graph_sizes(start.deployment, start.capability, start.version), 1 + start.deployment.speculative_tokens
    if step == 1 or not _modes_of(start).whole or start.version < ALIGNED_DRAFTS or not sizes:
        return sizes
    return sorted({size for each in sizes if (size := -(-each // step) * step) <= sizes[-1]})


def _whole_sizes(start: Start) -> list[int]:
    """Sizes that are captured whole: those that decoding reaches. [tokens]"""
    step = 1 + start.deployment.speculative_tokens
    most = (start.deployment.max_num_seqs or 1) * step
    return [size for size in _aligned_sizes(start) if step <= size <= most] * _modes_of(start).whole


def _single_tokens_only(start: Start) -> bool:
    """The attention kernels capture whole graphs for single tokens alone: FlashInfer's own, chosen for caches in FP8 where FlashAttention 3 and the
    kernels of large Blackwell cards are not there (vllm/v1/attention/backends/flashinfer.py, UNIFORM_SINGLE_TOKEN_DECODE)."""
    capability = start.capability
    own = str(start.flag("attention_backend", "")).lower() == "flashinfer"
    plain = not {"latent", "compressed"} & mixer_kinds(start.architecture)
    without = 8 <= capability < 9 or 12 <= capability < 13
    return plain and without and (own or start.deployment.kv_precision.startswith("fp8"))


def estimates(start: Start) -> bool:
    """Whether graphs are estimated before they are captured."""
    kinds = {block.kind for layer in start.architecture.layers for block in layer.feed_forwards}
    dense = "experts" not in kinds and not any(isinstance(mixer, StateMixer) for layer in start.architecture.layers for mixer in layer.mixers)
    return start.version >= ESTIMATES_GRAPHS and not (dense and NEW_RUNNER_DENSE <= start.version < NEW_RUNNER_ESTIMATES)


def warms_up(start: Start) -> bool:
    """Whether what the warm-up of kernels left in the allocator is given back while graphs are captured, and so counts against them in the log."""
    return WHOLE_GRAPHS <= start.version < ESTIMATES_GRAPHS and start.capability >= 9


# ---- attention in parts ------------------------------------------------------------------------------------------------

SPLITS = 32  # parts of the context that graphs provide for: vllm/config/attention.py, flash_attn_max_num_splits_for_cuda_graph
WIDEST_SPLIT_HEAD = 256  # elements; wider heads go to other kernels


def attention_splits(start: Start) -> int:
    """Parts of the context for which graphs keep partial results: those of FlashAttention 3, which is for Hopper. [parts]"""
    own = str(start.flag("attention_backend", "flash_attn")).lower().startswith("flash_attn")
    return SPLITS if 9 <= start.capability < 10 and start.version >= WHOLE_GRAPHS and own else 0


FLASHINFER_WORKSPACE = 394 * MiB  # vllm/envs.py, VLLM_FLASHINFER_WORKSPACE_BUFFER_SIZE


def capture_workspace(start: Start) -> int:
    """Work buffer of FlashInfer's own kernels, which the first whole graph asks for. [bytes]"""
    return FLASHINFER_WORKSPACE if whole_tokens(start) and _single_tokens_only(start) else 0


@once_per_architecture
def split_width(architecture: Architecture) -> int:
    """Outputs of all heads of the widest layer whose attention may be split, 0 where other kernels are taken. [elements]"""
    mixers = [mixer for layer in architecture.layers for mixer in layer.mixers]
    plain = [mixer for mixer in mixers if isinstance(mixer, Attention)]
    if any(mixer.head_dim > WIDEST_SPLIT_HEAD for mixer in plain):
        return 0
    latent = [mixer.heads * mixer.kv_lora_rank for mixer in mixers if isinstance(mixer, LatentAttention) and mixer.indexer is None]
    return max([mixer.heads * mixer.v_head_dim for mixer in plain] + latent, default=0)


# ---- what a graph weighs ----------------------------------------------------------------------------------------------


def graph_bytes(accelerator: Accelerator, version: tuple[int, ...]) -> float:
    """Memory of one captured graph and layer. [bytes]"""
    return fitted.GRAPHS.bytes_per_graph_and_layer * fitted.GRAPH_TIMES[_graph_kind(accelerator, version)]


def _graph_kind(accelerator: Accelerator, version: tuple[int, ...]) -> str:
    """Which of the fitted weights of a graph applies: by vendor, version, and whether the driver is likely an old one."""
    early = version < ESTIMATES_GRAPHS
    if accelerator.vendor == "AMD":
        return "rocm-before-0.17" if early else "rocm"
    if accelerator.capability == DATA_CENTER_AMPERE and version < NEWER_DRIVERS:
        return "old-driver"
    return "cuda-before-0.17" if early else "cuda"


@once_per_architecture
def block_weight(architecture: Architecture) -> float:
    """What a layer weighs in a graph on average, in layers of attention and a feed-forward block. [layers]"""
    return sum(map(_weight, architecture.layers)) / max(len(architecture.layers), 1)


def _weight(layer: Layer) -> float:
    found = 0.0
    for mixer in layer.mixers:
        if isinstance(mixer, LatentAttention | CompressedAttention):
            found += fitted.GRAPH_BLOCKS["latent" if isinstance(mixer, LatentAttention) and mixer.indexer is None else "sparse"]
        else:
            found += fitted.GRAPH_BLOCKS["state" if isinstance(mixer, StateMixer) else "attention"]
    for block in layer.feed_forwards:
        found += fitted.GRAPH_BLOCKS[_feed_forward_kind(block)]
    return found


def _feed_forward_kind(block: FeedForward) -> str:
    if not isinstance(block, MixtureOfExperts):
        return "feed-forward"
    return "biased-experts" if _biased(block) else "experts"


def _biased(block: MixtureOfExperts) -> bool:
    """Experts that add a bias."""
    return any(tensor.group == "routed_experts" and len(tensor.shape) == 1 for tensor in block.tensors)


def _graph_flag(deployment: Deployment, name: str) -> Any:
    """A setting of the graphs, given as a flag or inside ``--compilation-config``."""
    settings = deployment.flags.get("compilation_config")
    if isinstance(settings, Mapping) and name in settings:
        return settings[name]
    return deployment.flags.get(name)


def less_warm_up(graphs: Quantity, items: Sequence[Item]) -> Quantity:
    """Captured graphs less what the warm-up of kernels, a step without sampler, had left in the allocator. [bytes]"""
    peak = next(line.inputs for line in items if line.id == "activation_peak")
    freed = peak["block_bytes"] + peak["workspace_bytes"]
    return Quantity(max(graphs.value - freed, 0), max(graphs.low - 2 * freed, 0), graphs.high)
