"""Constants that several engines share, each with what was measured behind it."""

from __future__ import annotations

from gpusizer.engines.base.band import Basis

__all__ = ["HIDDEN_COPIES", "HIDDEN_COPIES_BASIS", "INTERMEDIATE_COPIES"]

# Hidden states that live together at the widest point of a decoder layer: residual, its norm, queries, output. Measured for vLLM where the block is
# the peak (n = 6, error 0.03 GiB), and taken for the other engines, which run the same layers.
HIDDEN_COPIES = 4.3
HIDDEN_COPIES_BASIS = Basis("base.hidden_copies", 6, -0.03, 0.03, "GiB beside 4.3")

# Tensors of the intermediate width that live together in a gated block: gate, up, and their product.
INTERMEDIATE_COPIES = 3
