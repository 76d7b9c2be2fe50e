"""A server as a process: it says where it answers, survives what happens to it, and ends without a trace."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from command_line import refused
from server_process import ServerProcess

posix = pytest.mark.skipif(os.name != "posix", reason="signals and /proc are those of Linux")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that a test may harm."""
    with ServerProcess(tmp_path, "--workers", "1", "--root-path", "/sizer") as process:
        yield process


def workers_of(process: ServerProcess) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.process.pid)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_first_line_says_where_it_answers(server: str) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server)
    assert httpx.get(server + "/healthz").json()["status"] == "ok"


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_what_was_begun_and_leaves_nothing(own: ServerProcess, number: signal.Signals) -> None:
    """An answer in flight is given; workers end; no line but those of requests is written."""
    said: list[int] = []
    address = own.address + "/api/v1/plan?model=deepseek-v3&users=4321"
    asking = threading.Thread(target=lambda: said.append(httpx.get(address, timeout=60).status_code))
    workers = workers_of(own)
    assert workers
    asking.start()
    deadline = time.monotonic() + 30
    while "gpusizer_workers_busy 1.0" not in httpx.get(own.address + "/metrics").text and time.monotonic() < deadline and not said:
        time.sleep(0.01)
    assert own.stop(number) == 0
    asking.join()
    assert said == [200]
    deadline = time.monotonic() + 10
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))
    assert "Traceback" not in own.log


@posix
def test_a_killed_worker_costs_one_answer_at_most(own: ServerProcess) -> None:
    def ask(users: int) -> int:
        return httpx.get(f"{own.address}/api/v1/plan.txt?model=qwen3-8b&gpus=h200&users={users}", timeout=60).status_code

    assert ask(1) == 200
    for pid in workers_of(own):
        os.kill(pid, signal.SIGKILL)
    assert [ask(2), ask(3)] in ([200, 200], [503, 200])
    assert own.stop() == 0
    assert "Traceback" not in own.log


def test_a_proxy_may_keep_its_prefix_or_take_it_away(own: ServerProcess) -> None:
    bare = own.address.removesuffix("/sizer")
    assert bare + "/sizer" == own.address
    kept, taken = httpx.get(bare + "/sizer/"), httpx.get(bare + "/")
    assert kept.status_code == taken.status_code == 200
    assert kept.text == taken.text
    addresses = re.findall(r'(?:href|src|action)="(/[^"]*)"', kept.text)
    assert addresses
    assert all(each.startswith("/sizer/") for each in addresses), addresses
    for each in (each for each in addresses if "/static/" in each):
        assert httpx.get(bare + each).status_code == httpx.get(bare + each.removeprefix("/sizer")).status_code == 200
    assert httpx.get(own.address + "/openapi.json").json()["servers"] == [{"url": "/sizer"}]
    assert httpx.get(bare + "/sizerx/").status_code == 404


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in refused(capsys, "serve", "--port", port)
    assert "256.1.1.1" in refused(capsys, "serve", "--host", "256.1.1.1")
    assert "端口" in refused(capsys, "serve", "--host", "192.0.2.1", "--language", "zh")


@pytest.mark.parametrize("root", ["gpusizer", "//evil.example", "/a b", '/"'])
def test_a_root_path_is_a_path(capsys: pytest.CaptureFixture[str], root: str) -> None:
    assert "--root-path" in refused(capsys, "serve", "--root-path", root)


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    """A module that cannot be imported stands in for a package that is not installed."""
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\", name='uvicorn')")
    path = os.pathsep.join((str(tmp_path), *filter(None, sys.path)))
    environment = {**os.environ, "PYTHONPATH": path}
    found = subprocess.run([sys.executable, "-m", "gpusizer", "serve"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 2
    assert found.stderr == "gpusizer: gpusizer serve needs the package uvicorn, which is not installed; pip install 'gpusizer[web]'\n"


def test_metrics_count_and_tell_nothing_of_the_asker(server: str) -> None:
    def counted(text: str) -> float:
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith('gpusizer_requests_total{method="GET",route="/api/v1/engines"')
        )

    before = httpx.get(server + "/metrics")
    for _ in range(3):
        httpx.get(server + "/api/v1/engines", headers={"User-Agent": "secret-agent"})
        httpx.get(server + "/secret-path?secret=query")
    httpx.request("BREW", server + "/api/v1/engines")
    after = httpx.get(server + "/metrics")
    assert after.headers["content-type"].startswith("text/plain")
    assert counted(after.text) - counted(before.text) == 3
    assert "secret" not in after.text
    assert "BREW" not in after.text
    for name in ("gpusizer_answer_seconds_bucket", "gpusizer_kept_hits_total", "gpusizer_workers_busy", "gpusizer_waiting"):
        assert name in after.text


def test_the_log_tells_nothing_of_the_asker(server: str, server_process: ServerProcess) -> None:
    before = len(server_process.log)
    httpx.get(server + "/api/v1/models/my-secret-model?filter=my-secret", headers={"X-Forwarded-For": "203.0.113.7"})
    server_process.logged(r"\S+ GET /api/v1/models/\{id:path\} 4\d\d [\d.]+ ms \d+ B", before)
    assert "secret" not in server_process.log
    assert "127.0.0.1" not in server_process.log
