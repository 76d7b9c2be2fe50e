"""Files that a person names: a regular file, a pipe or stdin; never a folder, and never a wait for a partner that is not there.

A stranger names none: :func:`without_files`.
"""

from __future__ import annotations

import itertools
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from gpusizer.errors import UnreadableFileError

__all__ = ["PATIENCE_S", "WITHOUT_MARK", "read_given", "settled_state", "stands_here", "state_of", "stream_given", "without_files"]

PATIENCE_S = 3
"""How long a pipe may stay without anybody at its other end."""
WITHOUT_MARK = "utf-8-sig"
"""UTF-8, with or without the byte-order mark that editors on Windows write."""
_GLANCE_S = 0.02
_STDIN = ("-", "/dev/stdin")
_READ_BYTES = 1 << 20
_LONGEST_PATH = 4096
_TICK_NS = 1_000_000_000  # a file may be written twice within one tick of its clock
_MOST_FILES = 1000
_FIGURES = 4  # of the state of a regular file
_NONE_HERE: ContextVar[bool] = ContextVar("none_here", default=False)


@contextmanager
def without_files() -> Iterator[None]:
    """As if no file stood on this machine: what a stranger types over HTTP is never a path, even where one is called so.

    >>> with without_files():
    ...     stands_here("/")
    False
    >>> stands_here("/")
    True
    """
    before = _NONE_HERE.set(True)
    try:
        yield
    finally:
        _NONE_HERE.reset(before)


def stands_here(words: str) -> bool:
    """Whether something of this machine goes by this path."""
    if _NONE_HERE.get() or not words or "\0" in words or len(words) > _LONGEST_PATH:
        return False
    try:
        return Path(words).exists()
    except (OSError, ValueError):
        return False


def read_given(path: str, *, most_bytes: int, missing: str) -> bytes:
    """What stands in a file.

    Parameters
    ----------
    path : str
        Its path; "-" means stdin.
    most_bytes : int
        Reading ends one byte above it, so that the caller can tell and refuse. [bytes]
    missing : str
        The code of the error where nothing can be read.

    Returns
    -------
    bytes
        The content.

    Raises
    ------
    UnreadableFileError
        Nothing there, a folder, a disk, or a pipe that nobody writes into.
    """
    found = bytearray()
    for part in stream_given(path, missing=missing, most_bytes=most_bytes + 1):
        found += part
    return bytes(found)


def stream_given(path: str, *, missing: str, most_bytes: int | None = None) -> Iterator[bytes]:
    """What stands in a file, part by part as it comes; nothing of it is kept.

    Parameters
    ----------
    path : str
        Its path; "-" means stdin.
    missing : str
        The code of the error where nothing can be read.
    most_bytes : int or None
        Reading ends there; None reads to the end. [bytes]

    Yields
    ------
    bytes
        The next part.

    Raises
    ------
    UnreadableFileError
        As :func:`read_given`.
    """
    if _NONE_HERE.get():
        raise UnreadableFileError(missing, path=path)
    try:
        number = os.dup(0) if path in _STDIN else os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            kind = os.fstat(number).st_mode
            if stat.S_ISDIR(kind) or stat.S_ISBLK(kind):
                raise UnreadableFileError(missing, path=path)
            yield from _parts(number, most_bytes, path, awaited=stat.S_ISFIFO(kind) and path not in _STDIN)
        finally:
            os.close(number)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UnreadableFileError(missing, path=path) from error


def _parts(number: int, most_bytes: int | None, path: str, *, awaited: bool) -> Iterator[bytes]:
    """All that comes; a pipe that was opened without waiting looks empty until its writer is there (``awaited``)."""
    read_bytes, until = 0, time.monotonic() + PATIENCE_S
    while most_bytes is None or read_bytes < most_bytes:
        try:
            part = os.read(number, _READ_BYTES if most_bytes is None else min(_READ_BYTES, most_bytes - read_bytes))
        except BlockingIOError:  # a writer is there and has nothing to say yet
            awaited = False
            select.select([number], [], [])
            continue
        if part:
            awaited = False
            read_bytes += len(part)
            yield part
        elif not awaited:
            break
        elif time.monotonic() > until:
            raise UnreadableFileError("pipe-without-writer", path=path, seconds=PATIENCE_S)
        else:
            time.sleep(_GLANCE_S)


def state_of(path: str) -> tuple[int, ...]:
    """What changes when a file is written anew, so that what was read of it may be kept until then; a pipe is read once.

    >>> state_of("/no/such/file")
    ()
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ()
    if stat.S_ISREG(found.st_mode):
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return found.st_dev, found.st_ino


def settled_state(path: str) -> tuple[tuple[int, ...], ...] | None:
    """The state of a file, or of a folder with each of its files, to keep under it what was read of them.

    Parameters
    ----------
    path : str
        A regular file or a folder.

    Returns
    -------
    tuple of tuple of int, or None
        None where nothing may be kept: a pipe, a folder of very many files, or a file that was written just now and may be written again before
        its time of change tells.
    """
    if not stands_here(path):
        return None
    try:
        inside = [each.path for each in itertools.islice(os.scandir(path), _MOST_FILES + 1)] if os.path.isdir(path) else []
    except OSError:
        return None
    found = [state_of(each) for each in (path, *sorted(inside))]
    files = [state for state in found if len(state) == _FIGURES]
    unchanged_since = time.time_ns() - _TICK_NS
    settled = all(written < unchanged_since for *_, written in files) and len(inside) <= _MOST_FILES
    return tuple(found) if files and settled else None
