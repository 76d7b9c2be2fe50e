"""The server: it offers the tools over stdin and stdout, one answer at a time, and stays there while it computes.

The protocol's own package does the talking. Its lower layer is used, which takes JSON Schema as it is: types, bounds and defaults of the tools come
from the fields of a request, and their readers refuse what is wrong in words, which a second check against types would hide.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import anyio
from anyio import CapacityLimiter, to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, ToolAnnotations
from mcp.types import Tool as Listed

from gpusizer.errors import GpusizerError
from gpusizer.i18n import LANGUAGES, text
from gpusizer.mcp.tools import Tool, tools
from gpusizer.rendering.failures import defect_of, error_data

__all__ = ["build", "serve"]


def serve(language: str, hub: str | None) -> None:
    """Offer the tools over stdin and stdout until the other side closes.

    Parameters
    ----------
    language : str
        Of descriptions, and of answers where an agent asks for none.
    hub : str or None
        Where models may be looked up; None, and nothing touches a network.
    """

    async def talk() -> None:
        server = build(language, hub)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())

    anyio.run(talk)


def build(language: str, hub: str | None) -> Server[Any]:
    """The server with its six tools; see :func:`serve`."""
    known = {tool.name: tool for tool in tools(hub)}
    one_at_a_time = CapacityLimiter(1)

    async def list_tools(context: Any, parameters: Any) -> ListToolsResult:
        return ListToolsResult(tools=[_listed(tool, language, hub) for tool in known.values()])

    async def call_tool(context: Any, parameters: CallToolRequestParams) -> CallToolResult:
        tool = known.get(parameters.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, text("error", "unknown-command", language, id=parameters.name))
        return await to_thread.run_sync(_answer, tool, parameters.arguments or {}, language, limiter=one_at_a_time)

    return Server(
        "gpusizer",
        version=version("gpusizer"),
        instructions=text("tool", "instructions", language),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _listed(tool: Tool, language: str, hub: str | None) -> Listed:
    """A tool as it is announced: it changes nothing, and reaches nothing outside unless a hub was allowed."""
    return Listed(
        name=tool.name,
        description=tool.description(language),
        input_schema=tool.input_schema(language),
        output_schema=dict(tool.output_schema(language)),
        annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=hub is not None),
    )


def _answer(tool: Tool, arguments: Mapping[str, Any], language: str) -> CallToolResult:
    """An answer, or an error as code, sentence, hint and the argument that it is about."""
    try:
        return _result(tool.call(arguments, language))
    except GpusizerError as error:
        failure = error
    except Exception as error:  # whoever started the server sees where it broke; the agent is told that it is ours
        traceback.print_exc(file=sys.stderr)
        failure = defect_of(error)
    asked, argument = arguments.get("language"), failure.parameters.get("argument")
    said = error_data(failure, asked if asked in LANGUAGES else language)
    return _result(said if argument is None else {**said, "argument": argument}, failed=True)


def _result(data: dict[str, Any], *, failed: bool = False) -> CallToolResult:
    """Data for programs, and the same as text for models that read nothing else."""
    words = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return CallToolResult(content=[TextContent(type="text", text=words)], structured_content=data, is_error=failed)
