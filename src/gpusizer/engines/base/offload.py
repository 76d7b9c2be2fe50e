"""Weights in host memory: parameters of decoder layers that ``--cpu-offload-gb`` moves one by one, and tables of n-grams, looked up from there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpusizer.engines.base.band import Limits
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import NOTHING_ON_HOST, Item, OnHost, Section
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.formulas.memory.constants import set_aside_bytes
from gpusizer.formulas.memory.host import pinned_bytes
from gpusizer.formulas.memory.loaded import offloaded_bytes
from gpusizer.units import GiB

__all__ = ["offloaded_layers", "offloaded_share", "offloaded_tables", "pinned_lines", "pinned_tables", "tables_moved"]

# vllm-project/vllm: vllm/model_executor/models/utils.py, maybe_offload_to_cpu; sgl-project/sglang: python/sglang/srt/utils/offloader.py. Embeddings
# and the head stay. The last parameter that goes may be large: up to half a layer more than was asked for.
_SOURCES = ("vllm-project/vllm: vllm/model_executor/models/utils.py, maybe_offload_to_cpu",)
_LAST_SHARE = 0.5
OFFLOADED = "weights_on_host"
_PINNED = ("pytorch/pytorch issue 150517", "sgl-project/sglang pull 36562: 20.4 GiB pinned as 32")


def offloaded_layers(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """A negative line for the weights of one GPU that lie in host memory; empty where nothing was asked for."""
    asked = start.flag("cpu_offload_gb", 0)
    if not isinstance(asked, int | float) or isinstance(asked, bool) or asked <= 0:
        return []
    table = weight_table(start.architecture)
    layers = [sum(table.layer_bytes(table.kind_of[index], cut).values()) for index in stage.layers]
    if not sum(layers):
        return []
    wish, all_bytes = round(asked * GiB), sum(layers)
    more = wish + _LAST_SHARE * max(layers)
    ends = (offloaded_bytes(asked_bytes=size, layers_bytes=all_bytes) for size in (more, wish))
    return [
        computed(
            OFFLOADED,
            offloaded_bytes,
            section=Section.WEIGHTS,
            band=Limits(*ends),
            sources=_SOURCES,
            asked_bytes=wish,
            layers_bytes=all_bytes,
        )
    ]


def offloaded_share(items: Iterable[Item], *, whole: bool) -> OnHost:
    """What of the decoder layers a GPU reads from host memory for every step.

    Parameters
    ----------
    items : iterable of Item
        Its ledger.
    whole : bool
        Experts that no token needs are copied too: of OffloaderV1 of SGLang every parameter; vLLM's kernels read the host's memory as they need it.

    Returns
    -------
    OnHost
        Nothing where no weights were moved.
    """
    line = next((item for item in items if item.id == OFFLOADED), None)
    return OnHost(layers=-line.bytes / line.inputs["layers_bytes"], computed=False, whole=whole) if line else NOTHING_ON_HOST


def pinned_lines(items: Iterable[Item], gpus: int) -> list[Item]:
    """The host's line for the weights that GPUs of a stage moved there; empty where they moved none.

    PyTorch pins powers of two: each parameter may take up to twice its size.
    """
    sizes = [-item.bytes for item in items if item.id == OFFLOADED]
    return [
        computed(
            "weights_pinned_on_host",
            pinned_bytes,
            section=Section.WEIGHTS,
            band=Limits(size * gpus, 2 * size * gpus),
            sources=(*_SOURCES, _PINNED[0]),
            one_bytes=size,
            gpus=gpus,
        )
        for size in sizes
    ]


def offloaded_tables(start: Start, stage: Stage, cut: Cut, *, sources: tuple[str, ...]) -> list[Item]:
    """A negative line for the rank's part of the tables of n-grams, where it lies in pinned host memory or in a file; empty without such tables."""
    size = sum(_table_sizes(start, stage, cut))
    if not size:
        return []
    return [tables_moved(size, sources)]


def tables_moved(size_bytes: Any, sources: tuple[str, ...] = ()) -> Item:
    """The line of tables that lie in memory of the host. [bytes]"""
    return computed(
        "weights_ngrams_on_host", offloaded_bytes, section=Section.WEIGHTS, sources=sources, asked_bytes=size_bytes, layers_bytes=size_bytes
    )


def pinned_tables(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """What pinning the rank's tables of n-grams takes beyond them where host and device share their memory: each grows to a power of two."""
    size = sum((1 << (table - 1).bit_length()) - table for table in _table_sizes(start, stage, cut))
    return [computed("weights_pinned", set_aside_bytes, section=Section.WEIGHTS, sources=_PINNED, set_aside_bytes=size)] if size else []


def _table_sizes(start: Start, stage: Stage, cut: Cut) -> list[int]:
    table = weight_table(start.architecture)
    sizes = (table.layer_bytes(table.kind_of[index], cut).get("ngram_embedding", 0) for index in stage.layers)
    return [size for size in sizes if size]
