"""Nested and older spellings of a configuration become the flat keys that readers take, key by key; the configuration's own flat keys win."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["HEARD", "flat_keys", "heard"]

_MAX_LAYERS = 4096


def _layers(config: Mapping[str, object]) -> int:
    for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_LAYERS:
            return value
    return 0


def _from(section: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    return {new: section[old] for old, new in names.items() if section.get(old) is not None}


def _linear_attention(config: Mapping[str, object], section: Mapping[str, object]) -> dict[str, object]:
    """``linear_attn_config``: layers counted from 1, heads and width of delta attention."""
    flat = _from(section, {"num_heads": "linear_num_heads", "head_dim": "linear_head_dim", "short_conv_kernel_size": "linear_conv_kernel_dim"})
    linear = section.get("kda_layers")
    if isinstance(linear, list):
        chosen = {number for number in linear if isinstance(number, int)}
        flat["layer_types"] = ["linear_attention" if index + 1 in chosen else "full_attention" for index in range(_layers(config))]
    if section.get("use_full_rank_gate"):
        flat["linear_gate_full_rank"] = True
    return flat


def _sparse_attention(config: Mapping[str, object], section: Mapping[str, object]) -> dict[str, object]:
    """``sparse_attention_config``: an indexer over blocks of keys in some layers of plain attention."""
    if section.get("use_sparse_attention") is False:
        return {}
    names = {"sparse_num_index_heads": "index_n_heads", "sparse_index_dim": "index_head_dim", "sparse_attention_freq": "index_layer_freq"}
    flat = _from(section, names)
    blocks, size = section.get("sparse_topk_blocks"), section.get("sparse_block_size")
    if isinstance(blocks, int) and isinstance(size, int):
        flat["index_topk"] = blocks * size
    return flat


def _blocks(config: Mapping[str, object], section: list[object]) -> dict[str, object]:
    """``block_configs``: every layer has its own attention (or none) and its own width."""
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    types: list[str] = []
    kv_heads: list[int] = []
    widths: list[int] = []
    for block in section:
        attention = block.get("attention") if isinstance(block, Mapping) else None
        feed = block.get("ffn") if isinstance(block, Mapping) else None
        if not isinstance(attention, Mapping) or not isinstance(feed, Mapping) or not isinstance(heads, int) or not isinstance(hidden, int):
            raise UnsupportedArchitectureError("bad-config-value", key="block_configs", found=repr(block)[:40], expected="attention, ffn")
        if attention.get("replace_with_linear") or feed.get("replace_with_linear"):
            types.append("replaced_with_linear")  # no such weights are known: nobody claims the layer
        else:
            types.append("none" if attention.get("no_op") else "full_attention")
        group = attention.get("n_heads_in_group")
        kv_heads.append(heads // group if isinstance(group, int) and group > 0 else 0)
        factor = feed.get("ffn_mult")
        if feed.get("no_op") or not isinstance(factor, (int, float)) or not 0 < factor < 1024:
            widths.append(0)
        else:  # two thirds of the plain width, rounded up to 256
            widths.append((int(2 * factor * hidden / 3) + 255) // 256 * 256)
    return {"layer_types": types, "num_key_value_heads": kv_heads, "intermediate_size": widths}


def _per_layer(config: Mapping[str, object], section: Mapping[str, object]) -> dict[str, object]:
    """``per_layer_config``: values of single layers by their number; each such key becomes a list over the layers."""
    layers = _layers(config)
    names = {name for values in section.values() if isinstance(values, Mapping) for name in values}
    flat: dict[str, object] = {}
    indices = {str(index): index for index in range(layers)}
    for name in sorted(names):
        values = [config.get(name)] * layers
        for number, own in section.items():
            if isinstance(own, Mapping) and name in own and number in indices:
                values[indices[number]] = own[name]
        flat[name] = values
    if "head_dim" in names:
        flat["global_head_dim"] = None
    return flat


def _compressed(config: Mapping[str, object], section: Mapping[str, object]) -> dict[str, object]:
    """``compress_rates``: tokens of one pooled entry by the word for a layer, as a list over the layers with 0 for a bare window."""
    types = config.get("layer_types")
    if not isinstance(types, list):
        return {}
    blocks = config.get("mlp_layer_types")
    flat: dict[str, object] = {"compress_ratios": [section.get(word, 0) if isinstance(word, str) else 0 for word in types], "layer_types": None}
    if isinstance(blocks, list):
        flat["num_hash_layers"] = sum(word == "hash_moe" for word in blocks)
    return flat


def _selected_blocks(config: Mapping[str, object]) -> dict[str, object]:
    """``index_topk_blocks``: an indexer over blocks of keys in the layers that ``layer_types`` names so, in no other."""
    types, blocks, size = config.get("layer_types"), config.get("index_topk_blocks"), config.get("index_block_size")
    if not isinstance(types, list) or not isinstance(blocks, int) or not isinstance(size, int):
        return {}
    return {
        "index_layer_freq": [int(word != "full_attention") for word in types],
        "layer_types": ["full_attention"] * len(types),
        "index_topk": blocks * size,
    }


def _two_kinds(config: Mapping[str, object]) -> dict[str, object]:
    """``moe_intermediate_size`` of two numbers: experts for text, and experts for images."""
    widths, counts = config.get("moe_intermediate_size"), config.get("moe_num_experts")
    if not isinstance(widths, list) or len(widths) != 2 or _layers(config) == 2:
        return {}
    flat: dict[str, object] = {"moe_intermediate_size": widths[0], "image_expert_width": widths[1]}
    if isinstance(counts, list) and len(counts) == 2:
        flat |= {"moe_num_experts": counts[0], "image_experts": counts[1]}
    for name in ("moe_layer_start_index", "moe_layer_end_index"):
        value = config.get(name)
        if isinstance(value, list) and value:
            flat[name] = value[0]
    return flat


def _alternating(config: Mapping[str, object]) -> dict[str, object]:
    """``local_attention``: a window that reaches half to each side, in all layers but the first of so many."""
    window, every = config.get("local_attention"), config.get("global_attn_every_n_layers")
    flat: dict[str, object] = {"sliding_window": window, "local_attention": None}
    if not isinstance(window, int):
        return {}
    if isinstance(config.get("layer_types"), list):
        return flat
    if not isinstance(every, int) or isinstance(every, bool) or every < 1:
        return {}
    return {**flat, "layer_types": ["sliding_attention" if index % every else "full_attention" for index in range(_layers(config))]}


_DECODER = {
    "num_hidden_layers": "decoder_layers",
    "num_attention_heads": "decoder_attention_heads",
    "intermediate_size": "decoder_ffn_dim",
    "max_position_embeddings": "max_target_positions",
}
HEARD = ("encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins", "max_source_positions", "d_model")
"""Keys of an encoder of sound that stand beside those of its decoder."""


def _decoder(config: Mapping[str, object]) -> dict[str, object]:
    """``decoder_layers``: the decoder of a model that has an encoder as well; the library's own count of layers is the encoder's."""
    if not all(isinstance(config.get(name), int) for name in HEARD) or not config.get("is_encoder_decoder"):
        return {}
    return {**{new: config[old] for new, old in _DECODER.items() if config.get(old) is not None}, "num_key_value_heads": None}


def heard(config: Mapping[str, object]) -> Mapping[str, object]:
    """The configuration with its encoder of sound as a part of its own."""
    if not _decoder(config) or "audio_config" in config:
        return config
    return {**config, "audio_config": {name: config[name] for name in HEARD}}


def _crossed(config: Mapping[str, object]) -> dict[str, object]:
    """``cross_attention_layers``: the layers that attend to image features, the others attend to text."""
    crossed = config.get("cross_attention_layers")
    if not isinstance(crossed, list) or config.get("layer_types") is not None:
        return {}
    return {"layer_types": ["cross_attention" if index in crossed else "full_attention" for index in range(_layers(config))]}


def _hybrid(config: Mapping[str, object]) -> dict[str, object]:
    """``hybrid_layer_ids``: the layers that pass a shared transformer block beside their state-space block."""
    hybrid = config.get("hybrid_layer_ids")
    if not isinstance(hybrid, list) or config.get("layers_block_type") is not None or config.get("layer_types") is not None:
        return {}
    return {"layers_block_type": ["hybrid" if index in hybrid else "mamba" for index in range(_layers(config))]}


_ATTENTION_NAMES = {"kv_n_heads": "num_key_value_heads", "attn_type": "attention_type", "rope_theta": "rope_theta", "qk_ln": "qk_layernorm"}
_FEED_FORWARD_NAMES = {
    "ffn_hidden_size": "ffn_hidden_size",
    "moe_num_experts": "num_local_experts",
    "moe_top_k": "num_experts_per_tok",
}
_SECTIONS: dict[str, Callable[[Mapping[str, object], Mapping[str, object]], dict[str, object]]] = {
    "linear_attn_config": _linear_attention,
    "sparse_attention_config": _sparse_attention,
    "attn_config": lambda config, section: _from(section, _ATTENTION_NAMES),
    "ffn_config": lambda config, section: _from(section, _FEED_FORWARD_NAMES),
}


def _absent(flat: Mapping[str, object], further: Mapping[str, object]) -> dict[str, object]:
    """What a nested part adds: values of keys that are not given flat."""
    return {key: value for key, value in further.items() if flat.get(key) is None}


def flat_keys(config: Mapping[str, object]) -> dict[str, object]:
    """The configuration with its nested parts spelled flat.

    Parameters
    ----------
    config : mapping
        Keys of the text model.

    Returns
    -------
    dict
        The same keys and those that nested parts amount to.
    """
    flat = dict(config)
    for name, override in (("per_layer_config", _per_layer), ("compress_rates", _compressed)):  # these say more than the keys that they replace
        section = flat.get(name)
        if isinstance(section, dict) and section:
            del flat[name]
            flat |= override(flat, section)
    for respell in (_selected_blocks, _two_kinds, _alternating, _decoder, _crossed, _hybrid):
        flat |= respell(flat)
    for name, expand in _SECTIONS.items():
        section = config.get(name)
        if isinstance(section, dict) and section:
            del flat[name]
            flat |= _absent(flat, expand(config, section))
    blocks = config.get("block_configs")
    if isinstance(blocks, list) and blocks:
        del flat["block_configs"]
        flat |= _absent(flat, _blocks(config, blocks))
    if not _layers(flat):
        for name in ("hybrid_override_pattern", "layers_block_type", "layer_types"):
            value = flat.get(name)
            if isinstance(value, (str, list)) and value:
                flat["num_hidden_layers"] = len(value)
                break
    return flat
