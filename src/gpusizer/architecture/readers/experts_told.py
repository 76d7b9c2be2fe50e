"""What a configuration says of experts, and whether it says how many: a mixture never becomes dense without a word."""

from __future__ import annotations

from gpusizer.architecture.readers.context import ModelContext

__all__ = ["EXPERT_COUNTS", "EXPERT_KEYS", "EXPERT_PATTERNS", "EXPERT_WIDTHS", "SELECTED", "SHARED_COUNTS", "SHARED_WIDTHS", "has_experts"]

SELECTED = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "experts_per_token",
    "moe_topk",
    "moe_top_k",
    "top_k_experts",
    "moe_k",
    "num_selected_experts",
)
EXPERT_WIDTHS = ("moe_intermediate_size", "expert_ffn_hidden_size", "expert_intermediate_size", "moe_ffn_hidden_size", "expert_dim")
EXPERT_COUNTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts", "moe_num_primary_experts")
SHARED_COUNTS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")
SHARED_WIDTHS = (
    "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "share_expert_dim",
    "shared_intermediate_size",
    "shared_expert_dim",
)
EXPERT_PATTERNS = (
    *("moe_layer_freq", "moe_layer_frequency", "first_k_dense_replace", "mlp_only_layers", "decoder_sparse_step"),
    *("interleave_moe_layer_step", "moe_layers", "expert_layer_period", "expert_layer_offset", "moe_layers_enum"),
    *("moe_layer_start_index", "moe_layer_end_index", "moe_layer_interval", "moe_layer_num_skipped", "num_dense_layers"),
)
EXPERT_KEYS = (*EXPERT_COUNTS, *EXPERT_WIDTHS, *SELECTED, *SHARED_COUNTS, *SHARED_WIDTHS, *EXPERT_PATTERNS)
_SWITCHES = ("enable_moe_block", "is_moe")


def has_experts(model: ModelContext) -> bool:
    """Whether some layer has routed experts.

    Parameters
    ----------
    model : ModelContext
        The configuration; without a count of experts it is refused where other keys speak of them, with a count of none or one they are said.

    Returns
    -------
    bool
        True where more than one expert is counted.
    """
    keys = model.keys
    if keys.optional_flag(*_SWITCHES) is False:
        return False
    found = keys.raw(*EXPERT_COUNTS)
    counts = keys.integers(*EXPERT_COUNTS) or () if isinstance(found, (list, tuple)) else (keys.integer(*EXPERT_COUNTS, default=0),)
    if max(counts, default=0) > 1:
        return True
    speaking = _speaking(model, single=counts == (1,))
    if speaking and (found is None or not counts):
        raise keys.missing(next((name for name in EXPERT_COUNTS if keys.present(name)), EXPERT_COUNTS[0]))
    if speaking:
        model.notice("experts-not-counted", keys=speaking, experts=counts[0])
    return False


def _speaking(model: ModelContext, *, single: bool) -> list[str]:
    """Keys that have a meaning only beside several experts; of one expert, one may be used."""
    trivial = {name for name in (*SELECTED, *SHARED_COUNTS, *EXPERT_PATTERNS) if model.keys.values.get(name) == 1} if single else set()
    trivial.add("shared_intermediate_size")  # of a class whose dense models have no other width
    return [name for name in model.told(*SELECTED, *EXPERT_WIDTHS, *SHARED_COUNTS, *SHARED_WIDTHS, *EXPERT_PATTERNS) if name not in trivial]
