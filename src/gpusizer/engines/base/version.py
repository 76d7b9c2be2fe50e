"""Versions of engines: what counts as one, and where a build that is no release stands between releases."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpusizer.errors import FlagError

__all__ = ["build_day", "checked_version", "known_build", "named_version", "ordered_version", "version_in"]

_VERSION = re.compile(r"(?<![\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.]*-?py)")
_NAMED = re.compile(r"(?<![\w.])v?(\d{1,3}(?:\.\d{1,3}){1,3})((?:[.-]?(?:rc|dev|a|b)\d{1,6}){0,2})(?!\d)")
_MONTH = re.compile(r"(?<![\d.])(2\d\.(?:0[1-9]|1[0-2]))(?:\.post\d)?(?:-py3[\w-]*)?(?![\w.])")
_UNTAGGED = re.compile(r"0\.0\.0|0\.1\.dev\d")  # what setuptools-scm calls a build that sees no tag
_DAY = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")  # of a build (".d20260914"), an image, a branch
_OWN_PART = re.compile(r"\+(?!g[0-9a-f]{6,}|cu\d|rocm\d|cpu\b|d20\d\d|rhai)\w")  # after "+": what is neither a commit nor a build for a platform
_OTHER = re.compile(r"\b(?:fork|branch|patch|patched|patches|PR \d+|main of)\b|(?<!\S)[\w.-]+/[\w./-]+(?![\w./:-])", re.IGNORECASE)
_BUILD = re.compile(r"\bb?\d{3,6}\b")  # builds that have numbers
_AFTER = re.compile(r"\b(?:after|newer than)\s$")
_LATE = 9999  # a build after every patch of the release before it
LONGEST_VERSION = 200


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


def named_version(text: str | None, months: Sequence[tuple[str, str]] = ()) -> str | None:
    """The version that words name, with what says that it is no release; None where they name none.

    Parameters
    ----------
    text : str or None
        "v0.5.8.post1-rocm720", "0.20.1rc1.dev16+g7a1eb8ac2", an image tag of NVIDIA such as "26.01-py3".
    months : sequence of (str, str)
        Monthly images of the engine and the release in each, the oldest first.

    Examples
    --------
    >>> named_version("0.20.1rc1.dev16+g7a1eb8ac2"), named_version("0.1.dev19754+g3a0914114"), named_version("a branch, 4cdbe04")
    ('0.20.1rc1.dev16', None, None)
    >>> named_version("main of 2026-07-03 (after 0.5.14)")
    '0.5.15.dev0'
    >>> named_version("nvcr.io/nvidia/vllm:26.02-py3", (("25.11", "0.11.0"), ("26.01", "0.13.0"), ("26.03", "0.17.1")))
    '0.13.0'
    """
    words = (text or "")[:LONGEST_VERSION]
    month = _MONTH.search(words) if months else None
    if month is not None:
        return next((release for name, release in reversed(months) if name <= month[1]), None)
    found = _NAMED.search(words)
    if found is None or _UNTAGGED.match(words, found.start(1)):
        return None
    return _next(found[1]) if _AFTER.search(words, 0, found.start()) else found[1] + found[2]


def _next(release: str) -> str:
    """A build between a release and the one behind it."""
    numbers = release.split(".")
    return ".".join((*numbers[:-1], str(int(numbers[-1]) + 1))) + ".dev0"


def known_build(text: str) -> bool:
    """Whether words name a release, or a build of the engine's own repository that can be placed between two: no branch, no fork, no patches.

    >>> known_build("0.20.1rc1.dev16+g7a1eb8ac2"), known_build("v0.11.0"), known_build("0.5.8.post1-rocm720"), known_build("b5192")
    (True, True, True, True)
    >>> known_build("lmsysorg/sglang:v0.5.8-cu129"), known_build("lmsysorg/sglang:deepseek-v4-hopper"), known_build("dev/new-kernels 0.20.1")
    (True, False, False)
    >>> known_build("0.20.2rc1.dev249+kimirebase"), known_build("0.26.1.dev0 (fork)"), known_build("a branch, 4cdbe04"), known_build("")
    (False, False, False, False)
    """
    words = text[:LONGEST_VERSION]
    named = named_version(words) is not None or _MONTH.search(words) or _BUILD.search(words)
    return bool(named) and not _OWN_PART.search(words) and not _OTHER.search(words)


def ordered_version(text: str) -> tuple[int, ...]:
    """A named version as numbers that sort: candidates and builds between two releases stand after the older one.

    >>> ordered_version("0.20.1"), ordered_version("0.20.1rc1.dev16"), ordered_version("0.20.0rc2"), ordered_version("0.6.3.post1")
    ((0, 20, 1), (0, 20, 0, 9999), (0, 19, 9999), (0, 6, 3))
    """
    found = _NAMED.match(text)
    if found is None:
        return ()
    numbers = [int(part) for part in found[1].split(".")]
    if not re.search(r"rc|dev|a|b", found[2]):
        return tuple(numbers)
    while numbers and not numbers[-1]:
        numbers.pop()
    return (*numbers[:-1], numbers[-1] - 1, _LATE) if numbers else ()


def build_day(text: str | None) -> str:
    """The day that a build, an image or a branch carries in its name, "" where it carries none.

    >>> build_day("0.1.dev20800+g569215ca8.d20260914"), build_day("main of 2026-07-14"), build_day("0.11.0")
    ('2026-09-14', '2026-07-14', '')
    """
    found = _DAY.search((text or "")[:LONGEST_VERSION])
    return "" if found is None else "-".join(found.groups())
