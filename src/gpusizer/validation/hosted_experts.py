"""What a run of KTransformers leaves unsaid: experts lie in host memory, and how prompts are computed."""

from __future__ import annotations

from dataclasses import replace

from gpusizer.architecture.model import Architecture
from gpusizer.engines import find_declaration
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.base.weights import ROUTED, Cut, weight_table
from gpusizer.facts.types import Accelerator
from gpusizer.units import GB

__all__ = ["with_hosted_experts"]

# kvcache-ai/ktransformers: kt-kernel/python/cli/utils/model_registry.py: what "kt run" starts SGLang with
_LEFT_FREE_BYTES = 16 * GB  # of a card; experts get the rest
_THRESHOLD_TOKENS, _CHUNK_TOKENS = 4096, 32768
_METHODS = {"fp8": "FP8", "bf16": "BF16", "int4": "RAWINT4"}
_NATIVE = "FP8"  # any that takes the checkpoint's own weights


def with_hosted_experts(deployment: Deployment, architecture: Architecture, accelerator: Accelerator, gpus: int) -> Deployment:
    """The start with what it leaves unsaid.

    Parameters
    ----------
    deployment : Deployment
        As the case says.
    architecture : Architecture
        The model.
    accelerator : Accelerator
        The device.
    gpus : int
        So many of them.

    Returns
    -------
    Deployment
        In SGLang with the flags of ``kt run``; before that the engine read GGUF files, and the processor computed prompts too.
    """
    told = deployment.flags
    declared = find_declaration(deployment.engine)
    if declared is not None and declared.takes_gguf:
        said = any(name in told for name in ("cpu_moe", "n_cpu_moe", "override_tensor"))
        return replace(deployment, flags={"no_op_offload": True, **({} if said else {"cpu_moe": True}), **told})
    method = next((method for word, method in _METHODS.items() if word in deployment.precision), _NATIVE)
    unsaid = {"kt_weight_path": deployment.model, "kt_method": method, "kt_gpu_prefill_token_threshold": _THRESHOLD_TOKENS}
    if "kt_gpu_experts_ratio" not in told:
        unsaid["kt_num_gpu_experts"] = _experts_that_fit(architecture, accelerator, gpus)
    tokens = deployment.max_num_batched_tokens or _CHUNK_TOKENS
    return replace(deployment, max_num_batched_tokens=tokens, flags=unsaid | dict(told))


def _experts_that_fit(architecture: Architecture, accelerator: Accelerator, gpus: int) -> int:
    """Experts of each layer that the cards hold beside what is left free of each."""
    table, one = weight_table(architecture), Cut(kept_experts=1)
    size = sum(table.layer_bytes(kind, one).get(ROUTED, 0) for kind in table.kind_of)
    return int(max(accelerator.memory_bytes - _LEFT_FREE_BYTES, 0) * gpus // size) if size else 0
