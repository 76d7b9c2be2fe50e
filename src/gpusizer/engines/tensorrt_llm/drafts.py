"""Checkpoints whose own draft layers TensorRT-LLM runs (``decoding_type: MTP``): features/speculative-decoding.md of its documentation.

Up to 1.1 the one-model MTP is listed for DeepSeek-V3 and R1 alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from gpusizer.engines.base.drafts import OwnDraft

__all__ = ["OWN_DRAFTS"]

OWN_DRAFTS: Mapping[str, tuple[OwnDraft, ...]] = {"deepseek_v3": (OwnDraft((0, 18, 0)),)}
"""By ``model_type``."""
