"""Sizes, token counts, shares and times: read from text and printed. The only place that knows how many bytes a GB or a GiB has.

A GB has 10^9 bytes, a GiB 2^30; a bare ``80G`` is refused with both readings. ``128k`` tokens are 131,072.
"""

from __future__ import annotations

import re

from gpusizer.errors import UnitError

__all__ = [
    "GB",
    "KB",
    "MB",
    "TB",
    "GiB",
    "KiB",
    "MiB",
    "TiB",
    "format_bytes",
    "format_share",
    "format_tokens",
    "parse_bytes",
    "parse_bytes_per_s",
    "parse_duration_s",
    "parse_share",
    "parse_tokens",
]

KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
KiB, MiB, GiB, TiB = 2**10, 2**20, 2**30, 2**40

_SIZES = {"": 1, "b": 1, "kb": KB, "mb": MB, "gb": GB, "tb": TB, "kib": KiB, "mib": MiB, "gib": GiB, "tib": TiB}
_TOKENS = {"": 1, "k": 1024, "m": 1024**2}
_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0}
_LONGEST_S = 1e9
_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,24})?|\.\d{1,24})\s*([a-zA-Z%]{0,4})\s*")


def _split(words: str) -> tuple[float | int, str] | None:
    match = _NUMBER.fullmatch(words.replace(",", "").replace("_", "") if len(words) < 40 else "")
    if match is None:
        return None
    number = match[1]
    return (float(number) if "." in number else int(number)), match[2].lower()


def parse_tokens(words: str | int) -> int:
    """A number of tokens; k and m count in 1,024.

    >>> parse_tokens("128k"), parse_tokens("2,048"), parse_tokens("1.5k"), parse_tokens(7)
    (131072, 2048, 1536, 7)
    """
    parts = _split(str(words))
    if parts is None or parts[1] not in _TOKENS or (parts[0] * _TOKENS[parts[1]]) % 1:
        raise UnitError("bad-tokens", found=words)
    return int(parts[0] * _TOKENS[parts[1]])


def parse_bytes(words: str | int) -> int:
    """A size in bytes; a bare K, M, G or T is refused with both readings.

    >>> parse_bytes("80GB"), parse_bytes("80 GiB"), parse_bytes(512)
    (80000000000, 85899345920, 512)
    >>> parse_bytes("80G")
    Traceback (most recent call last):
    gpusizer.errors.UnitError: "80G" has two readings, 80GB and 80GiB; write 80GB (10^9) or 80GiB (2^30)
    """
    parts = _split(str(words))
    if parts is not None and parts[1] in ("k", "m", "g", "t"):
        stem = str(words).strip()[:-1].strip()
        letter = parts[1].upper()
        raise UnitError("ambiguous-size", found=words, decimal=f"{stem}{letter}B", binary=f"{stem}{letter}iB")
    if parts is None or parts[1] not in _SIZES:
        raise UnitError("bad-size", found=words)
    return round(parts[0] * _SIZES[parts[1]])


def parse_bytes_per_s(words: str) -> int:
    """A bandwidth in bytes a second: a size, and what a second is written as behind it.

    >>> parse_bytes_per_s("90GB/s"), parse_bytes_per_s("1.2 TiB/s")
    (90000000000, 1319413953331)
    """
    size, slash, second = words.strip().partition("/")
    if not slash or second.strip().lower() not in ("s", "sec", "second"):
        raise UnitError("bad-bandwidth", found=words[:60])
    return parse_bytes(size)


def parse_share(words: str | float) -> float:
    """A share between 0 and 1, written as such or in percent.

    >>> parse_share("2%"), parse_share("0.05"), parse_share(1)
    (0.02, 0.05, 1.0)
    """
    parts = _split(words) if isinstance(words, str) else (words, "")
    share = None if parts is None or parts[1] not in ("", "%") else parts[0] / (100 if parts[1] else 1)
    if share is None or not 0 < share <= 1:
        raise UnitError("bad-share", found=words)
    return float(share)


def parse_duration_s(words: str | float) -> float:
    """A time in seconds; words need a unit, a number is in seconds.

    >>> parse_duration_s("50ms"), parse_duration_s("2s"), parse_duration_s(1.5)
    (0.05, 2.0, 1.5)
    >>> parse_duration_s("2")
    Traceback (most recent call last):
    gpusizer.errors.UnitError: "2" has no unit; write 2s or 2ms
    """
    parts = _split(words) if isinstance(words, str) else (words, "")
    if isinstance(words, str) and parts is not None and not parts[1] and parts[0] > 0:
        number = words.strip()
        raise UnitError("time-without-unit", found=number, seconds=f"{number}s", milliseconds=f"{number}ms")
    if parts is None or parts[1] not in _SECONDS or not 0 < parts[0] * _SECONDS[parts[1]] < _LONGEST_S:
        raise UnitError("bad-duration", found=words)
    return float(parts[0] * _SECONDS[parts[1]])


def format_bytes(size_bytes: float, unit: str = "GB", digits: int = 1) -> str:
    """A size in a named unit.

    >>> format_bytes(150_754_820_096), format_bytes(150_754_820_096, "GiB")
    ('150.8 GB', '140.4 GiB')
    """
    return f"{size_bytes / _SIZES[unit.lower()]:,.{digits}f} {unit}"


def format_tokens(tokens: int) -> str:
    """A number of tokens as people write it.

    >>> format_tokens(131072), format_tokens(2048), format_tokens(2000), format_tokens(1048576)
    ('128k', '2k', '2,000', '1m')
    """
    for letter in ("m", "k"):
        if tokens >= _TOKENS[letter] and tokens % _TOKENS[letter] == 0:
            return f"{tokens // _TOKENS[letter]:,}{letter}"
    return f"{tokens:,}"


def format_share(share: float) -> str:
    """A share in percent.

    >>> format_share(0.02), format_share(0.125)
    ('2%', '12.5%')
    """
    return f"{100 * share:.4g}%"
