"""TensorRT-LLM by its names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.tensorrt_llm.releases import RELEASES

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="tensorrt-llm",
        module="gpusizer.engines.tensorrt_llm.engine",
        flags="gpusizer.engines.tensorrt_llm.flags",
        sheet="gpusizer.engines.tensorrt_llm.sheet",
        log="gpusizer.engines.tensorrt_llm.log",
        name="TensorRT-LLM",
        order=30,
        aliases=("trtllm", "tensorrt_llm", "trt-llm"),
        neighbours=("tensorrt",),
        releases=RELEASES,
        launchers=(("trtllm-serve",), ("trtllm-serve", "serve")),
        images=("tensorrt-llm", "tensorrtllm"),
        environment=("TRTLLM_", "TLLM_"),
    ),
)
