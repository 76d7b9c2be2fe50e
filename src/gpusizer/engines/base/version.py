"""Versions of engines: what counts as one."""

from __future__ import annotations

from gpusizer.errors import FlagError

__all__ = ["checked_version"]


def checked_version(version: str | None) -> str | None:
    """A version of an engine: a word with a number in it; anything else would be taken for the newest in silence.

    >>> checked_version("v0.11.0"), checked_version("b5192"), checked_version(None)
    ('v0.11.0', 'b5192', None)
    """
    if version is not None and not any(letter.isdecimal() for letter in version):
        raise FlagError("bad-version", found=version[:40])
    return version
