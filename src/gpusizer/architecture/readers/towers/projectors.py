"""Projectors between a tower and the language model, by the kind that the whole model's class implies (``projector``)."""

from __future__ import annotations

from collections.abc import Callable

from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.towers.kit import Shelf, Tower
from gpusizer.architecture.types import Split

__all__ = ["PROJECTORS", "project"]

_MULTI = "multi_modal_projector"


def project(tower: Tower, shelf: Shelf, width: int) -> bool:
    """Put the projector's tensors on the shelf; False where its kind is not known."""
    kind = tower.whole.text("projector") or _by_keys(tower.whole)
    make = PROJECTORS.get(kind or "")
    if make is None:
        return False
    make(tower, shelf, width)
    return True


def _by_keys(whole: Keys) -> str | None:
    """The kind, where the keys of the whole tell it."""
    if whole.has("mm_tokens_per_image"):
        return "soft-tokens"
    if whole.has("spatial_merge_size") and whole.has("multimodal_projector_bias"):
        return "patch-merger"
    if whole.has("multimodal_projector_bias"):
        return "two-layers"
    return None


def _two_layers(tower: Tower, shelf: Shelf, width: int) -> None:
    """Two matrices; features of several tower layers stand side by side. Tiled models add a row between image rows."""
    whole, hidden = tower.whole, tower.hidden_size
    bias = whole.flag("multimodal_projector_bias", default=True)
    layers = whole.raw("vision_feature_layer", "vision_feature_layers")
    features = width * (len(layers) if isinstance(layers, (list, tuple)) else 1)
    part = shelf.under(_MULTI)
    if whole.flag("projector_layernorm"):
        part.norm("projector_layernorm", features)
    part.linear("linear_1", hidden, features, Split.COLUMN, bias=bias)
    part.linear("linear_2", hidden, hidden, Split.ROW, bias=bias)
    if whole.flag("image_newline"):
        shelf.array("image_newline", hidden)


def _patch_merger(tower: Tower, shelf: Shelf, width: int) -> None:
    whole, hidden = tower.whole, tower.hidden_size
    bias = whole.flag("multimodal_projector_bias")
    part = shelf.under(_MULTI)
    part.norm("norm", width, bias=False)
    part.linear("patch_merger.merging_layer", width, width * whole.integer("spatial_merge_size", default=2, low=1, high=64) ** 2)
    part.linear("linear_1", hidden, width, Split.COLUMN, bias=bias)
    part.linear("linear_2", hidden, hidden, Split.ROW, bias=bias)


def _soft_tokens(tower: Tower, shelf: Shelf, width: int) -> None:
    shelf.array(f"{_MULTI}.mm_input_projection_weight", width, tower.hidden_size)
    shelf.norm(f"{_MULTI}.mm_soft_emb_norm", width, bias=False)


def _one_linear(tower: Tower, shelf: Shelf, width: int) -> None:
    shelf.linear(f"{_MULTI}.linear", tower.whole.integer("projection_dim", default=tower.hidden_size, low=1), width, bias=True)


def _pixel_shuffle(tower: Tower, shelf: Shelf, width: int) -> None:
    """One matrix over a square of patches."""
    scale = tower.whole.integer("scale_factor", default=2, low=1, high=64)
    shelf.linear("connector.modality_projection.proj", tower.hidden_size, width * scale * scale)


def _shuffled_mlp(tower: Tower, shelf: Shelf, width: int) -> None:
    """A norm and two matrices over a square of patches."""
    whole, hidden = tower.whole, tower.hidden_size
    square = _square(whole)
    part = shelf.under(_MULTI)
    if whole.flag("projector_use_layernorm", default=True):
        part.norm("layer_norm", width * square, bias=whole.flag("projector_norm_bias", default=True))
    inner = whole.integer("projector_hidden_size", default=hidden, low=1)
    bias = whole.flag("projector_bias", default=True)
    part.linear("linear_1", inner, width * square, Split.COLUMN, bias=bias)
    part.linear("linear_2", hidden, inner, Split.ROW, bias=bias)


def _swiglu(tower: Tower, shelf: Shelf, width: int) -> None:
    """A gated pair over a square of patches; ``alignment_intermediate_size`` is the width of gate and value together."""
    whole, hidden = tower.whole, tower.hidden_size
    inner = whole.integer("alignment_intermediate_size", default=hidden, low=2)
    part = shelf.under(_MULTI)
    if whole.flag("projector_layernorm"):
        part.norm("layernorm", width * _square(whole))
    part.linear("linear_1", inner, width * _square(whole), Split.COLUMN, bias=True)
    part.linear("linear_2", hidden, inner // 2, Split.ROW, bias=True)


def _square(whole: Keys, part: Keys | None = None) -> int:
    """Patches that become one: by a factor per side, or a ratio below 1."""
    factor = whole.integer("downsample_factor", "spatial_merge_size", low=1, high=64)
    if factor is None and part is not None:
        factor = part.integer("spatial_merge_size", low=1, high=64)
    if factor is None:
        factor = round(1 / whole.number("downsample_ratio", default=0.5, low=1 / 64, high=1.0))
    return factor * factor


def _merged_mlp(tower: Tower, shelf: Shelf, width: int) -> None:
    """A norm, then two matrices over a square of patches."""
    square = _square(tower.whole, tower.part)
    part = shelf.under("projector")
    part.norm("pre_norm", width)
    part.linear("linear_1", width * square, width * square, Split.COLUMN, bias=True)
    part.linear("linear_2", tower.hidden_size, width * square, Split.ROW, bias=True)


def _resampler(tower: Tower, shelf: Shelf, width: int) -> None:
    """Learned queries that look at all patches (openbmb/MiniCPM-V: resampler.py): one attention, norms before and after it, a square matrix."""
    hidden = tower.hidden_size
    part = shelf.under("resampler")
    part.array("query", tower.whole.integer("query_num", default=64, low=1, high=1 << 16), hidden)
    part.linear("kv_proj", hidden, width)
    part.array("attn.in_proj_weight", 3 * hidden, hidden)
    part.array("attn.in_proj_bias", 3 * hidden)
    part.linear("attn.out_proj", hidden, hidden, bias=True)
    for name in ("ln_q", "ln_kv", "ln_post"):
        part.norm(name, hidden)
    part.array("proj", hidden, hidden)


PROJECTORS: dict[str, Callable[[Tower, Shelf, int], None]] = {
    "two-layers": _two_layers,
    "patch-merger": _patch_merger,
    "soft-tokens": _soft_tokens,
    "one-linear": _one_linear,
    "pixel-shuffle": _pixel_shuffle,
    "shuffled-mlp": _shuffled_mlp,
    "swiglu": _swiglu,
    "merged-mlp": _merged_mlp,
    "resampler": _resampler,
}
