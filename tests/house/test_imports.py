"""The rooms import one way, and a plan imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT


def test_rooms_import_one_way() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the extra [check]")
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["plan", "--help"]])
def test_help_imports_no_numbers_no_drawing_no_network(arguments: list[str]) -> None:
    program = "import sys; from gpusizer.cli.main import main; main(sys.argv[1:]); print(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines())
    assert "gpusizer.cli.group" in loaded
    heavy = {"numpy", "rich", "socket", "asyncio", "http", "ssl", "gpusizer.engines.vllm.engine", "gpusizer.facts.catalog"}
    assert not heavy & loaded


def test_what_an_extra_brings_is_loaded_by_its_command_alone() -> None:
    program = "import sys; from gpusizer.cli.main import main; code = main(sys.argv[1:]); print(*sorted(sys.modules), sep='\\n'); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", program, "plan", "qwen3-8b", "--gpu", "h200"], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines())
    assert "gpusizer.planning.pipeline" in loaded
    assert not {"mcp", "anyio", "pydantic", "starlette", "fastapi", "uvicorn", "gpusizer.mcp"} & loaded


def test_the_public_face_is_light() -> None:
    program = "import sys, gpusizer; print(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"click", "rich", "numpy", "gpusizer.architecture.load"} & set(done.stdout.splitlines())
