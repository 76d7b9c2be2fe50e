"""Llama 3.2 Vision: tiles with gated embeddings, local and gated global blocks, features of several layers side by side."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side

__all__ = ["read"]


@register_tower("mllama", "vision", lambda tower: tower.part.has("num_global_layers") and tower.part.has("max_num_tiles"))
def read(tower: Tower, shelf: Shelf) -> bool:
    """A table for each arrangement of tiles (and one for none) stands beside the positions within a tile."""
    part = tower.part
    width, inner = part.needed("hidden_size"), part.needed("intermediate_size")
    heads = part.needed("attention_heads", "num_attention_heads")
    patch, tiles = side(part, "patch_size"), part.needed("max_num_tiles", high=256)
    patches = (side(part, "image_size") // patch) ** 2 + 1
    ratios = part.sequence("supported_aspect_ratios")
    arrangements = (len(ratios) if ratios is not None else sum(tiles // one for one in range(1, tiles + 1))) + 1
    encoder = shelf.under("vision_model")
    encoder.array("class_embedding", width)
    encoder.conv("patch_embedding", width, part.integer("num_channels", default=3, low=1, high=64), patch, patch)
    positions = encoder.under("gated_positional_embedding")
    positions.array("gate", 1)
    positions.array("embedding", patches, width)
    positions.array("tile_embedding.weight", arrangements, tiles * patches * width)
    for name in ("pre_tile_positional_embedding", "post_tile_positional_embedding"):
        encoder.array(f"{name}.gate", 1)
        encoder.array(f"{name}.embedding.weight", arrangements, tiles * width)
    encoder.norm("layernorm_pre", width)
    encoder.norm("layernorm_post", width)
    for name, count, gated in (
        ("transformer.layers", part.needed("num_hidden_layers", high=MAX_BLOCKS), False),
        ("global_transformer.layers", part.needed("num_global_layers", high=MAX_BLOCKS), True),
    ):
        block = encoder.each(name, count)
        attention(block.under("self_attn"), width, heads, bias=False, out_bias=False, names=("q_proj", "k_proj", "v_proj", "o_proj"))
        plain_mlp(block.under("mlp"), width, inner)
        block.norm("input_layernorm", width)
        block.norm("post_attention_layernorm", width)
        if gated:
            block.array("gate_attn", 1)
            block.array("gate_ffn", 1)
    features = (1 + len(part.sequence("intermediate_layers_indices") or ())) * width
    shelf.linear("multi_modal_projector", tower.hidden_size, part.integer("vision_output_dim", default=features, low=1), bias=True)
    return True
