"""A small server that speaks as OpenAI's does and streams tokens at a known pace: what a measurement of it must find is known beforehand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Pace", "streaming"]


@dataclass
class Pace:
    """How the server answers.

    Parameters
    ----------
    first_s, between_s : float
        Before the first token, and between tokens. [s]
    tokens_a_word : float
        How its vocabulary cuts prompts. [tokens]
    counts : bool
        It says how many tokens there were.
    chat_only : bool
        It knows messages alone.
    strict : bool
        It refuses fields that it does not know, such as ``ignore_eos``.
    key : str
        That it asks for.
    models : tuple of str
        That it lists.
    most_answered : int or None
        Requests that it answers before it refuses.
    """

    first_s: float = 0.05
    between_s: float = 0.01
    tokens_a_word: float = 1.5
    counts: bool = True
    chat_only: bool = False
    strict: bool = False
    key: str = ""
    models: tuple[str, ...] = ("Qwen/Qwen3-8B",)
    most_answered: int | None = None
    prompts: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    pace: Pace
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _pace(self) -> Pace:
        assert isinstance(self.server, _Server)
        return self.server.pace

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self._json(200, {"data": [{"id": each} for each in self._pace.models]})

    def do_POST(self) -> None:
        pace, body = self._pace, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chat = self.path.endswith("/chat/completions")
        pace.keys.append(self.headers.get("Authorization") or "")
        refusal = self._refusal(body, chat=chat)
        if refusal:
            self._json(refusal, {"error": "refused on purpose"})
            return
        prompt = body["messages"][0]["content"] if chat else body["prompt"]
        pace.prompts.append(prompt)
        self._stream(body, prompt, chat=chat)

    def _refusal(self, body: dict[str, Any], *, chat: bool) -> int:
        pace = self._pace
        if pace.key and self.headers.get("Authorization") != f"Bearer {pace.key}":
            return 401
        if pace.chat_only and not chat:
            return 404
        if pace.strict and "ignore_eos" in body:
            return 400
        return 503 if pace.most_answered is not None and len(pace.prompts) >= pace.most_answered else 0

    def _json(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, body: dict[str, Any], prompt: str, *, chat: bool) -> None:
        pace = self._pace
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        time.sleep(pace.first_s)
        for number in range(body["max_tokens"]):
            time.sleep(pace.between_s if number else 0)
            self._event({"choices": [{"delta": {"content": "a "}} if chat else {"text": "a "}]})
        if pace.counts and body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": round(len(prompt.split()) * pace.tokens_a_word), "completion_tokens": body["max_tokens"]}
            self._event({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, value: object) -> None:
        self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
        self.wfile.flush()


@contextmanager
def streaming(pace: Pace) -> Iterator[str]:
    """The address of such a server while it runs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.pace = pace
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
