"""Checkpoints whose own draft layers SGLang runs (``--speculative-algorithm NEXTN``): ``_config_draft_model`` of srt/configs/model_config.py.

Which kinds there are was read in the file of sgl-project/sglang@001adf56. Since when is taken from the month in which each model came out, rather a
release too late than too early, and was not looked up release by release. At first a draft layer had to be exported to a checkpoint of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpusizer.engines.base.added_weights import DRAFT_SPREAD, draft_weights
from gpusizer.engines.base.cache import CacheFormat, layer_caches
from gpusizer.engines.base.drafts import Kind, OwnDraft, block_draft, draft_kind
from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import computed
from gpusizer.engines.base.types import Inputs, Item, Section
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.formulas.memory.loaded import group_sum_bytes

__all__ = ["DRAFTS_FIRST", "OWN_DRAFTS", "draft_token_bytes", "loaded_drafts", "priced_in_tokens"]

DRAFTS_FIRST = (0, 5, 14)
"""From here on a draft is loaded before the pool is sized, and priced in its tokens: ``alloc_memory_pool`` of srt/managers/scheduler.py and
``eagle_draft_num_layers`` of srt/model_executor/pool_configurator.py; in 0.5.13 neither is there."""
_OWN_GEOMETRY = (0, 5, 18)  # a draft of blocks is priced by its own heads, before like so many layers of the model: sgl-project/sglang pull 34234
_NESTED_RIGHT = (0, 5, 15)  # before, a draft inside a nested configuration counted as all layers: sgl-project/sglang issue 29857

_SINCE = {
    "deepseek_v3": (0, 4, 5),
    "mimo": (0, 4, 7),
    "glm4_moe": (0, 5, 0),
    "qwen3_next": (0, 5, 2),
    "longcat_flash": (0, 5, 2),
    "deepseek_v32": (0, 5, 5),
    "glm_moe_dsa": (0, 5, 9),
    "step3p5": (0, 5, 9),
    "qwen3_5": (0, 5, 9),
    "qwen3_5_moe": (0, 5, 9),
    "nemotron_h": (0, 5, 13),
    "deepseek_v4": (0, 5, 13),
    "step3p7": (0, 5, 17),
}
OWN_DRAFTS: Mapping[str, tuple[OwnDraft, ...]] = {kind: (OwnDraft(since),) for kind, since in _SINCE.items()}
"""By ``model_type``."""


def draft_token_bytes(start: Start, form: CacheFormat, layer_bytes: float) -> float:
    """What a token of a draft is priced with.

    Parameters
    ----------
    start : Start
        The start.
    form : CacheFormat
        The cache's number format.
    layer_bytes : float
        A token in a layer of the model that caches. [bytes]

    Returns
    -------
    float
        0 where nothing drafts. [bytes]
    """
    if draft_kind(start) is not Kind.BLOCKS:
        return layer_bytes * _drafts_cached(start)
    draft = block_draft(start.architecture)
    if start.version < _OWN_GEOMETRY:
        return layer_bytes * draft.layers
    return float(sum(cache.row_bytes for layer in draft.cached() for cache in layer_caches(layer, form, tp=start.layout.tp)))


def priced_in_tokens(start: Start) -> bool:
    """Whether the cache of a draft comes off the model's tokens: that of blocks always did."""
    return start.version >= DRAFTS_FIRST or draft_kind(start) is Kind.BLOCKS


def _drafts_cached(start: Start) -> int:
    """Layers that a token of a draft is priced with, each like a caching layer of the model; 0 where nothing drafts. [layers]"""
    if not start.deployment.speculative_tokens:
        return 0
    nested = "text_config" in start.architecture.config
    if nested and start.architecture.mtp and DRAFTS_FIRST <= start.version < _NESTED_RIGHT:
        return len(start.architecture.layers)
    return len(start.architecture.mtp) or 1


def loaded_drafts(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """The draft as it is loaded: layers of the checkpoint with an embedding and a head of their own, which give way to the model's once the pool is
    sized; or an external head."""
    architecture = start.architecture
    if not stage.last or not start.deployment.speculative_tokens or not architecture.mtp:
        return draft_weights(start, stage, cut)
    table = weight_table(architecture)
    groups = dict(table.draft_groups(cut))
    if start.version >= DRAFTS_FIRST:
        copies = table.stage_bytes(range(0), cut, first=True, last=True, tied=architecture.tied_head, towers=False)
        groups = {group: groups.get(group, 0) + copies.get(group, 0) for group in {**groups, **copies}}
    sizes: Inputs = {group: size for group, size in groups.items() if size}
    return [computed("weights_draft", group_sum_bytes, section=Section.WEIGHTS, band=DRAFT_SPREAD, **sizes)] if sizes else []
