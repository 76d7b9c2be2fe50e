"""Models whose layers with a window get a pool of their own in SGLang: ``is_hybrid_swa_model`` of srt/configs/model_config.py.

Read in sgl-project/sglang 0.5.3 to 0.5.23: which architectures each release lists. From 0.5.4 to 0.5.6 no list stood there: every model whose class
gives the engine a window had such pools.
"""

from __future__ import annotations

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention
from gpusizer.engines.base.engine import Start
from gpusizer.engines.base.weights import once_per_architecture

__all__ = ["own_windows"]

_WINDOWS_SINCE, _LISTED_SINCE, _TOLD_SINCE = (0, 5, 4), (0, 5, 7), (0, 5, 13)
_SINCE = {
    "gpt_oss": (0, 5, 4),
    "mimo_v2_flash": (0, 5, 7),
    "llama4": (0, 5, 8),
    "step3p5": (0, 5, 9),
    "gemma4": (0, 5, 11),
    "mimo_v2": (0, 5, 11),
    "laguna": (0, 5, 12),
    "gemma4_unified": (0, 5, 13),
    "step3p7": (0, 5, 13),
    "mellum": (0, 5, 17),
    "inkling": (0, 5, 17),
    "diffusion_gemma": (0, 5, 23),
}
"""By ``model_type``."""


def own_windows(start: Start) -> bool:
    """Whether layers with a window get a pool of their own, for so many tokens less than the others."""
    if start.flag("disable_hybrid_swa_memory") or not _mixed(start.architecture):
        return False
    config = start.architecture.config
    kind = str(config.get("model_type", "")).removesuffix("_text")
    if _WINDOWS_SINCE <= start.version < _LISTED_SINCE:
        return kind != "llama4"
    if start.version >= _TOLD_SINCE and config.get("is_hybrid_swa") is True:
        return True
    return kind in _SINCE and start.version >= _SINCE[kind]


@once_per_architecture
def _mixed(architecture: Architecture) -> bool:
    """Whether some of the layers that cache have a window."""
    return any(mixer.seen_tokens or mixer.chunk for mixer in architecture.mixers_of(Attention) if mixer.caches)
