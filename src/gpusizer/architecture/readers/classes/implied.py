"""What a configuration does not say because its class says it: data by ``model_type``, merged under the configuration's own keys.

A row's ``config`` holds values that the class gives to absent keys. All other entries are words of our own, which readers ask for:

qkv_bias, o_bias, mlp_has_bias, experts_have_bias    biases that no key tells; otherwise attention_bias, use_bias, mlp_bias decide
attention_bias_covers_output                          false where ``attention_bias`` leaves the output projection without one
qk_norm                                               "head" (one of a head's width), "full" (all heads' width), "heads" (one for each head)
query_gate, head_gate, sinks                          queries twice as wide for an output gate; one gate a head; one sink a head
norms, norm_bias, norm_weight                         names of a layer's norms in order; LayerNorm with bias; false for norms without weights
gated                                                 false for feed-forward blocks of two matrices
sliding                                               "all" where ``sliding_window`` alone means every layer
mixer, other_mixer                                    kind of every layer, and of those that a list of attention layers leaves out
router_bias                                           "buffer" (stored, not counted) or "parameter"; router_dtype where it differs
mtp_copies                                            whether a checkpoint stores embedding and head again for multi-token prediction
prefix, attention, mlp, experts_module, *_name        paths in the checkpoint

Sources: the configuration and modelling files of transformers 5.23.0, vendors' own code where the library has no class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.readers.classes.families import FAMILIES

__all__ = ["IMPLIED", "class_of_gguf", "implied"]

_TIED = {"tie_word_embeddings": True}
_GEMMA_NORMS = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
_POST_NORMS = ("post_attention_layernorm", "post_feedforward_layernorm")
_SPARSE_MODULE = {
    "experts_module": "block_sparse_moe.",
    "expert_gate": "experts.*.w1",
    "expert_up": "experts.*.w3",
    "expert_down": "experts.*.w2",
}
_QWEN_SHARED = {"shared": "mlp.shared_expert.", "shared_gate": True}
_DELTA = {"mixer": "linear", "config": {"full_attention_interval": 4}}
_DEEPSEEK = {"router_bias": "buffer", "mlp_has_bias": False}

IMPLIED: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding": "all", "config": {"num_key_value_heads": 8}},
    "ministral3": {"sliding": "all", "config": {"num_key_value_heads": 8}},
    "ministral": {"sliding": "all"},
    "mixtral": {"sliding": "all", **_SPARSE_MODULE},
    "phi3": {"sliding": "all", "fused_qkv": "qkv_proj", "gate_name": "gate_up_proj", "up_name": "gate_up_proj"},
    "qwen": {
        "qkv_bias": True,
        "o_bias": False,
        "mlp_has_bias": False,
        "halved_width": True,
        "layer_prefix": "transformer.h.",
        "attention": "attn.",
        "fused_qkv": "c_attn",
        "o_name": "c_proj",
        "gate_name": "w1",
        "up_name": "w2",
        "down_name": "c_proj",
        "norms": ("ln_1", "ln_2"),
        "final_norm": "transformer.ln_f",
        "embedding": "transformer.wte",
    },
    "qwen2": {"qkv_bias": True, "o_bias": False, "config": {"use_sliding_window": False, "max_window_layers": 28}},
    "qwen2_moe": {
        "o_bias": False,
        **_QWEN_SHARED,
        "config": {"use_sliding_window": False, "max_window_layers": 28, "decoder_sparse_step": 1, "qkv_bias": True},
    },
    "qwen3": {"qk_norm": "head", "config": {"use_sliding_window": False, "max_window_layers": 28, "head_dim": 128}},
    "qwen3_moe": {"qk_norm": "head", "config": {"use_sliding_window": False, "decoder_sparse_step": 1}},
    "qwen3_vl_text": {"qk_norm": "head", "config": {"use_sliding_window": False, "head_dim": 128}},
    "qwen3_vl_moe_text": {"qk_norm": "head", "config": {"use_sliding_window": False, "decoder_sparse_step": 1}},
    "qwen3_next": {
        "qk_norm": "head",
        "query_gate": True,
        "delta_projections": "fused",
        **_QWEN_SHARED,
        **_DELTA,
        "mtp_style": "qwen",
    },
    "qwen3_5_text": {"qk_norm": "head", "query_gate": True, **_DELTA, "mtp_style": "qwen"},
    "qwen3_5_moe_text": {"qk_norm": "head", "query_gate": True, **_QWEN_SHARED, **_DELTA, "mtp_style": "qwen"},
    "deepseek": {"config": {"tie_word_embeddings": False}},
    "deepseek_v2": {"experts_have_bias": False},
    "deepseek_v3": {**_DEEPSEEK, "mtp_copies": True},
    "deepseek_v32": {**_DEEPSEEK, "mtp_copies": True},
    "kimi_k2": {**_DEEPSEEK, "mtp_copies": True},
    "glm_moe_dsa": {**_DEEPSEEK},
    "deepseek_v4": {**_DEEPSEEK, "mtp_projections": 2},
    "deepseek_ref": {**_DEEPSEEK, "mtp_projections": 2},
    "mimo": {"qkv_bias": True, "o_bias": False},
    "glm4_moe": {
        "attention_bias_covers_output": False,
        "router_bias": "buffer",
        "mtp_copies": True,
        "qk_norm_when_used": "head",
    },
    "glm4_moe_lite": {"router_bias": "buffer"},
    "gpt_oss": {
        "sinks": True,
        "router": "mlp.router",
        "router_has_bias": True,
        "experts_have_bias": True,
        "expert_gate": "experts.gate_up_proj",
        "expert_up": "experts.gate_up_proj",
        "expert_down": "experts.down_proj",
        "expert_suffix": "",
        "expert_bias_suffix": "_bias",
        "config": {"attention_bias": True, "head_dim": 64, "sliding_window": 128, "sliding_window_pattern": 2},
    },
    "gemma": {"config": {**_TIED, "head_dim": 256}},
    "gemma2": {"norms": _GEMMA_NORMS, "config": {**_TIED, "head_dim": 256, "sliding_window_pattern": 2, "vocab_size": 256000}},
    "gemma3_text": {
        "norms": _GEMMA_NORMS,
        "qk_norm": "head",
        "config": {**_TIED, "head_dim": 256, "sliding_window": 4096, "sliding_window_pattern": 6, "vocab_size": 262208},
    },
    "gemma4_text": {
        "norms": _GEMMA_NORMS,
        "norms_with_experts": ("post_feedforward_layernorm_1", "post_feedforward_layernorm_2", "pre_feedforward_layernorm_2"),
        "layer_scalar": True,
        "qk_norm": "head",
        "dense_beside_experts": True,
        "experts_module": "",
        "router": "router.proj",
        "router_scales": ("scale", "per_expert_scale"),
        "expert_gate": "experts.gate_up_proj",
        "expert_up": "experts.gate_up_proj",
        "expert_down": "experts.down_proj",
        "expert_suffix": "",
        "config": {**_TIED, "global_head_dim": 512},
    },
    "seed_oss": {"attention_bias_covers_output": False, "config": {"attention_bias": True, "head_dim": 128}},
    "minimax_m1": {
        "lightning": True,
        "router_dtype": "fp32",
        **_SPARSE_MODULE,
    },
    "minimax_m2": {"qk_norm": "full", "qk_norm_when_used": "full", "router_bias": "buffer", "router_dtype": "fp32", **_SPARSE_MODULE},
    "minimax_m3": {
        "qk_norm": "head",
        "router_bias": "buffer",
        "router_dtype": "fp32",
        **_SPARSE_MODULE,
    },
    "llama4_text": {
        "mlp": "feed_forward.",
        "experts_module": "feed_forward.",
        "router": "feed_forward.router",
        "shared": "feed_forward.shared_expert.",
        "shared_experts": 1,
        "expert_gate": "experts.gate_up_proj",
        "expert_up": "experts.gate_up_proj",
        "expert_down": "experts.down_proj",
        "expert_suffix": "",
        "qk_norm_when_used": "none",
        "config": {"attention_chunk_size": 8192, "no_rope_layer_interval": 4, "intermediate_size_mlp": 16384, "interleave_moe_layer_step": 1},
    },
    "mimo_v2_flash": {
        "attention_bias_covers_output": False,
        "router_bias": "buffer",
        "config": {"swa_num_key_value_heads": 8, "add_swa_attention_sink_bias": True},
    },
    "jamba": {
        "one_width": True,
        "norms": ("input_layernorm", "pre_ff_layernorm"),
        "final_norm": "model.final_layernorm",
        "mlp": "feed_forward.",
        "experts_module": "feed_forward.",
        "router": "feed_forward.router",
        "mamba_norms": True,
        "rotary": False,
        "config": {"attn_layer_period": 8, "attn_layer_offset": 4, "expert_layer_period": 2, "expert_layer_offset": 1, "mamba_d_conv": 4},
    },
    "olmo2": {"norms": _POST_NORMS, "qk_norm": "full"},
    "olmo3": {"norms": _POST_NORMS, "qk_norm": "full", "config": {"sliding_window": 4096, "sliding_window_pattern": 4}},
    "baichuan": {"fused_qkv": "W_pack"},
    "ernie4_5_moe": {
        "experts_have_bias": False,
        "head_bias_key": "use_bias",
        "router_bias": "parameter",
        "router_bias_name": "mlp.moe_statics.e_score_correction_bias",
        "config": {**_TIED},
    },
    "granitemoehybrid": {
        "experts_module": "block_sparse_moe.",
        "router": "block_sparse_moe.router.layer",
        "expert_gate": "input_linear",
        "expert_up": "input_linear",
        "expert_down": "output_linear",
        "shared": "shared_mlp.",
        "shared_gate_proj": "input_linear",
        "shared_up_proj": "input_linear",
        "shared_down_proj": "output_linear",
        "dense_width_key": "shared_intermediate_size",
        "mamba": "mamba.",
        "config": {**_TIED},
    },
    "bailing_hybrid": {"forget_rank": "full", "output_rank": "full", "latent_gate": "head", "router_bias": "buffer"},
    "bailing_moe": {
        "qk_norm_when_used": "head",
        "router_bias_name": "mlp.gate.expert_bias",
        "router_bias": "parameter",
        "attention": "attention.",
        "fused_qkv": "query_key_value",
        "o_name": "dense",
        "q_norm_name": "query_layernorm",
        "k_norm_name": "key_layernorm",
        "embedding": "model.word_embeddings",
    },
    "longcat_flash": {
        "mixers_per_layer": 2,
        "experts_beside_dense": True,
        "router": "mlp.router.classifier",
        "router_bias": "buffer",
        "router_bias_name": "mlp.router.e_score_correction_bias",
        "norms": ("input_layernorm.0", "input_layernorm.1", "post_attention_layernorm.0", "post_attention_layernorm.1"),
        "dense_beside_experts": True,
    },
    "mistral_large4_text": {"scaled_softmax": True},
    "kimi_linear": {"router_bias": "buffer", **_SPARSE_MODULE},
    "kimi_k3": {
        "router_bias": "parameter",
        "latent_down": "block_sparse_moe.routed_expert_down_proj",
        "latent_up": "block_sparse_moe.routed_expert_up_proj",
        "latent_norm": "block_sparse_moe.routed_expert_norm",
        "latent_dtype": "bf16",
    },
    "nemotron-nas": {},
    "nemotron_h": {
        "single_block": True,
        "rotary": False,
        "norms": ("norm",),
        "final_norm": "backbone.norm_f",
        "layer_prefix": "backbone.layers.",
        "embedding": "backbone.embeddings",
        "attention": "mixer.",
        "mamba": "mixer.",
        "mlp": "mixer.",
        "experts_module": "mixer.",
        "gated": False,
        "router_bias": "buffer",
        "mtp_style": "nemotron",
    },
    "laguna": {
        "always_gated": True,
        "config": {"gating": True},
        "qk_norm": "head",
        "router_bias": "parameter",
        "router_bias_name": "mlp.experts.e_score_correction_bias",
    },
    "step3p7": {
        "qk_norm": "head",
        "head_gate": True,
        "mtp_block": "dense",
        "experts_module": "moe.",
        "shared": "share_expert.",
        "router_bias_name": "moe.router_bias",
        "router_bias": "buffer",
    },
    "step3_text": {"config": {"num_attention_groups": 1, "tie_word_embeddings": False}, "experts_module": "moe.", "shared": "share_expert."},
    "hunyuan": {
        "qk_norm_when_used": "head",
        "q_norm_name": "query_layernorm",
        "k_norm_name": "key_layernorm",
        "router": "mlp.gate.wg",
        "shared": "mlp.shared_mlp.",
        "config": {**_TIED},
    },
    "falcon": {
        "gated": False,
        "mlp_ratio": 4,
        "norm_bias": True,
        "norms": ("ln_attn", "ln_mlp"),
        "norms_when_single": ("input_layernorm",),
        "layer_prefix": "transformer.h.",
        "final_norm": "transformer.ln_f",
        "embedding": "transformer.word_embeddings",
        "attention": "self_attention.",
        "fused_qkv": "query_key_value",
        "o_name": "dense",
        "up_name": "dense_h_to_4h",
        "down_name": "dense_4h_to_h",
        "stores_tied_head": True,
        "config": {**_TIED, "multi_query": True, "parallel_attn": True},
    },
    # Wrappers around a text model: where it stands in the checkpoint.
    "gemma3": {"prefix": "language_model.", "config": {**_TIED}, "text": "gemma3_text"},
    "gemma4": {"prefix": "model.language_model.", "config": {**_TIED}, "text": "gemma4_text"},
    "llama4": {"prefix": "language_model.", "text": "llama4_text"},
    "mistral3": {"prefix": "language_model.", "text": "mistral"},
    "mistral_large4": {"prefix": "language_model.", "text": "mistral_large4_text"},
    "kimi_k25": {"prefix": "language_model.", "text": "kimi_k2"},
    "step3_vl": {"text": "step3_text"},
    "qwen3_vl": {"prefix": "model.language_model.", "text": "qwen3_vl_text"},
    "qwen3_vl_moe": {"prefix": "model.language_model.", "text": "qwen3_vl_moe_text"},
    "qwen3_5": {"prefix": "model.language_model.", "text": "qwen3_5_text"},
    "qwen3_5_moe": {"prefix": "model.language_model.", "text": "qwen3_5_moe_text"},
    "minimax_m3_vl": {"prefix": "language_model.", "text": "minimax_m3"},
}
IMPLIED["kimi_k3"] |= {"prefix": "language_model.", "text": "kimi_linear"}


# What GGUF files call the same classes.
_GGUF_NAMES = {
    "bailingmoe2": "bailing_moe",
    "command-r": "cohere",
    "deepseek2": "deepseek_v3",
    "ernie4_5-moe": "ernie4_5_moe",
    "falcon-h1": "falcon_h1",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "gemma4": "gemma4_text",
    "glm-dsa": "glm_moe_dsa",
    "glm4moe": "glm4_moe",
    "gpt-oss": "gpt_oss",
    "gptneox": "gpt_neox",
    "granitehybrid": "granitemoehybrid",
    "hunyuan-dense": "hunyuan_v1_dense",
    "hunyuan-moe": "hunyuan_v1_moe",
    "kimi-linear": "kimi_linear",
    "lfm2moe": "lfm2_moe",
    "llama4": "llama4_text",
    "mimo2": "mimo_v2_flash",
    "minimax-m2": "minimax_m2",
    "nemotron_h_moe": "nemotron_h",
    "phi2": "phi",
    "qwen2moe": "qwen2_moe",
    "qwen35": "qwen3_5_text",
    "qwen35moe": "qwen3_5_moe_text",
    "qwen3moe": "qwen3_moe",
    "qwen3next": "qwen3_next",
    "step35": "step3p7",
}


def class_of_gguf(name: str) -> str:
    """The ``model_type`` of a GGUF architecture: most have the same name.

    >>> class_of_gguf("qwen3moe"), class_of_gguf("llama")
    ('qwen3_moe', 'llama')
    """
    return _GGUF_NAMES.get(name, name)


def implied(model_type: str | None) -> Mapping[str, Any] | None:
    """The row of a model type, None where it is not known."""
    if model_type is None:
        return None
    return IMPLIED.get(model_type, FAMILIES.get(model_type))
