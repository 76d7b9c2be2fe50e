"""A net under the readers of strangers' files: a failure that no check foresaw becomes one line with its place, never a traceback."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from gpusizer.errors import GpusizerError, UnreadableFileError

__all__ = ["named_failures"]

_ROOM = PurePath(__file__).parent


@contextmanager
def named_failures(path: str) -> Iterator[None]:
    """What reading of a file runs into, as ``unreadable-config``.

    Parameters
    ----------
    path : str
        The file or folder.

    Examples
    --------
    >>> with named_failures("config.json"):
    ...     {}["hidden_size"]
    Traceback (most recent call last):
    ...
    gpusizer.errors.UnreadableFileError: config.json holds a value that cannot be used (KeyError: 'hidden_size', at -); correct the value, \
or fetch the file from its publisher again; if it is a published file, report this line
    """
    try:
        yield
    except GpusizerError:
        raise
    except (ArithmeticError, AttributeError, AssertionError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise UnreadableFileError("unreadable-config", path=path, detail=_detail(error), place=_place(error)) from error


def _detail(error: BaseException) -> str:
    """Kind and words of a failure in one short line."""
    words = " ".join(str(error).split())[:80]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _place(error: BaseException) -> str:
    """Where in the readers it happened: module and line of the innermost of our own frames."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        place = PurePath(frame.filename)
        if place.is_relative_to(_ROOM) and place != PurePath(__file__):
            return f"{place.relative_to(_ROOM).with_suffix('').as_posix()}:{frame.lineno}"
    return "-"
