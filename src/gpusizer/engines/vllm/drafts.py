"""Checkpoints whose own draft layers vLLM runs: ``hf_config_override`` and ``MTPModelTypes`` of vllm/config/speculative.py.

Which kinds there are was read in the file of November 2026 (vllm-project/vllm@002e77c1; ``MTPModelTypes`` of 0.27.1 has all but the last).
Since when: pull requests 18435 (DeepSeek on the V1 engine, May 2025) and 25232 ("mtp" for every kind, September 2025; the older words are still
taken); the others by the month in which the model came out, rather a release too late than too early, and not looked up release by release.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpusizer.engines.base.drafts import OwnDraft

__all__ = ["OWN_DRAFTS"]

_ONE_WORD = (0, 12, 0)  # from here on "mtp" stands for every kind


def _first(since: tuple[int, ...], word: str) -> tuple[OwnDraft, ...]:
    return OwnDraft(_ONE_WORD), OwnDraft(since, word)


OWN_DRAFTS: Mapping[str, tuple[OwnDraft, ...]] = {
    "deepseek_v3": _first((0, 9, 1), "deepseek_mtp"),
    "mimo": _first((0, 9, 0), "mimo_mtp"),
    "glm4_moe": _first((0, 10, 0), "glm4_moe_mtp"),
    "qwen3_next": _first((0, 10, 2), "qwen3_next_mtp"),
    "longcat_flash": _first((0, 11, 0), "longcat_flash_mtp"),
    "deepseek_v32": (OwnDraft(_ONE_WORD),),
    "glm_moe_dsa": (OwnDraft((0, 16, 0)),),
    "step3p5": (OwnDraft((0, 18, 0)),),
    "qwen3_5": (OwnDraft((0, 18, 0)),),
    "qwen3_5_moe": (OwnDraft((0, 18, 0)),),
    "nemotron_h": (OwnDraft((0, 27, 1)),),
    "bailing_hybrid": (OwnDraft((0, 27, 1)),),
    "minimax_m3": (OwnDraft((0, 27, 1)),),
    "deepseek_v4": (OwnDraft((0, 33, 0)),),
}
"""By ``model_type``."""
