"""Files that are written whole or not at all: what was there before survives a failure, and no draft is left behind."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gpusizer.errors import FlagError, InputError

__all__ = ["write_file"]

_GLANCE_S = 0.02
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def write_file(content: bytes, output: str) -> bool:
    """Write a file; a pipe or a device takes the bytes as they come.

    Parameters
    ----------
    content : bytes
        What the file holds.
    output : str
        Its path.

    Returns
    -------
    bool
        Whether it is a file that stays: no pipe, no device.

    Raises
    ------
    InputError
        It cannot be written, is protected, or is a pipe that nobody reads from.
    """
    if not output:
        raise FlagError("option-needs-value", option="--output")
    try:
        if os.path.basename(output) in ("", ".", ".."):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _is_stream(output):
            _to_stream(content, output)
            return False
        _replace(Path(os.path.realpath(output)), content)  # a link stays, its target is replaced
    except (OSError, ValueError) as error:
        raise InputError("cannot-write", path=output, detail=getattr(error, "strerror", None) or str(error)) from error
    return True


def _is_stream(output: str) -> bool:
    """Descriptors under /dev and /proc point anywhere: what the shell opened is written to, never replaced."""
    path = Path(output)
    return (
        (path.is_relative_to("/dev") and not path.is_relative_to("/dev/shm"))
        or path.is_relative_to("/proc")
        or (path.exists() and not path.is_file())
    )


def _to_stream(content: bytes, output: str) -> None:
    with os.fdopen(_opened(output), "ab") as stream:
        stream.write(content)


def _opened(output: str) -> int:
    """A descriptor for writing; a pipe is waited for only so long (it cannot be opened before somebody reads)."""
    from gpusizer.given_files import PATIENCE_S

    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            number = os.open(output, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(output).st_mode):
                raise
            if time.monotonic() > until:
                raise InputError("pipe-without-reader", path=output, seconds=PATIENCE_S) from error
            time.sleep(_GLANCE_S)
        else:
            if hasattr(os, "set_blocking"):
                os.set_blocking(number, True)
            return number


def _replace(path: Path, content: bytes) -> None:
    """Write a draft beside the file, then put it in its place with the mode and, where we may, the owner that were there."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    old = path.stat() if path.exists() else None
    if old is not None and not (os.access(path, os.W_OK) and old.st_mode & _WRITE_BITS):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    draft = path.with_name(f".gpusizer.{os.urandom(8).hex()}")
    try:
        if not _drafted_unnamed(draft, content, old):
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), "wb") as stream:
                _fill(stream, content, old)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _drafted_unnamed(draft: Path, content: bytes, old: os.stat_result | None) -> bool:
    """Whether the draft was written without a name and got one only when it was whole: a process that is killed leaves nothing behind."""
    unnamed = getattr(os, "O_TMPFILE", 0)
    if not unnamed:
        return False
    try:
        with os.fdopen(os.open(draft.parent, os.O_WRONLY | unnamed, 0o666), "wb") as stream:
            _fill(stream, content, old)
            os.link(f"/proc/self/fd/{stream.fileno()}", draft, src_dir_fd=stream.fileno(), follow_symlinks=True)  # the folder makes it a linkat
    except OSError:  # a file system without such files; a full one says so again for the named draft
        return False
    return True


def _fill(stream: BinaryIO, content: bytes, old: os.stat_result | None) -> None:
    stream.write(content)
    stream.flush()
    if old is not None:
        _like(stream.fileno(), old)
    os.fsync(stream.fileno())


def _like(number: int, old: os.stat_result) -> None:
    """Owner and mode of the file that is replaced."""
    if not hasattr(os, "fchown"):
        return
    with suppress(OSError):  # only root gives files away
        os.fchown(number, old.st_uid, old.st_gid)
    os.fchmod(number, stat.S_IMODE(old.st_mode))
