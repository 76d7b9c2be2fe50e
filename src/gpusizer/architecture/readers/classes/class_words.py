"""The vocabulary in which a row of ``classes.toml`` says what a class hard-codes: every word with its type, what it means and what holds without it.

A reader asks for a word as an attribute, so a word that is misspelt does not pass the type checker; ``tests/architecture/test_classes.py`` holds that
every word here is written by a row and read by a reader. ``None`` leaves the answer to keys of the configuration or to a name that follows from
another word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

__all__ = ["ClassWords", "StoredExtra", "either"]

_Word = TypeVar("_Word")


class StoredExtra(NamedTuple):
    """A stored tensor that only one family has; it changes counts, not how a layer works.

    Parameters
    ----------
    name : str
        Path below its layer, or in the model.
    dimensions : tuple of int or str
        Numbers, keys, words of ``extras.py``, or sums of products of them: ``"2*heads*head_dim+-1"``.
    group : str
        Group of the parameter count.
    layers : str
        Kind of mixer or of block in whose layers it stands; "" for all.
    """

    name: str
    dimensions: tuple[int | str, ...]
    group: str
    layers: str = ""


@dataclass(init=False, eq=False, repr=False)  # a generated constructor of ninety parameters takes longer at every start than the rows themselves
class ClassWords:
    """What a class hard-codes; the comment behind each word is its meaning.

    Parameters
    ----------
    words : mapping
        The words of a row, lists as TOML has them; one that is not of the vocabulary is refused.

    Examples
    --------
    >>> ClassWords({"norms": ["ln_1", "ln_2"], "gated": False}).norms
    ('ln_1', 'ln_2')
    >>> ClassWords({"experts_beside_dense": True})
    Traceback (most recent call last):
    ValueError: not of the vocabulary: experts_beside_dense
    """

    # Paths in the checkpoint
    prefix: str = ""  # of the text model
    layer_prefix: str | None = None  # of the layers, below the prefix
    embedding: str | None = None  # of the input embeddings
    final_norm: str | None = None  # of the norm after the last layer; empty where there is none
    attention: str = "self_attn."
    mlp: str = "mlp."
    mamba: str = "mamba."
    experts_module: str = "mlp."  # of router, experts and shared experts
    fused_qkv: str | None = None  # one name of queries, keys and values
    qkv_names: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    o_name: str = "o_proj"
    q_norm_name: str = "q_norm"
    k_norm_name: str = "k_norm"
    gate_name: str = "gate_proj"
    up_name: str = "up_proj"
    down_name: str = "down_proj"
    expert_gate: str = "experts.*.gate_proj"
    expert_up: str = "experts.*.up_proj"
    expert_down: str = "experts.*.down_proj"
    expert_suffix: str = ".weight"
    expert_bias_suffix: str = ".bias"
    shared: str | None = None  # module of the shared experts
    shared_gate_proj: str = "gate_proj"
    shared_up_proj: str = "up_proj"
    shared_down_proj: str = "down_proj"
    router: str | None = None
    router_bias_name: str | None = None
    latent_down: str | None = None  # into the narrower space of the experts, and out of it
    latent_up: str | None = None
    latent_norm: str | None = None

    # Kinds of layers
    mixer: Literal["attention", "linear", "mamba", "attention+mamba", "attention+cross"] = "attention"  # of every layer that no key names
    other_mixer: Literal["mamba", "conv"] = "mamba"  # of layers that a list of attention layers leaves out
    sliding: Literal["all"] | None = None  # "all": a window alone means every layer
    sliding_attention: bool = False  # layers of full attention have the window
    single_block: bool = False  # a layer is a mixer or a feed-forward block
    mixers_per_layer: int = 1  # mixers and dense blocks
    no_feed_forward: bool = False
    dense_beside_experts: bool = False  # a layer with experts has a dense block too
    lightning: bool = False  # linear attention is of the lightning kind
    expert_attention: bool = False  # queries and outputs are routed experts

    # Models that read and do not write
    encoder: bool = False  # attention sees both ways, and there is no head
    padding_positions: int = 0  # positions at the beginning of the table that stand for padding

    # Biases that no key tells; None leaves them to attention_bias, use_bias, mlp_bias
    qkv_bias: bool | None = None
    key_bias: bool = True  # keys have one where queries and values have
    o_bias: bool | None = None
    mlp_has_bias: bool | None = None
    experts_have_bias: bool | None = None
    router_has_bias: bool = False
    head_bias: bool = False
    head_bias_key: str = "lm_head_bias"  # key that tells the bias of the output head
    attention_bias_covers_output: bool = True

    # Norms
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")  # of a layer, in order
    norms_when_single: tuple[str, ...] | None = None  # in their place under the key below, or where one norm serves both blocks
    single_norm_key: str | None = None
    norms_with_experts: tuple[str, ...] = ()  # further ones of layers with experts
    norm_bias: bool = False
    norm_weight: bool = True
    first_norm: bool = True  # the first layer norms what it reads
    qk_norm: Literal["none", "head", "full", "heads"] = "none"  # of queries and keys: a head's width, all heads' width, one for each head
    qk_norm_when_used: Literal["none", "head", "full", "heads"] | None = None  # what use_qk_norm means
    qk_norm_bias: bool = False

    # Attention
    rotary: bool = True
    sinks: bool = False  # one a head
    query_gate: bool = False  # queries are twice as wide for a gate of the output
    head_gate: bool = False  # one gate a head
    head_gate_key: str = "head_wise_attn_gate"  # key that tells it
    always_gated: bool = False  # a false flag means the other gate, not none
    latent_gate: Literal["none", "head", "full"] | None = None  # gate of latent attention; None asks mla_use_output_gate
    latent_query_gate: bool = False  # queries and their gates come from the latent together
    scaled_softmax: bool = False  # a scale and a bias a head for the softmax

    # States
    delta_projections: Literal["fused"] | None = None  # of the gated delta net
    forget_rank: Literal["low", "full"] = "low"  # of the gates of Kimi's delta attention
    output_rank: Literal["low", "full"] | None = None  # None asks linear_gate_full_rank
    mamba_norms: bool = False  # norms of what the state is made from
    mamba_gated_norm: bool = True  # a norm before the output

    # Feed-forward blocks
    gated: bool = True  # three matrices, not two
    mlp_ratio: int | None = None  # width over hidden size where no key tells a width
    halved_width: bool = False  # the key tells gate and up together
    dense_width_key: str | None = None  # key of the width of dense blocks
    one_width: bool = False  # one key tells the width of experts and of dense blocks
    unknown_experts: bool = False  # experts of a kind that nobody reads
    shared_experts: int = 0  # where no key counts them
    shared_gate: bool = False  # a gate of one row for the shared experts
    router_bias: Literal["none", "buffer", "parameter"] = "none"  # correction bias: stored only, or counted
    image_router_bias: bool = False  # a second one for the tokens of images
    router_dtype: Literal["fp32"] | None = None
    router_scales: tuple[str, ...] = ()
    latent_dtype: Literal["bf16"] | None = None  # of the projections around narrower experts, which stay out of the quantisation

    # Ends, multi-token prediction, further tensors
    extra_embedding_rows: int = 0  # beyond the vocabulary
    stores_tied_head: bool = False  # a checkpoint stores the head although it is the embedding
    hyper_mixing: bool = True  # a matrix between the residual streams
    hyper_dtype: Literal["fp32", "bf16"] = "fp32"  # of the matrices of hyper-connections; their vectors are F32
    mtp_hyper: bool = True  # the layers of multi-token prediction have hyper-connections as well
    hyper_head: bool = True  # hyper-connections end in weights of their own
    layer_scalar: bool = False
    mtp_copies: bool = False  # a checkpoint stores embedding and head again
    mtp_projections: int = 1  # that join state and embedding: one of both, or one each
    mtp_style: Literal["qwen"] | None = None  # a module of its own beside the layers
    mtp_block: Literal["dense"] | None = None  # kind of its feed-forward block; None takes the last layer's
    extras: tuple[StoredExtra, ...] = ()  # of layers
    model_extras: tuple[StoredExtra, ...] = ()  # of the model
    bare_extras: tuple[StoredExtra, ...] = ()  # of the class without a task (...Model)
    classifier_extras: tuple[StoredExtra, ...] = ()  # of the class that gives scores (...ForSequenceClassification)
    masked_extras: tuple[StoredExtra, ...] = ()  # of the class that fills in words (...ForMaskedLM)

    def __init__(self, words: Mapping[str, Any]) -> None:
        if unknown := words.keys() - self.__dataclass_fields__:
            raise ValueError(f"not of the vocabulary: {', '.join(sorted(unknown))}")
        for word, value in words.items():
            if word.endswith("extras"):
                setattr(self, word, tuple(_extra(row) for row in value))
            else:
                setattr(self, word, tuple(value) if isinstance(value, list) else value)


def _extra(row: Mapping[str, Any]) -> StoredExtra:
    return StoredExtra(row["name"], tuple(row["dimensions"]), row["group"], row.get("layers", ""))


def either(word: _Word | None, otherwise: _Word) -> _Word:
    """The word where the class has it, else what keys or other words say.

    >>> either(None, "mlp.gate"), either("", "mlp.gate"), either(False, True)
    ('mlp.gate', '', False)
    """
    return otherwise if word is None else word
