"""What a log tells as a measured case: the row that ``validate`` reads, filled and overridden by what somebody says beside the log."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpusizer.engines import declaration, declarations
from gpusizer.engines.base.flag import MAX_RANKS, Flag
from gpusizer.engines.base.flags import FlagTable, flag_table, unknown_flag
from gpusizer.engines.base.log import LogRecord
from gpusizer.engines.base.log_common import CODES
from gpusizer.engines.base.pasted import Pasted, read_command
from gpusizer.errors import InputError
from gpusizer.facts.own_card import given_card
from gpusizer.units import GiB, MiB
from gpusizer.validation.command_lines import launch_words
from gpusizer.validation.measured import QUANTITY_FIELDS, measured_memory
from gpusizer.validation.memory_cases import KNOWN_BEFORE

__all__ = ["FOR_CACHE", "Given", "flags_of", "measured_of", "outcome_of", "row_of", "says_layout"]

_FAILURES = frozenset(CODES)
_UNITS = {"gib": GiB, "mib": MiB}
_LAYOUT = ("tp", "pp", "dp")
_TORCH_FP8 = re.compile(r"(?:torch\.)?float8_(e4m3|e5m2)(?:fn)?(?:uz)?")
FOR_CACHE = frozenset(
    (
        *("no-cache-memory", "request-too-long", "mamba-blocks-too-few", "no-memory-for-cache", "weights-leave-nothing"),
        *("swa-pool-too-small", "state-cache-too-small", "kv-allocation-failed", "state-allocation-failed"),
    )
)
"""Codes of events after which an engine refuses a start because its cache has too little room."""


@dataclass(frozen=True)
class Given:
    """What somebody says beside a log; each fills what the log lacks, and overrides it.

    Parameters
    ----------
    model : str or None
        A model.
    gpus : tuple of str
        Accelerators: the one kind of all cards, or one for each.
    engine, engine_version : str or None
        Where the log does not tell, or tells wrongly.
    flags : mapping
        Flags of the engine by any spelling.
    command : tuple of str
        The launch command as a shell parts it, or whole as one word.
    """

    model: str | None = None
    gpus: tuple[str, ...] = ()
    engine: str | None = None
    engine_version: str | None = None
    flags: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] = ()


def row_of(engine_id: str, record: LogRecord, given: Given) -> dict[str, Any]:
    """The case that a log and what was said beside it describe.

    Parameters
    ----------
    engine_id : str
        The engine that wrote the log.
    record : LogRecord
        What the log told.
    given : Given
        What somebody says beside it.

    Returns
    -------
    dict
        A case in the format of measured memory cases.

    Raises
    ------
    FlagError
        A flag that is not the engine's, or a command that cannot be read.
    """
    table = flag_table(engine_id)
    logged = _pasted((record.command,), engine_id, lenient=True) if record.command else None
    pasted = _pasted(given.command, engine_id) if given.command else None
    row: dict[str, Any] = {name: record.launch.get(name) for name in KNOWN_BEFORE}
    row["engine"] = engine_id
    words = str(record.launch.get("other_flags") or "")
    told = launch_words(words, engine_id)
    quiet = {name: value for name, value in record.flags.items() if (flag := table.named(name)) is None or flag.name not in told}
    added = _by_flag(table, quiet, strict=False)
    if logged is not None:
        added = _by_flag(table, logged.flags, strict=False) | added
        row["model"] = row["model"] or logged.model
        row["engine_version"] = row["engine_version"] or logged.engine_version
    added = {flag: value for flag, value in added.items() if flag.name not in told}
    said = _by_flag(table, {**(pasted.flags if pasted else {}), **given.flags}, strict=True)
    for flag, value in said.items():
        for name in (*flag.case[:1], *((flag.target,) if flag.target in _LAYOUT else ())):
            row[name] = flag.read(value)
    row["other_flags"] = _joined(words, added | said, engine_id) or None
    row["model"] = given.model or (pasted.model if pasted else None) or row["model"]
    row["engine_version"] = given.engine_version or (pasted.engine_version if pasted else None) or row["engine_version"]
    row["gpu"] = " + ".join(map(given_card, given.gpus)) or row["gpu"]
    row["kv_cache_dtype"] = _cache_format(row["kv_cache_dtype"])
    row["gpu_count"] = _gpu_count(engine_id, row, given, (pasted.flags if pasted else {}).get("visible_gpus"))
    return {
        "id": _id(row),
        **row,
        "measured": {**record.measured, "outcome": _outcome(record, engine_id)},
        "log": None,
        "source": None,
        "confidence": None,
    }


def _pasted(command: Sequence[str], engine_id: str, *, lenient: bool = False) -> Pasted | None:
    try:
        return read_command(command, engine_id)
    except InputError:
        if not lenient:
            raise
        return None


def _by_flag(table: FlagTable, values: Mapping[str, Any], *, strict: bool) -> dict[Flag, Any]:
    """Values by the flag that they belong to, in their own types."""
    found: dict[Flag, Any] = {}
    for name, value in values.items():
        if value is None or name == "visible_gpus":
            continue
        spelling = name if name.startswith("-") else f"--{name}"
        flag = table.find(spelling) or table.named(name) or _named_elsewhere(table, spelling)
        if flag is None:
            if strict:
                raise unknown_flag(table, name)
            continue
        try:
            found[flag] = flag.read(value)
        except InputError:
            if strict:
                raise
    return found


def _named_elsewhere(table: FlagTable, name: str) -> Flag | None:
    """What another engine calls so, by the name of this one: flags were typed before the log told which engine it was."""
    others = (flag_table(each.id).find(name) for each in declarations() if each.log)
    return next((own for other in others if other is not None and (own := table.by_target.get(other.target)) is not None), None)


def _joined(words: str, flags: Mapping[Flag, Any], engine_id: str) -> str:
    """Launch words with further flags: in the shape that they have, a printed dictionary or a command line."""
    if not flags:
        return words
    if words.lstrip().startswith("{"):
        return repr(launch_words(words, engine_id) | {flag.name: _plain(value) for flag, value in flags.items()})
    return " ".join([words, *(_argument(flag, value) for flag, value in flags.items())]).strip()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _argument(flag: Flag, value: Any) -> str:
    spelled = flag.spelling if flag.spelling.startswith("-") else ""
    if isinstance(value, bool):
        return f"{flag.spelling}={value}" if not spelled or not value else flag.spelling
    if isinstance(value, list | tuple):
        return f"{flag.spelling} {' '.join(map(str, value))}"
    return f"{flag.spelling} {shlex.quote(str(value))}" if spelled else f"{flag.spelling}={shlex.quote(str(value))}"


def _cache_format(words: Any) -> Any:
    """A format of the cache as engines take it, where a log names the type of PyTorch.

    >>> _cache_format("torch.float8_e4m3fn"), _cache_format("fp8_e5m2"), _cache_format(None)
    ('fp8_e4m3', 'fp8_e5m2', None)
    """
    found = _TORCH_FP8.fullmatch(words) if isinstance(words, str) else None
    return f"fp8_{found[1]}" if found is not None else words


def says_layout(row: Mapping[str, Any], record: LogRecord, given: Given) -> bool:
    """Whether the layout of a start is told: by a figure, or by a command line or printed arguments that would tell another than the default.

    Parameters
    ----------
    row : mapping
        The case.
    record : LogRecord
        What the log told.
    given : Given
        What was said beside it.
    """
    if any(row[name] is not None for name in (*_LAYOUT, "gpu_count")):
        return True
    return bool(record.launch.get("other_flags") or record.command or given.command) or declaration(row["engine"]).layout_by_devices


def _gpu_count(engine_id: str, row: Mapping[str, Any], given: Given, visible: Any) -> int | None:
    """How many cards one replica has: those that were named, those that its parallelism takes, else what the log counts."""
    counted: int | None = row["gpu_count"]
    if len(given.gpus) > 1:
        return len(given.gpus)
    if declaration(engine_id).layout_by_devices:
        return visible if isinstance(visible, int) else counted
    words = launch_words(str(row["other_flags"] or ""), engine_id)
    table = flag_table(engine_id)
    told = {flag.target: value for name, value in words.items() if (flag := table.named(name)) is not None}
    sizes = [value for name in _LAYOUT if isinstance(value := told.get(name, row[name]), int)]
    count = 1
    for size in sizes:
        count *= max(size, 1)
    if not sizes:
        return counted
    return max(count, counted or 1) if count <= MAX_RANKS else counted


def outcome_of(record: LogRecord, engine_id: str) -> str:
    """What became of a start: the outcome of its record, and "pool-allocated" where a log ends behind the cache and nothing failed.

    Parameters
    ----------
    record : LogRecord
        What the log told.
    engine_id : str
        The engine.
    """
    if record.outcome != "unknown" or any(each.code in _FAILURES for each in record.events):
        return record.outcome
    by_buffers = declaration(engine_id).takes_gguf  # its number of tokens is what was asked for
    allocated = ("kv_total_mib",) if by_buffers else ("kv_tokens", "kv_blocks")
    return "pool-allocated" if any(record.measured.get(name) for name in allocated) else "unknown"


def _outcome(record: LogRecord, engine_id: str) -> str | None:
    """In the words of measured cases."""
    match outcome_of(record, engine_id):
        case "pool-allocated":
            return "pool allocated"
        case "starts":
            return "starts"
        case "out-of-memory":
            return "oom"
        case "refused":
            return "kv_too_small" if any(each.code in FOR_CACHE for each in record.events) else "refused"
        case _:
            return None


def _id(row: Mapping[str, Any]) -> str:
    parts = (row["engine"], row["model"], row["gpu"])
    return "-".join(str(part).rpartition("/")[2].replace(" ", "-")[:60] for part in parts if part)


def measured_of(row: Mapping[str, Any]) -> dict[str, float]:
    """What a log measured, in bytes, tokens and requests: the quantities of ``validate`` first, then whatever else its lines told.

    >>> measured_of({"measured": {"weights_gib_per_gpu": 0.5, "initial_free_gib": 1.0, "outcome": "starts"}})
    {'weights_bytes': 536870912, 'initial_free_bytes': 1073741824}
    """
    found = {name: value for name, value in measured_memory(row).items() if name != "fits"}
    for name, value in row["measured"].items():
        if name in QUANTITY_FIELDS:
            continue
        stem, _, rest = name.partition("_gib") if "_gib" in name else name.partition("_mib")
        unit = _UNITS.get(name[len(stem) + 1 : len(stem) + 4])
        if unit is not None and rest in ("", "_per_gpu") and isinstance(value, int | float):
            found.setdefault(f"{stem}_bytes", value * unit)
        elif unit is None and isinstance(value, int | float) and not isinstance(value, bool):
            found.setdefault(name, value)
    return {name: round(value) if name.endswith(("_bytes", "_tokens")) else value for name, value in found.items()}


def flags_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of a case by the words of its engine's command line: those of its fields, and those of its launch words."""
    table = flag_table(row["engine"])
    found: dict[str, Any] = {}
    for flag in table.flags:
        noted = next((row[name] for name in (*flag.case, flag.target) if row.get(name) is not None), None)
        if noted is not None and flag.target not in ("model", "engine_version"):
            found[flag.name] = noted
    words = launch_words(str(row.get("other_flags") or ""), row["engine"])
    return found | {name: value for name, value in words.items() if table.named(name) is not None}
