"""Accelerators: one JSON record a device in ``data/accelerators.jsonl``, read whole in a few milliseconds.

A record's keys are short: ``memory.mib`` is what the driver reports (or follows from the number on the box, ``evidence`` says which),
``memory.torch_gib`` what torch reports, ``usual`` false where it is looked at only by its name, ``by_size`` where its size
must be told as well, ``peak_tflops`` dense rates, ``link`` the fast
interconnect (``gb_s``: both directions added; ``devices``: how many it joins; ``bridge``, ``domain``: as many over bridges between cards, as many
beyond a server), ``node`` the usual server,
``prices`` rows of low, high, currency, per, kind, date, sources (more of China, and its class, in ``market.toml``), ``measured`` rows of quantity,
number format, devices, low, high (TFLOP/s or GB/s), method, sources. Sources are keys of ``data/sources.json``.
Where a card shows as several devices, every figure is for one device.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.facts.market import china_prices, class_of, is_domestic, is_old, market_sources, rented_whole, sold_in
from gpusizer.facts.types import Accelerator, Price
from gpusizer.units import GB, TB, GiB, MiB

__all__ = ["read_accelerators", "read_sources"]

DATA = Path(__file__).parent / "data"


@cache
def read_sources() -> Mapping[str, str]:
    """Sources by key.

    >>> read_sources()["mleng"].split(":")[0]
    'stas00/ml-engineering'
    """
    table: dict[str, str] = json.loads((DATA / "sources.json").read_text(encoding="utf-8"))
    return {**table, **market_sources()}


@cache
def read_accelerators() -> tuple[Accelerator, ...]:
    """Every accelerator, in the order of the file."""
    lines = (DATA / "accelerators.jsonl").read_text(encoding="utf-8").strip().split("\n")
    records = json.loads(f"[{','.join(lines)}]")  # one call is faster than one a line
    newest = max(record.get("year") or 0 for record in records)
    return tuple(_accelerator(record, newest) for record in records)


def _accelerator(record: Mapping[str, Any], newest: int) -> Accelerator:
    memory, link, node = record["memory"], record.get("link", {}), record["node"]
    torch_gib, bandwidth = memory.get("torch_gib"), record.get("bandwidth_gb_s")
    return Accelerator(
        id=record["id"],
        vendor=record["vendor"],
        name=record["name"],
        aliases=tuple(record["aliases"]),
        status=record["status"],
        architecture=record.get("architecture"),
        compute_capability=record.get("compute_capability"),
        form_factor=record["form"],
        memory_bytes=round(memory["mib"] * MiB),
        memory_evidence=memory["evidence"],
        marketing_memory_gb=memory["box_gb"],
        torch_total_bytes=None if torch_gib is None else round(torch_gib * GiB),
        memory_type=memory.get("type"),
        unified_memory=memory.get("unified", False),
        bandwidth_bytes_per_s=None if bandwidth is None else bandwidth * GB,
        peak_flops={form: rate * TB for form, rate in record.get("peak_tflops", {}).items()},
        interconnect=link.get("kind"),
        interconnect_bytes_per_s=link["gb_s"] * GB if "gb_s" in link else None,
        fabric_devices=link.get("devices"),
        pcie=record.get("pcie"),
        devices_per_node=node.get("devices"),
        devices_per_card=node.get("per_card", 1),
        whole_nodes=node.get("whole", False),
        tdp_w=record.get("tdp_w"),
        release_year=record.get("year"),
        prices=_prices(record),
        engines=record["engines"],
        china=_china(record.get("china", {"available": "unknown"})),
        measured=tuple(_measured(row) for row in record.get("measured", ())),
        notes=tuple(record.get("notes", ())),
        unverified=tuple(record.get("unverified", ())),
        sources={field: _sources(keys) for field, keys in record["sources"].items()},
        bridge_devices=link.get("bridge"),
        domain_devices=link.get("domain"),
        pcie_generation=int(record["pcie"].partition(".")[0]) if record.get("pcie") else None,
        usual=record.get("usual", True),
        sold_as=class_of(record, newest),
        sold_in=sold_in(record),
        rented_whole=rented_whole(record["id"]),
        domestic=is_domestic(record["vendor"]),
        old=is_old(record, newest),
        by_size=record.get("by_size", False),
    )


def _prices(record: Mapping[str, Any]) -> tuple[Price, ...]:
    """Prices of the record and of China. A purchase in yuan is one in China; a rent in yuan may be a foreign cloud's, converted by an index."""
    china = china_prices(record["id"])
    rows = [row for row in record.get("prices", ()) if row not in china]
    return (*(_price(row, "cn" if row[2:4] == ["CNY", "device"] else None) for row in rows), *(_price(row, "cn") for row in china))


def _price(row: list[Any], market: str | None) -> Price:
    low, high, currency, per, kind, date, sources = row
    return Price(Decimal(low), Decimal(high), currency, per, kind, date, "; ".join(_sources(sources)), market)


def _china(record: Mapping[str, Any]) -> dict[str, Any]:
    """Whether it can be bought in China; what nobody looked up is unknown."""
    return {**record, "sources": _sources(record.get("sources", []))}


def _measured(row: list[Any]) -> dict[str, Any]:
    """A ceiling that somebody measured: FLOP/s for "matmul", else bytes/s (all-reduce: bus bandwidth of one device)."""
    quantity, form, devices, low, high, method, sources = row
    unit = TB if quantity == "matmul" else GB
    ends = {"low": low * unit, "high": high * unit}
    return {"quantity": quantity, "format": form, "devices": devices, **ends, "method": method, "sources": _sources(sources)}


def _sources(keys: list[str]) -> tuple[str, ...]:
    return _named_sources("\n".join(keys)) if keys else ()


@cache
def _named_sources(keys: str) -> tuple[str, ...]:
    table = read_sources()
    return tuple(table[key] for key in keys.split("\n"))
