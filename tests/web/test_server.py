"""A server as a process: it starts, says where, and ends."""

from __future__ import annotations

import httpx


def test_the_first_line_says_where_it_answers(server: str) -> None:
    assert httpx.get(server + "/healthz").json()["status"] == "ok"
