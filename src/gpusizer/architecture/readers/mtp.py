"""Multi-token prediction: one more decoder layer (or a few blocks), a projection of state and embedding, its norms; some checkpoints store copies."""

from __future__ import annotations

from dataclasses import replace

from gpusizer.architecture.readers.decoder import LayerFactory
from gpusizer.architecture.readers.plan import single_blocks, single_kinds
from gpusizer.architecture.readers.tensors import matrix, norm
from gpusizer.architecture.types import Layer, Split, Tensor

__all__ = ["read_mtp"]

_COUNTS = ("num_nextn_predict_layers", "mtp_num_hidden_layers")
_MAX_MTP = 64


def _named(layer: Layer, inner: str) -> Layer:
    """The layer with its tensors one step further down (``mtp.layers.0.`` beside ``mtp.fc``)."""

    def move(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(replace(tensor, name=inner + tensor.name) for tensor in tensors)

    mixers = tuple(replace(mixer, tensors=move(mixer.tensors)) for mixer in layer.mixers)
    blocks = tuple(replace(block, tensors=move(block.tensors)) for block in layer.feed_forwards)
    return Layer(layer.prefix, mixers, blocks, move(layer.tensors))


def read_mtp(factory: LayerFactory, kinds: tuple[str, str], prefix: str, vocab: int) -> tuple[tuple[Layer, ...], tuple[Tensor, ...]]:
    """The layers of multi-token prediction and the copies that a checkpoint stores with them.

    Parameters
    ----------
    factory : LayerFactory
        Reads layers of this model.
    kinds : tuple of str
        Kinds of mixer and block of the model's last layer.
    prefix : str
        Path of the decoder's layers.
    vocab : int
        Rows of the embedding.

    Returns
    -------
    layers, copies
        Empty without multi-token prediction.
    """
    model = factory.model
    keys, words, hidden = model.keys, model.shape, model.hidden
    keys.ignore(
        "mtp_use_dedicated_embeddings", "num_mtp_modules", "mtp_transformer_layers", "use_mtp"
    )  # modules that published checkpoints leave out
    count = keys.integer(*_COUNTS, default=0, high=_MAX_MTP)
    if not count:
        keys.ignore("mtp_hybrid_override_pattern", "mtp_layers_block_type")
        return (), ()
    letters = single_blocks(model, "mtp_hybrid_override_pattern", "mtp_layers_block_type")
    layers: list[Layer] = []
    for place in range(count):
        index = model.layers + place
        pairs = list(zip(*single_kinds(letters, keys), strict=True)) if letters else [_mtp_kinds(factory, kinds)]
        parts = [factory.parts(index, mixer, block, frozenset({"mtp"})) for mixer, block in pairs]
        mixers = tuple(mixer for part in parts for mixer in part[0])
        blocks = tuple(block for part in parts for block in part[1])
        around = tuple(tensor for part in parts for tensor in part[2])
        layer = Layer(f"{prefix}{index}.", mixers, blocks, around)
        if words.text("mtp_style") == "qwen":
            inner = replace(_named(layer, f"layers.{place}."), prefix="mtp.")
            joined = _projection("fc", hidden) + norm("pre_fc_norm_hidden", hidden) + norm("pre_fc_norm_embedding", hidden) + norm("norm", hidden)
            layers.append(replace(inner, tensors=inner.tensors + (joined if place == 0 else ())))
        else:
            if words.integer("mtp_projections", default=1) == 2:
                joined = matrix("e_proj", hidden, hidden, "attention") + matrix("h_proj", hidden, hidden, "attention")
            else:
                joined = _projection("eh_proj", hidden)
            joined += norm("enorm", hidden) + norm("hnorm", hidden) + norm("shared_head.norm", hidden)
            layers.append(replace(layer, tensors=layer.tensors + joined))
    if not words.flag("mtp_copies"):
        return tuple(layers), ()
    copies: list[Tensor] = []
    for layer in layers:
        copies.append(Tensor(f"{layer.prefix}embed_tokens.weight", (vocab, hidden), "embedding", Split.VOCABULARY))
        copies.append(Tensor(f"{layer.prefix}shared_head.head.weight", (vocab, hidden), "lm_head", Split.VOCABULARY, linear=True))
    return tuple(layers), tuple(copies)


def _projection(name: str, hidden: int) -> tuple[Tensor, ...]:
    return matrix(name, hidden, 2 * hidden, "attention")


def _mtp_kinds(factory: LayerFactory, kinds: tuple[str, str]) -> tuple[str, str]:
    """Kinds of the extra layer: those of the last decoder layer, attention where that has a state."""
    mixer, block = kinds
    block = factory.model.shape.text("mtp_block", default=block)
    return ("attention" if mixer in ("linear", "mamba", "conv", "none") else mixer), block
