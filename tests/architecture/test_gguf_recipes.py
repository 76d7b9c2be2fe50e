"""GGUF recipes against llama.cpp's own table of bits per weight for Llama-3.1-8B, and GGUF files as models."""

from __future__ import annotations

import pytest

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import plain_format
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Attention, DenseMLP, Layer, Tensor

# ggml-org/llama.cpp, tools/quantize/README.md@311c2c9: bits per weight of meta-llama/Llama-3.1-8B.
PRINTED_BITS = {
    "iq1_s": 2.0042,
    "iq1_m": 2.1460,
    "iq2_xxs": 2.3824,
    "iq2_xs": 2.5882,
    "iq2_s": 2.7403,
    "iq2_m": 2.9294,
    "iq3_xxs": 3.2548,
    "iq3_xs": 3.4977,
    "iq3_s": 3.6606,
    "iq3_m": 3.7628,
    "iq4_xs": 4.4597,
    "iq4_nl": 4.6818,
    "q2_k_s": 2.9697,
    "q2_k": 3.1593,
    "q3_k_s": 3.6429,
    "q3_k_l": 4.2979,
    "q4_k_s": 4.6672,
    "q4_k_m": 4.8944,
    "q5_k_s": 5.5704,
    "q5_k_m": 5.7036,
    "q6_k": 6.5633,
    "q8_0": 8.5008,
}


def llama(layers: int = 32, hidden: int = 4096, heads: int = 32, kv_heads: int = 8, width: int = 14336, vocab: int = 128256) -> Architecture:
    head = hidden // heads

    def matrix(name: str, rows: int, columns: int, group: str) -> Tensor:
        return Tensor(name, (rows, columns), group, linear=True)

    def layer(index: int) -> Layer:
        attention = (
            matrix("self_attn.q_proj.weight", heads * head, hidden, "attention"),
            matrix("self_attn.k_proj.weight", kv_heads * head, hidden, "attention"),
            matrix("self_attn.v_proj.weight", kv_heads * head, hidden, "attention"),
            matrix("self_attn.o_proj.weight", hidden, heads * head, "attention"),
        )
        mlp = (
            matrix("mlp.gate_proj.weight", width, hidden, "dense_mlp"),
            matrix("mlp.up_proj.weight", width, hidden, "dense_mlp"),
            matrix("mlp.down_proj.weight", hidden, width, "dense_mlp"),
        )
        norms = tuple(Tensor(f"{name}_layernorm.weight", (hidden,), "norms") for name in ("input", "post_attention"))
        return Layer(
            f"model.layers.{index}.", (Attention(heads, kv_heads, head, head, attention),), (DenseMLP(width, gated=True, tensors=mlp),), norms
        )

    return Architecture(
        id="",
        name="",
        hidden_size=hidden,
        vocab_size=vocab,
        max_position_embeddings=None,
        layers=tuple(layer(index) for index in range(layers)),
        embedding=(Tensor("model.embed_tokens.weight", (vocab, hidden), "embedding"),),
        final=(Tensor("model.norm.weight", (hidden,), "norms"),),
        head=(Tensor("lm_head.weight", (vocab, hidden), "lm_head", linear=True),),
        tied_head=False,
        dtype="bf16",
        quantization=Quantization(None, plain_format("bf16")),
    )


@pytest.mark.parametrize(("recipe", "bits"), PRINTED_BITS.items())
def test_bits_per_weight_are_those_that_llama_cpp_prints(recipe: str, bits: float) -> None:
    model = llama()
    assert model.parameters.total == 8_030_261_248
    assert checkpoint_bytes(with_precision(model, recipe)) * 8 / model.parameters.total == pytest.approx(bits, abs=6e-4)
