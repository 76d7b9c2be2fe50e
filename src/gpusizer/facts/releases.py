"""Which release of an engine was the newest on a day: for a start whose version nobody wrote down.

Months of the releases as their projects' release pages give them (vllm-project/vllm, sgl-project/sglang and NVIDIA/TensorRT-LLM on GitHub), to
the month; later ones from dated start-up logs that name their version.
"""

from __future__ import annotations

import re

__all__ = ["month_of", "release_on"]

# Engine -> (first month that it was the newest, release).
_RELEASES: dict[str, tuple[tuple[str, str], ...]] = {
    "vllm": (
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
    ),
    "sglang": (
        ("2024-08", "0.2.9"),
        ("2024-10", "0.3.2"),
        ("2024-12", "0.4.0"),
        ("2025-03", "0.4.3"),
        ("2025-05", "0.4.6"),
        ("2025-06", "0.4.7"),
        ("2025-07", "0.4.9"),
        ("2025-08", "0.4.10"),
        ("2025-09", "0.5.2"),
        ("2025-10", "0.5.3"),
        ("2025-11", "0.5.5"),
        ("2026-01", "0.5.7"),
        ("2026-02", "0.5.8"),
        ("2026-03", "0.5.9"),
        ("2026-04", "0.5.10"),
        ("2026-05", "0.5.11"),
        ("2026-06", "0.5.13"),
        ("2026-07", "0.5.14"),
        ("2026-08", "0.5.17"),
        ("2026-09", "0.5.19"),
        ("2026-10", "0.5.21"),
        ("2026-11", "0.5.23"),
    ),
    "tensorrt-llm": (
        ("2023-10", "0.5.0"),
        ("2024-07", "0.11.0"),
        ("2025-01", "0.16.0"),
        ("2025-07", "0.20.0"),
        ("2025-10", "1.0.0"),
        ("2025-12", "1.1.0"),
    ),
    "ollama": (
        ("2024-03", "0.1.29"),
        ("2024-07", "0.2.8"),
        ("2024-08", "0.3.6"),
        ("2024-11", "0.4.2"),
        ("2024-12", "0.5.4"),
        ("2025-03", "0.6.2"),
        ("2025-05", "0.7.0"),
        ("2025-06", "0.9.0"),
        ("2025-08", "0.11.4"),
        ("2025-09", "0.12.0"),
        ("2025-11", "0.13.0"),
        ("2026-02", "0.15.5"),
        ("2026-04", "0.20.0"),
        ("2026-06", "0.30.0"),
        ("2026-09", "0.31.0"),
    ),
    # Builds on the first of a month, between those that dated logs name (4905 on 2025-03-17, 5192 on 2025-04-26, 11258 on 2026-10-01).
    "llama.cpp": (
        ("2023-11", "1480"),
        ("2024-01", "1740"),
        ("2024-03", "2300"),
        ("2024-05", "2780"),
        ("2024-07", "3270"),
        ("2024-09", "3650"),
        ("2024-11", "4000"),
        ("2025-01", "4400"),
        ("2025-02", "4610"),
        ("2025-03", "4800"),
        ("2025-04", "5015"),
        ("2025-05", "5240"),
        ("2025-06", "5560"),
        ("2025-07", "5790"),
        ("2025-08", "6060"),
        ("2025-09", "6340"),
        ("2025-10", "6660"),
        ("2025-11", "6910"),
        ("2025-12", "7210"),
        ("2026-01", "7600"),
        ("2026-02", "7900"),
        ("2026-03", "8320"),
        ("2026-04", "8740"),
        ("2026-05", "9160"),
        ("2026-06", "9580"),
        ("2026-07", "10000"),
        ("2026-08", "10420"),
        ("2026-09", "10840"),
        ("2026-10", "11250"),
        ("2026-11", "11550"),
    ),
}


def release_on(engine_id: str, date: str) -> str | None:
    """The newest release of an engine on a day.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    date : str
        "2025-07-22", or a month.

    Returns
    -------
    str or None
        A release, or None where none is known for the engine or the day.

    Examples
    --------
    >>> release_on("vllm", "2025-07-22"), release_on("vllm", "2019-01-01"), release_on("llama.cpp", "2025-07-22")
    ('0.9.2', None, '5790')
    """
    if not re.fullmatch(r"\d{4}-\d{2}(-\d{2})?", date):
        return None
    return next((release for month, release in reversed(_RELEASES.get(engine_id, ())) if month <= date), None)


def month_of(engine_id: str, version: str) -> str | None:
    """The month from which on a release was the newest, to the nearest release that is known.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    version : str
        "0.11.0", "v0.5.8.post1", "1.2.0rc6".

    Returns
    -------
    str or None
        A month, or None where the version cannot be read or the engine is not known.

    Examples
    --------
    >>> month_of("vllm", "0.11.0"), month_of("vllm", "0.11.2"), month_of("vllm", "nightly")
    ('2025-10', '2025-10', None)
    """
    numbers = re.match(r"v?(\d{1,6}(?:\.\d{1,6}){0,3})", version[:64])
    if numbers is None:
        return None
    wanted = tuple(int(part) for part in numbers[1].split("."))
    releases = _RELEASES.get(engine_id, ())
    older = [month for month, release in releases if tuple(int(part) for part in release.split(".")) <= wanted]
    return older[-1] if older else (releases[0][0] if releases else None)
