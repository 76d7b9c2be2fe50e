"""Servers that accelerators are sold in, from ``data/servers.toml``: height, power, ports, drives, each with its source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.units import GB, TB

__all__ = ["Server", "read_servers", "servers_of"]

KW = 1000


@dataclass(frozen=True, slots=True)
class Server:
    """One server, or a rack that is sold as one. What no sheet says is None.

    Parameters
    ----------
    name : str
        Maker and product.
    gpus : int
        Accelerators in it.
    rack_units : int or None
        Its height. [U]
    maximum_w : float or None
        What the whole server takes at most. [W]
    ports : int or None
        Ports for the compute fabric, those for storage and management apart.
    port_bits_per_s : float or None
        Of one of them. [bit/s]
    data_bytes : int or None
        Drives for data together, as delivered. [bytes]
    sources : tuple of str
        Who says so.
    """

    name: str
    gpus: int
    rack_units: int | None
    maximum_w: float | None
    ports: int | None
    port_bits_per_s: float | None
    data_bytes: int | None
    sources: tuple[str, ...]


@cache
def read_servers() -> Mapping[str, tuple[Server, ...]]:
    """Servers by the id of the accelerator, the usual one first.

    >>> read_servers()["h200-sxm-141gb"][0].rack_units
    8
    """
    with (Path(__file__).parent / "data" / "servers.toml").open("rb") as stream:
        table = tomllib.load(stream)
    return {id: tuple(_server(entry, table["sources"]) for entry in entries) for id, entries in table["servers"].items()}


def servers_of(id: str) -> tuple[Server, ...]:
    """The servers that an accelerator is sold in; none where none is known.

    Parameters
    ----------
    id : str
        Of the accelerator.

    Examples
    --------
    >>> [server.name for server in servers_of("b200-sxm-180gb")], servers_of("rtx4090-24gb")
    (['NVIDIA DGX B200'], ())
    """
    return read_servers().get(id, ())


def _server(entry: Mapping[str, Any], sources: Mapping[str, str]) -> Server:
    ports, speed = entry.get("ports", (None, None))
    kilowatts, terabytes = entry.get("maximum_kw"), entry.get("data_tb")
    return Server(
        name=entry["name"],
        gpus=entry["gpus"],
        rack_units=entry.get("rack_units"),
        maximum_w=None if kilowatts is None else float(kilowatts * KW),
        ports=ports,
        port_bits_per_s=None if speed is None else float(speed * GB),
        data_bytes=None if terabytes is None else round(terabytes * TB),
        sources=tuple(sources[key] for key in entry["sources"]),
    )
