"""A whole configuration read: text part found, implied keys merged under it, layers, embeddings, head, towers, formats, and honest notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.parts import OUTER_PARTS, PARTS, TEXT_PARTS, text_part
from gpusizer.architecture.precision.config import has_quantization, read_quantization, without_effect
from gpusizer.architecture.readers.checks import say_assumed, say_contradictions
from gpusizer.architecture.readers.classes.class_defaults import class_defaults
from gpusizer.architecture.readers.classes.class_rows import ClassRow, class_row
from gpusizer.architecture.readers.classes.class_words import ClassWords, either
from gpusizer.architecture.readers.context import ModelContext
from gpusizer.architecture.readers.decoder import LayerFactory, gated_streams, hyper_connection, read_layers
from gpusizer.architecture.readers.dialects import HEARD, flat_keys, heard
from gpusizer.architecture.readers.dtypes import main_formats
from gpusizer.architecture.readers.experts_told import EXPERT_KEYS
from gpusizer.architecture.readers.extras import model_extras
from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.known_keys import say_unknown
from gpusizer.architecture.readers.layer_kinds import block_kinds, mixer_kinds
from gpusizer.architecture.readers.mixers.short import SHORT_KEYS
from gpusizer.architecture.readers.mixers.state_space import STATE_SPACE_KEYS
from gpusizer.architecture.readers.mtp import read_mtp
from gpusizer.architecture.readers.tensor_kit import column, matrix, norm, vector
from gpusizer.architecture.readers.towers import describes_whole, read_towers
from gpusizer.architecture.types import Layer, Notice, Split, Tensor
from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["read_config"]

_MAX_LAYERS = 4096
_MAX_KEYS = 1 << 18
_MAX_DEPTH = 32
_SCALARS = (str, int, float, type(None))
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_HIDDEN = ("hidden_size", "n_embd", "d_model", "n_embed", "dim", "model_dim")
_POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "seq_length", "model_max_length", "n_ctx")


def _check_depth(value: Any, depth: int = 0) -> None:
    """Refuse a configuration that is nested or filled beyond reason."""
    if depth > _MAX_DEPTH:
        raise UnsupportedArchitectureError("bad-config-value", key="config", found=f"depth > {_MAX_DEPTH}", expected=f"depth <= {_MAX_DEPTH}")
    if isinstance(value, Mapping):
        if len(value) > _MAX_KEYS:
            raise UnsupportedArchitectureError("bad-config-value", key="config", found=f"{len(value)} keys", expected=f"<= {_MAX_KEYS}")
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for inner in value:
        if not isinstance(inner, _SCALARS):
            _check_depth(inner, depth + 1)


def _check(config: Any) -> None:
    """Refuse what is no object, or one beyond reason."""
    if not isinstance(config, Mapping):
        raise UnsupportedArchitectureError("bad-config-value", key="config", found=type(config).__name__, expected="object")
    _check_depth(config)
    for name in (*OUTER_PARTS, *TEXT_PARTS):  # passed over, its class would supply every size
        part = config.get(name)
        if part is not None and not isinstance(part, Mapping):
            raise UnsupportedArchitectureError("bad-config-value", key=name, found=repr(part)[:40], expected="object")


def _model_type(config: Mapping[str, Any]) -> str | None:
    found = config.get("model_type")
    return found if isinstance(found, str) else None


@dataclass(frozen=True)
class _Merged:
    """Keys of the text model with what its class implies, our own words, what was said on the way, and what the class supplied."""

    values: dict[str, Any]
    words: dict[str, Any]
    notices: list[Notice]
    assumed: dict[str, Any]
    text_type: str | None


def _merged(config: Mapping[str, Any]) -> _Merged:
    """The configuration over what its class implies, with a notice where the class is not known."""
    text = text_part(config)
    outer_type = _model_type(config)
    outer = class_row(outer_type) or ClassRow()
    inner_type = _model_type(text) if text else None
    text_type = inner_type or outer.text or (None if text else outer_type)
    row = class_row(text_type)
    own = config.get("gpusizer")
    words = {**(row or ClassRow()).words, **outer.words}
    notices: list[Notice] = []
    if isinstance(own, Mapping):
        words |= own
    elif row is None or (text and class_row(outer_type) is None and outer_type is not None and not describes_whole(outer_type)):
        notices.append(Notice("unknown-model-type", {"model_type": (inner_type if row is None else None) or outer_type or ""}))
    top = {key: value for key, value in config.items() if not (text and isinstance(value, Mapping)) and key not in PARTS}
    tied = config.get("tie_word_embeddings")
    usual = {**(row or ClassRow()).config, **outer.config}
    given = flat_keys({**usual, **top, **text})
    defaults = class_defaults(text_type, given)
    whole = class_defaults(outer_type, given) if text else {}
    if "tie_word_embeddings" not in given and whole.get("tie_word_embeddings") and not defaults.get("tie_word_embeddings"):
        notices.append(Notice("head-unclear", {"model_type": outer_type}))  # the whole's class ties the head, the text's does not: it is counted
    merged = {**defaults, **given}
    if isinstance(tied, bool):  # of a model with towers, the whole's own word on the head decides
        merged["tie_word_embeddings"] = tied
    assumed = {**defaults, **{name: value for name, value in usual.items() if name not in top and name not in text}}
    return _Merged(merged, words, notices, assumed, text_type)


def read_config(config: Mapping[str, Any], *, id: str = "", name: str = "") -> Architecture:
    """What a model is, from the keys of its configuration.

    Parameters
    ----------
    config : mapping
        A parsed ``config.json``, the keys of a catalogue entry, or the keys that GGUF metadata amount to.
    id, name : str
        What to call it.

    Returns
    -------
    Architecture
        Its layers, embeddings and formats, and notices about what could not be read with certainty.

    Examples
    --------
    >>> small = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 10}
    >>> read_config(small).parameters.total
    1480
    """
    _check(config)
    merged = _merged(config)
    keys, words = Keys(merged.values), ClassWords(merged.words)
    _refuse_encoders(keys, words)
    hidden, layers, vocab = _sizes(keys)
    model = ModelContext(keys, words, hidden, layers, merged.notices, merged.assumed)
    factory = LayerFactory(model)
    prefix = words.prefix
    path = _layers_path(words, prefix)
    decoder = read_layers(factory, path)
    mtp, copies = read_mtp(factory, (mixer_kinds(model)[-1], block_kinds(model)[-1]), path, vocab)
    embedding, final, head, tied, stored = _ends(model, prefix, vocab)
    dtype, stored_dtype = main_formats(model, quantised=has_quantization(config))
    quantization, unclear = read_quantization(config, stored_dtype)
    towers, tower_notices = read_towers(Keys(heard(config)), hidden)
    _say(model, config, merged.text_type, decoder, len(mtp))
    architecture = Architecture(
        id=id,
        name=name or id,
        hidden_size=hidden,
        vocab_size=vocab,
        max_position_embeddings=_longest(keys, words),
        layers=decoder,
        embedding=embedding,
        final=final,
        head=head,
        tied_head=tied,
        pooled=model.both_ways,
        dtype=dtype,
        quantization=quantization,
        towers=towers,
        mtp=mtp,
        mtp_copies=copies,
        checkpoint_only=stored,
        residual_streams=max(keys.integer("hc_mult", "hc_count", default=1), 1),
        warnings=(*model.notices, *unclear, *tower_notices),
        config=dict(config),
    )
    return replace(architecture, warnings=(*architecture.warnings, *without_effect(architecture, config)))


def _sizes(keys: Keys) -> tuple[int, int, int]:
    """Hidden size, number of layers, rows of the vocabulary."""
    hidden = keys.needed(*_HIDDEN, high=1 << 24)
    layers = keys.needed(*_LAYERS, high=_MAX_LAYERS)
    vocab = keys.needed("vocab_size", "padded_vocab_size", high=1 << 28)
    keys.ignore("padded_vocab_size", "org_vocab_size", *_POSITIONS)
    return hidden, layers, vocab


def _longest(keys: Keys, words: ClassWords) -> int | None:
    """The longest text: positions less those that stand for padding."""
    positions = keys.integer(*_POSITIONS, low=1)
    return None if positions is None else max(positions - words.padding_positions, 1)


def _layers_path(words: ClassWords, prefix: str) -> str:
    """Path of the decoder's layers in the checkpoint."""
    inside = prefix.endswith("language_model.") and prefix.startswith("model.")
    return prefix + either(words.layer_prefix, "layers." if inside else "model.layers.")


def _say(model: ModelContext, config: Mapping[str, Any], text_type: str | None, decoder: tuple[Layer, ...], ahead: int) -> None:
    """What the class supplied, what contradicts itself, and what nobody read."""
    model.keys.ignore(*_unused(model.keys, mixer_kinds(model), block_kinds(model)))
    say_assumed(model, text_type, decoder)
    say_contradictions(model, config, ahead)
    say_unknown(model, config)


def _refuse_encoders(keys: Keys, words: ClassWords) -> None:
    """Refuse what has a stack of encoder layers beside its decoder, an encoder of a class that nobody knows, and one that is made to write."""
    listens = words.mixer == "attention+cross"
    if listens:
        keys.ignore("is_encoder_decoder", "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim", "max_target_positions", *HEARD)
    for name in (*(() if listens else ("is_encoder_decoder",)), *(("is_decoder", "add_cross_attention") if words.encoder else ())):
        if keys.flag(name):
            raise UnsupportedArchitectureError("encoder", key=name)
    if keys.has("type_vocab_size") and not words.encoder and not keys.flag("is_decoder"):
        raise UnsupportedArchitectureError("encoder", key="type_vocab_size")


def _unused(keys: Keys, mixers: list[str], blocks: list[str]) -> list[str]:
    """Keys of kinds of layers that the model does not have."""
    names = ["full_attn_idxs", "global_attn_every_n_layers", "prefix_dense_sliding_window_pattern", "num_sliding_attention_heads"]
    if not any("mamba" in kind or kind == "linear" for kind in mixers):
        names += STATE_SPACE_KEYS
    if "conv" not in mixers:
        names += SHORT_KEYS
    if not any("experts" in kind for kind in blocks):
        names += EXPERT_KEYS
    if not any(kind in ("attention", "window", "chunk", "attention+mamba", "attention+cross") for kind in mixers):
        names += ["num_attention_heads", "num_key_value_heads", "head_dim"]
    return [name for name in names if name in keys.values]


def _ends(
    model: ModelContext, prefix: str, vocab: int
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...], bool, tuple[Tensor, ...]]:
    """Input embeddings, what follows the last layer, the head, whether it is tied, and what a checkpoint stores in vain."""
    keys, words, hidden = model.keys, model.class_words, model.hidden
    base = prefix if prefix.startswith("model.") else f"{prefix}model."
    rows = vocab + words.extra_embedding_rows
    width = keys.integer("word_embed_proj_dim", default=hidden, low=1, high=1 << 24)
    embedding: tuple[Tensor, ...] = (
        Tensor(_path(words.embedding, prefix, f"{base}embed_tokens") + ".weight", (rows, width), "embedding", Split.VOCABULARY),
    )
    if width != hidden:  # entries of the vocabulary are narrower than the stream
        embedding += matrix(f"{base}decoder.project_in", hidden, width, "embedding") + matrix(
            f"{base}decoder.project_out", width, hidden, "embedding"
        )
    extras = model_extras(model)
    embedding += tuple(tensor for tensor in extras if tensor.group == "embedding")
    narrow = keys.integer("hidden_size_per_layer_input", default=0)
    if narrow:
        group, wide = "per_layer_embedding", narrow * model.layers
        rows = keys.integer("vocab_size_per_layer_input", default=vocab)
        embedding += (Tensor(f"{base}embed_tokens_per_layer.weight", (rows, wide), group, Split.VOCABULARY),)
        embedding += column(f"{base}per_layer_model_projection", wide, hidden, group)
        embedding += norm(f"{base}per_layer_projection_norm", narrow, group=group)
    keys.ignore("vocab_size_per_layer_input")
    final: tuple[Tensor, ...] = ()
    if words.norm_weight and words.final_norm != "" and keys.raw("do_layer_norm_before") is not False and not keys.has("hc_lowrank"):
        final += norm(_path(words.final_norm, prefix, f"{base}norm"), hidden, bias=words.norm_bias)
    streams = keys.integer("hc_mult", default=0)
    if streams and words.hyper_head:
        final += hyper_connection(f"{base}hc_head.", streams, streams * hidden, 1, "hc_")
    final += gated_streams(f"{base}hyper_connection_mixer.", keys, hidden, injects=False)
    if keys.integer("attn_res_block_size", default=0):
        final += norm(f"{base}output_attn_res_norm", hidden) + vector(f"{base}output_attn_res_proj.weight", hidden, "residual_mixing")
    tied = keys.flag("tie_word_embeddings")
    final += tuple(tensor for tensor in extras if tensor.group != "embedding")
    if model.both_ways:  # what has read the whole text has no next word to write
        return embedding, final, (), False, ()
    name = f"{prefix if not prefix.startswith('model.') else ''}lm_head"
    weight = Tensor(f"{name}.weight", (vocab, width), "lm_head", Split.VOCABULARY, linear=True)
    if keys.flag("lm_head_bias", default=keys.flag(words.head_bias_key, default=words.head_bias)):
        final += (Tensor(f"{name}.bias", (vocab,), "lm_head", Split.VOCABULARY),)
    if not tied:
        return embedding, final, (weight,), False, ()
    return embedding, final, (), True, (weight,) if words.stores_tied_head else ()


def _path(told: str | None, prefix: str, usual: str) -> str:
    return prefix + told if told is not None else usual
