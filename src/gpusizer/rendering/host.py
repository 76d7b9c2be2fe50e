"""What a start leaves in the memory of the host, and how fast one request is answered from there: as JSON, as lines, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpusizer.engines.base.ledger import per_gpu, total_bytes
from gpusizer.engines.base.types import NOTHING_ON_HOST, Fit, Section
from gpusizer.i18n import text
from gpusizer.planning.host_speed import LoneRequest
from gpusizer.rendering.document import Table
from gpusizer.rendering.ledger import item_data, ledger_table
from gpusizer.units import GiB

__all__ = ["host_data", "host_lines", "host_table", "speed_data"]

_SHOWN_BYTES = GiB / 20  # what is not 0.0 GiB when it is printed
_SUMS: Mapping[str, Section] = {
    "weights_bytes": Section.WEIGHTS,
    "kv_cache_bytes": Section.CACHE,
    "compute_buffer_bytes": Section.ACTIVATION,
    "system_bytes": Section.OUTSIDE,
}


def host_data(fit: Fit) -> dict[str, Any] | None:
    """Memory of the host by the contract's names; None for an engine of which nobody knows what it leaves there."""
    items = fit.host_items
    if not items:
        return None
    sums = per_gpu(items)
    return {
        "memory_bytes": fit.deployment.host_memory_bytes,
        **{name: sums[section] for name, section in _SUMS.items()},
        "total_bytes": total_bytes(items),
        "mapped": fit.host_mapped,
        "items": [item_data(item) for item in items],
    }


def speed_data(request: LoneRequest | None) -> dict[str, Any] | None:
    """One request with nothing beside it; None where nothing lies on the host, or no speed can be told."""
    if request is None:
        return None
    speed = request.speed
    bands = {name: getattr(speed, name) for name in ("ttft_s", "tpot_s", "output_tokens_per_s")}
    return {
        "input_tokens": request.input_tokens,
        "output_tokens": request.output_tokens,
        **{name: {"value": each.value, "low": each.low, "high": each.high} for name, each in bands.items()},
        "host_bandwidth_bytes_per_s": request.bandwidth.bytes_per_s,
        "host_bandwidth_origin": request.bandwidth.origin,
        "evidence": speed.evidence,
    }


def host_lines(fit: Fit, request: LoneRequest | None, language: str) -> list[str]:
    """A line for the memory of the host, and one for the speed of a request that is answered from there."""
    data, speed = host_data(fit), speed_data(request)
    if data is None:
        return []
    parts = [text("host", f"part-{name}", language, size=data[name]) for name in _SUMS if data[name] >= _SHOWN_BYTES]
    how = text("host", "mapped" if data["mapped"] else "loaded", language)
    code = "memory" if data["memory_bytes"] is None else "memory-told"
    found = [text("host", code, language, total=data["total_bytes"], memory=data["memory_bytes"] or 0, parts=parts, how=how)]
    if speed is not None:
        ends = {f"{name}_{end}": _shown(name, speed[name][end]) for name in ("ttft_s", "tpot_s") for end in ("value", "low", "high")}
        origin = text("host", f"bandwidth-{speed['host_bandwidth_origin']}", language)
        evidence = text("ui", f"evidence-{speed['evidence']}", language)
        said = {"rate": speed["host_bandwidth_bytes_per_s"], "origin": origin, "evidence": evidence}
        lengths = {name: speed[name] for name in ("input_tokens", "output_tokens")}
        found.append(text("host", "speed", language, **lengths, **ends, **said))
    return found


def _shown(name: str, seconds: float) -> str:
    """Seconds to the first token, milliseconds between tokens."""
    return f"{seconds:,.2f}" if name == "ttft_s" else f"{seconds * 1e3:,.1f}"


def host_table(fit: Fit, language: str) -> Table | None:
    """The lines of the host like those of a GPU; None where no layer, no expert and no cache lies there."""
    data = host_data(fit)
    if data is None or (fit.on_host == NOTHING_ON_HOST and not data["kv_cache_bytes"]):
        return None
    return ledger_table(fit.host_items, language, heading=text("host", "heading", language), total=text("host", "total", language))
