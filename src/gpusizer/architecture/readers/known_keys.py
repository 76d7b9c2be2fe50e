"""Keys that change neither weights nor caches, so that only the others are reported when nobody read them."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["suspicious"]

# Words in a key's name that speak of weights, caches or states.
_MEMORY = re.compile(
    r"att(entio)?n|head|expert|moe|window|state|rank|layer|dim|cache|kv|hidden|intermediate|width|vocab|embed|mamba|ssm|conv|index|latent|lora"
    r"|mtp|nextn|memory|compress|block|share|router|gate|group|channel|bias|norm|hash|stream|slot"
)
# Endings and beginnings of names that mean something else whatever else they contain.
_HARMLESS = re.compile(
    r"(_token_id|_token_ids|_token_index|_token|_id|_ids|_eps|_epsilon|_coef|_coeff|_dropout|_dropout_prob|_pdrop|_drop|_theta|_base_freq|_base|_act"
    r"|_activation|_scale|_scaling|_factor|_softcapping|_softcap|_multiplier|_alpha|_beta|_limit|_range|_std|_init|_loss_weight|_rate|_placeholder|_dtype)$"
    r"|^(_|rope_|rotary_|yarn|initializer|num_beam|num_return|output_|return_|use_cache|aux_|bad_words|encoder_no_repeat|id2label|label2id|image_|video_"
    r"|audio_|vision_|vit_|mm_|img_|anyres_|projector_|multimodal_|time_step_|router_aux|router_z|router_jitter|layernorm_|tokenizer|mask_|pool_type"
    r"|text_end|text_start|im_|xdrope|media_|generation|dspark_|compress_rope|swiglu|kda_|z_loss|moe_router|n_group|topk|norm_topk|moe_random|moe_drop"
    r"|process_|spatial_|for_llm|gradient|use_flash|chunk_size_feed|cross_attention_hidden)"
)
_NAMES = frozenset(
    {
        "hidden_act",
        "hidden_activation",
        "attn_implementation",
        "add_classification_head",
        "attn_logit_softcapping",
        "auto_map",
        "cache_implementation",
        "cla_share_factor",
        "class_num",
        "dense_list",
        "ep_size",
        "group_limited_greedy",
        "ignore_index",
        "index_share_for_mtp_iteration",
        "indexer_rope_interleave",
        "initial_context_length",
        "is_decoder",
        "kv_source_layers",
        "mamba_chunk_size",
        "chunk_size",
        "mla_use_nope",
        "moe_apply_router_weight_on_input",
        "moe_norm_min",
        "moe_renormalize",
        "moe_routed_scaling_factor",
        "moe_router_activation_func",
        "moe_router_dtype",
        "moe_shared_expert_overlap",
        "mtp_loss_scaling_factor",
        "norm_expert_weight",
        "norm_type",
        "num_expert_group",
        "num_logits_to_keep",
        "num_media_embeds",
        "num_reward_heads",
        "original_max_position_embeddings",
        "position_embedding_xdrope",
        "pretraining_tp",
        "query_pre_attn_scalar",
        "rescale_prenorm_residual",
        "residual_in_fp32",
        "scale_attn_weights",
        "scoring_func",
        "shared_moe_mode",
        "skip_cls_token",
        "use_bidirectional_attention",
        "use_gemma_norm",
        "use_grouped_topk",
        "use_logn_attn",
        "use_mamba_kernels",
        "use_mixed_mlp_moe",
        "use_unified_vision_chunk",
        "postnorm",
        "pruned_heads",
        "gpusizer",
        "residual_gate_temperature",
        "post_layer_norm",
        "rmsnorm",
        "cross_attention_layers",
        "index_topk_blocks",
        "moe_layer_types",
        "shared_expert_combination_strategy",
        "expert_selection_fn",
        "gated_norm_rank",
        "index_local_blocks",
        "index_block_size",
        "index_kpool_always_select_tail",
        "index_kpool",
        "enable_moe_fp32_combine",
        "attn_temperature_tuning",
        "attention_layers",
        "attention_types",
        "block_size",
        "keep_window_size",
        "ssm_multipliers",
        "embedding_fraction",
        "layer_norm_elementwise_affine",
        "scale_embedding",
        "scale_attention_softmax_in_fp32",
        "attention_softmax_in_fp32",
        "use_rotary_pos_emb",
        "bf16",
        "use_cla",
    }
)


def suspicious(names: Iterable[str]) -> list[str]:
    """Those names that look as if they changed memory.

    >>> suspicious(["bos_token_id", "attention_dropout", "ring_attention_slots", "transformers_version", "hidden_act"])
    ['ring_attention_slots']
    """
    found = []
    for name in names:
        short = name.rpartition(".")[2]
        if short not in _NAMES and _MEMORY.search(short) and not _HARMLESS.search(short):
            found.append(name[:80])
    return found
