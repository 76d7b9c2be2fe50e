"""Versions of engines: what counts as one."""

from __future__ import annotations

import re

from gpusizer.errors import FlagError

__all__ = ["checked_version", "version_in"]

_VERSION = re.compile(r"(?<![\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.]*-?py)")


def checked_version(version: str | None) -> str | None:
    """A version of an engine: a word with a number in it; anything else would be taken for the newest in silence.

    >>> checked_version("v0.11.0"), checked_version("b5192"), checked_version(None)
    ('v0.11.0', 'b5192', None)
    """
    if version is not None and not any(letter.isdecimal() for letter in version):
        raise FlagError("bad-version", found=version[:40])
    return version


def version_in(text: str | None) -> tuple[int, ...] | None:
    """The first three-part version in a text such as an image tag; None where there is none.

    >>> version_in("rocm/sgl-dev:v0.5.8.post1-rocm720"), version_in("docker, CUDA 13")
    ((0, 5, 8), None)
    """
    found = _VERSION.search(text or "")
    return None if found is None else tuple(int(part) for part in found.groups())
