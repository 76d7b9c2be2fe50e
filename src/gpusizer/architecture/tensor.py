"""One stored tensor: its shape, the group that counts it, and how tensor parallelism cuts it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod

__all__ = ["Split", "Tensor"]


class Split(StrEnum):
    """How tensor parallelism cuts a tensor."""

    REPLICATED = "replicated"  # every rank holds it whole
    COLUMN = "column"  # the output dimension (rows of the stored matrix) is cut
    ROW = "row"  # the input dimension (columns of the stored matrix) is cut
    KV_HEADS = "kv_heads"  # like COLUMN, but never below one head: replicated when there are more ranks than heads
    VOCABULARY = "vocabulary"  # rows are vocabulary entries, padded before they are cut


@dataclass(frozen=True, slots=True)
class Tensor:
    """One stored matrix or vector: logical weights, before any quantisation.

    Parameters
    ----------
    name : str
        Path below its layer, as the checkpoint names it: ``self_attn.q_proj.weight``; ``mlp.experts.*.gate_proj.weight`` (``*``: the expert).
    shape : tuple of int
        As stored: (output, input) for a matrix.
    group : str
        Group of the parameter count: embedding, attention, linear_attention, indexer, norms, dense_mlp, routed_experts, shared_experts, router,
        latent_projection, hyper_connection, residual_mixing, per_layer_embedding, ngram_embedding, ngram_projection, vision,
        lm_head; "buffer" is stored and not
        counted as parameters (correction biases of routers, tables of integers).
    split : Split
        How tensor parallelism cuts it.
    units : int
        Number of indivisible units (heads, KV heads, groups) in the dimension that is cut; 0 when any row may be cut.
    copies : int
        How many tensors of this shape the layer stores: the number of experts for an expert's matrix.
    linear : bool
        A weight of a matrix product: it may be quantised and costs FLOPs. Embeddings, norms, biases and convolutions are not.
    places : int
        Places in a parameter that stacks queries, keys and values: 2 for keys that are the values as well.
    dtype : str or None
        Number format when it differs from the checkpoint's main one ("fp32" for some routers); None follows the checkpoint.
    rows_read : int
        Rows of a table of which one token looks up a few and only these; 0 where a token uses all of it.

    Examples
    --------
    >>> Tensor("mlp.experts.*.down_proj.weight", (7168, 2048), "routed_experts", Split.ROW, copies=256, linear=True).params
    3758096384
    """

    name: str
    shape: tuple[int, ...]
    group: str
    split: Split = Split.REPLICATED
    units: int = 0
    copies: int = 1
    linear: bool = False
    dtype: str | None = None
    places: int = 1
    rows_read: int = 0

    @property
    def params(self) -> int:
        """Number of parameters, all copies together."""
        return prod(self.shape) * self.copies

    @property
    def idle(self) -> int:
        """Parameters of a table that one token does not look up; 0 of everything else."""
        return (self.shape[0] - self.rows_read) * prod(self.shape[1:]) * self.copies if self.rows_read else 0
