"""An agent as tests play it: the protocol's own client, in this process or against the command that a user starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from gpusizer.mcp.server import build

__all__ = ["Said", "talk", "talk_to_process"]

Call = tuple[str, Mapping[str, Any]]


@dataclass
class Said:
    """What a tool said: the structured answer, and its text for models that read nothing else."""

    failed: bool
    data: dict[str, Any]
    text: str


def talk(calls: Sequence[Call], *, language: str = "en", hub: str | None = None) -> tuple[list[Any], list[Said]]:
    """The tools of a server in this process, and its answers; the client checks each against the schema that was announced."""
    return anyio.run(_talk, lambda: Client(build(language, hub)), calls)


def talk_to_process(calls: Sequence[Call], *arguments: str) -> tuple[list[Any], list[Said]]:
    """The same with ``gpusizer mcp`` as a process of its own, over its stdin and stdout."""
    command = StdioServerParameters(command=sys.executable, args=["-m", "gpusizer", "mcp", *arguments], env={**os.environ, "LC_ALL": "C.UTF-8"})
    return anyio.run(_talk, lambda: Client(stdio_client(command)), calls)


async def _talk(connect: Any, calls: Sequence[Call]) -> tuple[list[Any], list[Said]]:
    async with connect() as client:
        listed = await client.list_tools()
        answers = [await client.call_tool(name, dict(arguments)) for name, arguments in calls]
        return listed.tools, [Said(each.is_error, each.structured_content, each.content[0].text) for each in answers]
