"""Checkpoint files as tests write them: headers of safetensors and GGUF, byte by byte."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def safetensors_bytes(entries: dict[str, object], data: int) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + bytes(data)


def gguf_bytes(keys: list[tuple[str, int, bytes]], tensors: list[tuple[str, tuple[int, ...], int, int]], data: int, order: str = "<") -> bytes:
    def text(value: str) -> bytes:
        return struct.pack(order + "Q", len(value)) + value.encode()

    head = b"GGUF" + struct.pack(order + "IQQ", 3, len(tensors), len(keys))
    for key, kind, value in keys:
        head += text(key) + struct.pack(order + "I", kind) + value
    for name, sides, kind, offset in tensors:
        shape = struct.pack(order + "I", len(sides)) + struct.pack(f"{order}{len(sides)}Q", *sides)
        head += text(name) + shape + struct.pack(order + "IQ", kind, offset)
    return head + bytes(-len(head) % 32 + data)


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
