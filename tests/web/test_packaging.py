"""What starts a server elsewhere: an image and a service that no runtime here can build or start are held to what can be read."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from conftest import ROOT
from gpusizer.cli.serve import build

CONTAINER = ROOT / "packaging" / "Containerfile"
SERVICE = ROOT / "packaging" / "gpusizer.service"
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"}


def instructions() -> list[tuple[str, str]]:
    """Instruction and the rest of it, lines that go on joined."""
    text = re.sub(r"\\\n\s*", "", "\n".join(line for line in CONTAINER.read_text().splitlines() if not line.startswith("#")))
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in text.splitlines() if line.strip()]


def options_of(words: list[str]) -> dict[str, object]:
    """The options of a command line of ours, refused where it is wrong."""
    assert Path(words[0]).name == "gpusizer"
    assert words[1] == "serve"
    with build("en").make_context("serve", words[2:]) as context:
        found: dict[str, object] = dict(context.params)
    return found


def test_the_image_runs_as_a_normal_user_and_starts_a_server() -> None:
    found = instructions()
    assert {name for name, _ in found} <= INSTRUCTIONS
    last = dict(found)
    user = last["USER"].partition(":")[0]
    assert user.isdecimal()
    assert int(user) > 0
    options = options_of(json.loads(last["ENTRYPOINT"]))
    assert options["host"] == "0.0.0.0"
    assert last["EXPOSE"] == str(options["port"])
    assert f":{options['port']}/healthz" in last["HEALTHCHECK"]


def test_the_image_is_made_of_what_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for name, rest in instructions() if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]}
    assert copied == sent
    assert all((ROOT / word).exists() for word in copied)


def test_the_service_starts_a_server_that_only_its_machine_reaches() -> None:
    line = next(line for line in SERVICE.read_text().splitlines() if line.startswith("ExecStart="))
    assert options_of(shlex.split(line.removeprefix("ExecStart=")))["host"] == "127.0.0.1"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_reads_the_service_and_finds_it_closed(tmp_path: Path) -> None:
    """The program need not lie where the service looks for it."""
    copy = tmp_path / "gpusizer.service"
    copy.write_text(SERVICE.read_text().replace("/opt/gpusizer/bin/gpusizer", shutil.which("true") or "/bin/true"))
    found = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "gpusizer.service" not in found.stderr
    rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", copy], capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout[-2000:]


def test_an_unknown_option_is_no_option() -> None:
    with pytest.raises(click.UsageError):
        options_of(["gpusizer", "serve", "--hots", "x"])
