"""From ``quantization_config`` to the format of every tensor: finds the block, asks its dialect, and says what it did not understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.parts import QUANTIZATION_BLOCKS, text_part
from gpusizer.architecture.precision.dialects import DIALECTS, Settings, number, strings
from gpusizer.architecture.precision.quantization_words import unknown_words
from gpusizer.architecture.storage.expressions import Work
from gpusizer.architecture.storage.formats import StorageFormat, integer_groups, plain_format, scaled_format
from gpusizer.architecture.storage.module_patterns import ModulePatterns
from gpusizer.architecture.storage.quantization import Quantization, Rule
from gpusizer.architecture.tensors import stored_tensors
from gpusizer.architecture.types import Notice

__all__ = ["has_quantization", "read_quantization", "without_effect"]

_OFF: tuple[Any, ...] = (None, False, "", {}, [])


def _block(config: Mapping[str, Any], text: Mapping[str, Any]) -> Any:
    """The settings of quantisation, at the top or in the text model's part: an object where there is one, else what stands there instead."""
    found = [part for level in (config, text) for key in QUANTIZATION_BLOCKS if (part := level.get(key)) not in _OFF]
    return next((part for part in found if isinstance(part, Mapping)), found[0] if found else None)


def has_quantization(config: Mapping[str, Any]) -> bool:
    """Whether a configuration has settings of quantisation.

    >>> has_quantization({"llm_config": {"quantization_config": {"quant_method": "fp8"}}}), has_quantization({"quantization_config": {}})
    (True, False)
    """
    return _block(config, text_part(config)) is not None


def read_quantization(config: Mapping[str, Any], dtype: str) -> tuple[Quantization, tuple[Notice, ...]]:
    """The format of every tensor.

    Parameters
    ----------
    config : mapping
        The whole configuration; the block may stand at its top or inside the text model's part.
    dtype : str
        Main number format, that of what is not quantised: "bf16", "fp16", "fp32" ...

    Returns
    -------
    Quantization, tuple of Notice
        The formats, and what was not understood (``unknown-quantization``, ``approximate-quantization``, ``pattern-refused``,
        ``quantization-word``).

    Examples
    --------
    >>> quantization, notices = read_quantization({"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}, "bf16")
    >>> quantization.linear.id, quantization.linear.scale_bits, notices
    ('fp8_block', 32, ())
    >>> read_quantization({"quantization_config": {"quant_method": "dream"}}, "bf16")[1][0].code
    'unknown-quantization'
    """
    plain = plain_format(dtype)
    inner = text_part(config)
    block = _block(config, inner)
    experts = _expert_dtype(config, inner, block)
    if block is None:
        groups = {"routed_experts": scaled_format("mxfp4")} if experts == "fp4" else {}
        return Quantization(None, plain, groups=groups), _expert_words(experts)
    if not isinstance(block, Mapping):
        return Quantization(None, plain), (Notice("unknown-quantization", {"method": str(block)[:40], "assumed": dtype}),)
    method = _method(block)
    dialect = DIALECTS.get(method)
    settings = dialect(block, {**inner, **config}) if dialect else _unknown(method, block)
    notices = [Notice(code, parameters) for code, parameters in settings.notes]
    words = unknown_words(method, block) if dialect else ()
    notices += [Notice("quantization-word", {"method": method, "key": key, "found": found}) for key, found in words]
    notices += _expert_words(experts)
    rules: list[Rule] = []
    work = Work()
    for names, form, listed in [(settings.excluded, None, False), *((names, form, True) for names, form in settings.named)]:
        patterns = ModulePatterns(
            (name for name in names if not name.startswith("re:")),
            (name[3:] for name in names if name.startswith("re:")),
            floating=settings.floating,
            work=work,
        )
        notices.extend(patterns.notices)
        if patterns:
            rules.append(Rule(patterns, form, listed))
    groups = {group: form or plain for group, form in settings.groups.items()}
    if experts == "fp4":
        groups["routed_experts"] = scaled_format("mxfp4")  # experts in FP4 with a scale byte per 32, told apart from the block's own words
    return Quantization(method, plain, settings.linear, groups, tuple(rules)), tuple(notices[:16])


def _expert_dtype(config: Mapping[str, Any], text: Mapping[str, Any], block: Any) -> Any:
    """The format of the experts where it is told beside the block or in it."""
    parts = (config, text, block if isinstance(block, Mapping) else {})
    return next((part["expert_dtype"] for part in parts if "expert_dtype" in part), None)


def _expert_words(experts: Any) -> tuple[Notice, ...]:
    """A format of experts that is not known."""
    if experts is None or experts in ("fp4", "fp8", "bf16", "bfloat16"):
        return ()
    return (Notice("unknown-quantization", {"method": f"expert_dtype {str(experts)[:40]}", "assumed": "16-bit"}),)


def without_effect(architecture: Architecture, config: Mapping[str, Any]) -> tuple[Notice, ...]:
    """A notice where there are settings of quantisation and no tensor takes fewer bytes than in the main format.

    Parameters
    ----------
    architecture : Architecture
        The model as read.
    config : mapping
        Its whole configuration.

    Returns
    -------
    tuple of Notice
        One, or none.
    """
    block, plain = _block(config, text_part(config)), architecture.quantization.default
    if not isinstance(block, Mapping):
        return ()
    known: set[tuple[Any, ...]] = set()
    for _, _, tensor, form in stored_tensors(architecture, mtp=True):
        same = (form, tensor.shape)
        if form != plain and same not in known and form.bytes_of(tensor.shape) < plain.bytes_of(tensor.shape):
            return ()
        known.add(same)
    return (Notice("quantization-without-effect", {"method": _method(block), "assumed": plain.id}),)


def _method(block: Mapping[str, Any]) -> str:
    """The method as named, or by the keys that only one method has."""
    method = str(block.get("quant_method") or "").lower()
    if method in ("", "none"):
        if "quant_algo" in block or isinstance(block.get("quantization"), Mapping):
            return "modelopt"
        if "config_groups" in block:
            return "compressed-tensors"
        if "load_in_4bit" in block or "load_in_8bit" in block:
            return "bitsandbytes"
        if set(block) >= {"bits", "group_size"} and not set(block) & {"desc_act", "sym", "zero_point", "version"}:
            return "mlx"
        if "desc_act" in block:
            return "gptq"
    return method[:40]


def _unknown(method: str, block: Mapping[str, Any]) -> Settings:
    """A method that is not known: its own number of bits where it gives one, else the main format; flagged either way."""
    key = next((key for key in ("bits", "w_bit", "num_bits", "nbits") if isinstance(block.get(key), int)), None)
    form: StorageFormat | None = None
    if key is not None and number(block, key, 16, 1, 64) < 16:
        form = integer_groups(number(block, key, 4, 1, 15), max(number(block, "group_size", 128, -1, 1 << 20), 0))
    excluded = [name for key in ("modules_to_not_convert", "ignore", "ignored_layers", "exclude_modules") for name in strings(block.get(key))]
    parameters = {"method": method, "assumed": form.id if form else "16-bit"}
    return Settings(form, excluded=excluded, notes=[("unknown-quantization", parameters)])
