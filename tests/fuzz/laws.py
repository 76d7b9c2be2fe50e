"""What holds of every answer, whatever was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from math import isfinite
from typing import Any

from gpusizer.i18n import LANGUAGES, has

__all__ = ["codes", "hold", "hold_for_architecture", "hold_for_band", "hold_for_fit", "hold_for_numbers", "hold_for_plan", "read_back"]

_WORDS = ("warning", "error", "reason", "hint")


def read_back(words: str | bytes) -> Any:
    """The value of an answer in JSON, which knows no NaN and no infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in JSON")

    return json.loads(words, parse_constant=refuse)


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a document, with its place."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from numbers(entry, f"{path}.{key}")
    elif isinstance(value, list):
        for entry in value:
            yield from numbers(entry, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def hold_for_numbers(data: Mapping[str, Any], signed: tuple[str, ...] = ()) -> None:
    """Nothing is negative but what may be."""
    for path, value in numbers(data):
        assert isfinite(value), path
        assert value >= 0 or path.rpartition(".")[2] in signed, f"{path} = {value}"


def codes(notices: list[Mapping[str, Any]]) -> Hashable:
    """The codes of an answer's notices, each of which has words in every language."""
    found = frozenset(notice["code"] for notice in notices)
    for code in found:
        assert all(any(has(group, code, language) for group in _WORDS) for language in LANGUAGES), code
    return found


def hold_for_band(name: str, low: float, value: float, high: float, *, fits: bool) -> None:
    """In order, and nothing of it negative; what is left for a cache is, where a start fails or may fail: engines say so as well."""
    assert low <= value <= high, f"{name}: {low} {value} {high}"
    if name == "kv_cache_pool_bytes":
        assert value >= 0 or not fits, f"{name}: {low} {value} {high}"
    else:
        assert low >= 0, f"{name}: {low} {value} {high}"


def hold_for_fit(data: Mapping[str, Any]) -> None:
    """The parts of one GPU make the whole, bands are in order, and what starts holds something."""
    assert data["fits"] == (data["reason"] is None)
    for name, each in data["quantities"].items():
        hold_for_band(name, each["low"], each["value"], each["high"], fits=data["fits"])
    total = data["per_gpu"].get("device_total_bytes")
    if data["items"]:
        assert sum(item["bytes"] for item in data["items"]) == total
    for item in data["items"]:
        assert item["id"] == "free" or 0 <= item["low_bytes"] <= item["bytes"] <= item["high_bytes"], item
    if data["fits"]:
        assert data["max_concurrency"] is None or data["max_concurrency"] > 0, data["max_concurrency"]


def hold_for_architecture(data: Mapping[str, Any]) -> None:
    """The groups of parameters make the whole; a tensor is stored in at most 64 bits a parameter and its scales."""
    hold_for_numbers(data, signed=("found",))
    whole = data["total_params"] + data["mtp_params"]
    assert sum(data["groups"].values()) in (data["total_params"], whole), f"groups are not the whole: {data}"
    assert 0 < data["activated_params"] <= data["total_params"], f"activated: {data}"
    assert sum(layer["count"] for layer in data["layers"]) > 0, f"no layer: {data}"
    assert 0 < data["checkpoint_bytes"] <= 16 * whole, f"bytes: {data}"


def hold_for_plan(data: Mapping[str, Any]) -> None:
    """Each option is a whole: its items make the device, its GPUs its layout; ranks count from 1; costs and times are none or positive."""
    assert [option["rank"] for option in data["options"]] == list(range(1, len(data["options"]) + 1))
    for option in data["options"]:
        layout = option["layout"]
        assert option["gpus"] >= option["replicas"] * layout["tp"] * layout["pp"] * layout["dp"] > 0
        assert sum(item["bytes"] for item in option["items"]) == option["per_gpu"]["device_total_bytes"]
        for name in ("ttft_s", "tpot_s", "output_tokens_per_s", "max_concurrency", "kv_cache_tokens"):
            assert option[name] is None or option[name] > 0, (name, option[name])
        assert option["cost"] is None or option["cost"]["amount"] >= 0


def hold_for_simulation(data: Mapping[str, Any]) -> None:
    """A later percentile is no earlier moment."""
    for name in ("ttft_s", "tpot_s", "e2e_s"):
        times = [data[name][each] for each in ("p50", "p90", "p95", "p99") if data.get(name)]
        assert times == sorted(times), f"{name}: {times}"
        assert min(times, default=0) >= 0, f"{name}: {times}"


def hold_for_machines(data: Mapping[str, Any]) -> None:
    """What runs holds something, and takes no negative memory."""
    for row in data["models"]:
        hold_for_numbers({name: row[name] for name in ("gpu_bytes", "host_bytes", "ttft_s", "tpot_s", "total_params", "context_tokens")})
        assert row["verdict"] == "no" or row["context_tokens"] > 0, f"{row['model']}: {row['context_tokens']}"


_LAWS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "gpusizer.architecture/1": hold_for_architecture,
    "gpusizer.fit/1": hold_for_fit,
    "gpusizer.plan/1": hold_for_plan,
    "gpusizer.run-on/1": hold_for_machines,
    "gpusizer.simulate/1": hold_for_simulation,
}


def hold(words: str | bytes) -> Any:
    """An answer in JSON, whichever it is: it is read back, its law holds, its notices have words."""
    data = read_back(words)
    if isinstance(data, dict):
        law = _LAWS.get(data.get("schema", ""))
        if law is not None:
            law(data)
        codes(data.get("warnings", []))
    return data
