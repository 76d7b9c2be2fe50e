"""``gpusizer serve`` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO

_STARTS_S = 120.0


class ServerProcess:
    """A server on a free port; ``address`` is what its first line says.

    Parameters
    ----------
    folder : Path
        Where it is started.
    *arguments : str
        Further words of its command line.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        source = str(Path(__file__).resolve().parents[1] / "src")
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpusizer", "serve", "--port", "0", *arguments],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()  # ends where the process does
        found = re.search(r"https?://[^\s()]+", line)
        assert found, f"no address in {line!r}; {self.log}"
        self.address = found[0]

    @property
    def log(self) -> str:
        """What it wrote to stderr; read without a move of the place where it writes, which is one with ours."""
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")

    def logged(self, pattern: str, start: int = 0) -> None:
        """Wait until a whole line of the log matches, from a place in its text on: it is written when its answer has left already."""
        deadline = time.monotonic() + _STARTS_S
        while not re.search(rf"^{pattern}$", self.log[start:], re.MULTILINE):
            assert time.monotonic() < deadline, f"no line {pattern!r} in {self.log[start:]!r}"
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it as somebody at a terminal or systemd does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(_STARTS_S)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
