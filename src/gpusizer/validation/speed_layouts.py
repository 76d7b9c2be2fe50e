"""The layout of a measured run from its words: "tp4dp1ep4", "prefill 1x(tp4) + decode 2x(tp8)", "tp1 x8 replicas", or none at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.engines.base.types import Layout
from gpusizer.facts.types import Accelerator

__all__ = ["RunLayout", "run_layout"]

PROMPT_RANKS = 8  # of a worker that only computes prompts, where nothing is said
FULLEST = 0.8  # share of the devices that weights may take where the smallest replica is guessed
_SIZE = re.compile(r"(moetp|tp|pp|dp|ep)(\d{1,4})")
_SPLIT = re.compile(r"prefill (\d{1,4})x\(([^)]*)\) \+ decode (\d{1,4})x\(([^)]*)\)")
_REPLICAS = re.compile(r"x(\d{1,4}) replicas")


@dataclass(frozen=True, slots=True)
class RunLayout:
    """How a run was laid out.

    Parameters
    ----------
    layout : Layout
        Of one replica, or of one decode worker.
    replicas : int
        Equal copies.
    prefill : Layout or None
        Of one worker that only computes prompts.
    prefill_workers : int
        How many of those.
    """

    layout: Layout
    replicas: int = 1
    prefill: Layout | None = None
    prefill_workers: int = 0


def run_layout(row: Mapping[str, Any], architecture: Architecture, accelerator: Accelerator, gpus: int) -> RunLayout:
    """The layout of a run; the smallest replica that holds the model where nothing is said.

    Parameters
    ----------
    row : mapping
        The case: "parallelism", and "attention_dp" where attention is data-parallel although it is called tensor-parallel.
    architecture : Architecture
        The model.
    accelerator : Accelerator
        The device.
    gpus : int
        Of the whole run, 0 where it is not said.

    Returns
    -------
    RunLayout
        One replica, how many, and workers for prompts.
    """
    words = str(row.get("parallelism") or "")
    split = _SPLIT.search(words)
    if split:
        prefill, decode = (_whole_heads(_sizes(split[number]), architecture) for number in (2, 4))
        return RunLayout(decode, int(split[3]), prefill, int(split[1]))
    if not _SIZE.search(words):
        tp = _smallest(architecture, accelerator)
        return RunLayout(Layout(tp=tp), max(gpus // tp, 1))
    layout = _sizes(words.split(" or ")[0])
    if row.get("attention_dp") and layout.tp > 1 and layout.dp == 1:
        layout = Layout(dp=layout.tp, ep=layout.tp, pp=layout.pp)
    if _indivisible(layout, architecture):
        return _rack(layout.tp * layout.dp)
    copies = _REPLICAS.search(words)
    return RunLayout(layout, int(copies[1]) if copies else 1)


def _sizes(words: str) -> Layout:
    found = {name: max(int(number), 1) for name, number in _SIZE.findall(words)}
    found.pop("moetp", None)
    layout = Layout(**found)
    return replace(layout, ep=layout.tp * layout.dp) if "expert-parallel" in words else layout


def _whole_heads(layout: Layout, architecture: Architecture) -> Layout:
    """A width that heads cannot be cut by (72) is that of data-parallel attention with experts spread over all."""
    ranks = layout.tp * layout.dp
    return Layout(dp=ranks, ep=ranks, pp=layout.pp) if _indivisible(layout, architecture) else layout


def _indivisible(layout: Layout, architecture: Architecture) -> bool:
    heads = {getattr(mixer, "heads", 0) for layer in architecture.layers for mixer in layer.mixers} - {0}
    return layout.tp > PROMPT_RANKS and any(number % layout.tp for number in heads)


def _rack(gpus: int) -> RunLayout:
    """A rack told as one tensor-parallel group that heads cannot be cut by: some workers only computed prompts, a third of the GPUs is assumed."""
    workers = max(gpus // 3 // PROMPT_RANKS, 1)
    ranks = max(gpus - workers * PROMPT_RANKS, 1)
    return RunLayout(Layout(dp=ranks, ep=ranks), 1, Layout(dp=PROMPT_RANKS, ep=PROMPT_RANKS), workers)


def _smallest(architecture: Architecture, accelerator: Accelerator) -> int:
    need = checkpoint_bytes(architecture, mtp=False) / (FULLEST * accelerator.memory_bytes)
    return next((tp for tp in (1, 2, 4, 8) if tp >= need), 8) if need <= 8 else ceil(need)
