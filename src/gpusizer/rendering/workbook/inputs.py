"""The cells of the first sheet that people change, and what follows from them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpusizer.rendering.workbook.live import Live

__all__ = ["Inputs"]


@dataclass(frozen=True)
class Inputs:
    """Inputs as named cells, and their places in the tables.

    Parameters
    ----------
    valid : Live
        Whether every choice is one of its list.
    unknown_words : Live
        What to say where one is not.
    too_many_stages : callable
        The library's reason for more stages than layers, from cells.
    """

    model_row: Live
    precision_place: Live
    kv_place: Live
    gpu: Live
    gpu_row: Live
    tp: Live
    tp_place: Live
    pp: Live
    whole: Live
    memory_fraction: Live
    concurrency: Live
    users: Live
    active_share: Live
    context_tokens: Live
    input_tokens: Live
    output_tokens: Live
    price: Live
    replicas: Live
    by_users: Live
    valid: Live
    unknown_words: Live
    too_many_stages: Callable[[Live, Live], Live]
