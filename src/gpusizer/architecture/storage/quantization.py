"""Which stored form each tensor of a model has: a main format, that of linear weights, and rules for modules, as a configuration tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpusizer.architecture.storage.formats import StorageFormat, plain_format
from gpusizer.architecture.storage.module_patterns import ModulePatterns
from gpusizer.architecture.types import Tensor

__all__ = ["Quantization", "Rule"]

# A router and a vision tower stay in the main format unless a configuration names them one by one.
_NAMED_ONLY = frozenset({"router", "vision"})


@dataclass(frozen=True)
class Rule:
    """Modules and the format that they have; None is the format of what is not quantised. ``named`` lists modules one by one."""

    modules: ModulePatterns
    form: StorageFormat | None
    named: bool = False


@dataclass(frozen=True)
class Quantization:
    """Which format each tensor has; built by ``precision/config.py`` from ``quantization_config``.

    Parameters
    ----------
    method : str or None
        ``quant_method`` as configured, or the precision that was asked for; None without quantisation.
    default : StorageFormat
        What is not quantised.
    linear : StorageFormat or None
        Linear weights that no rule names; None leaves them as ``default``.
    groups : mapping of str to StorageFormat
        Formats of whole groups of linear weights ("routed_experts", "lm_head"), after the rules.
    rules : tuple of Rule
        The first that names the tensor decides.
    exact : mapping of str to StorageFormat
        Formats by path, as file headers tell them; they come before everything else.
    ends : tuple of Quantization
        The lightest and the heaviest that the files may be, where nobody tells which tensors are quantised; empty where it is known.
    asked : bool
        Made of a precision that was asked for, not read from a checkpoint: the size of its blocks is what is usual.

    Examples
    --------
    >>> fp8 = Quantization("fp8", plain_format("bf16"), StorageFormat("fp8_block", 8, 128, 128, scale_bits=32))
    >>> fp8.format_of("model.layers.0.self_attn.o_proj.weight", Tensor("self_attn.o_proj.weight", (8, 8), "attention", linear=True)).id
    'fp8_block'
    """

    method: str | None
    default: StorageFormat
    linear: StorageFormat | None = None
    groups: Mapping[str, StorageFormat] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    exact: Mapping[str, StorageFormat] = field(default_factory=dict)
    ends: tuple[Quantization, ...] = ()
    asked: bool = False
    _seen: dict[str, StorageFormat | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def tells_layers_apart(self) -> bool:
        """Whether equal layers may be stored in different formats."""
        return bool(self.exact) or any(rule.modules.tells_layers_apart for rule in self.rules)

    def format_of(self, path: str, tensor: Tensor) -> StorageFormat:
        """Format of the tensor stored under ``path`` (layer prefix and tensor name)."""
        if self.exact and path in self.exact:
            return self.exact[path]
        if tensor.dtype is not None:
            return plain_format(tensor.dtype)
        if (not tensor.linear and tensor.group not in self.groups) or (self.linear is None and not self.rules and not self.groups):
            return self.default
        key = path + "\0" + tensor.group
        if key not in self._seen:
            self._seen[key] = self._decide(path, tensor.group)
        return self._seen[key] or self.default

    def _decide(self, path: str, group: str) -> StorageFormat | None:
        for rule in self.rules:
            if (rule.named or group not in _NAMED_ONLY) and rule.modules.matches(path):
                return rule.form
        if group in _NAMED_ONLY:
            return None
        return self.groups.get(group, self.linear)
