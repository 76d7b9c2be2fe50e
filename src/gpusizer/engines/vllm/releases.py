"""Releases by the month from which on each was the newest: the release page of vllm-project/vllm on GitHub, later ones from dated start-up logs."""

from __future__ import annotations

from functools import lru_cache

from gpusizer.engines.base.version import build_day, named_version, ordered_version

__all__ = ["IMAGES", "RELEASES", "placed"]

RELEASES: tuple[tuple[str, str], ...] = (
    ("2024-01", "0.3.0"),
    ("2024-05", "0.4.3"),
    ("2024-07", "0.5.3"),
    ("2024-09", "0.6.1"),
    ("2024-11", "0.6.4"),
    ("2024-12", "0.6.5"),
    ("2025-01", "0.6.6"),
    ("2025-02", "0.7.2"),
    ("2025-03", "0.7.3"),
    ("2025-04", "0.8.3"),
    ("2025-05", "0.8.5"),
    ("2025-06", "0.9.0"),
    ("2025-07", "0.9.2"),
    ("2025-08", "0.10.0"),
    ("2025-09", "0.10.1"),
    ("2025-10", "0.11.0"),
    ("2025-12", "0.12.0"),
    ("2026-01", "0.13.0"),
    ("2026-02", "0.15.0"),
    ("2026-03", "0.16.0"),
    ("2026-04", "0.18.0"),
    ("2026-05", "0.20.0"),
    ("2026-06", "0.21.0"),
    ("2026-07", "0.24.0"),
    ("2026-08", "0.25.1"),
    ("2026-09", "0.28.0"),
    ("2026-11", "0.33.0"),
)

IMAGES: tuple[tuple[str, str], ...] = (
    ("25.10", "0.10.2"),
    ("25.11", "0.11.0"),
    ("26.01", "0.13.0"),
    ("26.03", "0.17.1"),
    ("26.04", "0.19.0"),
    ("26.05", "0.20.1"),
    ("26.06", "0.22.1"),
    ("26.10", "0.31.0"),
)
"""Monthly images of NVIDIA (nvcr.io/nvidia/vllm) and what is in them.

Release notes, docs.nvidia.com/deeplearning/frameworks/vllm-release-notes: rel-25-10, rel-26-03, rel-26-05, rel-26-10. The others by the version that
the image itself prints: "0.13.0+faa43dbf.nv26.01", where the notes of 26.01 say 0.11.1.
"""


@lru_cache(maxsize=256)
def placed(words: str | None) -> tuple[int, ...] | None:
    """The version that words name as numbers that sort, by the day in its name where it is a build without a tag; None where they tell nothing.

    >>> placed("26.05-py3"), placed("0.1.dev20800+g569215ca8.d20260914"), placed("a branch, 4cdbe04")
    ((0, 20, 1), (0, 28, 0), None)
    """
    day = build_day(words)
    named = named_version(words, IMAGES) or next((release for month, release in reversed(RELEASES) if day and month <= day), None)
    return (ordered_version(named) or None) if named else None
