"""What stands before every address: who is asked for, how long an address and a body are, and how long a body takes."""

from __future__ import annotations

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpusizer.errors import GpusizerError, InputError
from gpusizer.web.asking import refused
from gpusizer.web.settings import ANY_HOST, Settings

__all__ = ["Guards"]

_LINGER_S = 1.0  # so that somebody who still sends reads why not
_MOST_HEADERS = 100


class Guards:
    """Refuses what is too much before anything of it is understood, and hands bodies on whole.

    Parameters
    ----------
    app : callable
        What stands behind.
    settings : Settings
        Bounds and names.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
            body = await self._body(scope, receive)
        except GpusizerError as error:
            await self._refuse(error, scope, receive, send)
            return
        await self._app(self._placed(scope), _at_hand(body, receive), send)

    def _check(self, scope: Scope) -> None:
        headers, most = scope["headers"], self._settings
        if len(scope["raw_path"]) + len(scope["query_string"]) > most.query_bytes:
            raise InputError("query-too-long", most_bytes=most.query_bytes)
        if len(headers) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > most.header_bytes:
            raise InputError("headers-too-long", most_bytes=most.header_bytes)
        trusted = most.trusted_hosts
        if ANY_HOST not in trusted and (name := _host(_value(scope, b"host"))) not in trusted:
            raise InputError("host-not-trusted", found=name[:100])

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body; its length may be a lie or not be said."""
        most = self._settings.body_bytes
        said = _value(scope, b"content-length")
        if not said and not _value(scope, b"transfer-encoding"):
            return b""
        if said.isdecimal() and int(said[:20]) > most:
            raise InputError("body-too-large", most_bytes=most)
        found = bytearray()
        with anyio.move_on_after(self._settings.patience_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                found += message.get("body", b"")
                if len(found) > most:
                    raise InputError("body-too-large", most_bytes=most)
                if not message.get("more_body", False):
                    return bytes(found)
        raise InputError("body-too-slow", limit_s=self._settings.patience_s)

    def _placed(self, scope: Scope) -> Scope:
        """Paths begin with what a proxy puts before them, whether it takes it away again or not."""
        root = self._settings.root_path
        path: str = scope["path"]
        if not root:
            return scope
        within = path == root or path.startswith(root + "/")
        return {**scope, "root_path": root, "path": path if within else root + path}

    async def _refuse(self, error: GpusizerError, scope: Scope, receive: Receive, send: Send) -> None:
        """Say why not; the rest of what is still sent is not read to its end, and the connection ends."""
        reply = refused(error, scope)
        headers = [*reply.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": reply.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body, "more_body": True})
        with anyio.move_on_after(_LINGER_S):
            while (await receive()).get("more_body", False):
                pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _at_hand(body: bytes, receive: Receive) -> Receive:
    """What brings a body that was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def brought() -> Message:
        return messages.pop() if messages else await receive()

    return brought


def _value(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _host(value: str) -> str:
    """The name in a Host header, without its port.

    >>> _host("[::1]:8000"), _host("LOCALHOST:80"), _host("gpusizer.example")
    ('::1', 'localhost', 'gpusizer.example')
    """
    if value.startswith("["):
        return value[1:].partition("]")[0].lower()
    return value.partition(":")[0].lower()
