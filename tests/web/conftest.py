"""A real server, one for all tests of a run: a process of its own, on a free port, started in a folder that tempts it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server_process import ServerProcess


@pytest.fixture(scope="session")
def server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The process that serves."""
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder) as process:
        yield process


@pytest.fixture(scope="session")
def server(server_process: ServerProcess) -> str:
    """Where it answers: ``http://127.0.0.1:PORT``."""
    return server_process.address
