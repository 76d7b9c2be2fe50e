"""llama.cpp and Ollama, which runs it, by their names."""

from __future__ import annotations

from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.serving import Serving
from gpusizer.engines.llama_cpp.releases import BUILDS, FORK_BUILDS, OLLAMA

__all__ = ["DECLARATIONS"]

DECLARATIONS = (
    Declaration(
        id="llama.cpp",
        module="gpusizer.engines.llama_cpp.engine",
        flags="gpusizer.engines.llama_cpp.flags",
        log="gpusizer.engines.llama_cpp.log",
        log_lines="gpusizer.engines.llama_cpp.log_lines",
        order=40,
        aliases=("llamacpp", "llama-cpp"),
        neighbours=(
            "exllama",
            "exllamav2",
            "exllamav3",
            "tabbyapi",
            "ik_llama.cpp",
            "koboldcpp",
            "lm-studio",
            "mlc-llm",
        ),
        releases=BUILDS,
        fork_releases=FORK_BUILDS,
        launchers=(
            ("llama-server",),
            ("llama-cli",),
            ("llama-bench",),
            ("llama-batched-bench",),
            ("llama-perplexity",),
            ("llama-completion",),
            ("llama-mtmd-cli",),
        ),
        images=("llama.cpp",),
        environment=("LLAMA_ARG_",),
        widens=True,
        takes_gguf=True,
        layout_by_devices=True,
        builds=True,
        placed_by_hand=True,
        serving=Serving(
            port=8080,
            listens=("--host", "0.0.0.0", "--port", "{port}"),
            health="/health",
            programs=(("llama-server", "/app/llama-server"),),
            source="ggml-org/llama.cpp: docs/docker.md, tools/server/README.md",
        ),
    ),
    Declaration(
        id="ollama",
        module="gpusizer.engines.llama_cpp.ollama",
        flags="gpusizer.engines.llama_cpp.ollama_flags",
        log="gpusizer.engines.llama_cpp.ollama_log",
        log_lines="gpusizer.engines.llama_cpp.log_lines",
        name="Ollama",
        order=50,
        releases=OLLAMA,
        launchers=(("ollama", "run"), ("ollama", "serve"), ("ollama", "start")),
        images=("ollama/ollama",),
        environment=("OLLAMA_",),
        devices_like="llama.cpp",
        widens=True,
        takes_gguf=True,
        speed_family="llama.cpp",
        layout_by_devices=True,
        library_of_checkpoints=True,
        serving=Serving(
            port=11434,
            listens=(),
            variables=(("OLLAMA_HOST", "0.0.0.0:{port}"),),
            health="/",
            source="ollama/ollama: docs/faq.mdx (OLLAMA_HOST), docs/docker.mdx",
        ),
    ),
)
