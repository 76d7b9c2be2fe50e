"""Towers of ``depth`` gated blocks below ``visual`` with a strided downsampling and a gated merger: GLM-4V, 4.5V, 4.6V, OCR, 5-Next."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, fused_attention, gated_mlp, register_tower, side

__all__ = ["read"]


def _recognises(tower: Tower) -> bool:
    part = tower.part
    return part.has("depth") and part.has("num_heads") and part.has("image_size") and part.has("out_hidden_size") and part.has("spatial_merge_size")


@register_tower("glm-visual", "vision", _recognises)
def read(tower: Tower, shelf: Shelf) -> bool:
    """With learned positions the blocks are as wide inside as the language model and the merger takes ``intermediate_size``.

    Later towers turn that round, and norm queries and keys.
    """
    part = tower.part
    width, out, inner = part.needed("hidden_size"), part.needed("out_hidden_size"), part.needed("intermediate_size")
    depth, heads = part.needed("depth", high=MAX_BLOCKS), part.needed("num_heads")
    bias = part.flag("attention_bias")
    patch, channels, merge = (
        side(part, "patch_size"),
        part.integer("in_channels", default=3, low=1, high=64),
        part.needed("spatial_merge_size", high=64),
    )
    learned = part.flag("learned_positions", default=not bias)
    shelf = shelf.under("visual")
    shelf.conv("patch_embed.proj", width, channels, part.needed("temporal_patch_size", high=64), patch, patch, bias=True)
    if learned:
        shelf.array("embeddings.position_embedding.weight", (side(part, "image_size") // patch) ** 2, width)
        shelf.norm("post_conv_layernorm", width, bias=False)
    block = shelf.each("blocks", depth)
    block.norm("norm1", width, bias=False)
    block.norm("norm2", width, bias=False)
    fused_attention(block.under("attn"), width, heads, 3 * width, bias=bias, out_bias=bias and not learned)
    if not learned:
        block.norm("attn.q_norm", width // heads, bias=False)
        block.norm("attn.k_norm", width // heads, bias=False)
    gated_mlp(block.under("mlp"), width, out if learned else inner, bias=bias and not learned)
    context = inner if learned else part.integer("projection_intermediate_size", default=out * channels, low=1)
    merger = shelf.under("merger")
    merger.linear("proj", out, out)
    merger.norm("post_projection_norm", out)
    gated_mlp(merger, out, context)
    shelf.norm("post_layernorm", width, bias=False)
    shelf.conv("downsample", out, width, merge, merge, bias=True)
    return True
