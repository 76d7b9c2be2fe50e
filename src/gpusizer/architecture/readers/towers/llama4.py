"""Llama 4: blocks with biases, a pixel shuffle and an adapter below ``vision_model``."""

from __future__ import annotations

from gpusizer.architecture.readers.towers.kit import MAX_BLOCKS, Shelf, Tower, attention, plain_mlp, register_tower, side
from gpusizer.architecture.types import Split

__all__ = ["read"]


@register_tower("llama4", "vision", lambda tower: tower.part.has("pixel_shuffle_ratio") and tower.part.has("projector_output_dim"))
def read(tower: Tower, shelf: Shelf) -> bool:
    """One table of positions with a place for the class token; the adapter works on shuffled patches."""
    part = tower.part
    width, inner, heads = part.needed("hidden_size"), part.needed("intermediate_size"), part.needed("num_attention_heads")
    patch = side(part, "patch_size")
    encoder = shelf.under("vision_model")
    encoder.array("class_embedding", width)
    encoder.array("positional_embedding_vlm", (side(part, "image_size") // patch) ** 2 + 1, width)
    encoder.linear("patch_embedding.linear", width, part.integer("num_channels", default=3, low=1, high=64) * patch * patch)
    encoder.norm("layernorm_pre", width)
    encoder.norm("layernorm_post", width)
    block = encoder.each("model.layers", part.needed("num_hidden_layers", high=MAX_BLOCKS))
    attention(block.under("self_attn"), width, heads, names=("q_proj", "k_proj", "v_proj", "o_proj"))
    plain_mlp(block.under("mlp"), width, inner)
    block.norm("input_layernorm", width)
    block.norm("post_attention_layernorm", width)
    between, out = part.needed("projector_input_dim"), part.needed("projector_output_dim")
    adapter = encoder.under("vision_adapter.mlp")
    adapter.linear("fc1", between, inner, Split.COLUMN, bias=False)
    adapter.linear("fc2", out, between, Split.ROW, bias=False)
    shelf.linear("multi_modal_projector.linear_1", tower.hidden_size, part.integer("vision_output_dim", default=out, low=1))
    return True
