"""An engine in one module: a fixed reserve beside the weights, a pool of blocks, one launch command. Nothing else in the package knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.cache import cache_format, layer_caches
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.engine import CachePlan, Stage, Start
from gpusizer.engines.base.flag import Flag, passed_over
from gpusizer.engines.base.launch_words import printed_values, words_for
from gpusizer.engines.base.ledger import combined, computed
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.types import Deployment, Item, Quantity, Section
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.constants import constant_bytes
from gpusizer.units import GiB

DECLARED = Declaration(
    id="toy",
    module="toy_engine",
    flags="toy_engine",
    name="Toy",
    aliases=("toy-engine",),
    neighbours=("plaything",),
    releases=(("2026-01", "1.0.0"), ("2026-06", "2.0.0")),
    launchers=(("toyserve",),),
    speed_family="vllm",
)
FLAGS = (
    Flag("--ways", "count", "tp", low=1, high=64),
    Flag("--longest", "tokens", "max_model_len", low=1),
    Flag("--reserve-gib", "number", high=64),
    *passed_over(values="--colour"),
)


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    return ()


class Toy(PooledEngine):
    id: ClassVar[str] = "toy"
    newest: ClassVar[tuple[int, ...]] = (2, 0, 0)

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        return replace(deployment, max_model_len=deployment.max_model_len or architecture.max_position_embeddings or 4096, block_size=16)

    def overheads(self, start: Start, stage: Stage) -> Sequence[Item]:
        return [computed("non_torch", constant_bytes, section=Section.NON_TORCH, fitted_bytes=start.flag("reserve_gib", 2.0) * GiB)]

    def pool_bytes(self, start: Start, stage: Stage, items: Sequence[Item]) -> Quantity:
        return combined(items, sign=-1, base=start.device_total_bytes)

    def cache_plan(self, start: Start, stage: Stage) -> CachePlan:
        form = cache_format(start.deployment.kv_precision, start.architecture.dtype)
        assert form is not None
        layers = [start.architecture.layers[index] for index in stage.layers]
        token = sum(cache.row_bytes for layer in layers for cache in layer_caches(layer, form, tp=start.layout.tp))
        return CachePlan(token * 16, 16, 1, token, 0, lambda tokens: -(-tokens // 16))

    def command(self, deployment: Deployment) -> list[str]:
        return ["toyserve", deployment.model, *words_for(printed_values(deployment), self.id)[1]]


ENGINE = Toy()
