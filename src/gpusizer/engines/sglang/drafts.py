"""Checkpoints whose own draft layers SGLang runs (``--speculative-algorithm NEXTN``): ``_config_draft_model`` of srt/configs/model_config.py.

Which kinds there are was read in the file of sgl-project/sglang@001adf56. Since when is taken from the month in which each model came out, rather a
release too late than too early, and was not looked up release by release. At first a draft layer had to be exported to a checkpoint of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpusizer.engines.base.drafts import OwnDraft

__all__ = ["OWN_DRAFTS"]

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
