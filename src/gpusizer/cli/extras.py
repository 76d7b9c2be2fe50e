"""Packages that only some commands need come with an extra; without it a command says the one line to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gpusizer.errors import InputError

__all__ = ["needs_extra"]


@contextmanager
def needs_extra(extra: str, command: str) -> Iterator[None]:
    """Around imports: a package that is not installed is an error that names the extra to install.

    Parameters
    ----------
    extra : str
        Name of the extra that brings the package.
    command : str
        The command that needs it, as it was typed.

    Raises
    ------
    InputError
        ``extra-missing``.

    Examples
    --------
    >>> try:
    ...     with needs_extra("web", "gpusizer serve"):
    ...         import no_such_package
    ... except InputError as error:
    ...     print(error.code, dict(error.parameters))
    extra-missing {'command': 'gpusizer serve', 'package': 'no_such_package', 'extra': 'web'}
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "gpusizer"):  # ours is never missing: a defect
            raise
        raise InputError("extra-missing", command=command, package=package, extra=extra) from None
