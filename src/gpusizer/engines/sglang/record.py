"""What the account reads: every branch on model, version, device class and layout is taken here, and leaves plain numbers.

Each record declares its axes, along which alone its figures differ: the model in its precision, the class of a device (its vendor, capability and
memory) with the version, the device itself, the layout, the pipeline stage. A stage comes with its layers, and with what it caches
(:class:`~gpusizer.engines.sglang.pools.Pools`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from gpusizer.engines.base.band import Band, Basis, band, times
from gpusizer.engines.base.device import driver_reserved
from gpusizer.engines.base.kinds import kinds_of
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import banded, computed
from gpusizer.engines.base.prefill import PrefillCut, prefill_cut
from gpusizer.engines.base.types import Inputs, Item, Layout, Section
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.engines.sglang import constants as fitted
from gpusizer.engines.sglang.defaults import captures_prefill, decode_graph_sizes, prefill_graph_sizes, verified_tokens
from gpusizer.engines.sglang.pools import positive
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.constants import constant_for_each_bytes, set_aside_bytes
from gpusizer.once import once_per_object
from gpusizer.units import GiB, MiB

__all__ = [
    "DeviceRecord",
    "LayoutRecord",
    "Records",
    "RequestRecord",
    "ShareRecord",
    "StepRecord",
    "communicators",
    "device_record",
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
SYMMETRIC_BYTES = 4 * GiB
SYMMETRIC_SOURCE = "sgl-project/sglang 0.5.23: python/sglang/srt/server_args.py, SGLANG_SYMM_MEM_PREALLOC_GB_SIZE"

# First versions of a behaviour.
SMALLER_GRAPHS = (0, 5, 3)  # graphs of several GPUs
PADDING_COUNTED = (0, 5, 17)  # slots that no request gets come off the share of states
IMAGES_SET_ASIDE = (0, 5, 18)
EXTRA_BUFFER = (0, 5, 21)  # a running request takes more states by default


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
    return Records(step_record(start), request_record(start), layout_record(start.layout), device_record(start), share_record(start))


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
    decode_graphs: Any
    prefill_graphs: Any
    decode_graph_bytes: Any  # of one graph and layer
    prefill_graph_bytes: Any
    decode_graph_sources: tuple[str, ...]
    prefill_graph_sources: tuple[str, ...]


def step_record(start: Start) -> StepRecord:
    """Collect what the account reads of a start's steps."""
    deployment = start.deployment
    (mib, basis), (prefill_mib, prefill_basis) = _decode_graphs(start), fitted.PREFILL_GRAPHS
    eager, chunk = deployment.enforce_eager, deployment.max_num_batched_tokens
    captured = captures_prefill(deployment, kinds_of(start.architecture), start.accelerator, start.version)
    decode = 0 if eager else decode_graph_sizes(int(start.flag("cuda_graph_max_bs", 0) or 0), drafts=deployment.speculative_tokens > 0)
    return StepRecord(
        context_tokens=deployment.max_model_len or 1,
        tokens=chunk or 1,
        page_tokens=deployment.block_size or 1,
        draft_tokens=verified_tokens(deployment),
        table_entries=TABLE_ENTRIES + verified_tokens(deployment),
        decode_graphs=decode,
        prefill_graphs=prefill_graph_sizes(chunk or 0) if captured and not eager else 0,
        decode_graph_bytes=mib * MiB,
        prefill_graph_bytes=prefill_mib * MiB,
        decode_graph_sources=(basis.source,),
        prefill_graph_sources=(prefill_basis.source,),
    )


def _decode_graphs(start: Start) -> tuple[float, Basis]:
    """What one graph and layer takes. [MiB]"""
    if start.layout.gpus == 1:
        return fitted.DECODE_GRAPHS
    return fitted.OLD_TENSOR_GRAPHS if start.version < SMALLER_GRAPHS else fitted.TENSOR_GRAPHS


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
        later = start.version >= EXTRA_BUFFER and not start.flag("disable_overlap_schedule")
        strategy = "extra_buffer" if later else "no_buffer"
    if strategy == "extra_buffer":
        return 4 if start.flag("disable_overlap_schedule") else 5
    return 4 if strategy == "extra_buffer_lazy" else 3


# ---- layout and stage -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayoutRecord:
    """How one replica is cut, as activations and loading feel it."""

    axes: ClassVar[tuple[str, ...]] = ("layout",)

    cut: PrefillCut
    gpus_beyond_pair: Any


def layout_record(layout: Layout) -> LayoutRecord:
    """The record of a layout."""
    return LayoutRecord(prefill_cut(layout), max(layout.gpus - 2, 0))


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
    context = fitted.UNIFIED_OTHERS if accelerator.unified_memory else fitted.CONTEXT
    beside = [banded("late_workspace", fitted.LATE_WORKSPACE, section=Section.OUTSIDE)]
    if start.flag("enable_symm_mem"):
        size: Inputs = {"set_aside_bytes": SYMMETRIC_BYTES}
        beside.append(computed("symmetric_memory", set_aside_bytes, section=Section.OUTSIDE, sources=(SYMMETRIC_SOURCE,), **size))
    return DeviceRecord(
        memory_bytes=accelerator.memory_bytes,
        before_weights=(
            *driver_reserved(accelerator),
            banded("device_context", context, section=Section.OUTSIDE),
            *_communication(accelerator, start.layout.gpus),
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


def communicators(accelerator: Accelerator) -> tuple[Band, Band]:
    """What communicators take by how the GPUs are joined: of several GPUs together, and for each GPU beyond the first."""
    if accelerator.vendor.lower() != "nvidia":
        return fitted.ROCM_COMMUNICATION, NOTHING
    return (fitted.FABRIC_COMMUNICATION, NOTHING) if accelerator.fabric_devices else (NOTHING, fitted.PCIE_COMMUNICATION)


def _communication(accelerator: Accelerator, gpus: int) -> list[Item]:
    if gpus == 1:
        return []
    together, each = communicators(accelerator)
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
