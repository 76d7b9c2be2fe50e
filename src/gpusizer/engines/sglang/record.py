"""What the account reads: every branch on model, version, device class and layout is taken here, and leaves plain numbers.

Each record declares its axes, along which alone its figures differ: the model in its precision, the class of a device (its vendor, capability and
memory) with the version, the device itself, the layout, the pipeline stage. A stage comes with its layers, and with what it caches
(:class:`~gpusizer.engines.sglang.pools.Pools`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpusizer.engines.base.band import Band, Basis, band, times
from gpusizer.engines.base.device import driver_reserved, models_beside, system_memory
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.layout_rules import dimensions
from gpusizer.engines.base.ledger import banded, computed
from gpusizer.engines.base.prefill import PrefillCut, prefill_cut
from gpusizer.engines.base.types import Inputs, Item, Section
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.engines.sglang import constants as fitted
from gpusizer.engines.sglang.defaults import captures_prefill, decode_graph_sizes, prefill_graph_limit, prefill_graph_sizes, verified_tokens
from gpusizer.engines.sglang.pools import positive
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.constants import constant_for_each_bytes, set_aside_bytes
from gpusizer.once import once_per_object
from gpusizer.units import GiB, MiB

__all__ = [
    "SLACK_OVER",
    "SWITCHED",
    "DeviceRecord",
    "LayoutRecord",
    "Records",
    "RequestRecord",
    "ShareRecord",
    "StepRecord",
    "card_class",
    "communicators",
    "decode_graph_price",
    "device_record",
    "graph_pool_mib",
    "joined_line",
    "layout_record",
    "recipe_bytes",
    "records_of",
    "request_record",
    "share_record",
    "step_record",
]

STATE_RATIO = 0.9  # mamba_full_memory_ratio
STATE_PADDING = 1  # slots that no request gets
ALL_REQUESTS = 2**31  # where nobody bounds them
TABLE_ENTRIES = 4  # of a request beyond its context
IMAGES_BYTES = 100 * MiB
SLACK_OVER = {"dense": 6, "experts": 14}  # GPUs beyond a pair over which what loading leaves grows: ranks of one server, of two
SYMMETRIC_BYTES = 4 * GiB
SYMMETRIC_SOURCE = "sgl-project/sglang 0.5.23: python/sglang/srt/server_args.py, SGLANG_SYMM_MEM_PREALLOC_GB_SIZE"

# First versions of a behaviour.
PADDING_COUNTED = (0, 5, 17)  # slots that no request gets come off the share of states
IMAGES_SET_ASIDE = (0, 5, 18)
EXTRA_BUFFER = (0, 5, 14)  # a running request takes more states by default: sgl-project/sglang pull 28151
_NO_EXTRA_BUFFER = frozenset({"lfm2", "lfm2_moe", "kimi_linear", "zaya"})  # not in _MAMBA_EXTRA_BUFFER_ARCHS of srt/arg_groups/overrides.py


@dataclass(frozen=True, slots=True)
class Records:
    """What the account reads of a start, whatever the stage."""

    step: StepRecord
    requests: RequestRecord
    layout: LayoutRecord
    device: DeviceRecord
    share: ShareRecord


@once_per_object
def records_of(start: Start) -> Records:
    """The records of a start (remembered)."""
    return Records(step_record(start), request_record(start), layout_record(start), device_record(start), share_record(start))


# ---- the start, on a class of devices ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The largest step of a start, its pages, and its graphs."""

    axes: ClassVar[tuple[str, ...]] = ("model", "class", "layout")

    context_tokens: Any
    tokens: Any  # of a prefill step
    page_tokens: Any
    draft_tokens: Any
    table_entries: Any  # of a request beyond its context
    graph_pool_bytes: Any
    decode_graphs: Any
    prefill_graphs: Any
    decode_graph_bytes: Any  # of one graph and layer
    prefill_graph_bytes: Any
    decode_graph_sources: tuple[str, ...]
    prefill_graph_sources: tuple[str, ...]


def step_record(start: Start) -> StepRecord:
    """Collect what the account reads of a start's steps."""
    deployment = start.deployment
    (mib, basis), (prefill_mib, prefill_basis) = decode_graph_price(start.accelerator, start.layout.gpus), fitted.PREFILL_GRAPHS
    eager, chunk = deployment.enforce_eager, deployment.max_num_batched_tokens
    kinds = kinds_of(start.architecture)
    captured = captures_prefill(deployment, kinds, start.accelerator, start.version)
    decode = 0 if eager else _decode_graphs(start)
    return StepRecord(
        context_tokens=deployment.max_model_len or 1,
        tokens=chunk or 1,
        page_tokens=deployment.block_size or 1,
        draft_tokens=verified_tokens(deployment),
        table_entries=TABLE_ENTRIES + verified_tokens(deployment),
        graph_pool_bytes=graph_pool_mib(start.accelerator, exchanges=start.flag("moe_a2a_backend") == "deepep") * MiB if decode else 0,
        decode_graphs=decode,
        prefill_graphs=prefill_graph_sizes(prefill_graph_limit(kinds, chunk or 0, start.version)) if captured and not eager else 0,
        decode_graph_bytes=mib * MiB,
        prefill_graph_bytes=prefill_mib * MiB,
        decode_graph_sources=(basis.source,),
        prefill_graph_sources=(prefill_basis.source,),
    )


def _decode_graphs(start: Start) -> int:
    """Batch sizes that are captured: those that were named, else the usual ones up to a limit. [graphs]"""
    named = start.flag("cuda_graph_bs")
    if isinstance(named, list | tuple) and named:
        return len(set(named))
    return decode_graph_sizes(int(start.flag("cuda_graph_max_bs", 0) or 0), drafts=start.deployment.speculative_tokens > 0)


def decode_graph_price(accelerator: Accelerator, gpus: int) -> tuple[float, Basis]:
    """What one captured graph takes for each layer. [MiB]"""
    return fitted.DECODE_GRAPHS["npu" if card_class(accelerator) == "npu" else "alone" if gpus == 1 else "joined"]


def graph_pool_mib(accelerator: Accelerator, *, exchanges: bool) -> float:
    """The pool that graphs share; ``exchanges``: experts are exchanged through buffers that come with it on an NPU. [MiB]"""
    if card_class(accelerator) != "npu":
        return fitted.GRAPH_POOL["cuda"]
    return fitted.GRAPH_POOL["npu-exchange" if exchanges else "npu"]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """How many requests and states may be held; 0 where it follows from the pool."""

    axes: ClassVar[tuple[str, ...]] = ("model", "class", "layout")

    requests: Any  # of one rank
    most_running: Any
    most_tokens: Any  # of the pool
    states: Any  # 1 where a request keeps a recurrent state
    slots_per_request: Any
    fixed_slots: Any
    padding_slots: Any  # that come off the share of states
    state_ratio: Any


def request_record(start: Start) -> RequestRecord:
    """Collect what the account reads of a start's limits."""
    given, dp, limit = start.deployment.max_num_seqs, start.deployment.dp, start.flag("max_total_tokens")
    return RequestRecord(
        requests=0 if given is None else max(given // dp, 1),
        most_running=(given or ALL_REQUESTS) // dp,
        most_tokens=limit if isinstance(limit, int) and limit > 0 else 0,
        states=int(kinds_of(start.architecture).states),
        slots_per_request=_slots_per_request(start),
        fixed_slots=_fixed_slots(start),
        padding_slots=STATE_PADDING if start.version >= PADDING_COUNTED else 0,
        state_ratio=positive(start, "mamba_full_memory_ratio", STATE_RATIO),
    )


def _fixed_slots(start: Start) -> int:
    """States that are kept whatever the budget; 0 where a share of it says."""
    given, requests = start.flag("max_mamba_cache_size"), start.deployment.max_num_seqs
    if isinstance(given, int) and given > 0:
        return max(given // start.layout.dp, 1)
    if start.flag("disable_radix_cache") and requests:
        return max(requests // start.layout.dp, 1)
    return 0


def _slots_per_request(start: Start) -> int:
    """Slots of recurrent state that a running request may take."""
    if start.flag("disable_radix_cache"):
        return 1
    strategy = start.flag("mamba_radix_cache_strategy", start.flag("mamba_scheduler_strategy", "auto"))
    if strategy == "auto":
        known = start.architecture.config.get("model_type") not in _NO_EXTRA_BUFFER
        later = start.version >= EXTRA_BUFFER and not start.flag("disable_overlap_schedule")
        strategy = "extra_buffer" if known and later else "no_buffer"
    if strategy == "extra_buffer":
        return 4 if start.flag("disable_overlap_schedule") else 5
    return 4 if strategy == "extra_buffer_lazy" else 3


# ---- layout and stage -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayoutRecord:
    """How one replica is cut, as activations and loading feel it."""

    axes: ClassVar[tuple[str, ...]] = ("model", "layout")

    cut: PrefillCut
    gpus_beyond_pair: Any  # of those that share a stage
    slack_bytes: Any  # that loading leaves for each of them, and the width of its band
    slack_below_bytes: Any
    slack_above_bytes: Any
    slack_sources: tuple[str, ...]


def layout_record(start: Start) -> LayoutRecord:
    """The record of a layout."""
    kind = "experts" if dimensions(start.architecture).experts else "dense"
    further = min(max(start.layout.gpus // start.layout.pp - 2, 0), SLACK_OVER[kind])
    each = fitted.WEIGHTS_SLACK_EACH[kind]
    return LayoutRecord(prefill_cut(start.layout), further, each.bytes, each.below, each.above, each.sources)


def recipe_bytes(start: Start, stage: Stage, cut: Cut) -> int:
    """Tensors of a stage in a precision that stands for what publishers make of it; 0 where a checkpoint says. [bytes]"""
    if start.deployment.precision not in fitted.RECIPES:
        return 0
    table = weight_table(start.architecture).stage_bytes(stage.layers, cut, first=stage.first, last=stage.last, tied=False)
    return sum(table.values())


# ---- device ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """What of a device does not depend on the stage."""

    axes: ClassVar[tuple[str, ...]] = ("device", "layout")

    memory_bytes: Any
    before_weights: tuple[Item, ...]  # what the driver keeps, context, communicators: the share is of what they leave
    beside: tuple[Item, ...]  # what lies outside the share


def device_record(start: Start) -> DeviceRecord:
    """Collect what the account reads of a device."""
    accelerator = start.accelerator
    beside = [banded("late_workspace", fitted.LATE_WORKSPACE, section=Section.OUTSIDE)]
    if start.flag("enable_symm_mem"):
        size: Inputs = {"set_aside_bytes": SYMMETRIC_BYTES}
        beside.append(computed("symmetric_memory", set_aside_bytes, section=Section.OUTSIDE, sources=(SYMMETRIC_SOURCE,), **size))
    return DeviceRecord(
        memory_bytes=accelerator.memory_bytes,
        before_weights=(
            *driver_reserved(accelerator),
            banded("device_context", fitted.CONTEXT[card_class(accelerator)], section=Section.OUTSIDE),
            *_communication(accelerator, start.layout.gpus),
            *system_memory(accelerator, start.deployment),
            *models_beside(start.deployment),
        ),
        beside=tuple(beside),
    )


@dataclass(frozen=True, slots=True)
class ShareRecord:
    """The share of free memory that weights and cache get."""

    axes: ClassVar[tuple[str, ...]] = ("model", "device", "layout")

    share: Any
    error: Any  # of a share that the engine chose
    images_bytes: Any  # set aside for images


def share_record(start: Start) -> ShareRecord:
    """Collect what the account reads of a start's share."""
    return ShareRecord(
        share=start.deployment.memory_fraction or 0.0,
        error=fitted.SHARE_ERROR if start.left_open("memory_fraction") else 0.0,
        images_bytes=IMAGES_BYTES if kinds_of(start.architecture).towers and start.version >= IMAGES_SET_ASIDE else 0,
    )


NOTHING = band(0, 0, 0)
SWITCHED = 8  # devices from which on a fast interconnect is more than a bridge


def card_class(accelerator: Accelerator) -> str:
    """What the size of a context goes with: stacked memory, a graphics card, an NPU."""
    if accelerator.vendor == "Huawei":
        return "npu"
    return "graphics" if (accelerator.memory_type or "").startswith("GDDR") else "stacked"


def communicators(accelerator: Accelerator) -> tuple[Band, Band]:
    """What communicators take by how the GPUs are joined: of several GPUs together, and for each GPU beyond the first."""
    if card_class(accelerator) == "npu":
        return NOTHING, NOTHING  # its context covers them
    if (accelerator.fabric_devices or 0) < SWITCHED:
        return NOTHING, fitted.PCIE_COMMUNICATION
    return (fitted.FABRIC_COMMUNICATION if accelerator.vendor == "NVIDIA" else fitted.ROCM_COMMUNICATION), NOTHING


def _communication(accelerator: Accelerator, gpus: int) -> list[Item]:
    together, each = communicators(accelerator)
    if gpus == 1 or (together is NOTHING and each is NOTHING):
        return []
    if each is NOTHING:
        return [banded("communication", together, section=Section.OUTSIDE)]
    return [joined_line(together, each, gpus - 1)]


def joined_line(together: Band, each: Band, further: Any) -> Item:
    """The line of communicators for so many GPUs beyond the first."""
    return computed(
        "communication",
        constant_for_each_bytes,
        section=Section.OUTSIDE,
        band=times(together, each, further),
        sources=each.sources,
        first_bytes=together.bytes,
        count=further,
        each_bytes=each.bytes,
    )
