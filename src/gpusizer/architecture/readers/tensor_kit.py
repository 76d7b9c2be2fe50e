"""Short ways to write down the tensors of a layer: matrices cut by column or row, norms, biases."""

from __future__ import annotations

from gpusizer.architecture.types import Split, Tensor

__all__ = ["column", "expert_matrices", "kv_columns", "matrix", "mlp_matrices", "norm", "row", "vector"]


def matrix(
    name: str,
    outputs: int,
    inputs: int,
    group: str,
    cut: tuple[Split, int] = (Split.REPLICATED, 0),
    dtype: str | None = None,
    *,
    bias: bool = False,
) -> tuple[Tensor, ...]:
    """A linear weight of shape (outputs, inputs), with its bias where it has one; nothing where it has no outputs.

    ``cut`` says which side ranks share out and in how many units.
    """
    split, units = cut
    if not outputs or not inputs:
        return ()
    weight = Tensor(f"{name}.weight", (outputs, inputs), group, split, units, linear=True, dtype=dtype)
    if not bias:
        return (weight,)
    return weight, Tensor(f"{name}.bias", (outputs,), group, Split.REPLICATED if split is Split.ROW else split, 0 if split is Split.ROW else units)


def column(name: str, outputs: int, inputs: int, group: str, units: int = 0, *, bias: bool = False) -> tuple[Tensor, ...]:
    """A matrix whose outputs are cut."""
    return matrix(name, outputs, inputs, group, (Split.COLUMN, units), bias=bias)


def kv_columns(name: str, outputs: int, inputs: int, group: str, heads: int, *, bias: bool = False) -> tuple[Tensor, ...]:
    """A matrix whose outputs are key or value heads: never cut below one head."""
    return matrix(name, outputs, inputs, group, (Split.KV_HEADS, heads), bias=bias)


def row(name: str, outputs: int, inputs: int, group: str, units: int = 0, *, bias: bool = False) -> tuple[Tensor, ...]:
    """A matrix whose inputs are cut."""
    return matrix(name, outputs, inputs, group, (Split.ROW, units), bias=bias)


def vector(name: str, length: int, group: str, split: Split = Split.REPLICATED, dtype: str | None = None) -> tuple[Tensor, ...]:
    """A vector that is no matrix product: a norm, a decay, a sink."""
    return (Tensor(name, (length,), group, split, dtype=dtype),) if length else ()


def norm(name: str, width: int, group: str = "norms", *, bias: bool = False) -> tuple[Tensor, ...]:
    """A norm's scale, and its bias where it has one."""
    weight = Tensor(f"{name}.weight", (width,), group)
    return (weight, Tensor(f"{name}.bias", (width,), group)) if bias else (weight,)


def mlp_matrices(names: tuple[str, str, str], width: int, hidden: int, group: str, *, gated: bool, bias: bool = False) -> tuple[Tensor, ...]:
    """Gate, up and down of a feed-forward block; ``names`` may give gate and up the same (fused) name, and a plain block has no gate."""
    gate, up, down = names
    first = column(gate, width, hidden, group, bias=bias) if gated else ()
    return first + column(up, width, hidden, group, bias=bias) + row(down, hidden, width, group, bias=bias)


def expert_matrices(
    names: tuple[str, str, str],
    width: int,
    hidden: int,
    experts: int,
    suffix: tuple[str, str] = (".weight", ".bias"),
    *,
    gated: bool,
    bias: bool = False,
) -> tuple[Tensor, ...]:
    """The matrices of all routed experts, one entry for each role."""
    gate, up, down = names
    weight, added = suffix
    roles = [(gate, width, hidden, Split.COLUMN)] if gated else []
    roles += [(up, width, hidden, Split.COLUMN), (down, hidden, width, Split.ROW)]
    tensors: list[Tensor] = []
    for name, outputs, inputs, split in roles:
        tensors.append(Tensor(name + weight, (outputs, inputs), "routed_experts", split, copies=experts, linear=True))
        if bias:
            tensors.append(Tensor(name + added, (outputs,), "routed_experts", Split.REPLICATED if split is Split.ROW else split, copies=experts))
    return tuple(tensors)
