"""Which CUDA graphs a version captures, and what a graph weighs by the blocks of the model.

vllm/config/vllm.py, ``_set_cudagraph_sizes``; vllm/v1/cudagraph_dispatcher.py, ``initialize_cudagraph_keys`` (vllm-project/vllm@009eec3b):
graphs in pieces for each size, whole ones for the sizes that decoding reaches, which is what all requests with their drafts are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import CompressedAttention, LatentAttention, Layer, MixtureOfExperts, StateMixer
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.vllm import constants as fitted
from gpusizer.engines.vllm.defaults import mixer_kinds
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.steps import captured_limit

__all__ = ["Modes", "block_weight", "captured_graphs", "estimates", "graph_bytes", "graph_modes", "graph_sizes", "most_captured", "warms_up"]

# First versions of a behaviour.
WHOLE_GRAPHS = (0, 11)  # whole graphs for decoding beside those in pieces
WIDER_STEPS = (0, 11, 1)  # sizes above 256 in steps of 16, drafts counted
ALIGNED_DRAFTS = (0, 12)  # sizes are multiples of a request with its drafts: vllm-project/vllm#28207
MORE_SIZES = (0, 27)  # 1,024 on large Blackwell cards: vllm-project/vllm#49390
ESTIMATES_GRAPHS = (0, 17)  # the log estimates graphs before they are captured, and takes what is free after the allocator's rest is given back
NEW_RUNNER_DENSE, NEW_RUNNER_ESTIMATES = (0, 25), (0, 29)  # estimates nothing for dense models between: vllm-project/vllm#44443, #49224
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
    if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0:
        limit = min(asked, LONGEST_SIZE)
    steps = [*range(8, min(limit + 1, 256), 8), *range(256, limit + 1, 16 if version >= WIDER_STEPS else 8)]
    return [size for size in (1, 2, 4) if size <= limit] + steps


def most_captured(capability: float, version: tuple[int, ...]) -> int:
    """Largest batch that the engine captures by itself. [requests]"""
    return MOST_ON_BLACKWELL if 10 <= capability < 11 and version >= MORE_SIZES else MOST


def captured_graphs(start: Start) -> int:
    """Graphs of a start, all kinds together. [graphs]"""
    deployment, version = start.deployment, start.version
    pieces, whole = graph_modes(deployment, version)
    sizes, step = graph_sizes(deployment, start.capability, version), 1 + deployment.speculative_tokens
    if step > 1 and whole and _single_tokens_only(start):
        pieces, whole = 1, 0
    elif step > 1 and whole and version >= ALIGNED_DRAFTS and sizes:
        sizes = sorted({size for each in sizes if (size := -(-each // step) * step) <= sizes[-1]})
    reached = [size for size in sizes if step <= size <= (deployment.max_num_seqs or 1) * step]
    return pieces * len(sizes) + whole * len(reached)


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


# ---- what a graph weighs ----------------------------------------------------------------------------------------------


def graph_bytes(accelerator: Accelerator, version: tuple[int, ...]) -> float:
    """Memory of one captured graph and layer. [bytes]"""
    times = fitted.ROCM_GRAPHS if accelerator.vendor == "AMD" else 1.0 if version >= ESTIMATES_GRAPHS else fitted.OLDER_GRAPHS
    return fitted.GRAPHS.bytes_per_graph_and_layer * times


@once_per_architecture
def block_weight(architecture: Architecture) -> float:
    """What a layer weighs in a graph on average, in layers of attention and a feed-forward block. [layers]"""
    return sum(map(_weight, architecture.layers)) / max(len(architecture.layers), 1)


def _weight(layer: Layer) -> float:
    found = 0.0
    for mixer in layer.mixers:
        if isinstance(mixer, LatentAttention | CompressedAttention):
            found += fitted.GRAPH_BLOCKS["latent"]
        else:
            found += fitted.GRAPH_BLOCKS["state" if isinstance(mixer, StateMixer) else "attention"]
    for block in layer.feed_forwards:
        found += fitted.GRAPH_BLOCKS["biased-experts" if isinstance(block, MixtureOfExperts) and _biased(block) else "feed-forward"]
    return found


def _biased(block: MixtureOfExperts) -> bool:
    """Experts that add a bias."""
    return any(tensor.group == "routed_experts" and len(tensor.shape) == 1 for tensor in block.tensors)


def _graph_flag(deployment: Deployment, name: str) -> Any:
    """A setting of the graphs, given as a flag or inside ``--compilation-config``."""
    settings = deployment.flags.get("compilation_config")
    if isinstance(settings, Mapping) and name in settings:
        return settings[name]
    return deployment.flags.get(name)
