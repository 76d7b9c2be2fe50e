"""Programs of drivers: run by their absolute path, without a shell, for a bounded time and a bounded answer."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpusizer.detect.readers import MOST_OUTPUT_BYTES

__all__ = ["PATIENCE_S", "Tools", "beginning"]

PATIENCE_S = 20.0
_READ_BYTES = 1 << 16


class Tools:
    """Programs of drivers, and which of them failed."""

    def __init__(self, path: str) -> None:
        self._path = os.pathsep.join(folder for folder in path.split(os.pathsep) if Path(folder).is_absolute())
        self.failed: list[str] = []

    def answer(self, tool: str, *arguments: str) -> str:
        """What a tool prints; nothing where it is not here, fails, is slow or prints too much."""
        found = shutil.which(tool, path=self._path) if self._path else None
        if found is None or not Path(found).is_absolute():
            return ""
        content = _printed([found, *arguments])
        if content is None:
            self.failed.append(tool)
        return content or ""


def _printed(command: Sequence[str]) -> str | None:
    """What a program prints, None where it fails, takes longer than :data:`PATIENCE_S` or prints more than :data:`MOST_OUTPUT_BYTES`."""
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}, **quiet)
    except OSError:
        return None
    patience = threading.Timer(PATIENCE_S, _end, [process])
    patience.start()
    content = bytearray()
    try:
        with process.stdout as stream:  # type: ignore[union-attr]  # it is piped
            while len(content) <= MOST_OUTPUT_BYTES and (part := os.read(stream.fileno(), _READ_BYTES)):
                content += part
        if len(content) <= MOST_OUTPUT_BYTES:
            process.wait()
    finally:
        patience.cancel()
        _end(process)
        process.wait()
    return content.decode("utf-8", "replace") if process.returncode == 0 and len(content) <= MOST_OUTPUT_BYTES else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, with all that it started."""
    if process.returncode is None:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


def beginning(root: Path, name: str) -> str:
    """The beginning of a file of the kernel; nothing where there is none."""
    try:
        with (root / name).open("rb") as stream:
            return stream.read(MOST_OUTPUT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
