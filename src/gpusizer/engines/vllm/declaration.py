"""vLLM by its names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.serving import Serving
from gpusizer.engines.vllm.releases import IMAGES, RELEASES
from gpusizer.units import GiB

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="vllm",
        module="gpusizer.engines.vllm.engine",
        flags="gpusizer.engines.vllm.flags",
        sheet="gpusizer.engines.vllm.sheet",
        sheet_takes_settings=True,
        log="gpusizer.engines.vllm.log",
        log_lines="gpusizer.engines.vllm.log_lines",
        name="vLLM",
        order=10,
        neighbours=("lmdeploy", "turbomind", "mindie", "vllm-ascend", "tgi", "text-generation-inference", "fastdeploy", "xllm"),
        releases=RELEASES,
        months=IMAGES,
        launchers=(
            ("vllm", "serve"),
            ("vllm.entrypoints.openai.api_server",),
            ("vllm.entrypoints.cli.main", "serve"),
            ("vllm.entrypoints.api_server",),
            ("vllm", "bench", "latency"),
            ("vllm", "bench", "throughput"),
        ),
        images=("vllm/vllm-openai", "vllm-openai", "rocm/vllm", "vllm/vllm-tpu", "vllm-ascend"),
        environment=("VLLM_",),
        abbreviates=True,
        decimal_k=True,
        made_on_load=("fp8",),
        serving=Serving(
            port=8000,
            listens=("--host", "0.0.0.0", "--port", "{port}"),
            health="/health",
            shared_bytes=8 * GiB,
            source="vllm-project/vllm: docs/deployment/k8s.md, docs/deployment/docker.md",
        ),
    ),
)
