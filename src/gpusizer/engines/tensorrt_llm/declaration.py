"""TensorRT-LLM by its names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.serving import Serving
from gpusizer.engines.tensorrt_llm.releases import RELEASES
from gpusizer.units import GiB

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="tensorrt-llm",
        module="gpusizer.engines.tensorrt_llm.engine",
        flags="gpusizer.engines.tensorrt_llm.flags",
        sheet="gpusizer.engines.tensorrt_llm.sheet",
        log="gpusizer.engines.tensorrt_llm.log",
        log_lines="gpusizer.engines.tensorrt_llm.log_lines",
        name="TensorRT-LLM",
        order=30,
        aliases=("trtllm", "tensorrt_llm", "trt-llm"),
        neighbours=("tensorrt",),
        releases=RELEASES,
        launchers=(("trtllm-serve",), ("trtllm-serve", "serve")),
        images=("tensorrt-llm", "tensorrtllm"),
        environment=("TRTLLM_", "TLLM_"),
        serving=Serving(
            port=8000,
            listens=("--host", "0.0.0.0", "--port", "{port}"),
            health="/health",
            shared_bytes=8 * GiB,
            source="https://nvidia.github.io/TensorRT-LLM/latest/commands/trtllm-serve.html; shared memory as for other engines on PyTorch",
        ),
    ),
)
