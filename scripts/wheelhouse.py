#!/usr/bin/env python3
"""What a closed network needs to install gpusizer: a folder of wheels, each one named with its hash, and the proof that it is enough.

``scripts/wheelhouse.py FOLDER [web,mcp ...]`` builds the wheel of gpusizer and fetches the wheels that it and the named extras need, in the versions
and with the hashes of ``requirements.lock``; words after ``--`` go to ``pip download`` (``--platform manylinux_2_28_aarch64 --python-version 3.12``).
``scripts/wheelhouse.py --check FOLDER`` installs from it into a fresh environment, without an index or a network, and asks what the README asks.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = "gpusizer"
BACKSLASH = " \\"  # a line of the lock goes on
LIST = "requirements.txt"  # in the folder: what it holds, so that the other side can check it
CUT = "…"  # stands for lines that a document leaves out
PLAIN = {"LANG": "C", "LC_ALL": "C", "COLUMNS": "120"}  # outputs in the README are those of this environment
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")


def pins(lock: str) -> str:
    """The versions of ``requirements.lock`` alone: pip takes no hashes for what another wheel asks for."""
    return "".join(f"{line.removesuffix(BACKSLASH)}\n" for line in lock.splitlines() if line and not line.startswith(" "))


def listed(wheels: Sequence[Path], lock: str, extras: str) -> str:
    """Wheels as pip takes them, a line each with its hash, ours with its extras; a wheel that is not the one of ``requirements.lock`` is refused."""
    locked = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))
    lines = []
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if name != OURS and digest not in locked:
            raise SystemExit(f"{wheel.name} is not the file that requirements.lock names")
        lines.append(f"{name}{f'[{extras}]' if extras and name == OURS else ''}=={version} --hash=sha256:{digest}\n")
    return "".join(lines)


def build(folder: Path, extras: str, further: Sequence[str]) -> None:
    """Fill a folder that is new, or holds an older wheelhouse."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob(f"{OURS}-*.whl")
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as place:
        constraint = Path(place) / "constraint.txt"
        constraint.write_text(pins(lock), encoding="utf-8")
        wanted = [f"{wheel}[{extras}]" if extras else str(wheel), "--constraint", str(constraint), "--dest", str(folder)]
        subprocess.run([*pip, "download", "--only-binary", ":all:", *wanted, *further], check=True)
    wheels = sorted(folder.glob("*.whl"))
    (folder / LIST).write_text(listed(wheels, lock, extras), encoding="utf-8")
    print(f"{folder}: {len(wheels)} wheels, {sum(each.stat().st_size for each in wheels) / 1e6:.1f} MB")


def shown(readme: str) -> tuple[str, list[str]]:
    """The first command that the README shows with its output, and the lines of it that it shows."""
    found = re.search(r"```text\n\$ (.+?)\n(.*?)```\n", readme, re.DOTALL)
    if found is None:
        raise SystemExit("the README shows no output")
    return found[1], [line for line in found[2].splitlines() if line != CUT]


def missing(expected: Sequence[str], answer: Sequence[str]) -> list[str]:
    """The first line that an answer does not give in its place, with all after it."""
    lines = iter(answer)
    return list(dropwhile(lambda line: line in lines, expected))


def without_network(*command: str | Path) -> list[str]:
    """The command in a namespace that has no network, where this system lends one."""
    alone = ["unshare", "--user", "--map-root-user", "--net"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        print("no namespace without a network here: proxies that lead nowhere instead")
        alone = []
    return [*alone, *map(str, command)]


def environment() -> Mapping[str, str]:
    """No index, no way out, nothing of the environment that the script runs in."""
    return {"PATH": os.environ.get("PATH", os.defpath), **NO_INDEX, **NOWHERE, **PLAIN}


def check(folder: Path) -> None:
    """Install into a fresh environment and compare its answer with the README."""
    command, lines = shown((ROOT / "README.md").read_text(encoding="utf-8"))
    program, *words = shlex.split(command)
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        scripts = Path(place) / ("Scripts" if os.name == "nt" else "bin")
        carried, environ = folder.resolve(), environment()
        wheels = ["--no-cache-dir", "--no-index", "--find-links", str(carried), "--require-hashes", "--requirement", str(carried / LIST)]
        install = without_network(scripts / "python", "-m", "pip", "install", "--quiet", *wheels)
        subprocess.run(install, check=True, env=environ, cwd=place)
        asked = without_network(scripts / program, *words)
        answer = subprocess.run(asked, check=True, env=environ, cwd=place, capture_output=True).stdout.decode()
    if unsaid := missing(lines, answer.splitlines()):
        raise SystemExit(f"the answer is not the one that the README shows: {unsaid[0]!r} is not in its place in\n{answer}")
    print(f"{folder}: installed without an index and without a network; `{command}` answers as the README shows")


def main(words: Sequence[str]) -> None:
    """Read the words of the command line."""
    further: Sequence[str] = ()
    if "--" in words:
        words, further = words[: words.index("--")], words[words.index("--") + 1 :]
    if len(words) == 2 and words[0] == "--check":
        check(Path(words[1]))
    elif len(words) in (1, 2) and not words[0].startswith("-"):
        build(Path(words[0]), words[1] if len(words) > 1 else "", further)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
