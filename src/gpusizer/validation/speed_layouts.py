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
SERVER_RANKS = 8  # of one server
FULLEST = 0.8  # share of the devices that weights may take where the smallest replica is guessed
_SIZE = re.compile(r"(moetp|tp|pp|dp|ep)(\d{1,4})")
_SPLIT = re.compile(r"prefill (\d{1,4})x\(([^)]*)\) \+ decode (\d{1,4})x\(([^)]*)\)")
_COUNTED = re.compile(r"\b(\d{1,3})P(\d{1,3})D\b")
_STAGES = re.compile(r"\bprefill\b[^+]{0,40}?\(?pp(\d{1,3})\b")
_WIDE = re.compile(r"\bdecode wide-EP (?:up to |of )?(\d{1,4})\b", re.IGNORECASE)
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


def run_layout(row: Mapping[str, Any], architecture: Architecture, accelerator: Accelerator, gpus: int, *, by_devices: bool = False) -> RunLayout:
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
    by_devices : bool
        The engine shares layers out over whatever devices there are.

    Returns
    -------
    RunLayout
        One replica, how many, and workers for prompts.
    """
    words = str(row.get("parallelism") or "")[:400]
    spread = bool(_has_experts(architecture))
    split = _SPLIT.search(words)
    if split:
        prefill, decode = (_spread(_whole_heads(_sizes(split[number]), architecture), experts=spread) for number in (2, 4))
        return RunLayout(decode, int(split[3]), prefill, int(split[1]))
    pools = _pools(words, gpus)
    if pools is not None:
        return pools
    if not _SIZE.search(words):
        if by_devices:
            return RunLayout(Layout(pp=max(gpus, 1)))
        tp = _smallest(architecture, accelerator)
        return RunLayout(Layout(tp=tp), max(gpus // tp, 1))
    layout = _sizes(words.split(" or ")[0])
    if row.get("attention_dp") and layout.tp > 1 and layout.dp == 1:
        layout = Layout(dp=layout.tp, ep=layout.tp, pp=layout.pp)
    if _indivisible(layout, architecture):
        return _rack(layout.tp * layout.dp)
    copies = _REPLICAS.search(words)
    return RunLayout(_spread(layout, experts=spread), int(copies[1]) if copies else 1)


def _has_experts(architecture: Architecture) -> bool:
    return any(layer.experts for layer in architecture.layers)


def _spread(layout: Layout, *, experts: bool) -> Layout:
    """Attention that is data-parallel beyond one server has its experts spread over all ranks: nobody holds a slice of each on so many."""
    wide = experts and layout.dp > SERVER_RANKS and layout.ep < layout.tp * layout.dp
    return replace(layout, ep=layout.tp * layout.dp) if wide else layout


def _pools(words: str, gpus: int) -> RunLayout | None:
    """Workers whose sizes follow from the GPUs of the run: "1P1D on 8 GPUs, prefill pp4", "prefill (pp4) + decode wide-EP up to 32"."""
    counts, stages, wide = _COUNTED.search(words), _STAGES.search(words), _WIDE.search(words)
    if stages is None or (counts is None and wide is None):
        return None
    prefill = Layout(pp=max(int(stages[1]), 1))
    if wide is not None:
        ranks = max(int(wide[1]), 1)
        return RunLayout(Layout(dp=ranks, ep=ranks), 1, prefill, max((gpus - ranks if gpus > ranks else ranks) // prefill.pp, 1))
    workers, decoders = (max(int(counts[number]), 1) for number in (1, 2)) if counts is not None else (1, 1)
    ranks = max((gpus - workers * prefill.pp) // decoders, 1)
    return RunLayout(Layout(dp=ranks, ep=ranks), decoders, prefill, workers)


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
