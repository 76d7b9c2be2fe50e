"""One CUDA card: its name and driver, what NVML counts, and lines of JSON on standard output. Needs torch and nvidia-ml-py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pynvml
import torch

__all__ = ["Card", "say"]


def say(**row: object) -> None:
    """One line of JSON, at once: a run that is cut off keeps what it found."""
    print(json.dumps(row, separators=(",", ":")), flush=True)


class Card:
    """The first card that is seen."""

    def __init__(self) -> None:
        pynvml.nvmlInit()
        self.handle = pynvml.nvmlDeviceGetHandleByIndex(0)
        self.idle_bytes = self._all_used_bytes()  # before this process has a context

    def _all_used_bytes(self) -> int:
        return int(pynvml.nvmlDeviceGetMemoryInfo(self.handle).used)

    def used_bytes(self) -> int:
        """What NVML counts beyond the idle card. [bytes]"""
        return self._all_used_bytes() - self.idle_bytes

    def set_up(self, **more: str) -> dict[str, str]:
        """Date, card and releases."""
        return {
            "kind": "set-up",
            "date": datetime.now(UTC).date().isoformat(),
            "gpu": str(pynvml.nvmlDeviceGetName(self.handle)),
            "driver": str(pynvml.nvmlSystemGetDriverVersion()),
            "torch": str(torch.__version__),
            **more,
        }

    def memory(self) -> dict[str, object]:
        """The card's memory, and the part of it that the driver keeps."""
        memory = pynvml.nvmlDeviceGetMemoryInfo(self.handle, version=pynvml.nvmlMemory_v2)
        return {"kind": "card", "total_bytes": memory.total, "reserved_bytes": memory.reserved}

    def contexts(self) -> Iterator[dict[str, object]]:
        """What the card holds after a first tensor, a first product, a first attention, and what of it is the allocator's."""
        made = [torch.zeros(1, device="cuda")]
        yield self._context("first tensor")
        square = torch.randn(1024, 1024, device="cuda", dtype=torch.bfloat16)
        made += [square, square @ square]
        yield self._context("first bf16 product")
        query = torch.randn(1, 32, 2048, 128, device="cuda", dtype=torch.bfloat16)
        made.append(torch.nn.functional.scaled_dot_product_attention(query, query, query, is_causal=True))
        yield self._context("first attention")
        del made, square, query
        torch.cuda.empty_cache()

    def _context(self, step: str) -> dict[str, object]:
        torch.cuda.synchronize()
        return {"kind": "context", "step": step, "used_bytes": self.used_bytes(), "allocator_bytes": torch.cuda.memory_reserved()}
