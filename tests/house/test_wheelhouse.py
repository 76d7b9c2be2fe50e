"""What is carried to a closed network; the whole way, from wheels to the README's answer, is ``scripts/wheelhouse.py --check``."""

from __future__ import annotations

import hashlib
import os
import re
import runpy
import subprocess
import zipfile
from pathlib import Path

import pytest

from conftest import ROOT

SCRIPT = runpy.run_path(str(ROOT / "scripts" / "wheelhouse.py"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("hatchling.build", reason="what builds wheels is not installed here")
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build.build_wheel(str(tmp_path))) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    written = (path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert held == {path.relative_to(source).as_posix() for path in written}


def test_versions_without_hashes_are_those_of_the_lock() -> None:
    pinned = SCRIPT["pins"](LOCK).splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+[^\\ ])?", line) for line in pinned), pinned
    assert {"click", "numpy", "fastapi"} <= {line.partition("==")[0] for line in pinned}
    assert len(pinned) == LOCK.count("==") - LOCK.count(" == ")


def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    ours, foreign = tmp_path / "gpusizer-1.2-py3-none-any.whl", tmp_path / "click-8.0-py3-none-any.whl"
    for wheel in (ours, foreign):
        wheel.write_bytes(wheel.name.encode())
    digests = {wheel: hashlib.sha256(wheel.name.encode()).hexdigest() for wheel in (ours, foreign)}
    with pytest.raises(SystemExit, match="click"):
        SCRIPT["listed"]([foreign, ours], LOCK, "web")
    lock = f"click==8.0 \\\n    --hash=sha256:{digests[foreign]}\n"
    lines = SCRIPT["listed"]([foreign, ours], lock, "web").splitlines()
    assert lines == [f"click==8.0 --hash=sha256:{digests[foreign]}", f"gpusizer[web]==1.2 --hash=sha256:{digests[ours]}"]


def test_what_is_compared_is_the_first_answer_of_the_readme() -> None:
    command, lines = SCRIPT["shown"]((ROOT / "README.md").read_text(encoding="utf-8"))
    assert command.startswith("gpusizer plan ")
    assert len(lines) > 10
    said = [each for line in lines for each in (line, "what the README leaves out")]
    assert SCRIPT["missing"](lines, said) == []
    assert SCRIPT["missing"](lines, said[::-1])
    assert SCRIPT["missing"](lines, [line.replace("H200", "H100") for line in said]) == lines


@pytest.mark.skipif(not Path("/proc/net/dev").exists(), reason="this system does not list its links")
def test_the_check_runs_without_a_network() -> None:
    """Either no link but the loop is there, or every proxy leads nowhere and there is no index."""
    command = SCRIPT["without_network"]("cat", "/proc/net/dev")
    environ = SCRIPT["environment"]()
    links = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    assert len(command) == 2 or [line.split(":")[0].strip() for line in links] == ["lo"]
    assert environ["PIP_NO_INDEX"] == "1"
    assert environ["https_proxy"].startswith("http://127.0.0.1:")
    assert not {"PYTHONPATH", "PIP_INDEX_URL", "PIP_FIND_LINKS", "HOME"} & set(environ)
    assert environ["PIP_CONFIG_FILE"] == os.devnull
