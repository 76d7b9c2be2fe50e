"""Attention whose queries and outputs are experts (JetMoE): keys and values are shared by all, so the cache is that of one expert's heads."""

from __future__ import annotations

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.readers.experts_told import EXPERT_COUNTS, SELECTED
from gpusizer.architecture.readers.registry import MixerReader, register_mixer
from gpusizer.architecture.readers.tensor_kit import kv_columns
from gpusizer.architecture.types import Attention, Mixer, Split, Tensor

__all__ = ["read_expert_attention"]

GROUP = "attention"


def read_expert_attention(layer: LayerContext) -> tuple[Mixer, ...]:
    """Every expert has as many query heads as there are key heads; a token uses those of its selected experts."""
    heads, width, hidden = layer.needed("num_key_value_heads"), layer.needed("kv_channels", "head_dim"), layer.hidden
    experts, chosen = layer.needed(*EXPERT_COUNTS), layer.needed(*SELECTED)
    layer.keys.ignore("num_attention_heads")
    name, wide = layer.class_words.attention, heads * width
    tensors = kv_columns(f"{name}kv_proj", 2 * wide, hidden, GROUP, heads)
    tensors += (
        Tensor(f"{name}experts.input_linear.weight", (wide, hidden), GROUP, Split.COLUMN, heads, experts, linear=True),
        Tensor(f"{name}experts.output_linear.weight", (hidden, wide), GROUP, Split.ROW, heads, experts, linear=True),
        Tensor(f"{name}experts.router.layer.weight", (experts, hidden), "router", linear=True),
        Tensor(f"{name}experts.bias", (hidden,), GROUP),
    )
    return (Attention(heads * chosen, heads, width, width, tensors),)


def _claims(layer: LayerContext) -> bool:
    return layer.mixer == "attention" and layer.class_words.expert_attention


register_mixer(MixerReader("expert-attention", _claims, read_expert_attention, order=30))
