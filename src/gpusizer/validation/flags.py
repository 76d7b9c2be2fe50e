"""Fields and flags of a start from the launch words of a case: which word means which field, engine by engine, as the engines' flags say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from gpusizer.architecture.storage.formats import plain_dtype
from gpusizer.engines import declaration
from gpusizer.engines.base.flag import MAX_RANKS, Effect, Flag
from gpusizer.engines.base.flags import FlagTable, flag_table
from gpusizer.errors import InputError
from gpusizer.validation.devices import Devices

__all__ = ["engine_fields"]

# Fields that a case may give a value of its own, before its launch words.
_SIZES = ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size", "memory_fraction")
# Words that become fields, or the precision of the weights, by rules of their own.
_APART = frozenset(
    (
        *_SIZES,
        *("tp", "pp", "dp", "ep", "dcp", "ep_all", "gpus", "devices", "enable_dp_attention", "enable_attention_dp"),
        *("kv_precision", "dtype", "quantization", "enforce_eager", "compilation_config", "options_file"),
        *("speculative_config", "speculative_tokens", "speculative_method", "speculative_model"),
        *("speculative_num_steps", "speculative_num_draft_tokens"),
    )
)
_LARGEST_FLAG = 1 << 20
_NUMBERS = ("count", "tokens", "bytes", "share", "number")


def engine_fields(engine_id: str, row: Mapping[str, Any], words: Mapping[str, Any], devices: Devices) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields and further flags of a start.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    row : mapping
        What was known before the start.
    words : mapping
        Its launch words.
    devices : Devices
        Its devices.

    Returns
    -------
    tuple of (dict, dict)
        Fields of a deployment; flags by the engine's own names, as its declarations have them.
    """
    table = flag_table(engine_id)
    told = _by_target(table, words)
    fields: dict[str, Any] = {}
    for field in _SIZES:
        flag = next((flag for flag in table.flags if flag.target == field), None)
        if flag is None:
            continue
        noted = next((row[name] for name in flag.case if row.get(name) is not None), None)
        typed = told.get(field)
        value = typed if isinstance(typed, int | float) else noted  # what the command line says was run, whatever was noted beside it
        if value is not None:
            fields[field] = _share(field, value) if field == "memory_fraction" else _whole(field, value, int(flag.high))
    fields = {name: value for name, value in fields.items() if value}
    fields.update(_layout(engine_id, row, told, devices))
    fields["enforce_eager"] = bool(row.get("enforce_eager") or told.get("enforce_eager"))
    flags = {name: value for name, value in told.items() if name not in _APART}
    graphs = told.get("compilation_config")
    if isinstance(graphs, Mapping):
        flags["compilation_config"] = graphs
    fields["kv_precision"] = _cache_format(row.get("kv_cache_dtype") or told.get("kv_precision"), flags)
    fields["speculative_tokens"] = _drafts_of(row, told, flags, table.declared.flags)
    partition = flags.get("pp_layer_partition")
    if isinstance(partition, str) and re.fullmatch(r"\d{1,4}(,\d{1,4}){0,255}", partition):
        flags["pp_layer_partition"] = tuple(int(part) for part in partition.split(","))
    sizes = row.get("cuda_graph_max_bs")
    if isinstance(sizes, int) and not isinstance(sizes, bool):
        flags.setdefault("cuda_graph_max_bs", sizes)
    _check(table, flags)
    if devices.unequal:
        fields["devices"] = tuple(device.id for device in devices.each)
        fields["device_memory_bytes"] = tuple(device.memory_bytes for device in devices.each)
    settle_case = getattr(import_module(table.declared.flags), "settle_case", None)
    if settle_case is not None:
        settle_case(row, fields, flags)
    if table.declared.layout_by_devices and not devices.each:
        flags |= {"n_gpu_layers": 0, "device": "none"}
    return fields, flags


def _by_target(table: FlagTable, words: Mapping[str, Any]) -> dict[str, Any]:
    """Launch words by the fields and flags that they mean; words that no flag knows, and those that change nothing, stay out."""
    found: dict[str, Any] = {}
    for name, value in words.items():
        flag = table.named(name)
        if value is None or flag is None or flag.effect not in (Effect.MEMORY, Effect.SPEED):
            continue
        if flag.kind in _NUMBERS and isinstance(value, str) and value.isalpha():
            continue  # prose: "max_mamba_cache_size forced to 35"
        if flag.effect is Effect.SPEED:
            try:
                value = flag.read(value)
            except InputError:
                continue  # no start is refused for what does not bear on its memory: "--threads $(nproc)"
        found[flag.target] = value
    return found


def _check(table: FlagTable, flags: Mapping[str, Any]) -> None:
    """Refuse a flag that is counted and is no number, or one beyond all bounds: engines may trust what they are given."""
    kinds: dict[str, Flag] = {flag.target: flag for flag in table.flags}
    for name, value in flags.items():
        flag = kinds.get(name)
        most = max(_LARGEST_FLAG, flag.high if flag is not None else 0)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and abs(value) > most:
            raise InputError("bad-case-number", field=name, found=str(value)[:40], most=most)
        if not number and flag is not None and flag.kind in _NUMBERS:
            raise InputError("bad-case-number", field=name, found=str(value)[:40], most=most)


def _whole(field: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= most:
        raise InputError("bad-case-number", field=field, found=str(value)[:40], most=most)
    return max(value, 0)


def _share(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise InputError("bad-case-number", field=field, found=str(value)[:40], most=1)
    return float(value)


def _layout(engine_id: str, row: Mapping[str, Any], told: Mapping[str, Any], devices: Devices) -> dict[str, Any]:
    """tp, pp, dp, ep and dcp. The launch words say what was started; the fields of the case stand in where they are silent."""
    declared = declaration(engine_id)
    sizes = {}
    for name in ("tp", "pp", "dp"):
        value = told.get(name) if isinstance(told.get(name), int) else row.get(name)
        sizes[name] = max(_whole(name, value, MAX_RANKS), 1) if value is not None else 1
    if declared.layout_by_devices:
        count = 1 if told.get("split_mode") == "none" else max(len(devices.each), 1)
        by_rows = told.get("split_mode") in ("row", "tensor", "graph")
        return {"tp": count if by_rows else 1, "pp": 1 if by_rows else count}
    needed = sizes["tp"] * sizes["dp"] * sizes["pp"]
    no_copies = sizes["dp"] > 1 and len(devices.each) < needed  # eight ranks of either kind on eight GPUs are the same ranks
    shared_attention = declared.dp_divides_tp and bool(row.get("dp_attention") or told.get("enable_dp_attention") or no_copies)
    if shared_attention:  # its tp counts all ranks; attention uses tp / dp of them
        sizes["tp"] = max(sizes["tp"] // sizes["dp"], 1)
    experts = row.get("ep")
    asked = bool(told.get("ep_all") or experts is True)
    ranks = sizes["tp"] * sizes["dp"]
    ep = ranks if asked else 1
    for value in (told.get("ep"), experts):
        if isinstance(value, int) and not isinstance(value, bool) and value > 1:
            ep = min(_whole("ep", value, MAX_RANKS), ranks)
            break
    if declared.dp_divides_tp and sizes["dp"] > 1 and not shared_attention:
        sizes["dp"] = 1  # whole copies of the engine: each is one start
    sizes["ep"] = max(ep, 1)
    dcp = told.get("dcp")
    sizes["dcp"] = max(_whole("dcp", dcp, MAX_RANKS), 1) if dcp is not None else 1
    return sizes


def _cache_format(value: object, flags: dict[str, Any]) -> str:
    """The format of the cache; keys and values apart become two flags."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_=,. -]{1,60}", value):
        return "auto"
    apart = re.fullmatch(r"K=([a-z0-9_]+),\s*V=([a-z0-9_]+)", value)
    if apart:
        flags["cache_type_k"], flags["cache_type_v"] = apart[1], apart[2]
        return apart[1]
    return plain_dtype(value) or value


def _speculation(field: object, words: Mapping[str, Any]) -> tuple[str | None, int, str | None]:
    """(method, draft tokens, draft model) of speculative decoding; no tokens where their number is not said."""
    from gpusizer.validation.command_lines import launch_words

    settings: Mapping[str, Any] = {}
    if isinstance(field, str) and field:
        settings = launch_words(field) if field.lstrip().startswith("{") else {}
    elif isinstance(words.get("speculative_config"), Mapping):
        settings = words["speculative_config"]
    if settings:
        method, draft = settings.get("method"), settings.get("model")
        return (
            str(method or "draft")[:40],
            _draft_tokens(settings.get("num_speculative_tokens")),
            str(draft)[:200] if isinstance(draft, str) else None,
        )
    if isinstance(field, str) and field:
        number = re.search(r"(\d{1,2})\s+tokens", field)
        draft = re.search(r"[\w.-]+/[\w.-]+", field)
        method = re.match(r"[A-Za-z0-9_]{1,40}", field)
        return (method[0].lower() if method else "draft"), int(number[1]) if number else 0, draft[0] if draft else None
    if words.get("speculative_config"):  # what was printed of it is cut: most that say no more draft with the model's own layer
        method = re.search("mtp|dflash|eagle3|eagle|ngram|suffix|medusa", str(words["speculative_config"]).lower())
        return (method[0] if method else "mtp"), 1, None
    algorithm = words.get("speculative_method")
    if isinstance(algorithm, str):
        draft = words.get("speculative_model")
        verified = words.get("speculative_num_draft_tokens")  # the token before the drafts among them
        counted = max((_draft_tokens(verified) or 2) - 1, 1) if verified else words.get("speculative_num_steps")
        tokens = _draft_tokens(words.get("speculative_tokens", counted))
        return algorithm.lower()[:40], tokens, draft if isinstance(draft, str) else None
    return None, 0, None


def _draft_tokens(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 256 else 0


_DRAFTING = re.compile(r"(?<![\w/.-])(?<!no )(?<!without )(dflash|eagle3?|mtp|nextn)(\d?)(?![\w.=-])", re.IGNORECASE)


def _drafts_of(row: Mapping[str, Any], told: Mapping[str, Any], flags: dict[str, Any], module: str) -> int:
    """Draft tokens of a step, 0 without drafts; method and draft go to the flags."""
    method, tokens, draft = _speculation(row.get("speculative"), told)
    if method is None:
        method, tokens = _told_in_prose(row.get("other_flags"))
    if not method:
        return 0
    flags["speculative_method"] = method
    if draft:
        flags["speculative_model"] = draft
    usual = getattr(import_module(module), "usual_drafts", None)
    return tokens or (int(usual(method)) if usual is not None else 1)


def _told_in_prose(words: object) -> tuple[str | None, int]:
    """(method, draft tokens) where a person wrote "MTP4 speculative" or "with a DFlash draft" instead of flags.

    >>> _told_in_prose("MTP4 speculative"), _told_in_prose("no speculation"), _told_in_prose("--model x-MTP --foo MTP0")
    (('mtp', 4), (None, 0), (None, 0))
    """
    found = _DRAFTING.search(words) if isinstance(words, str) else None
    if found is None or found[2] == "0":
        return None, 0
    blocks = found[1].lower() == "dflash"  # "DFlash2" is the second of its kind
    return found[1].lower(), 0 if blocks else int(found[2] or 0)
