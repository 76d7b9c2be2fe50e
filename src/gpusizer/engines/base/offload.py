"""Weights that ``--cpu-offload-gb`` moves to the host: parameters of decoder layers one by one, until so many bytes of a GPU are gone."""

from __future__ import annotations

from gpusizer.engines.base.launch import Stage, Start
from gpusizer.engines.base.ledger import item
from gpusizer.engines.base.types import Evidence, Item
from gpusizer.engines.base.weights import Cut, weight_table
from gpusizer.units import GiB

__all__ = ["offloaded_layers"]

# vllm-project/vllm: vllm/model_executor/models/utils.py, maybe_offload_to_cpu; sgl-project/sglang: python/sglang/srt/utils/offloader.py. Embeddings
# and the head stay. The last parameter that goes may be large: up to half a layer more than was asked for.
_SOURCES = ("vllm-project/vllm: vllm/model_executor/models/utils.py, maybe_offload_to_cpu",)
_LAST_SHARE = 0.5


def offloaded_layers(start: Start, stage: Stage, cut: Cut) -> list[Item]:
    """A negative line for the weights of one GPU that lie in host memory; empty where nothing was asked for."""
    asked = start.flag("cpu_offload_gb", 0)
    if not isinstance(asked, int | float) or isinstance(asked, bool) or asked <= 0:
        return []
    table = weight_table(start.architecture)
    layers = [sum(table.layer_bytes(table.kind_of[index], cut).values()) for index in stage.layers]
    size = min(asked * GiB, sum(layers))
    more = min(size + _LAST_SHARE * max(layers, default=0), sum(layers))
    inputs = {"asked_bytes": round(asked * GiB), "layers_bytes": sum(layers)}
    return [item("weights_on_host", -size, low=-more, high=-size, inputs=inputs, sources=_SOURCES, evidence=Evidence.CALIBRATED)] if size else []
