"""Commands for a shell: one for each server of a replica, one for each replica of a server."""

from __future__ import annotations

from collections.abc import Iterator

from gpusizer.engines.base.launch_words import visible_devices
from gpusizer.rendering.deployment.workload import Workload
from gpusizer.rendering.deployment.yaml import comment_lines
from gpusizer.rendering.launch import quoted

__all__ = ["lines_of", "write"]


def write(workload: Workload) -> str:
    """The commands, each under a remark that says where it is typed."""
    lines = [line for remark in workload.remarks for line in comment_lines(remark)]
    for remark, command in lines_of(workload):
        lines += ["", *(comment_lines(remark) if remark else []), command]
    for what, command in workload.beside:
        lines += ["", *comment_lines(workload.text("beside", what=what)), command]
    return "\n".join([*lines, ""])


def lines_of(workload: Workload) -> Iterator[tuple[str, str]]:
    """Where each command is typed, empty where there is one alone, and the command.

    Parameters
    ----------
    workload : Workload
        What runs.

    Yields
    ------
    tuple of (str, str)
        Remark and line.
    """
    yield from _over_servers(workload) if workload.nodes > 1 else _in_servers(workload)


def _over_servers(workload: Workload) -> Iterator[tuple[str, str]]:
    """One command for each server of a replica."""
    code = "on-node" if workload.replicas == 1 else "on-node-each"
    said = {"nodes": workload.nodes, "replicas": workload.replicas, "leader": workload.wishes.leader}
    for rank in range(workload.nodes):
        words = workload.node_words(str(rank), workload.wishes.leader, first=rank == 0)
        yield workload.text(code, number=rank + 1, **said), _line(workload, words)


def _in_servers(workload: Workload) -> Iterator[tuple[str, str]]:
    """One command for each replica of a server, on devices and a port of its own where there are several."""
    each, servers = workload.per_server, workload.servers
    if workload.replicas == 1:
        yield "", _line(workload, [])
        return
    for number in range(each):
        devices = [visible_devices(workload.accelerator.id, workload.gpus, number * workload.gpus)] if each > 1 else []
        serving = workload.serving
        variables, port = ([], []) if serving is None or each == 1 else serving.moved(serving.port + number)
        said = {"number": number + 1, "replicas": workload.replicas, "each": each, "servers": servers}
        yield workload.text("replica" if servers == 1 else "replica-each", **said), _line(workload, port, *devices, *variables)


def _line(workload: Workload, further: list[str], *variables: str) -> str:
    """One command, with the file that it reads written before it."""
    named = [*variables, *(f"{name}={value}" for name, value in (*workload.environment, *workload.hub))]
    words = [*(["env", *named] if named else []), *workload.words, *further]
    file = workload.file
    before = [] if file is None else ["echo", quoted(file.words), ">", quoted(file.name), "&&"]
    return " ".join([*before, *map(quoted, words)])
