"""Ollama: llama.cpp underneath, with defaults of its own: context by memory, how many requests at once, what goes to the host by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.launch import Start
from gpusizer.engines.base.launch_words import printed_values, visible_devices
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.engines.llama_cpp.engine import LlamaCpp
from gpusizer.engines.llama_cpp.options import Options, options_of
from gpusizer.facts.types import Accelerator
from gpusizer.units import GiB

__all__ = ["ENGINE", "Ollama"]

# Release -> build of llama.cpp inside, by month of both.
_BUILDS: tuple[tuple[tuple[int, ...], int], ...] = (
    ((0, 1, 0), 1480),
    ((0, 2, 0), 3270),
    ((0, 3, 0), 3500),
    ((0, 4, 0), 4000),
    ((0, 5, 0), 4300),
    ((0, 6, 0), 4900),
    ((0, 7, 0), 5300),
    ((0, 9, 0), 5560),
    ((0, 11, 0), 6060),
    ((0, 12, 0), 6600),
    ((0, 13, 0), 7000),
    ((0, 15, 0), 7700),
    ((0, 20, 0), 8620),
    ((0, 30, 0), 9300),  # out on 2026-06-02
    ((0, 31, 0), 10488),  # ollama/ollama@fb3076099 builds b10488
)
_CONTEXT_4096_FROM = (0, 6, 7)
_CONTEXT_BY_MEMORY_FROM = (0, 15, 5)
_ONE_AT_ONCE_FROM = (0, 11, 0)  # OLLAMA_NUM_PARALLEL is 1; before, 4 where all fits
_FLASH_FROM = (0, 12, 0)
_OWN_ENGINE_FROM = (0, 11, 0)  # tensors and graphs of its own: whole layers go to the host and are computed there, logits of the last positions
_CHILD_FROM = (0, 30, 0)  # llama-server as a child process


class Ollama(LlamaCpp):
    """Ollama, 0.1 to 0.31: its flags are its environment variables without ``OLLAMA_``, in lower case."""

    id: ClassVar[str] = "ollama"
    newest: ClassVar[tuple[int, ...]] = (0, 31, 0)
    offloads_by_itself: ClassVar[bool] = True

    def build_of(self, deployment: Deployment) -> int:
        """Build of llama.cpp inside the release."""
        release = self.version_of(deployment)
        return next((build for first, build in reversed(_BUILDS) if release >= first), _BUILDS[0][1])

    def options(self, deployment: Deployment) -> Options:
        """Its settings as those of llama.cpp; the context is that of one request, so all of them together take several."""
        flags: dict[str, Any] = {name: value for name, value in deployment.flags.items() if name not in _OWN}
        release = self.version_of(deployment)
        flags["parallel"] = deployment.max_num_seqs or 1
        if deployment.max_model_len:
            flags["ctx_size"] = deployment.max_model_len * flags["parallel"]
        flags["flash_attn"] = deployment.flags.get("flash_attention", release >= _FLASH_FROM)
        cache = deployment.flags.get("kv_cache_type")
        if cache is not None:
            flags |= {"cache_type_k": cache, "cache_type_v": cache}
        options = options_of(replace(deployment, flags=flags, max_model_len=None), self.build_of(deployment))
        own = _OWN_ENGINE_FROM <= release < _CHILD_FROM
        return replace(options, fit=True, lean=options.lean or own, offload_operations=options.offload_operations and not own)

    def version_of(self, deployment: Deployment) -> tuple[int, ...]:
        """Three numbers of the release."""
        return (*super().version_of(deployment), 0, 0)[:3]

    def experts_first(self, deployment: Deployment) -> bool:
        """Whole layers before it ran llama-server as a child."""
        return self.version_of(deployment) >= _CHILD_FROM

    def asked(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Its own defaults come before those of llama.cpp."""
        return self.complete(deployment, architecture, accelerator)

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """Context by release and memory, requests at once by release."""
        release = self.version_of(deployment)
        context = deployment.max_model_len or deployment.flags.get("context_length") or self._context(deployment, release, accelerator)
        at_once = deployment.max_num_seqs or deployment.flags.get("num_parallel") or 1
        return replace(deployment, max_model_len=int(context), max_num_seqs=int(at_once))

    def _context(self, deployment: Deployment, release: tuple[int, ...], accelerator: Accelerator) -> int:
        if release >= _CONTEXT_BY_MEMORY_FROM:
            memory = sum(deployment.device_memory_bytes or (accelerator.memory_bytes * deployment.layout.gpus,))
            return 4096 if memory < 23 * GiB else 32768 if memory < 47 * GiB else 262144
        return 4096 if release >= _CONTEXT_4096_FROM else 2048

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does exactly this start, and what will its log say? Older releases take four requests at once where that fits."""
        open_ended = not deployment.max_num_seqs and not deployment.flags.get("num_parallel") and self.version_of(deployment) < _ONE_AT_ONCE_FROM
        if open_ended:
            four = super().fit(self.complete(replace(deployment, max_num_seqs=4), architecture, accelerator), architecture, accelerator)
            if four.fits and not any(notice.code in ("layers-on-host", "experts-on-host") for notice in four.warnings):
                return four
        return super().fit(self.complete(deployment, architecture, accelerator), architecture, accelerator)

    def maps_weights(self, start: Start) -> bool:
        """Weights are loaded: files of its library are adjusted on the way (ollama/ollama issue 17147)."""
        return False

    def short_of_host(self, start: Start) -> str:
        """It refuses, whatever could be mapped (ollama/ollama issues 8654 and 8667)."""
        return "host-memory-refused"

    def offloaded(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment | None:
        """The start as it is: what goes to the host Ollama decides, by the memory that it finds."""
        return deployment

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command with its environment."""
        values = printed_values(deployment)
        settings = [f"{_SETTINGS[name]}={int(value) if isinstance(value, bool) else value}" for name, value in values.items() if name in _SETTINGS]
        devices = [visible_devices(deployment.gpu, deployment.layout.gpus)] if deployment.layout.gpus > 1 else []
        return ["env", *devices, *settings, "ollama", "serve"]


_SETTINGS = {
    "max_model_len": "OLLAMA_CONTEXT_LENGTH",
    "max_num_seqs": "OLLAMA_NUM_PARALLEL",
    "flash_attention": "OLLAMA_FLASH_ATTENTION",
    "kv_cache_type": "OLLAMA_KV_CACHE_TYPE",
    "gpu_overhead": "OLLAMA_GPU_OVERHEAD",
    "n_gpu_layers": "OLLAMA_NUM_GPU",
}
_OWN = frozenset({"num_parallel", "context_length", "flash_attention", "kv_cache_type", "gpu_overhead", "num_ctx", "ctx_size", "parallel"})

ENGINE = Ollama()
