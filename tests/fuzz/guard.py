"""One input within its bounds: an answer that holds or one line of refusal, in little time and memory; anything else is a failure."""

from __future__ import annotations

import resource
import signal
import traceback
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from types import FrameType

import gpusizer
from fuzz.surface import Surface
from gpusizer.errors import InputError
from gpusizer.i18n import LANGUAGES, error_sentence, has

__all__ = ["MOST_CPU_S", "MOST_MEMORY_BYTES", "NETS", "FailedError", "forget_peak", "peak_bytes", "tried"]

MOST_CPU_S = 10
MOST_MEMORY_BYTES = 128 << 20
"""What one input may take beyond what the process holds: a fresh process holds some 60 MB, and 200 MB are promised."""
NETS = ("unreadable-config", "case-defect", "defect")
"""Codes of what nobody foresaw; what ends in such a net is a failure here."""

_ROOM = PurePath(gpusizer.__file__).parent


class FailedError(AssertionError):
    """What went wrong with an input, and where: equal places are one failure."""

    def __init__(self, kind: str, place: str) -> None:
        super().__init__(f"{kind}, at {place}")
        self.place = f"{kind.partition(':')[0]} at {place}"


class _EndlessError(BaseException):
    """Not caught by what catches exceptions."""


def tried(surface: Surface, content: bytes) -> Hashable:
    """What one input comes to.

    Parameters
    ----------
    surface : Surface
        What it is fed to.
    content : bytes
        The input.

    Returns
    -------
    hashable
        What is worth telling apart of the answer, or the code of the refusal.

    Raises
    ------
    FailedError
        No answer, an answer that is wrong, or one that took too much.
    """
    try:
        with _little_memory(), _little_time():
            return surface.answer(content)
    except InputError as error:
        return _refusal(error)
    except FailedError:
        raise
    except (Exception, _EndlessError) as error:
        words = " ".join(str(error).split())[:200]
        raise FailedError(f"{type(error).__name__}: {words}", _place(error)) from error


def _refusal(error: InputError) -> str:
    """The code of an error whose every sentence is one line of words."""
    if error.code in NETS:
        raise FailedError(f"net: {error.bare[:300]}", str(error.parameters.get("place") or _place(error)))
    for language in LANGUAGES:
        sentence = error_sentence(error.code, language, error.parameters)
        if not sentence.isprintable() or not has("error", error.code, language) or len(sentence) > 2000:
            raise FailedError(f"no line of words in {language}: {error.bare[:300]!r}", _place(error))
    return error.code


def _place(error: BaseException) -> str:
    """Module and line of the innermost frame of ours; of the check where it is one of these tests."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if PurePath(frame.filename).is_relative_to(_ROOM)]
    last = frames[-1] if isinstance(error, AssertionError) or not own else own[-1]
    return f"{PurePath(last.filename).name}:{last.lineno}"


@contextmanager
def _little_time() -> Iterator[None]:
    """Time of the processor, which others on the machine do not take."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _EndlessError(f"no end within {MOST_CPU_S} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def _little_memory() -> Iterator[None]:
    before = peak_bytes()
    try:
        yield
    finally:
        taken = peak_bytes() - before
        if taken > MOST_MEMORY_BYTES:
            raise FailedError(f"memory: {taken >> 20} MB", "-")


def forget_peak() -> None:
    """Count the most memory that the process held from now on, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Most memory that this process held. [bytes]"""
    with suppress(OSError):
        return int(Path("/proc/self/status").read_bytes().partition(b"VmHWM:")[2].split(maxsplit=1)[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # of who started it as well
