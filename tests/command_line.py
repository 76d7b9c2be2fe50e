"""The command line as tests call it: in this process, or as a process of its own where streams and signals are the subject."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gpusizer.cli.main import main

ANSWERED, DOES_NOT_FIT, WRONG = 0, 3, 2


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on stderr of a command line that must end in exit code 2."""
    code, out, err = run(capsys, *arguments)
    assert code == WRONG, (arguments, code, out[:200], err)
    assert out == ""
    assert err.endswith("\n"), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert "defect" not in err
    return err


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "gpusizer", *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8", **environment}, timeout=120, check=False)
