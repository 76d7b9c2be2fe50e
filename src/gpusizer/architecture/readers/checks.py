"""What a configuration says twice or cannot mean: looked for once it is read, and said by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpusizer.architecture.parts import OUTER_PARTS, TEXT_PARTS, text_part
from gpusizer.architecture.readers.classes.class_defaults import implied_sizes
from gpusizer.architecture.readers.context import ModelContext
from gpusizer.architecture.readers.experts_told import EXPERT_COUNTS, EXPERT_WIDTHS, SELECTED, SHARED_COUNTS, SHARED_WIDTHS
from gpusizer.architecture.readers.known_keys import harmless
from gpusizer.architecture.types import Attention, LatentAttention, Layer

__all__ = ["say_assumed", "say_contradictions"]

# Names of one quantity: two that differ are said, with the one that is taken.
_SAME = (
    ("hidden_size", "n_embd", "d_model", "n_embed", "dim", "model_dim"),
    ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    ("num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads", "attention_heads"),
    ("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_attention_groups", "multi_query_group_num"),
    ("head_dim", "kv_channels", "attention_head_dim", "attention_head_size", "d_kv"),
    ("sliding_window", "sliding_window_size", "window_size"),
    ("dtype", "torch_dtype"),
    EXPERT_COUNTS,
    EXPERT_WIDTHS,
    SELECTED,
    SHARED_COUNTS,
)
# Of a text part and of the keys beside it, these must agree where both have them.
_SIZES = tuple(name for group in (*_SAME, ("intermediate_size", "vocab_size"), SHARED_WIDTHS) for name in group if not name.endswith("dtype"))
# Lists of layers by index.
_INDICES = (
    *("mlp_only_layers", "moe_layers", "moe_layers_enum", "attn_layer_indices", "full_attn_idxs", "attn_layers"),
    *("cross_attention_layers", "hybrid_layer_ids", "moe_layer_start_index", "moe_layer_end_index"),
)


def say_contradictions(model: ModelContext, config: Mapping[str, Any], ahead: int) -> None:
    """Say what the configuration says in two ways, and lists that do not fit the number of layers.

    Parameters
    ----------
    model : ModelContext
        The configuration once read; notices are added to it.
    config : mapping
        The whole as it was given.
    ahead : int
        Layers of multi-token prediction, which lists over the layers may hold as well.
    """
    _names(model)
    _parts(model, config)
    _lengths(model, ahead)
    last = model.layers + ahead - 1
    for name in _INDICES:
        beyond = [index for index in _indices(model.keys.values.get(name)) if index > last]
        if beyond and name not in model.assumed:
            model.notice("layer-beyond", key=name, found=max(beyond), layers=model.layers)


def _indices(value: Any) -> Iterable[int]:
    """Layers that a value names: a list of numbers, numbers in a text, or one number."""
    parts = value.split(",")[:4096] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else (value,)
    for part in parts:
        text = part.strip() if isinstance(part, str) else str(part) if isinstance(part, int) and not isinstance(part, bool) else ""
        if text.isdecimal() and len(text) < 16:
            yield int(text)


def _names(model: ModelContext) -> None:
    values = model.keys.values
    for group in _SAME:
        given = model.told(*group)
        others = [name for name in given[1:] if values[name] != values[given[0]]]
        if others:
            model.notice("two-values", key=given[0], found=str(values[given[0]])[:40], others=others)


def _parts(model: ModelContext, config: Mapping[str, Any]) -> None:
    """A text part beside flat keys of another model, or beside a second text part."""
    text = text_part(config)
    if not text:
        return
    differing = [name for name in _SIZES if config.get(name) is not None and text.get(name) is not None and config[name] != text[name]]
    if differing:
        model.notice("parts-contradict", keys=differing)
    parts = [name for name in (*OUTER_PARTS, *TEXT_PARTS) if isinstance(config.get(name), Mapping)]
    if any(config[name] != config[parts[0]] for name in parts[1:]):
        model.notice("two-parts", key=parts[0], others=parts[1:])


def _lengths(model: ModelContext, ahead: int) -> None:
    """Lists that run over the layers and hold more entries than there are layers."""
    for name in model.keys.asked_for():
        value = model.keys.values[name]
        pattern = isinstance(value, str) and name == "hybrid_override_pattern"
        if (pattern or isinstance(value, (list, tuple))) and len(value) > model.layers + ahead and not harmless(name):
            model.notice("list-longer", key=name, found=len(value), layers=model.layers)


def say_assumed(model: ModelContext, model_type: str | None, layers: tuple[Layer, ...]) -> None:
    """Say which sizes the class supplied, of those that some layer really has.

    Parameters
    ----------
    model : ModelContext
        The configuration once read; a notice is added to it.
    model_type : str or None
        The class.
    layers : tuple of Layer
        Its layers.
    """
    plain = {id(mixer): mixer for layer in layers for mixer in layer.mixers_of(Attention)}.values()
    seen: dict[str, set[Any]] = {
        "experts": {bool(layer.experts) for layer in layers},
        "kv_heads": {mixer.kv_heads for mixer in plain if mixer.kv_heads != mixer.heads},
        "window": {mixer.window for mixer in plain} | {mixer.chunk for mixer in plain},
        "head_dim": {width for mixer in plain for width in (mixer.head_dim, mixer.v_head_dim) if width * mixer.heads != model.hidden},
        "latent": {bool(layer.mixers_of(LatentAttention)) for layer in layers},
    }
    keys = implied_sizes(model.assumed, seen)
    if keys:
        model.notice("class-default", model_type=model_type, keys=keys)
