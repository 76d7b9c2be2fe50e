"""Images as the profile run encodes them: the largest that a tower takes, what the operator makes of it, how many of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.launch import Start
from gpusizer.engines.vllm.weights import deeper_levels

__all__ = ["Tower", "image_share", "images_each", "loads_towers", "tower_of"]

TEXT_BY_LIMITS = (0, 10, 1)  # towers whose inputs may not be sent are not loaded: vllm/model_executor/models/qwen3_vl.py, vllm-project/vllm#22299

# The largest image of towers that take any size: 16,777,216 pixels in patches of 16 (the processors' own limit).
_LARGEST_IMAGE_PATCHES = 65536
_MOST_IMAGES = 999  # of a request where nobody says: vllm/config/multimodal.py
_CHANNELS = 3


class Tower(NamedTuple):
    """A vision tower; what it does not have or does not say is 0."""

    width: int
    patches: int  # of the largest image; 0 where the tower takes images of one size
    levels: int  # that the language part reads
    patch_elements: int  # numbers of one patch as a processor hands it on


def tower_of(architecture: Architecture) -> Tower:
    """The vision tower of a model."""
    section = architecture.config.get("vision_config")
    if not architecture.towers or not isinstance(section, Mapping):
        return Tower(0, 0, 1, 0)
    width = section.get("hidden_size") or section.get("embed_dim") or section.get("vt_hidden_size")
    width = width if isinstance(width, int) else 0
    if "spatial_merge_size" not in section or "image_size" in section:
        return Tower(width, 0, 1 + deeper_levels(architecture), 0)
    side, frames = section.get("patch_size"), section.get("temporal_patch_size", 1)
    elements = _CHANNELS * frames * side**2 if isinstance(side, int) and isinstance(frames, int) else 0
    return Tower(width, _LARGEST_IMAGE_PATCHES, 1 + deeper_levels(architecture), elements)


def loads_towers(start: Start) -> bool:
    """Whether towers are loaded: not where the operator takes text alone, nor where none of what they read may be sent."""
    limits, config = start.flag("limit_mm_per_prompt"), start.architecture.config
    tower = config.get("vision_config")
    moves = "video_token_id" in config or (isinstance(tower, Mapping) and "temporal_patch_size" in tower)
    kinds = ["image", *(["video"] if moves else []), *(["audio"] if "audio_config" in config else [])]
    none = start.version >= TEXT_BY_LIMITS and all(_limit(limits, kind) == 0 for kind in kinds)
    return not (none or start.flag("language_model_only"))


def _limit(limits: Any, kind: str) -> Any:
    """How many of a kind one request may hold: a number or with further settings; None where nobody says."""
    asked = limits.get(kind) if isinstance(limits, Mapping) else None
    return asked.get("count") if isinstance(asked, Mapping) else asked


def images_each(limits: Any) -> int:
    """Images of one request, by ``--limit-mm-per-prompt``."""
    count = _limit(limits, "image")
    return min(count, _MOST_IMAGES) if isinstance(count, int) and not isinstance(count, bool) and count > 0 else _MOST_IMAGES


def image_share(start: Start) -> float:
    """How much of the largest image the operator allows: ``max_pixels`` or the longest edge of ``size``, both in pixels of the whole image."""
    settings, tower = start.flag("mm_processor_kwargs"), start.architecture.config.get("vision_config")
    if not isinstance(settings, Mapping) or not isinstance(tower, Mapping):
        return 1.0
    size, side = settings.get("size"), tower.get("patch_size")
    pixels = settings.get("max_pixels", size.get("longest_edge") if isinstance(size, Mapping) else None)
    if not isinstance(pixels, int) or isinstance(pixels, bool) or not isinstance(side, int) or pixels <= 0 or side <= 0:
        return 1.0
    return min(pixels / (_LARGEST_IMAGE_PATCHES * side**2), 1.0)
