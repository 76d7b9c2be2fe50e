"""The process: choose the language, run one command, turn every error into one line and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from gpusizer.errors import GpusizerError, InputError

__all__ = ["main", "run"]


_HEEDED = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _StoppedError(BaseException):
    """Somebody ends the process: what it began is cleared away first."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run() -> None:
    """Entry point of the ``gpusizer`` command: run it and leave with its exit code."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    _speak_utf8()
    _heed_signals()
    try:
        code = main(sys.argv[1:])
    except _StoppedError as stopped:  # the caller sees the signal, as if nothing had caught it
        signal.signal(stopped.number, signal.SIG_DFL)
        signal.raise_signal(stopped.number)
        code = 128 + stopped.number
    try:
        sys.stdout.flush()
    except OSError:  # the reader has left, or the disk is full, which was said
        _silence_stdout()
    sys.exit(code)


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0 yes, 3 does not fit, 2 wrong usage or input, 1 a defect of ours.

    Parameters
    ----------
    arguments : sequence of str
        The command line without the program's name.

    Returns
    -------
    int
        The exit code. The answer went to stdout, everything else to stderr.
    """
    import click

    from gpusizer.cli.failures import defect_line, error_line, usage_line
    from gpusizer.cli.group import build, wished_language
    from gpusizer.i18n import choose_language

    language = choose_language(wished_language(arguments))
    try:
        code = build(language).main(args=list(arguments), prog_name="gpusizer", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except GpusizerError as error:
        line, code = error_line(error, language), error.exit_code
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.UsageError as error:
        line, code = usage_line(error, language), 2
    except (BrokenPipeError, SystemExit):  # click leaves by SystemExit where the reader of a help text has left
        _silence_stdout()
        return 0
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno is not None:  # a stream took no more
            _silence_stdout()
            return _say(error_line(InputError("cannot-write", path="stdout", detail=os.strerror(error.errno)), language), 2)
        if os.environ.get("GPUSIZER_TRACEBACK"):
            raise
        line, code = defect_line(error, language), 1
    return _say(line, code)


def _say(line: str, code: int) -> int:
    """The line on stderr, and the exit code whether or not stderr takes it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    return code


def _heed_signals() -> None:
    """A terminal that closes, and a polite request to end, unwind what was begun; a signal that is ignored (``nohup``) stays so."""
    for number in _HEEDED:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    """Unwind; what is sent further (a service manager sends both) must not cut that short."""
    for each in _HEEDED:
        if signal.getsignal(each) is _stop:
            signal.signal(each, _is_stopping)
    raise _StoppedError(number)


def _is_stopping(number: int, frame: FrameType | None) -> None:
    """Nothing more is done for a signal."""


def _speak_utf8() -> None:
    """Chinese must not break a terminal that claims to know ASCII only."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def _silence_stdout() -> None:
    """The reader (``| head``) has left: nothing more to say, and no complaint at exit."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


if __name__ == "__main__":
    run()
