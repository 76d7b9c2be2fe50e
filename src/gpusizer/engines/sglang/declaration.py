"""SGLang by its names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.serving import Serving
from gpusizer.engines.sglang.releases import RELEASES
from gpusizer.units import GiB

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="sglang",
        module="gpusizer.engines.sglang.engine",
        flags="gpusizer.engines.sglang.flags",
        sheet="gpusizer.engines.sglang.sheet",
        log="gpusizer.engines.sglang.log",
        log_lines="gpusizer.engines.sglang.log_lines",
        name="SGLang",
        order=20,
        neighbours=("lightllm", "ktransformers", "sglang-jax"),
        releases=RELEASES,
        launchers=(("sglang", "serve"), ("sglang.launch_server",), ("sglang.bench_one_batch",), ("sglang.bench_offline_throughput",)),
        images=("lmsysorg/sglang", "rocm/sgl-dev", "sglang"),
        environment=("SGLANG_", "SGL_"),
        abbreviates=True,
        made_on_load=("fp8",),
        shares_steps=False,
        admits_with_margin=True,
        dp_divides_tp=True,
        serving=Serving(
            port=30000,
            listens=("--host", "0.0.0.0", "--port", "{port}"),
            health="/health",
            programs=(("python", "python3"),),
            shared_bytes=32 * GiB,
            source="https://docs.sglang.io/docs/get-started/install.md (docker run --shm-size 32g)",
        ),
    ),
)
