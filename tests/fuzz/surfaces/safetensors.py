"""Checkpoint folders: headers of safetensors, and the index of their files, beside an honest configuration."""

from __future__ import annotations

import json
import struct
from collections.abc import Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from file_bytes import safetensors_bytes
from fuzz.given import chosen, file
from fuzz.laws import codes, hold
from fuzz.mutate import changed_bytes, changed_json, json_bytes, mixed
from fuzz.surface import Surface
from gpusizer.answers import architecture_answer
from gpusizer.i18n import LANGUAGES
from gpusizer.rendering.render import render
from tiny_config import CONFIG

_SHAPES = {
    "model.embed_tokens.weight": [100, 64],
    "model.layers.0.self_attn.q_proj.weight": [64, 64],
    "model.norm.weight": [64],
    "lm_head.weight": [100, 64],
}
_KEYS = ("dtype", "shape", "data_offsets", "__metadata__", "weight_map", "metadata", "total_size", *_SHAPES)
_WORDS = [b"F8_E4M3", b"U8", b"F33", b"model.safetensors", b"../x.safetensors", b"/etc/hostname", b"model-00001-of-99999.safetensors"]


def _whole() -> dict[str, Any]:
    found: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in _SHAPES.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        found[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return found


_INDEX = {"metadata": {"total_size": 149_120}, "weight_map": dict.fromkeys(_SHAPES, "model.safetensors")}
_DATA = 40_000


def _file_of(header: Any) -> bytes:
    words = json_bytes(header)
    return struct.pack("<Q", len(words)) + words + bytes(_DATA)


def _seeds() -> list[bytes]:
    return [safetensors_bytes(_whole(), _DATA), json_bytes(_INDEX)]


def _values(known: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Headers and indices among the inputs that are known."""
    headers: list[bytes] = []
    indices: list[bytes] = []
    for content in known:
        with suppress(ValueError, RecursionError):
            words = content if content[:1] == b"{" else content[8 : 8 + int.from_bytes(content[:8], "little")]
            json.loads(words)
            (indices if words is content else headers).append(words)
    return headers, indices


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    headers, indices = _values(known)
    files, indexes = changed_json(headers, _KEYS).map(_file_of), changed_json(indices, _KEYS).map(json_bytes)
    return mixed((1, changed_bytes(known, _WORDS)), (3, files), (2, indexes))


def _answer(content: bytes) -> Hashable:
    name = "indexed" if content[:1] == b"{" else "single"
    folder = Path(file(f"{name}/config.json", json_bytes(CONFIG))).parent
    if name == "indexed":
        file("indexed/model.safetensors.index.json", content)
    file(f"{name}/model.safetensors", _seeds()[0] if name == "indexed" else content)
    data = hold(render(architecture_answer(str(folder), chosen(LANGUAGES, content)), "json"))
    return codes(data["warnings"])


SURFACE = Surface("safetensors", _seeds, _changed, _answer, weight=12)
