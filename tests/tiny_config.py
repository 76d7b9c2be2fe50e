"""The smallest honest configuration, its count of parameters by hand, and a file of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 100,
    "max_position_embeddings": 512,
    "torch_dtype": "bfloat16",
}


# 2 x 100 x 64 of embedding and head; a layer of 2 x 64 x 64 + 2 x 32 x 64 + 3 x 64 x 96 and two norms; the last norm
PARAMS = 2 * 6400 + 2 * (2 * 4096 + 2 * 2048 + 3 * 6144 + 2 * 64) + 64


def config_file(folder: Path, config: Any = CONFIG, name: str = "config.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
