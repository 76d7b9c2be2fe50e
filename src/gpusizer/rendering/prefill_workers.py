"""Prompts on workers of their own: layouts of both kinds, what a worker for prompts holds, and how each kind is started."""

from __future__ import annotations

from typing import Any

from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment
from gpusizer.i18n import text
from gpusizer.planning.types import Option
from gpusizer.rendering.document import Block, Paragraph
from gpusizer.rendering.fit import memory_data
from gpusizer.rendering.launch import command_blocks, command_line, layout_words

__all__ = ["launch_of", "option_layout", "prefill_blocks", "prefill_data"]


def _in_role(deployment: Deployment, role: str) -> Deployment:
    return get_engine(deployment.engine).in_role(deployment, role) or deployment


def launch_of(option: Option) -> Deployment:
    """The start to print: that of a worker for answers where prompts have workers of their own."""
    return option.launch if option.prefill is None else _in_role(option.launch, "decode")


def option_layout(option: Option) -> str:
    """The layout of an option as people write it, prompts first where they have workers of their own, replicas in reserve behind a plus sign."""
    words = layout_words(option.layout, option.replicas, option.spare_replicas)
    if option.prefill is None:
        return words
    return f"{layout_words(option.prefill.launch.layout, option.prefill.workers)} -> {words}"


def prefill_data(option: Option) -> dict[str, Any] | None:
    """Workers for prompts for programs; None without."""
    pool = option.prefill
    if pool is None:
        return None
    return {
        "workers": pool.workers,
        "gpus": pool.gpus,
        "layout": {name: getattr(pool.launch.layout, name) for name in ("tp", "pp", "dp", "ep")},
        "per_gpu": memory_data(pool.fit)["per_gpu"],
        "kv_cache_tokens": pool.fit.kv_cache.tokens,
        "command": command_line(_in_role(pool.launch, "prefill")),
    }


def prefill_blocks(option: Option, language: str) -> list[Block]:
    """The same for people: how many of each kind, and the command of those for prompts (the other one stands above)."""
    pool = option.prefill
    if pool is None:
        return []
    words = {
        "prefill": layout_words(pool.launch.layout, pool.workers),
        "prefill_gpus": pool.gpus,
        "decode": layout_words(option.layout, option.replicas),
        "decode_gpus": option.gpus - pool.gpus,
    }
    return [Paragraph(text("ui", "prefill-workers", language, **words)), *command_blocks(_in_role(pool.launch, "prefill"), language)]
