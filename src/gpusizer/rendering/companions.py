"""Models beside the language model: where each lies, what it holds of its GPU, how it is started; and replicas in reserve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpusizer.engines import declaration, engine_name
from gpusizer.engines.base.flags import flag_table
from gpusizer.engines.base.launch_words import visible_devices
from gpusizer.i18n import text
from gpusizer.planning.companions import Placed
from gpusizer.planning.types import Option
from gpusizer.rendering.document import Block, Command, Lines, Paragraph
from gpusizer.rendering.fit import memory_data
from gpusizer.rendering.launch import LaunchCommand, launch_command, version_of
from gpusizer.rendering.ledger import ledger_table

__all__ = [
    "FIRST_PORT",
    "beside_words",
    "companion_blocks",
    "companion_command",
    "companion_lines",
    "companions_data",
    "ledger_blocks",
    "spare_lines",
]

FIRST_PORT = 8001
"""The language model listens on 8000, where its engine does not say otherwise."""


def companion_command(placed: Placed, port: int) -> LaunchCommand:
    """How a companion is started: on its GPU, on a port of its own where its engine listens on one."""
    launch, device = placed.companion.launch, placed.companion.accelerator
    variables = [visible_devices(device.id, 1, placed.number % device.node_size)] if device.node_size > 1 else []
    command = launch_command(launch, variables=variables)
    return launch_command(launch, variables=variables, arguments=("--port", str(port))) if _listens(launch.engine, command) else command


def _listens(engine: str, command: LaunchCommand) -> bool:
    """Whether a command starts a server that takes a port."""
    words = {*(command.parts or ())}
    return flag_table(engine).find("--port") is not None and any({*each} <= words for each in declaration(engine).launchers)


def companions_data(companions: Sequence[Placed]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [_data(each, port) for port, each in enumerate(companions, FIRST_PORT)]


def _data(placed: Placed, port: int) -> dict[str, Any]:
    one = placed.companion
    memory = memory_data(one.fit)
    return {
        "model": one.architecture.id or one.model.name,
        "name": one.model.name,
        "engine": one.launch.engine,
        "engine_version": version_of(one.fit.deployment),
        "precision": one.launch.precision,
        "gpu": one.accelerator.id,
        "gpus": one.launch.layout.gpus,
        "placed": placed.placed,
        "server": placed.number // one.accelerator.node_size,
        "device": placed.number % one.accelerator.node_size,
        "held_bytes": one.held_bytes,
        "gpu_share": one.gpu_share,
        "max_model_len": one.fit.deployment.max_model_len,
        "max_concurrency": one.at_once,
        "per_gpu": memory["per_gpu"],
        "items": memory["items"],
        "command": companion_command(placed, port).line,
    }


def companion_blocks(companions: Sequence[Placed], language: str) -> list[Block]:
    """The same for people: where they lie and why, then each with its command."""
    if not companions:
        return []
    gpus = len({each.number for each in companions})
    blocks: list[Block] = [Paragraph(text("stack", f"lie-{companions[0].placed}", language, gpus=gpus))]
    for port, each in enumerate(companions, FIRST_PORT):
        parts = companion_command(each, port).parts
        blocks.append(Lines([_line(each, language)]))
        blocks += [] if parts is None else [Command(parts)]
    return blocks


def _line(placed: Placed, language: str) -> str:
    one, device = placed.companion, placed.companion.accelerator
    server, number = divmod(placed.number, device.node_size)
    place = text("stack", "place-server" if server else "place", language, number=number, server=server + 1)
    said = {"held": one.held_bytes, "share": one.gpu_share, "length": one.fit.deployment.max_model_len or 0, "texts": one.at_once}
    return text("stack", "companion", language, model=one.model.name, engine=engine_name(one.launch.engine), place=place, **said)


def companion_lines(companions: Sequence[Placed], language: str) -> list[str]:
    """Where they lie and what each holds, without commands."""
    return [line for block in companion_blocks(companions, language) for line in (block.lines if isinstance(block, Lines) else [])]


def ledger_blocks(companions: Sequence[Placed], language: str) -> list[Block]:
    """The memory of each companion, item by item, alone on its GPU."""
    found: list[Block] = []
    for each in companions:
        fit = each.companion.fit
        found += [Paragraph(text("stack", "ledger", language, model=each.companion.model.name)), ledger_table(fit.ranks[fit.worst].items, language)]
    return found


def beside_words(companions: Sequence[Placed], language: str) -> str:
    """Which models stand beside, and where; empty without any."""
    if not companions:
        return ""
    return text("stack", f"beside-{companions[0].placed}", language, models=[each.companion.model.name for each in companions])


def spare_lines(option: Option, language: str) -> list[str]:
    """What replicas in reserve are for; nothing without any."""
    if not option.spare_replicas:
        return []
    return [text("stack", "spare", language, replicas=option.replicas, spare=option.spare_replicas, gpus=option.spare_replicas * option.layout.gpus)]
