"""``--hub`` against a stand-in server on loopback: what is asked for, what is never asked for, how refusals read; and silence without ``--hub``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import gpusizer
from conftest import ROOT
from file_bytes import safetensors_bytes
from gpusizer import hub
from gpusizer.architecture import load
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.tensors import checkpoint_bytes, stored_tensors
from gpusizer.cli.main import main
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError
from tiny_config import CONFIG, PARAMS


def shards() -> dict[str, bytes]:
    """Two files and their index: the tensors of the tiny model, the last norm in F32 as no configuration says."""
    names = [(path, list(tensor.shape)) for _, path, tensor, _ in stored_tensors(read_config(CONFIG, id="tiny", name="tiny"))]
    files: dict[str, dict[str, object]] = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}
    for number, (name, shape) in enumerate(names):
        entries = files[f"model-0000{1 + number % 2}-of-00002.safetensors"]
        start = max((entry["data_offsets"][1] for entry in entries.values()), default=0)  # type: ignore[index]
        size = 4 if name == "model.norm.weight" else 2
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F32" if name == "model.norm.weight" else "BF16", "shape": shape, "data_offsets": [start, start + size]}
    index = {"weight_map": {name: file for file, entries in files.items() for name in entries}}
    written = {file: safetensors_bytes(entries, 0) for file, entries in files.items()}
    return {**written, "model.safetensors.index.json": json.dumps(index).encode()}


REPOSITORIES: dict[str, dict[str, bytes]] = {
    "someone/Tiny-1": {"config.json": json.dumps(CONFIG).encode(), **shards()},
    "someone/Bare-1": {"config.json": json.dumps(CONFIG).encode()},
    "someone/Files-GGUF-1": {"Files-1-Q4_K_M.gguf": b"GGUF"},
    "someone/Huge-1": {"config.json": b" " * (hub._MAX_CONFIG_BYTES + 1)},  # noqa: SLF001 the bound is meant
    "someone/List-1": {"config.json": b"[1, 2]"},
    "someone/Lying-1": {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": (1 << 60).to_bytes(8, "little")},
}
GATED = "someone/Gated-1"


@dataclass
class StandIn:
    """A hub with files in memory; ``asked`` is (method, repository, file, range) of every request."""

    port: int = 0
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)


def _handler(seen: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def _target(self) -> tuple[str, str]:
            parts = urlsplit(self.path)
            if parts.path.startswith("/api/v1/models/"):  # ModelScope
                return parts.path.removeprefix("/api/v1/models/").removesuffix("/repo"), parse_qs(parts.query)["FilePath"][0]
            owner, name, _, _, file = parts.path.lstrip("/").split("/", 4)
            return f"{owner}/{name}", file

        def _answer(self) -> None:
            repository, file = self._target()
            wish = self.headers.get("Range", "")
            seen.asked.append((self.command, repository, file, wish))
            known = REPOSITORIES.get(repository)
            if known is None or file not in known:
                code = {"X-Error-Code": "GatedRepo" if repository == GATED else "RepoNotFound" if known is None else "EntryNotFound"}
                self._send(403 if repository == GATED else 404, b"", code)
                return
            body, status = known[file], 200
            if wish:
                first, last = (int(each) for each in wish.removeprefix("bytes=").split("-"))
                body, status = body[first : last + 1], 206
            self._send(status, body, {"ETag": f'"{len(known[file])}"', "X-Repo-Commit": "0" * 40})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler


@pytest.fixture
def server() -> Iterator[StandIn]:
    seen = StandIn()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(seen)) as running:
        seen.port = running.server_address[1]
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield seen
        running.shutdown()
        thread.join()


@pytest.fixture
def modelscope(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("MODELSCOPE_URL_SCHEME", "http://")
    monkeypatch.setenv("MODELSCOPE_DOMAIN", f"127.0.0.1:{server.port}")
    monkeypatch.setattr(load, "_REMEMBERED", {})
    return server


def huggingface(server: StandIn, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """``gpusizer`` as a process of its own: the library reads its settings once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{server.port}", "HF_HOME": str(folder), "PYTHONPATH": str(ROOT / "src"), **more}
    command = [sys.executable, "-m", "gpusizer", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


needs_library = pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="the extra [hub] is not installed here")


def test_configuration_and_headers_of_modelscope_make_a_model(modelscope: StandIn) -> None:
    assert hub.look_up("someone/Tiny-1", "modelscope") == "someone/Tiny-1"
    model = gpusizer.load_architecture("someone/Tiny-1")
    assert model.parameters.total == PARAMS
    assert checkpoint_bytes(model) == 2 * PARAMS + 2 * CONFIG["hidden_size"]  # the norm that its files hold in F32
    assert {file for _, _, file, _ in modelscope.asked} == {"config.json", *shards()}
    assert all(wish for _, _, file, wish in modelscope.asked if file.endswith(".safetensors"))  # headers only


def test_plan_and_fit_look_a_model_up_and_print_its_own_name(modelscope: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "someone/Tiny-1", "--hub", "modelscope", "--gpu", "h200", "--concurrency", "1", "--format", "json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["model"]["total_params"], plan["request"]["hub"]) == (PARAMS, "modelscope")
    assert "someone/Tiny-1" in plan["options"][0]["command"]
    assert "hub-read" in {each["code"] for each in plan["warnings"]}
    asked = len(modelscope.asked)
    assert main(["fit", "--hub", "modelscope", "--gpu", "h200", "--format", "json", "--", "vllm", "serve", "someone/Tiny-1"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"]
    assert len(modelscope.asked) == asked  # read once in a process
    assert gpusizer.fit(Deployment("https://modelscope.cn/models/someone/Tiny-1/summary", "h200"), hub="modelscope").fits


def test_without_safetensors_the_configuration_alone_is_counted(modelscope: StandIn) -> None:
    hub.look_up("someone/Bare-1", "modelscope")
    model = gpusizer.load_architecture("someone/Bare-1")
    assert checkpoint_bytes(model) == 2 * PARAMS
    assert "hub-without-headers" in {notice.code for notice in model.warnings}


@pytest.mark.parametrize("name", ["qwen3-8b", "Qwen/Qwen3-8B", "deepseek-ai/DeepSeek-V3"])
def test_what_the_catalogue_has_is_not_asked_for(modelscope: StandIn, name: str) -> None:
    assert hub.look_up(name, "modelscope") == name
    assert not modelscope.asked


REFUSED = [
    ("someone/No-Such-1", "hub-not-found"),
    ("someone/Gated-1", "hub-gated"),
    ("someone/Files-GGUF-1", "hub-no-config"),
    ("someone/Huge-1", "hub-too-large"),
    ("someone/List-1", "hub-no-config"),
    ("someone/Lying-1", "hub-too-large"),
    ("no-owner-of-this-1", "hub-name"),
    ("a/b/c/d", "hub-name"),
    ("../../etc/passwd-1", "hub-name"),
]


@pytest.mark.parametrize(("name", "code"), [(name, "hub-not-found" if "GGUF" in name else code) for name, code in REFUSED])
def test_refusals_of_modelscope(modelscope: StandIn, name: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        hub.look_up(name, "modelscope")
    assert (caught.value.code, caught.value.exit_code) == (code, 2)


def test_a_server_that_is_not_there(modelscope: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_DOMAIN", "127.0.0.1:9")
    with pytest.raises(InputError) as caught:
        hub.look_up("someone/Tiny-1", "modelscope")
    assert caught.value.code == "hub-unreachable"
    monkeypatch.setenv("MODELSCOPE_URL_SCHEME", "file://")
    with pytest.raises(InputError):
        hub.look_up("someone/Tiny-1", "modelscope")


@needs_library
def test_hugging_face_through_its_library_with_its_mirror_and_cache(server: StandIn, tmp_path: Path) -> None:
    line = ("plan", "someone/Tiny-1", "--hub", "--gpu", "h200", "--concurrency", "1", "--format", "json")
    done = huggingface(server, tmp_path, *line)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["model"]["total_params"] == PARAMS
    assert plan["model"]["checkpoint_bytes"] == 2 * PARAMS + 2 * CONFIG["hidden_size"]
    assert {file for _, _, file, _ in server.asked} <= {"config.json", *shards()}
    assert all(wish for method, _, file, wish in server.asked if file.endswith(".safetensors") and method == "GET")
    asked = [each for each in server.asked if each[2] == "config.json" and each[0] == "GET"]
    again = huggingface(server, tmp_path, *line)
    assert json.loads(again.stdout)["model"] == plan["model"]
    assert [each for each in server.asked if each[2] == "config.json" and each[0] == "GET"] == asked  # the library's cache


@needs_library
@pytest.mark.parametrize(("name", "code"), REFUSED)
def test_refusals_of_hugging_face(server: StandIn, tmp_path: Path, name: str, code: str) -> None:
    words = {
        "hub-not-found": "no public model",
        "hub-gated": "gated",
        "hub-no-config": "config.json",
        "hub-too-large": "larger",
        "hub-name": "no name",
    }
    done = huggingface(server, tmp_path, "plan", "--hub", name, "--language", "en")
    assert (done.returncode, done.stdout) == (2, "")
    assert words[code] in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@needs_library
def test_offline_and_unreachable_hugging_face(server: StandIn, tmp_path: Path) -> None:
    offline = huggingface(server, tmp_path, "plan", "someone/Tiny-1", "--hub", "--language", "en", HF_HUB_OFFLINE="1")
    assert (offline.returncode, not server.asked) == (2, True)
    assert "HF_HUB_OFFLINE" in offline.stderr
    away = huggingface(server, tmp_path, "plan", "someone/Tiny-1", "--hub", "--language", "en", HF_ENDPOINT="http://127.0.0.1:9")
    assert (away.returncode, "does not answer" in away.stderr) == (2, True)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError) as caught:
        hub.look_up("someone/Tiny-1")
    assert caught.value.code == "hub-not-installed"


@pytest.mark.parametrize("name", ["someone/Tiny-1", "https://huggingface.co/someone/Tiny-1", "Qwen/Qwen3-8B", "Qwen/Qwen3-14B-AWQ"])
def test_without_hub_no_socket_is_opened(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*args: object, **named: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    code = main(["plan", name, "--gpu", "h200", "--concurrency", "1", "--format", "json"])
    assert code == (2 if "Tiny" in name else 0), capsys.readouterr().err
