"""Connections: a head that is too long or never ends, and an answer that nobody takes, hold nothing for long."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gpusizer.errors import InputError
from gpusizer.web.headers import EVERYWHERE, content_policy
from gpusizer.web.problems import problem_reply
from gpusizer.web.settings import Settings

__all__ = ["door_of"]

_TOO_LONG = 431


def door_of(settings: Settings) -> type[H11Protocol]:
    """The protocol of one server's connections.

    Parameters
    ----------
    settings : Settings
        How long a head may take, and how many clients are let in.
    """

    class Door(_Door):
        patience_s = settings.patience_s
        most = settings.connections
        longest = settings.header_bytes

    return Door


class _Door(H11Protocol):
    """uvicorn times idle connections alone: one that sends a head byte by byte, or leaves its answer lying, would stay for ever."""

    patience_s: float
    most: int
    longest: int

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let in, unless too many are here."""
        self._head, self._taken = _Alarm(transport, self.patience_s), _Alarm(transport, self.patience_s)
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        else:
            self._head.set()

    def data_received(self, data: bytes) -> None:
        """A head that has begun must end in time."""
        if self.conn.their_state is h11.IDLE:
            self._head.set()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._head.off()

    def pause_writing(self) -> None:
        """Much of an answer waits to be taken."""
        super().pause_writing()
        self._taken.set()

    def resume_writing(self) -> None:
        """It was taken."""
        self._taken.off()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._head.off()
        self._taken.off()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is refused as everything else is; called while the error is handled that says why."""
        if self.conn.our_state is not h11.IDLE:  # an answer is on its way: its client is told by the end of the connection
            self.transport.close()
            return
        reply = problem_reply(self._refusal(sys.exception()), "en")
        own: list[tuple[bytes, bytes]] = [
            (b"content-type", reply.media_type.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"content-security-policy", content_policy()),
            *EVERYWHERE,
            (b"connection", b"close"),
        ]
        events: tuple[Any, ...] = (h11.Response(status_code=reply.status, headers=own), h11.Data(data=reply.body), h11.EndOfMessage())
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()

    def _refusal(self, error: BaseException | None) -> InputError:
        if getattr(error, "error_status_hint", None) != _TOO_LONG:
            return InputError("bad-http")
        begun, _ = self.conn.trailing_data
        return InputError("headers-too-long" if b"\n" in begun else "query-too-long", most_bytes=self.longest)


class _Alarm:
    """Ends a connection unless somebody is in time."""

    def __init__(self, transport: asyncio.Transport, patience_s: float) -> None:
        self._transport = transport
        self._patience_s = patience_s
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Begin to wait, unless it has begun."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._patience_s, self._transport.abort)

    def off(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
