"""The address of a server that speaks as OpenAI's does, and requests to it: one at a time, without redirects and without a proxy."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from gpusizer.errors import InputError

__all__ = ["Address", "Refused", "is_address", "parse_address"]

LONGEST_ADDRESS = 2_000
LONGEST_ANSWER_BYTES = 8 << 20  # of one that is no stream
LONGEST_WORDS = 200  # of what a server says of a refusal
_PORTS = {"http": 80, "https": 443}


class Refused(Exception):
    """A server answered, but not with what was asked for.

    Parameters
    ----------
    status : int
        Of the answer.
    words : str
        How it begins.
    """

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words
        super().__init__(status)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers.

    Parameters
    ----------
    scheme, host, port, path : str or int
        Parts of the address; the path ends without a slash.
    key : str
        Sent as a bearer token where it is not empty; never part of anything that is printed.
    timeout_s : float
        Longest silence. [s]
    """

    scheme: str
    host: str
    port: int
    path: str
    key: str = field(default="", repr=False)
    timeout_s: float = 300.0

    @property
    def words(self) -> str:
        """As it is shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def get(self, name: str) -> Any:
        """The JSON under a name of the address."""
        with self._answered("GET", name, None) as answer:
            return _json(answer.read(LONGEST_ANSWER_BYTES + 1))

    @contextmanager
    def stream(self, name: str, body: Mapping[str, Any]) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request while it comes."""
        with self._answered("POST", name, json.dumps(body).encode()) as answer:
            yield answer

    @contextmanager
    def _answered(self, method: str, name: str, body: bytes | None) -> Iterator[http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=self.timeout_s)
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", "User-Agent": "gpusizer"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, f"{self.path}/{name}", body, headers)
            if connection.sock is not None:
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Refused(answer.status, answer.read(LONGEST_WORDS * 4).decode("utf-8", errors="replace")[:LONGEST_WORDS])
            yield answer
        finally:
            connection.close()


def _json(content: bytes) -> Any:
    if len(content) > LONGEST_ANSWER_BYTES:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def is_address(words: str) -> bool:
    """Whether words are meant as an address and not as a file.

    >>> is_address("http://127.0.0.1:8000/v1"), is_address("results.json"), is_address("ftp://host/file")
    (True, False, True)
    """
    return "://" in words[:12]


def parse_address(words: str, *, key: str = "", timeout_s: float = 300.0) -> Address:
    """An address that somebody typed.

    Parameters
    ----------
    words : str
        ``http://HOST:PORT/v1``; without a path ``/v1`` is meant.
    key : str
        Of the server, where it asks for one.
    timeout_s : float
        Longest silence. [s]

    Returns
    -------
    Address
        Its parts.

    Raises
    ------
    InputError
        Neither http nor https, no host, or a name and password in it.

    Examples
    --------
    >>> parse_address("http://127.0.0.1:8000").words, parse_address("https://host/api/v1/").words
    ('http://127.0.0.1:8000/v1', 'https://host:443/api/v1')
    """
    try:
        parts = urlsplit(words[:LONGEST_ADDRESS])
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError("bad-address", found=words[:LONGEST_WORDS]) from error
    if parts.username is not None or parts.password is not None:
        raise InputError("address-with-password", host=host or "?")
    plain = all(letter.isprintable() and not letter.isspace() for letter in words)
    if parts.scheme not in _PORTS or not host or port == 0 or parts.query or parts.fragment or not plain or len(words) > LONGEST_ADDRESS:
        raise InputError("bad-address", found=words[:LONGEST_WORDS])
    if not all(0x20 < ord(letter) < 0x7F for letter in key):
        raise InputError("bad-api-key")
    return Address(parts.scheme, host, port or _PORTS[parts.scheme], parts.path.rstrip("/") or "/v1", key, timeout_s)
