"""Multi-token prediction: one more decoder layer (or a few blocks), a projection of state and embedding, its norms; some checkpoints store copies."""

from __future__ import annotations

from dataclasses import replace

from gpusizer.architecture.readers.classes.class_words import either
from gpusizer.architecture.readers.context import ModelContext
from gpusizer.architecture.readers.decoder import LayerFactory, hyper_connection
from gpusizer.architecture.readers.layer_kinds import single_blocks, single_kinds
from gpusizer.architecture.readers.tensor_kit import matrix, norm
from gpusizer.architecture.types import Layer, Split, Tensor

__all__ = ["read_mtp"]

_COUNTS = ("num_nextn_predict_layers", "mtp_num_hidden_layers")
_MAX_MTP = 64
# Modules that configurations declare and published checkpoints leave out.
_LEFT_OUT = ("mtp_use_dedicated_embeddings", "num_mtp_modules", "mtp_transformer_layers", "use_mtp")


def _named(layer: Layer, inner: str) -> Layer:
    """The layer with its tensors one step further down (``mtp.layers.0.`` beside ``mtp.fc``)."""

    def move(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(replace(tensor, name=inner + tensor.name) for tensor in tensors)

    mixers = tuple(mixer.with_tensors(move(mixer.tensors)) for mixer in layer.mixers)
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
    keys, words, hidden = model.keys, model.class_words, model.hidden
    keys.ignore(*_LEFT_OUT, *_COUNTS)
    targets = keys.integers("dspark_target_layer_ids") or ()
    count = len(targets) or keys.integer(*_COUNTS, default=0, high=_MAX_MTP)
    if count > _MAX_MTP:
        raise keys.refuse("dspark_target_layer_ids", f"{count} entries", f"at most {_MAX_MTP}")
    if not count:
        keys.ignore("mtp_hybrid_override_pattern", "mtp_layers_block_type")
        return (), ()
    letters = single_blocks(model, "mtp_hybrid_override_pattern", "mtp_layers_block_type")
    layers: list[Layer] = []
    for ahead in range(count):
        index = model.layers + ahead
        pairs = list(zip(*single_kinds(letters, keys), strict=True)) if letters else [_mtp_kinds(factory, kinds)]
        parts = [factory.parts(index, mixer, block, frozenset({"mtp"})) for mixer, block in pairs]
        mixers = tuple(mixer for part in parts for mixer in part[0])
        blocks = tuple(block for part in parts for block in part[1])
        around = tuple(tensor for part in parts for tensor in part[2])
        layer = Layer(f"{prefix}{index}.", mixers, blocks, around)
        if words.mtp_style == "qwen":
            inner = replace(_named(layer, f"layers.{ahead}."), prefix="mtp.")
            joined = _projection("fc", hidden) + norm("pre_fc_norm_hidden", hidden) + norm("pre_fc_norm_embedding", hidden) + norm("norm", hidden)
            layers.append(replace(inner, tensors=inner.tensors + (joined if ahead == 0 else ())))
        else:
            joined = _drafter(model, ahead, len(targets), vocab) if targets else _joined(model)
            layers.append(replace(layer, tensors=layer.tensors + joined))
    if not words.mtp_copies:
        return tuple(layers), ()
    copies: list[Tensor] = []
    for layer in layers:
        copies.append(Tensor(f"{layer.prefix}embed_tokens.weight", (vocab, hidden), "embedding", Split.VOCABULARY))
        copies.append(Tensor(f"{layer.prefix}shared_head.head.weight", (vocab, hidden), "lm_head", Split.VOCABULARY, linear=True))
    return tuple(layers), tuple(copies)


def _joined(model: ModelContext) -> tuple[Tensor, ...]:
    """What joins the state and the next token's embedding before the extra layer, and what follows it."""
    hidden, streams = model.hidden, model.keys.integer("hc_mult", default=0)
    if model.class_words.mtp_projections == 2:
        joined = matrix("e_proj", hidden, hidden, "attention") + matrix("h_proj", hidden, hidden, "attention")
    else:
        joined = _projection("eh_proj", hidden)
    joined += norm("enorm", hidden) + norm("hnorm", hidden) + norm("shared_head.norm", hidden)
    return joined + (hyper_connection("hc_head.", streams, streams * hidden, 1, "hc_") if streams and model.class_words.mtp_hyper else ())


def _drafter(model: ModelContext, ahead: int, count: int, vocab: int) -> tuple[Tensor, ...]:
    """A drafter of several blocks: one projection of the states of some layers before the first, small heads after the last."""
    hidden, streams = model.hidden, model.keys.integer("hc_mult", default=0)
    rank = model.keys.integer("dspark_markov_rank", default=0)
    tensors: tuple[Tensor, ...] = ()
    if ahead == 0:
        tensors += norm("main_norm", hidden) + matrix("main_proj", hidden, count * hidden, "attention")
    if ahead == count - 1:
        tensors += norm("norm", hidden)
        tensors += hyper_connection("hc_head.", streams, streams * hidden, 1, "hc_") if streams and model.class_words.hyper_head else ()
        for side in ("markov_w1", "markov_w2"):
            tensors += (Tensor(f"markov_head.{side}.weight", (vocab, rank), "attention", Split.VOCABULARY),) if rank else ()
        tensors += matrix("confidence_head.proj", 1, hidden + rank, "attention", dtype="bf16")
    return tensors


def _projection(name: str, hidden: int) -> tuple[Tensor, ...]:
    return matrix(name, hidden, 2 * hidden, "attention")


def _mtp_kinds(factory: LayerFactory, kinds: tuple[str, str]) -> tuple[str, str]:
    """Kinds of the extra layer: those of the last decoder layer, attention where that has a state."""
    mixer, block = kinds
    block = either(factory.model.class_words.mtp_block, block)
    return ("attention" if mixer in ("linear", "mamba", "conv", "none") else mixer), block
