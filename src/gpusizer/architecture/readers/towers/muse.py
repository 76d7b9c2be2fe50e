"""Muse: windowed blocks with layer norms around them and an adapter over a square of patches; for sound a pyramid of convolutions."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read", "read_audio"]


@register_tower(
    "muse", "vision", lambda tower: tower.part.has("patch_temporal") and tower.part.has("merge_size") and tower.part.has("pos_emb_height")
)
def read(tower: Tower, shelf: Shelf) -> bool:
    """Patches of two moments enter by a matrix."""
    part, whole = tower.part, tower.whole
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch, time = side(part, "patch_size"), part.needed("patch_temporal", high=64)
    encoder = shelf.under("vision_tower")
    encoder.linear("patch_embedder.patch_embedding", width, part.integer("num_channels", default=3, low=1, high=64) * time * patch * patch)
    places = part.needed("pos_emb_height", high=1 << 16) * part.needed("pos_emb_width", high=1 << 16)
    encoder.array("patch_embedder.position_embedding_table.weight", places, width)
    encoder.norm("ln_pre", width)
    encoder.norm("ln_post", width)
    block = encoder.each("layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    block.norm("norm1", width)
    block.norm("norm2", width)
    attention(block.under("attn"), width, heads, names=("q_proj", "k_proj", "v_proj", "proj"))
    plain_mlp(block.under("mlp"), width, inner)
    between = whole.needed("projector_hidden_size")
    merged = whole.integer("out_hidden_size", default=width * part.needed("merge_size", high=64) ** 2, low=1)
    shelf.linear("vision_adapter.fc1", between, merged, Split.COLUMN, bias=False)
    shelf.linear("vision_adapter.fc2", between, between, Split.ROW, bias=False)
    shelf.linear("vision_projection", tower.hidden_size, between)
    return True


@register_tower("muse-audio", "audio", lambda tower: tower.part.has("patch_sizes") and tower.part.has("hidden_sizes") and tower.part.has("depths"))
def read_audio(tower: Tower, shelf: Shelf) -> bool:
    """Every stage joins a few moments of the one before by a matrix, then passes depthwise convolutions with an MLP each; no spectrogram."""
    part = tower.part
    kernel, ratio = part.needed("conv_kernel_size", high=1 << 12), part.number("mlp_ratio", default=4.0, high=64.0)
    lists = [part.integers(name, low=1, high=1 << 20) or () for name in ("patch_sizes", "hidden_sizes", "depths")]
    if len({len(one) for one in lists}) != 1 or len(lists[0]) > MAX_BLOCKS:
        raise part.refuse("depths", f"{len(lists[2])} entries", f"as many as patch_sizes: {len(lists[0])}")
    encoder, before = shelf.under("audio_tower"), 1
    for number, (patch, width, depth) in enumerate(zip(*lists, strict=True)):
        stage = encoder.under(f"layers.{number}")
        stage.linear("patch_embedder.proj", width, before * patch, bias=True)
        stage.norm("patch_embedder.norm", width, bias=False)
        block = stage.each("conv_blocks", min(depth, MAX_BLOCKS))
        block.conv("conv", width, 1, kernel, bias=True)
        block.norm("norm", width, bias=False)
        plain_mlp(block.under("mlp"), width, int(width * ratio))
        before = width
    out = part.integer("out_hidden_size", default=tower.hidden_size, low=1)
    encoder.norm("norm", before, bias=False)
    encoder.linear("proj", out, before, bias=True)
    encoder.norm("post_proj_norm", out, bias=False)
    return True
