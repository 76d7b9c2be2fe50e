"""How each quantisation method writes its settings, and the stored formats that follow: one function per method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gpusizer.architecture.precision.mlx_formats import groups_of_mode
from gpusizer.architecture.storage.formats import StorageFormat, integer_groups, scaled_format
from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["DIALECTS", "Settings", "number", "strings"]

_MAX_NAMES = 200_000


@dataclass
class Settings:
    """What a quantisation block says, in one form for all methods.

    Parameters
    ----------
    linear : StorageFormat or None
        Linear weights that nothing else names.
    groups : dict of str to StorageFormat or None
        Formats of whole groups of the parameter count; None keeps the main format.
    excluded : list of str
        Modules that keep the main format; an entry that starts with ``re:`` is a regular expression.
    named : list of (list of str, StorageFormat or None)
        Modules that are listed one by one (or by expression) with their format; the first that fits decides.
    floating : bool
        An excluded name may stand anywhere in a path.
    notes : list of (str, mapping)
        Warnings: codes and parameters.
    """

    linear: StorageFormat | None = None
    groups: dict[str, StorageFormat | None] = field(default_factory=lambda: {"lm_head": None})
    excluded: list[str] = field(default_factory=list)
    named: list[tuple[list[str], StorageFormat | None]] = field(default_factory=list)
    floating: bool = True
    notes: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)


def number(block: Mapping[str, object], key: str, default: int, low: int, high: int) -> int:
    """A whole number of the block within bounds, ``default`` where it is absent; refused otherwise."""
    value = block.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UnsupportedArchitectureError("bad-quantization-value", key=key, found=str(value)[:40], low=low, high=high)
    return value


def strings(value: object) -> list[str]:
    """The strings of a list (a lone string is a list of one; nested lists are flattened), bounded."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)):
        return []
    found: list[str] = []
    for entry in value[:_MAX_NAMES]:
        inner = entry if isinstance(entry, (list, tuple)) else [entry]
        found.extend(text for text in inner if isinstance(text, str))
    return found


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _pair(value: object, key: str) -> tuple[int, int] | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)) and len(value) == 2:
        rows, columns = ({"side": side} for side in value)
        return number(rows, "side", 0, 1, 1 << 20), number(columns, "side", 0, 1, 1 << 20)
    raise UnsupportedArchitectureError("bad-quantization-value", key=key, found=str(value)[:40], low=1, high=1 << 20)


def _group(block: Mapping[str, object], default: int = 128) -> int:
    """Elements that share a scale; -1 (the whole row) is 0 here."""
    return max(number(block, "group_size", default, -1, 1 << 20), 0)


def _fp8_tensor(*, static: bool) -> StorageFormat:
    return StorageFormat("fp8", 8, 0, 0, scale_bits=32, tensor_bytes=4 if static else 0)


def _fp8(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    """FP8 of Transformers and DeepSeek: F32 scales per block.

    Two matrices are never converted although DeepSeek's configurations have no list: MTP's joining projection (``eh_proj``) and the
    indexer's ``weights_proj`` ("stored in bf16", deepseek-ai/DeepSeek-V3.2-Exp: inference/model.py); GLM's lists name both.
    """
    size = _pair(block.get("weight_block_size"), "weight_block_size")
    # With FP4 experts (``expert_dtype``) UE8M0 scales are stored as one byte; before, ``scale_fmt`` named how F32 scales were rounded.
    byte_scales = "fp4" in (config.get("expert_dtype"), block.get("expert_dtype")) and block.get("scale_fmt") == "ue8m0"
    linear = _fp8_tensor(static=block.get("activation_scheme") == "static")
    if size:
        linear = StorageFormat("fp8_block", 8, *size, scale_bits=8 if byte_scales else 32)
    excluded = [*strings(block.get("modules_to_not_convert")), *strings(block.get("ignored_layers")), "eh_proj", "weights_proj"]
    settings = Settings(linear, excluded=excluded)
    settings.groups["ngram_embedding"] = scaled_format("mxfp8") if byte_scales else _fp8_tensor(static=False)  # a scale for 32, or one for the table
    layers = block.get("quantized_layers")
    if isinstance(layers, Mapping):  # a few modules quantised further (ModelOpt over FP8); its "ignore" tells what stays FP8
        settings.named = _by_algorithm(layers, settings)
    return settings


def _fp8_rows(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    return Settings(StorageFormat("fp8", 8, 1, 0, scale_bits=32), excluded=strings(block.get("modules_to_not_convert")))


def _mxfp4(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    """MXFP4 of Transformers converts experts alone, whatever else is linear."""
    form = scaled_format("mxfp4")
    return Settings(None, {"routed_experts": form}, strings(block.get("modules_to_not_convert")))


def _awq(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    bits = number(block, "bits", number(block, "w_bit", 4, 1, 8), 1, 8)
    group = max(number(block, "q_group_size", _group(block), -1, 1 << 20), 0)
    form = integer_groups(bits, group, zero_bits=bits if block.get("zero_point", True) else 0)
    return Settings(form, excluded=strings(block.get("modules_to_not_convert")))


def _gptq_form(block: Mapping[str, object], base: Mapping[str, object]) -> StorageFormat | None:
    """Packed integers, F16 scales, zero points (stored even when symmetric) and the group of each input column."""
    both = {**base, **block}
    bits = number(both, "bits", 4, 1, 16)
    if bits == 16:
        return None
    marlin = "marlin" in str(both.get("checkpoint_format") or both.get("packing_format") or "")
    return integer_groups(bits, _group(both), zero_bits=0 if marlin else bits, column_bits=0 if marlin else 32)


def _gptq(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    settings = Settings(_gptq_form(block, {}), excluded=strings(block.get("modules_to_not_convert")))
    if block.get("lm_head") is True:
        settings.groups = {}
    for pattern, change in _mapping(block.get("dynamic")).items():
        if pattern.startswith("-:"):
            settings.named.append((["re:" + pattern[2:]], None))
        else:
            settings.named.append((["re:" + pattern.removeprefix("+:")], _gptq_form(_mapping(change), block)))
    inside = strings(block.get("modules_in_block_to_quantize"))
    if inside:
        settings.named.append((inside, settings.linear))
        settings.linear = None
    return settings


def _auto_round(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    packing = str(block.get("packing_format") or block.get("backend") or "")
    base = {**block, "checkpoint_format": packing}
    form = _awq(block, config).linear if "awq" in packing else _auto_round_form(block)
    settings = Settings(form, excluded=strings(block.get("modules_to_not_convert")))
    for pattern, change in _mapping(block.get("extra_config")).items():
        merged = {**base, **_mapping(change)}
        bits = number(merged, "bits", 4, 1, 32)
        name = "re:" + pattern if set(pattern) & set("()[]\\+^$|") else pattern
        settings.named.append(([name], None if bits >= 16 else _auto_round_form(merged)))
    return settings


def _auto_round_form(block: Mapping[str, object]) -> StorageFormat:
    kind, bits = str(block.get("data_type") or "int"), number(block, "bits", 4, 1, 8)
    if kind in ("mx_fp", "mx_fp4", "mx_fp8"):
        return scaled_format("mxfp4" if bits == 4 else "mxfp8")
    if kind.startswith("nv_fp"):
        return scaled_format("nvfp4", 4)
    return integer_groups(bits, _group(block), zero_bits=bits)


def _bitsandbytes(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    """NF4 and FP4: a scale per 64 elements, F32 or one byte when quantised twice, and a small table per tensor; INT8: an F32 scale per row."""
    skipped = strings(block.get("llm_int8_skip_modules"))
    if block.get("load_in_4bit") or block.get("_load_in_4bit"):
        twice = bool(block.get("bnb_4bit_use_double_quant"))
        name = str(block.get("bnb_4bit_quant_type") or "fp4")[:8]
        form = StorageFormat(name, 4, 1, 64, scale_bits=8 if twice else 32, tensor_bytes=1200 if twice else 160)
        return Settings(form, excluded=skipped, notes=[("approximate-quantization", {"method": "bitsandbytes"})])
    rows = StorageFormat("int8", 8, 1, 0, scale_bits=32) if block.get("load_in_8bit") or block.get("_load_in_8bit") else None
    return Settings(rows, excluded=skipped)


def _weights_form(weights: Mapping[str, object], group: Mapping[str, object], layout: str) -> StorageFormat | None:
    """One group of compressed-tensors; scales have the model's 16 bits unless a layout or ``scale_dtype`` says a byte."""
    if not weights or layout == "dense":
        return None
    bits = number(weights, "num_bits", 8, 1, 16)
    if bits == 16:
        return None
    inputs = _mapping(group.get("input_activations"))
    kind, strategy = str(weights.get("type") or "int"), str(weights.get("strategy") or "")
    size = number(weights, "group_size", 0, -1, 1 << 20)
    if kind == "float" and bits == 4:
        small = size == 16 or strategy == "tensor_group" or layout.startswith("nvfp4")
        return scaled_format("mxfp4") if layout.startswith("mxfp4") or not small else scaled_format("nvfp4", 4 if inputs else 0)
    if layout.startswith("mxfp8") or (kind == "float" and bits == 8 and strategy == "group" and "uint8" in str(weights.get("scale_dtype"))):
        return scaled_format("mxfp8")
    static_bytes = 2 if inputs and inputs.get("dynamic") is False else 0
    name = "fp8" if kind == "float" else f"int{bits}"
    if strategy == "block":
        rows, columns = _pair(weights.get("block_structure"), "block_structure") or (128, 128)
        return StorageFormat(name + "_block", bits, rows, columns, scale_bits=16, tensor_bytes=static_bytes)
    if strategy == "group" or (not strategy and size > 0):
        shape_bytes = 16 if layout == "pack-quantized" else 0  # weight_shape: two 64-bit integers
        zeros = bits if weights.get("symmetric") is False else 0
        order = 32 if weights.get("actorder") == "group" else 0
        return integer_groups(bits, max(size, 0), zero_bits=zeros, column_bits=order, tensor_bytes=shape_bytes + static_bytes)
    if strategy == "channel":
        shape_bytes = 16 if layout == "pack-quantized" else 0
        return StorageFormat(name, bits, 1, 0, scale_bits=16, tensor_bytes=shape_bytes + static_bytes)
    return StorageFormat(name, bits, 0, 0, scale_bits=16, tensor_bytes=static_bytes)


def _compressed_tensors(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    settings = Settings(None, groups={}, excluded=strings(block.get("ignore")), floating=False)
    for group in _mapping(block.get("config_groups")).values():
        group = _mapping(group)
        layout = str(group.get("format") or block.get("format") or "")
        form = _weights_form(_mapping(group.get("weights")), group, layout)
        targets = strings(group.get("targets")) or ["Linear"]
        classes = [target for target in targets if target[:1].isupper() and "." not in target]
        if classes:
            settings.linear = form
        if len(classes) < len(targets):
            settings.named.append(([target for target in targets if target not in classes], form))
        if "24" in layout:
            settings.notes.append(("approximate-quantization", {"method": layout[:40]}))
    return settings


_ALGORITHMS: dict[str, StorageFormat] = {
    "FP8": StorageFormat("fp8", 8, 0, 0, scale_bits=32, tensor_bytes=4),
    "FP8_PER_CHANNEL_PER_TOKEN": StorageFormat("fp8", 8, 1, 0, scale_bits=32),
    "FP8_PB_WO": StorageFormat("fp8_block", 8, 128, 128, scale_bits=32),
    "NVFP4": scaled_format("nvfp4", 4),
    "W4A16_NVFP4": scaled_format("nvfp4"),
    "W4A8_NVFP4_FP8": scaled_format("nvfp4", 4),
    "NVFP4_SVDQUANT": scaled_format("nvfp4", 4),
    "NVFP4_AWQ": StorageFormat("nvfp4", 4, 1, 16, scale_bits=8, tensor_bytes=8, column_bits=16),
    "MXFP4": scaled_format("mxfp4"),
    "W4A8_MXFP4_FP8": scaled_format("mxfp4", 4),
    "MXFP8": scaled_format("mxfp8"),
    "W4A16": integer_groups(4, 128),
    "W4A16_AWQ": integer_groups(4, 128, column_bits=16),
    "INT4_AWQ": integer_groups(4, 128, column_bits=16),
    "W4A8_AWQ": integer_groups(4, 128, column_bits=16, tensor_bytes=8),
    "W8A16": StorageFormat("int8", 8, 1, 0, scale_bits=16),
    "W8A8_SQ_PER_CHANNEL": StorageFormat("int8", 8, 1, 0, scale_bits=32),
    "INT8_SQ": StorageFormat("int8", 8, 1, 0, scale_bits=32),
}


def _algorithm(name: object, settings: Settings) -> StorageFormat | None:
    form = _ALGORITHMS.get(str(name).upper())
    if form is None:
        note = ("unknown-quantization", {"method": str(name)[:40]})
        if note not in settings.notes:
            settings.notes.append(note)
    return form


def _by_algorithm(layers: Mapping[str, object], settings: Settings) -> list[tuple[list[str], StorageFormat | None]]:
    """Modules by algorithm; of a layer's experts the first that is listed stands for all (their shapes are equal)."""
    names: dict[str, list[str]] = {}
    experts: set[tuple[str, str]] = set()
    for name, layer in layers.items():
        before, inside, after = name.partition(".experts.")
        if inside and after[:1].isdigit():
            matrix = after.lstrip("0123456789")
            if (before, matrix) in experts:
                continue
            experts.add((before, matrix))
            name = before + ".experts.0" + matrix
        names.setdefault(str(_mapping(layer).get("quant_algo")), []).append(name)
    return [(listed, _algorithm(algorithm, settings)) for algorithm, listed in names.items()]


def _modelopt(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    inner = _mapping(block.get("quantization")) or block
    excluded = [*strings(inner.get("exclude_modules")), *strings(inner.get("ignore"))]
    settings = Settings(None, groups={}, excluded=excluded, floating=False)
    algorithm, layers = inner.get("quant_algo"), inner.get("quantized_layers")
    if isinstance(layers, Mapping) and layers:
        settings.named = _by_algorithm(layers, settings)
    elif algorithm and str(algorithm).upper() != "MIXED_PRECISION":
        settings.linear = _algorithm(algorithm, settings)
    else:
        groups = _compressed_tensors(inner, config)
        settings.linear, settings.named = groups.linear, groups.named
    return settings


def _quark_form(part: Mapping[str, object]) -> StorageFormat | None:
    weight = part.get("weight")
    weight = _mapping(weight[-1] if isinstance(weight, list) and weight else weight)
    if not weight:
        return None
    kind, scheme = str(weight.get("dtype") or "").lower(), str(weight.get("qscheme") or "")
    static = 4 if _mapping(part.get("input_tensors")).get("is_dynamic") is False else 0
    if kind in ("fp4", "mxfp4"):
        return scaled_format("mxfp4")
    bits = 8 if "8" in kind else 6 if "6" in kind else 4
    if kind in ("mxfp8", "mxfp6") or (weight.get("scale_format") == "e8m0" and scheme == "per_group"):
        return scaled_format("mxfp8" if bits == 8 else "mxfp6")
    name = kind[:12] or "int8"
    if scheme == "per_group":
        return integer_groups(bits, _group(weight), zero_bits=0 if weight.get("symmetric", True) else bits)
    rows = 1 if scheme == "per_channel" else 0
    return StorageFormat("fp8" if name.startswith("fp8") else name, bits, rows, 0, scale_bits=32, tensor_bytes=static)


def _quark(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    settings = Settings(_quark_form(_mapping(block.get("global_quant_config"))), groups={}, excluded=strings(block.get("exclude")), floating=False)
    for pattern, part in _mapping(block.get("layer_quant_config")).items():
        settings.named.append(([pattern], _quark_form(_mapping(part))))
    return settings


def _hqq(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    weights = _mapping(_mapping(block.get("quant_config")).get("weight_quant_params"))
    form = integer_groups(number(weights, "nbits", 4, 1, 8), _group(weights, 64), zero_bits=16)
    return Settings(form, excluded=strings(block.get("skip_modules")))


def _torchao(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    kind = block.get("quant_type")
    inner = _mapping(_mapping(kind).get("default"))
    name = str(inner.get("_type") or kind or "").lower().replace("_", "")
    data = _mapping(inner.get("_data")) or _mapping(block.get("quant_type_kwargs"))
    excluded = strings(block.get("modules_to_not_convert"))
    if "int4weight" in name:
        return Settings(integer_groups(4, _group(data), zero_bits=16), excluded=excluded)
    if "int8" in name and "int4" not in name:
        return Settings(StorageFormat("int8", 8, 1, 0, scale_bits=16), excluded=excluded)
    if "int4" in name:
        return Settings(integer_groups(8, _group(data, 32), scale_bits=32), excluded=excluded)
    if "float8" in name:
        return Settings(StorageFormat("fp8", 8, 1, 0, scale_bits=32), excluded=excluded)
    return Settings(None, excluded=excluded, notes=[("unknown-quantization", {"method": f"torchao {name[:40]}"})])


def _mlx(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    """MLX: a 16-bit scale and bias per group, embeddings and head included; settings of single modules stand beside the general ones."""
    form = _mlx_form(block)
    settings = Settings(form, groups={"embedding": form})
    for name, part in block.items():
        if part is False or isinstance(part, Mapping):
            module = name.replace(".switch_mlp.", ".experts.0.")  # the matrices of all experts, stacked
            settings.named.append(([module], None if part is False else _mlx_form(part)))
    return settings


def _mlx_form(part: Mapping[str, object]) -> StorageFormat:
    return groups_of_mode(str(part.get("mode") or "affine"), number(part, "bits", 4, 1, 8), _group(part, 64))


def _quanto(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
    bits = {"float8": 8, "int8": 8, "int4": 4, "int2": 2}.get(str(block.get("weights")), 8)
    form = integer_groups(bits, 0 if bits == 8 else 128)
    return Settings(form, excluded=strings(block.get("modules_to_not_convert")))


def _fixed(form: StorageFormat) -> Callable[[Mapping[str, object], Mapping[str, object]], Settings]:
    def read(block: Mapping[str, object], config: Mapping[str, object]) -> Settings:
        names: Iterable[str] = (*strings(block.get("modules_to_not_convert")), *strings(block.get("ignored_layers")))
        return Settings(form, excluded=list(names))

    return read


# Methods by the name in ``quant_method``; a runtime's own variants of a method share its files.
DIALECTS: dict[str, Callable[[Mapping[str, object], Mapping[str, object]], Settings]] = {
    "fp8": _fp8,
    "fbgemm_fp8": _fp8_rows,
    "ptpc_fp8": _fp8_rows,
    "compressed-tensors": _compressed_tensors,
    "modelopt": _modelopt,
    "modelopt_fp4": _modelopt,
    "modelopt_mixed": _modelopt,
    "awq": _awq,
    "awq_marlin": _awq,
    "gptq": _gptq,
    "gptq_marlin": _gptq,
    "auto-round": _auto_round,
    "intel/auto-round": _auto_round,
    "mxfp4": _mxfp4,
    "mxfp8": _fixed(scaled_format("mxfp8")),
    "bitsandbytes": _bitsandbytes,
    "quark": _quark,
    "hqq": _hqq,
    "torchao": _torchao,
    "mlx": _mlx,
    "quanto": _quanto,
    "eetq": _fixed(StorageFormat("int8", 8, 1, 0, scale_bits=16)),
}
