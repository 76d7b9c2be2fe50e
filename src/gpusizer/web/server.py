"""The process that serves: a socket that is bound first, an application that is warm before it answers, an end that finishes what was begun."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import uvicorn

from gpusizer.errors import DefectError, InputError
from gpusizer.web.app import create_app
from gpusizer.web.door import door_of
from gpusizer.web.observed import write_log
from gpusizer.web.settings import Settings

__all__ = ["address_of", "serve"]

_ENDS = ("SIGINT", "SIGTERM", "SIGHUP")
_ALL_NETWORKS = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_TO_FINISH_S = 5.0  # beyond the longest answer


def serve(settings: Settings, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until somebody ends the process.

    Parameters
    ----------
    settings : Settings
        Who may ask, how much, and how long.
    host, port : str, int
        Where to listen; port 0 takes a free one.
    started : callable
        Told the address once it answers.

    Raises
    ------
    InputError
        ``cannot-listen``.
    """
    write_log()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for workers: each is one of many, and threads reserve memory
    with _bound(host, port) as listening:
        server = _Server(_config(settings), lambda: started(address_of(listening, settings.root_path)))
        for name in _ENDS:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), server.handle_exit)
        try:
            server.run(sockets=[listening])
        except SystemExit as error:  # what uvicorn does where the application does not start
            raise DefectError("server-not-started") from error


class _Server(uvicorn.Server):
    """One that says when it answers."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self._say()


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings),
        loop="asyncio",
        http=door_of(settings),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=settings.header_bytes,
        timeout_graceful_shutdown=int(settings.time_limit_s + _TO_FINISH_S),
    )


def _bound(host: str, port: int) -> socket.socket:
    """A socket that nobody else has, before anything is loaded."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError("cannot-listen", host=host, port=port, detail=_why(error)) from error
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
    except OSError as error:
        found.close()
        raise InputError("cannot-listen", host=host, port=port, detail=_why(error)) from error
    return found


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(getattr(error, "strerror", None) or error)


def address_of(listening: socket.socket, root_path: str = "") -> str:
    """What to type into a browser on this machine.

    >>> with socket.create_server(("127.0.0.1", 0)) as listening:
    ...     address_of(listening, "/gpusizer") == f"http://127.0.0.1:{listening.getsockname()[1]}/gpusizer"
    True
    """
    host, port = listening.getsockname()[:2]
    host = _ALL_NETWORKS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{root_path}"
