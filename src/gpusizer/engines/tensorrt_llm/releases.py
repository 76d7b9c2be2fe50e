"""Releases by the month from which on each was the newest: the release page of NVIDIA/TensorRT-LLM on GitHub, later ones from dated start-up logs."""

from __future__ import annotations

__all__ = ["RELEASES"]

RELEASES: tuple[tuple[str, str], ...] = (
    ("2023-10", "0.5.0"),
    ("2024-07", "0.11.0"),
    ("2025-01", "0.16.0"),
    ("2025-07", "0.20.0"),
    ("2025-10", "1.0.0"),
    ("2025-12", "1.1.0"),
)
