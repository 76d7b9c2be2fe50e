"""The words that each method of quantisation has for types, strategies and formats: any other is said, since a guess stands for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["unknown_words"]

_TRUTH = frozenset({"true", "false"})
_AWQ = {"version": {"gemm", "gemv", "gemv_fast", "exllama", "ipex", "marlin", "llm-awq"}, "zero_point": _TRUTH, "bits": {"2", "3", "4", "8"}}
_GPTQ_FORMATS = {"gptq", "gptq_v2", "marlin", "gptq_marlin", "bitblas", "qqq", "gptq_pack"}
_FP8 = {
    "activation_scheme": {"dynamic", "static"},
    "fmt": {"e4m3", "e5m2", "e4m3fn", "float8_e4m3fn", "float8_e5m2", "e4m3fnuz"},
    "scale_fmt": {"ue8m0", "float", "fp32", "float32"},
    "bits": {"8"},
    "num_bits": {"8"},
}
# Keys without which a method's number of bits is a guess; any of a group will do.
_NEEDED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("gptq", "gptq_marlin", "auto-round", "intel/auto-round", "mlx"), ("bits",)),
    **dict.fromkeys(("awq", "awq_marlin"), ("bits", "w_bit")),
    "quanto": ("weights",),
    "hqq": ("quant_config",),
    "torchao": ("quant_type",),
}
_PACKED = {"auto_round", "auto_gptq", "auto_awq", "gptq", "awq", "marlin", "gptq_marlin", "llm_compressor"} | {
    f"auto_round:{kind}" for kind in ("auto_gptq", "auto_awq", "gptq", "awq", "fp8", "llm_compressor", "gptqmodel", "exllamav2", "marlin", "tritonv2")
}
_MODES = {"affine", "mxfp4", "nvfp4", "mxfp8"}
# By method: a key of the block and the words, in lower case, that its dialect understands.
_WORDS: dict[str, dict[str, Any]] = {
    "fp8": _FP8,
    "fbgemm_fp8": _FP8,
    "ptpc_fp8": _FP8,
    "awq": _AWQ,
    "awq_marlin": _AWQ,
    "gptq": {"checkpoint_format": _GPTQ_FORMATS, "quant_method": None, "sym": _TRUTH, "desc_act": _TRUTH, "lm_head": _TRUTH},
    "auto-round": {
        "data_type": {"int", "mx_fp", "mx_fp4", "mx_fp8", "nv_fp", "nv_fp4", "nv_fp4_with_static_gs"},
        "sym": _TRUTH,
        "packing_format": _PACKED,
    },
    "bitsandbytes": {
        "bnb_4bit_quant_type": {"nf4", "fp4"},
        **dict.fromkeys(("load_in_4bit", "load_in_8bit", "_load_in_4bit", "_load_in_8bit", "bnb_4bit_use_double_quant"), _TRUTH),
    },
    "mlx": {"mode": _MODES},
    "quanto": {"weights": {"float8", "int8", "int4", "int2"}},
    "mxfp4": {"bits": {"4"}},
    "mxfp8": {"bits": {"8"}},
}
_WORDS |= {"gptq_marlin": _WORDS["gptq"], "intel/auto-round": _WORDS["auto-round"]}
_WEIGHTS = {
    "type": {"int", "float"},
    "strategy": {"tensor", "channel", "group", "block", "token", "tensor_group"},
    "symmetric": _TRUTH,
    "actorder": {"group", "weight", "static", "dynamic", "true", "false"},
    "num_bits": {"2", "3", "4", "5", "6", "7", "8", "16"},
}
_LAYOUTS = {
    *("dense", "int-quantized", "float-quantized", "naive-quantized", "pack-quantized", "marlin-24", "sparse-24-bitmask", "sparse-bitmask"),
    *("nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized", "mxfp8-pack-quantized", "mixed-precision"),
}
_QUARK = {
    "dtype": {
        "fp4",
        "mxfp4",
        "mxfp6",
        "mxfp8",
        "fp6_e3m2",
        "fp6_e2m3",
        "mxfp6_e3m2",
        "mxfp6_e2m3",
        "fp8_e4m3",
        "fp8_e5m2",
        "int8",
        "uint8",
        "int4",
        "uint4",
    },
    "qscheme": {"per_tensor", "per_channel", "per_group", "per_token"},
}
_FAMILIES_OF_GROUPS = ("compressed-tensors", "modelopt", "modelopt_fp4", "modelopt_mixed")


def unknown_words(method: str, block: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys whose word a method does not have.

    Parameters
    ----------
    method : str
        The method as its dialect is called.
    block : mapping
        Its settings.

    Returns
    -------
    list of (str, str)
        The key and what was found there.

    Examples
    --------
    >>> unknown_words("bitsandbytes", {"bnb_4bit_quant_type": "nf5", "load_in_4bit": True})
    [('bnb_4bit_quant_type', 'nf5')]
    >>> unknown_words("compressed-tensors", {"config_groups": {"g": {"weights": {"type": "zz", "num_bits": 4}}}})
    [('config_groups.g.weights.type', 'zz')]
    """
    found = list(_strangers(block, _WORDS.get(method, {}), ""))
    needed = _NEEDED.get(method, ())
    if needed and all(block.get(key) is None for key in needed):
        found.append((needed[0], "null"))
    if method in _FAMILIES_OF_GROUPS:
        inner = block.get("quantization")
        found += _groups(inner if isinstance(inner, Mapping) else block)
    if method == "quark":
        found += _quark(block)
    return found


def _strangers(block: Mapping[str, Any], words: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Values that are there, and not among the words of their key."""
    for key, known in words.items():
        value = block.get(key)
        if known is not None and value is not None and str(value).lower() not in known:
            yield path + key, str(value)[:40]


def _groups(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Groups of compressed-tensors: what is no object, and the words of their weights and layouts."""
    groups = block.get("config_groups")
    if groups is None:
        return
    if not isinstance(groups, Mapping):
        yield "config_groups", str(groups)[:40]
        return
    yield from _strangers(block, {"format": _LAYOUTS}, "")
    for name, group in groups.items():
        path = f"config_groups.{str(name)[:40]}"
        if not isinstance(group, Mapping):
            yield path, str(group)[:40]
            continue
        yield from _strangers(group, {"format": _LAYOUTS}, f"{path}.")
        weights = group.get("weights")
        if isinstance(weights, Mapping):
            yield from _strangers(weights, _WEIGHTS, f"{path}.weights.")
        elif weights is not None:
            yield f"{path}.weights", str(weights)[:40]


def _quark(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Weights of Quark, for the whole model and for single layers."""
    single = block.get("layer_quant_config")
    parts = {"global_quant_config": block.get("global_quant_config")}
    parts |= {f"layer_quant_config.{str(name)[:40]}": part for name, part in single.items()} if isinstance(single, Mapping) else {}
    for name, part in parts.items():
        weight = part.get("weight") if isinstance(part, Mapping) else None
        weight = weight[-1] if isinstance(weight, list) and weight else weight
        if isinstance(weight, Mapping):
            yield from _strangers(weight, _QUARK, f"{name}.weight.")
            if weight.get("dtype") is None:
                yield f"{name}.weight.dtype", "null"
        elif weight is not None:
            yield f"{name}.weight", str(weight)[:40]
