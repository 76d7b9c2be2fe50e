"""Models whose states are pooled: how a start says so, and in which format they are loaded.

An encoder's layers have no specification of a cache, so that no memory is profiled or set aside for one (vllm-project/vllm:
vllm/v1/engine/core.py, _initialize_kv_caches), and a text is never cut into chunks (vllm/engine/arg_utils.py, _set_default_args).
"""

from __future__ import annotations

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.types import Deployment

__all__ = ["POOLED_USES", "as_loaded", "pools"]

POOLED_USES = frozenset({"pooling", "embed", "embedding", "classify", "score", "reward"})
"""Words of ``--runner``, ``--task`` and ``--convert`` under which states are pooled."""


def pools(start: Start) -> bool:
    """Whether states are pooled instead of sampled from: the model does nothing else, or ``--runner``, ``--task``, ``--convert`` say so."""
    told = (start.flag("runner"), start.flag("task"), start.flag("convert"))
    return start.architecture.pooled or not POOLED_USES.isdisjoint(str(use).lower() for use in told)


def as_loaded(architecture: Architecture, deployment: Deployment) -> Architecture:
    """The model as it is loaded: FP32 becomes FP16 unless a type is asked for.

    vllm-project/vllm: vllm/config/model.py, _resolve_auto_dtype: of pooled models FP16 is preferred, "Downcast for float32 models".
    """
    stays = deployment.precision != "checkpoint" or architecture.dtype != "fp32" or architecture.quantization.method is not None
    if stays or not architecture.pooled:
        return architecture
    return with_precision(architecture, "fp16")
