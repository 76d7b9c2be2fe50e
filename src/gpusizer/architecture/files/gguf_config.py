"""From GGUF metadata to the configuration keys that the readers take: key by key, never by the name of a family.

GGUF names: ggml-org/llama.cpp, gguf-py/gguf/constants.py. What metadata does not say (tied head, biases) is read off the tensor list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpusizer.architecture.files.gguf import GGUFFile
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat, gguf_format
from gpusizer.architecture.storage.module_patterns import one_spelling
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["gguf_config", "gguf_formats"]

# Keys that mean the same under another name.
_SAME: dict[str, str] = {
    "embedding_length": "hidden_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "attention.head_count": "num_attention_heads",
    "attention.key_length": "head_dim",
    "attention.q_lora_rank": "q_lora_rank",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.indexer.head_count": "index_n_heads",
    "attention.indexer.key_length": "index_head_dim",
    "attention.indexer.top_k": "index_topk",
    "attention.sliding_window": "sliding_window",
    "attention.shared_kv_layers": "num_kv_shared_layers",
    "embedding_length_per_layer_input": "hidden_size_per_layer_input",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_count": "n_shared_experts",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    "leading_dense_block_count": "first_k_dense_replace",
    "interleave_moe_layer_step": "interleave_moe_layer_step",
    "nextn_predict_layers": "num_nextn_predict_layers",
    "rope.freq_base": "rope_theta",
    "full_attention_interval": "full_attention_interval",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
}
_MAX_LAYERS = 4096


def gguf_config(file: GGUFFile) -> dict[str, Any]:
    """The configuration that a GGUF file amounts to.

    Parameters
    ----------
    file : GGUFFile
        Metadata and tensors.

    Returns
    -------
    dict
        Keys as a ``config.json`` has them.
    """
    data = file.metadata
    name = data.get("general.architecture")
    if not isinstance(name, str) or not isinstance(data.get(f"{name}.block_count"), int):
        raise UnsupportedArchitectureError("missing-keys", missing=["general.architecture" if not isinstance(name, str) else f"{name}.block_count"])
    own = {key.removeprefix(name + "."): value for key, value in data.items() if key.startswith(name + ".")}
    tensors = {tensor.name: tensor.shape for tensor in file.tensors}
    config: dict[str, Any] = {new: own[old] for old, new in _SAME.items() if own.get(old) is not None}
    nextn = config.get("num_nextn_predict_layers", 0)
    layers = own["block_count"] - (nextn if isinstance(nextn, int) else 0)
    hidden = config.get("hidden_size")
    if hidden is not None:
        _whole("embedding_length", hidden)
    if not 0 < layers <= _MAX_LAYERS:
        raise UnsupportedArchitectureError("bad-config-value", key="block_count", found=str(own["block_count"])[:40], expected=f"1 .. {_MAX_LAYERS}")
    config |= {"model_type": name, "num_hidden_layers": layers, "torch_dtype": "float16"}
    embedding = tensors.get("token_embd.weight")
    if embedding and len(embedding) == 2:
        config["vocab_size"] = embedding[0]
    elif "tokenizer.ggml.tokens.length" in data:
        config.setdefault("vocab_size", data["tokenizer.ggml.tokens.length"])
    config["tie_word_embeddings"] = "output.weight" not in tensors
    _latent(config, own)
    _feed_forward(config, own, tensors)
    _per_layer(config, own, layers)
    _states(config, own, tensors, layers)
    first = next((f"blk.{index}." for index in range(layers) if f"blk.{index}.attn_k.weight" in tensors), "blk.0.")
    if first + "attn_q.bias" in tensors or first + "attn_qkv.bias" in tensors:
        config["attention_bias"] = True
    value = own.get("attention.value_length")
    if value is not None and value != config.get("head_dim") and "kv_lora_rank" not in config:
        config["v_head_dim"] = value
    return config


def _whole(key: str, value: Any) -> int:
    """A number of the metadata that something is computed from."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UnsupportedArchitectureError("bad-config-value", key=key, found=repr(value)[:40], expected="0 ..")
    return value


def _whole_list(key: str, values: list[Any]) -> list[int]:
    return [_whole(key, value) for value in values]


def _latent(config: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Latent attention: widths of a head before and after absorption have separate keys in newer files."""
    if not config.get("kv_lora_rank"):
        return
    rotary = own.get("rope.dimension_count")
    key = own.get("attention.key_length_mla", own.get("attention.key_length"))
    value = own.get("attention.value_length_mla", own.get("attention.value_length"))
    if isinstance(rotary, int) and isinstance(key, int) and isinstance(value, int) and key > rotary:
        config |= {"qk_rope_head_dim": rotary, "qk_nope_head_dim": key - rotary, "v_head_dim": value}
    config.pop("head_dim", None)
    config.setdefault("q_lora_rank", None)


def _feed_forward(config: dict[str, Any], own: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]]) -> None:
    width = own.get("feed_forward_length")
    if isinstance(width, list):
        width = _whole_list("feed_forward_length", width)
        distinct = {value for value in width if value}
        if len(distinct) == 1:
            config["intermediate_size"] = distinct.pop()
        elif distinct:
            config["intermediate_size"] = width
    elif width is not None:
        config["intermediate_size"] = width
    experts = own.get("expert_count")
    if not experts:
        return
    config["num_experts"] = config["n_routed_experts"] = config["num_local_experts"] = experts
    if "moe_intermediate_size" not in config:  # older files: an expert is as wide as the file's feed-forward length, or as its tensor says
        stored = next((shape for name, shape in tensors.items() if name.endswith("ffn_down_exps.weight")), None)
        config["moe_intermediate_size"] = stored[-1] if stored else config.get("intermediate_size")
    shared = next((shape for name, shape in tensors.items() if name.endswith("ffn_down_shexp.weight")), None)
    if shared:
        config["shared_expert_intermediate_size"] = shared[-1]


def _per_layer(config: dict[str, Any], own: Mapping[str, Any], layers: int) -> None:
    """Lists by layer become one number and a list of layer types."""
    heads = config.get("num_attention_heads")
    if isinstance(heads, list):
        config["num_attention_heads"] = max(_whole_list("attention.head_count", heads), default=0)
    kv = own.get("attention.head_count_kv", config.get("num_attention_heads"))
    if isinstance(kv, list):
        kv = _whole_list("attention.head_count_kv", kv)
        config["num_key_value_heads"] = max(kv, default=0)
        if 0 in kv[:layers]:
            config["layer_types"] = ["full_attention" if count else "mamba" for count in kv[:layers]]
        elif len(set(kv[:layers])) > 1:
            config["num_key_value_heads_per_layer"] = kv[:layers]
    elif kv is not None:
        config["num_key_value_heads"] = kv
    pattern = own.get("attention.sliding_window_pattern")
    if config.get("sliding_window") and isinstance(pattern, list) and len(pattern) >= layers:
        config["layer_types"] = ["sliding_attention" if local else "full_attention" for local in pattern[:layers]]
    elif config.get("sliding_window") and isinstance(pattern, int) and not isinstance(pattern, bool):
        config["sliding_window_pattern"] = pattern


def _states(config: dict[str, Any], own: Mapping[str, Any], tensors: Mapping[str, tuple[int, ...]], layers: int) -> None:
    """State-space and linear-attention layers: one set of keys in GGUF, told apart by the tensors that such a layer has."""
    inner, state, found = (_whole(f"ssm.{key}", own.get(f"ssm.{key}") or 0) for key in ("inner_size", "state_size", "time_step_rank"))
    if not inner or not state:
        return
    rank = found or None  # the readers have a default where it is absent
    kernel, groups = (_whole(f"ssm.{key}", own.get(f"ssm.{key}", usual)) for key, usual in (("conv_kernel", 4), ("group_count", 0)))
    has: Callable[[str], bool] = lambda part: any(f".{part}." in name for name in tensors)  # noqa: E731
    if has("ssm_ba") or has("ssm_beta") or has("ssm_alpha"):  # gated delta rule
        config |= {"linear_num_key_heads": groups, "linear_num_value_heads": rank, "linear_key_head_dim": state}
        config |= {"linear_value_head_dim": inner // rank if rank else 0, "linear_conv_kernel_dim": kernel}
        step = _whole("full_attention_interval", config.get("full_attention_interval", 4))
        config["layer_types"] = ["full_attention" if step and (index + 1) % step == 0 else "linear_attention" for index in range(layers)]
    elif groups:  # Mamba-2: the rank counts heads
        config |= {"mamba_num_heads": rank, "mamba_n_heads": rank, "mamba_head_dim": inner // rank if rank else 0}
        config |= {"mamba_d_head": config["mamba_head_dim"], "ssm_state_size": state, "mamba_d_state": state, "n_groups": groups}
        config |= {"mamba_n_groups": groups, "conv_kernel": kernel, "mamba_d_conv": kernel}
        config |= {"mamba_expand": inner // config["hidden_size"] if config.get("hidden_size") else 2}
        width = own.get("feed_forward_length")
        kv = own.get("attention.head_count_kv")
        if isinstance(width, list) and isinstance(kv, list) and 0 in width:  # one block a layer
            sparse = {index for index in range(layers) if f"blk.{index}.ffn_down_exps.weight" in tensors}
            letters = ["*" if kv[i] else "E" if i in sparse else "-" if width[i] else "M" for i in range(min(layers, len(kv), len(width)))]
            config["hybrid_override_pattern"] = "".join(letters)
    else:  # Mamba-1
        config |= {"mamba_d_state": state, "mamba_d_conv": kernel, "mamba_dt_rank": rank}
        config |= {"mamba_expand": inner // config["hidden_size"] if config.get("hidden_size") else 2}


_EXPERT = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps", "gate_up_proj": "ffn_gate_up_exps"}
_SHARED = {"gate_proj": "ffn_gate_shexp", "up_proj": "ffn_up_shexp", "down_proj": "ffn_down_shexp"}
_DENSE = {"gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down", "gate_up_proj": "ffn_up"}
_ATTENTION = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "qkv_proj": "attn_qkv",
    "query_key_value": "attn_qkv",
    "o_proj": "attn_output",
    "dense": "attn_output",
    "q_a_proj": "attn_q_a",
    "q_b_proj": "attn_q_b",
    "kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "kv_b_proj": "attn_k_b",
    "in_proj_qkvz": "ssm_in",
    "in_proj_qkv": "attn_qkv",
    "in_proj_z": "attn_gate",
    "in_proj": "ssm_in",
    "out_proj": "ssm_out",
}


def gguf_formats(architecture: Architecture, file: GGUFFile) -> dict[str, StorageFormat]:
    """The stored type of every tensor of the model, found in the file by its role.

    Parameters
    ----------
    architecture : Architecture
        The model as read from the file's metadata.
    file : GGUFFile
        Its tensors.

    Returns
    -------
    dict of str to StorageFormat
        By path of the model's tensors; F32 for vectors that have no entry of their own.
    """
    types = {tensor.name: tensor.dtype for tensor in file.tensors}
    formats: dict[str, StorageFormat] = {}
    for index, path, tensor, _ in stored_tensors(architecture, mtp=True):
        last = one_spelling(tensor.name.removesuffix(".weight").removesuffix(".bias")).rpartition(".")[2]
        if tensor.group == "embedding":
            name = "token_embd.weight"
        elif tensor.group == "lm_head":
            name = "output.weight"
        else:
            table = {"routed_experts": _EXPERT, "shared_experts": _SHARED, "dense_mlp": _DENSE}.get(tensor.group, _ATTENTION)
            role = "ffn_gate_inp" if tensor.group == "router" else table.get(last, "")
            name = f"blk.{index}.{role}.weight"
        kind = types.get(name)
        if kind is None and len(tensor.shape) < 2:
            kind = "f32"
        if kind is not None:
            formats[path] = gguf_format(kind)
    return formats
