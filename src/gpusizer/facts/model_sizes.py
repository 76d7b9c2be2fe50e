"""How large each model of the catalogue is in the precisions that people run, from ``models/sizes.json``, without reading any model's own file.

``scripts/catalogue_sizes.py`` writes the table; a test holds it to the library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ENGINES", "PRECISIONS", "SIZES", "ModelSizes", "model_sizes"]

SIZES = Path(__file__).parent / "models" / "sizes.json"
ENGINES = ("vllm", "llama.cpp", "mlx", "tei", "transformers")
PRECISIONS = (
    "checkpoint",
    "fp8",
    "int4",
    "q8_0",
    "q6_k",
    "q5_k_m",
    "q4_k_m",
    "iq4_xs",
    "q3_k_m",
    "iq3_xxs",
    "q2_k",
    "iq2_xxs",
    "mlx_8bit",
    "mlx_6bit",
    "mlx_5bit",
    "mlx_4bit",
    "mlx_3bit",
)
"""Of most bits first, those of safetensors, of GGUF files and of MLX."""


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """Sizes of one model.

    Parameters
    ----------
    weights_bytes : mapping of str to int
        Stored tensors by precision, extra layers for drafts left out. [bytes]
    kv_cache_bytes_per_token, state_bytes : int
        Of a cache in 16 bits: a token, and a request whatever its length. [bytes]
    windows : tuple of (int, int)
        Length of a window, and bytes of a token in all layers that keep it. [tokens, bytes]
    expert_share : float
        Part of its parameters that routed experts hold: what may lie in host memory while the rest works on a GPU.
    engines : tuple of str
        Of :data:`ENGINES`, those that run its kinds of layers.
    """

    weights_bytes: Mapping[str, int]
    kv_cache_bytes_per_token: int
    state_bytes: int
    windows: tuple[tuple[int, int], ...]
    expert_share: float
    engines: tuple[str, ...]

    def cache_bytes(self, context_tokens: int) -> int:
        """What a request keeps. [bytes]"""
        windowed = sum(size * min(window, context_tokens) for window, size in self.windows)
        return self.kv_cache_bytes_per_token * context_tokens + windowed + self.state_bytes


@cache
def model_sizes() -> Mapping[str, ModelSizes]:
    """The sizes of every model by id.

    >>> model_sizes()["qwen3-8b"].weights_bytes["checkpoint"]
    16381470720
    """
    table = json.loads(SIZES.read_text(encoding="utf-8"))
    return {
        key: ModelSizes(
            weights_bytes=dict(zip(PRECISIONS, entry["weights"], strict=True)),
            kv_cache_bytes_per_token=entry["kv"],
            state_bytes=entry["fixed"],
            windows=tuple((window, size) for window, size in entry["windows"]),
            expert_share=entry["experts"],
            engines=tuple(entry["engines"]),
        )
        for key, entry in table.items()
    }
