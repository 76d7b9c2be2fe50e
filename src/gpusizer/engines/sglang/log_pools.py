"""What SGLang's lines say of memory, rank by rank: the first of each kind is the target's, the next of the same rank the draft's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gpusizer.engines.base.log import LogRecord

__all__ = [
    "finish",
    "free_before",
    "graph_began",
    "graph_ended",
    "pool_allocated",
    "pool_ended",
    "pool_of_windows",
    "tokens_sized",
    "weights_loaded",
    "weights_without_head",
]

MOST_RANKS = 1024
_MOST_OF_A_KIND = 32
_DRAFT = re.compile(r"NextN|Eagle|MTP|DFlash|Medusa", re.IGNORECASE)
_SIZE = re.compile(r"(avail mem|mem usage)=(-?\d{1,6}\.\d{1,6})")
_TYPE = re.compile(r"type=(\w{1,120})")

_Load = tuple[str, float | None, float | None]  # class of the model, free behind it, taken


@dataclass
class Rank:
    """What one rank said, in its order.

    Parameters
    ----------
    weights : list of (str, float or None, float or None)
        Class of the model, free after it was loaded, taken. [GiB]
    pools : list of (int or None, float, float or None)
        Tokens, K or both together, V. [GiB]
    ends : list of float
        Free when the pools were allocated. [GiB]
    graphs : list of (str, float)
        What was captured, and what that took. [GiB]
    """

    weights: list[_Load] = field(default_factory=list)
    pools: list[tuple[int | None, float, float | None]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    graphs: list[tuple[str, float]] = field(default_factory=list)


def _rank(record: LogRecord, match: re.Match[str]) -> Rank:
    """The rank that says this line; lines without a tag are one rank."""
    ranks: dict[str, Rank] = record.state.setdefault("ranks", {})
    name = (match["_rank"] or "").strip()
    if name not in ranks and len(ranks) >= MOST_RANKS:
        return Rank()
    return ranks.setdefault(name, Rank())


def _add(kind: list[Any], said: Any) -> None:
    if len(kind) < _MOST_OF_A_KIND:
        kind.append(said)


def _sizes(text: str) -> dict[str, float]:
    return {name: float(size) for name, size in _SIZE.findall(text)}


def free_before(match: re.Match[str], record: LogRecord) -> None:
    """ "Load weight begin." """
    record.put("avail_before_gib", float(match["_free"]))
    record.state["loading"] = True


def weights_loaded(match: re.Match[str], record: LogRecord) -> None:
    """ "Load weight end." with the class of the model; releases before 0.4.2 tell no usage."""
    sizes = _sizes(match["_rest"])
    if sizes:
        kind = _TYPE.search(match["_rest"])
        _add(_rank(record, match).weights, (kind[1] if kind else "", sizes.get("avail mem"), sizes.get("mem usage")))
        record.state["loading"] = False


def weights_without_head(match: re.Match[str], record: LogRecord) -> None:
    """The sizes of that line where its head was cut off: only between the beginning of loading and the pools."""
    if record.state.pop("loading", False):
        _add(record.state.setdefault("ranks", {}).setdefault("", Rank()).weights, ("", float(match["_free"]), float(match["_used"])))


def pool_allocated(match: re.Match[str], record: LogRecord) -> None:
    """One pool of keys and values, or of latents."""
    if "VA upper bound" in match.string[max(0, match.start() - 80) : match.start()]:
        return  # addresses are reserved, not memory
    tokens = int(match["_tokens"]) if match["_tokens"] else None
    values = float(match["_values"]) if match["_values"] else None
    _add(_rank(record, match).pools, (tokens, float(match["_keys"]), values))


def pool_of_windows(match: re.Match[str], record: LogRecord) -> None:
    """Both pools of a model with windows together; a draft's stand behind them."""
    record.state.setdefault("windowed_gib", float(match["_used"]))
    record.state.setdefault("sized_tokens", int(match["_tokens"]))


def tokens_sized(match: re.Match[str], record: LogRecord) -> None:
    """Tokens that are planned for, before there is a pool; a limit of the operator plans again."""
    record.state["sized_tokens"] = int(match["_tokens"])


def compressed_sized(match: re.Match[str], record: LogRecord) -> None:
    """The pools of DeepSeek-V4 by bytes: they take all of them, if no limit cuts the tokens."""
    record.state.setdefault("compressed", (float(match["_used"]), int(match["_tokens"])))
    tokens_sized(match, record)


def pool_ended(match: re.Match[str], record: LogRecord) -> None:
    """ "Memory pool end." """
    _add(_rank(record, match).ends, float(match["_free"]))


def graph_began(match: re.Match[str], record: LogRecord) -> None:
    """ "Capture ... begin." """
    free = _sizes(match["_rest"]).get("avail mem")
    if free is not None:
        record.put("avail_at_graph_begin_gib", free)


def graph_ended(match: re.Match[str], record: LogRecord) -> None:
    """ "Capture ... end." of the graphs of one kind."""
    sizes = _sizes(match["_rest"])
    if "mem usage" in sizes:
        _add(_rank(record, match).graphs, (match["_kind"].lower(), sizes["mem usage"]))
    if "avail mem" in sizes:
        record.state["free_after_graphs"] = sizes["avail mem"]


def finish(record: LogRecord) -> None:
    """Figures of what the ranks said: those of the first rank that says them, as each plans for itself."""
    ranks: list[Rank] = list(record.state.get("ranks", {}).values())
    _weights(record, ranks)
    _pools(record, ranks)
    _graphs(record, ranks)
    launch = record.launch
    if "tp" in launch:  # ranks of attention data parallelism are ranks of tensor parallelism
        copies = 1 if record.flags.get("enable_dp_attention") else launch.get("dp", 1)
        record.put("gpu_count", launch["tp"] * launch.get("pp", 1) * copies)
    for name in ("final_tokens", "sized_tokens", "pool_tokens"):
        if name in record.state:
            record.put("kv_tokens", record.state[name])
    _compressed(record)
    for name in ("free_in_the_end", "free_after_graphs", "free_after_pool"):
        if name in record.state:
            record.put("avail_after_gib", record.state[name])


def _compressed(record: LogRecord) -> None:
    used, tokens = record.state.get("compressed", (None, None))
    if used is not None and record.measured["kv_tokens"] == tokens:
        record.put("kv_gib_per_gpu", used)


def _weights(record: LogRecord, ranks: list[Rank]) -> None:
    targets: list[_Load] = []
    drafts: list[float] = []
    for rank in ranks:
        named = [_DRAFT.search(kind) is not None for kind, _, _ in rank.weights]
        behind = [load for place, load in enumerate(rank.weights) if named[place] or (place and not named[0])]
        targets += [load for load in rank.weights if load not in behind]
        drafts = drafts or [used for _, _, used in behind if used is not None]
    before = record.measured.get("avail_before_gib")
    if targets:
        _, free, used = targets[0]
        if free is not None:
            record.put("avail_after_weights_gib", free)
        if used is not None:
            record.put("weights_gib_per_gpu", used)
            if free is not None:
                record.put("avail_before_gib", round(free + used, 2))
    after = record.measured.get("avail_after_weights_gib")
    if before is not None and after is not None:
        record.put("weights_gib_per_gpu", round(before - after, 2))
    if sum(drafts) > 0:  # where host and device share memory, less may be taken behind a load than before it
        record.put("draft_weights_gib", round(sum(drafts), 2))


def _pools(record: LogRecord, ranks: list[Rank]) -> None:
    compressed = "compressed" in record.state  # its parts are told together, by bytes
    rank = None if compressed else next((each for each in ranks if each.pools), None)
    windowed = record.state.get("windowed_gib")
    if rank is not None and windowed is None:
        tokens, keys, values = rank.pools[0]
        if tokens is not None:
            record.state["pool_tokens"] = tokens
        record.put("kv_gib_per_gpu", round(keys + (values or 0.0), 2))
        if values is not None:
            record.put("k_gib", keys)
            record.put("v_gib", values)
        if len(rank.pools) > 1:
            record.put("draft_kv_gib", round(sum(keys + (values or 0.0) for _, keys, values in rank.pools[1:]), 2))
    elif windowed is not None:
        record.put("kv_gib_per_gpu", windowed)
        parts = rank.pools[:2] if rank is not None else []
        if len(parts) == 2 and all(values is not None for _, _, values in parts):
            record.put("k_gib", round(sum(keys for _, keys, _ in parts), 2))
            record.put("v_gib", round(sum(values or 0.0 for _, _, values in parts), 2))
    ends = next((each.ends for each in ranks if each.ends), [])
    for name, free in zip(("avail_after_pool_gib", "avail_after_draft_pool_gib"), ends, strict=False):
        record.put(name, free)
        record.state["free_after_pool"] = free


def _graphs(record: LogRecord, ranks: list[Rank]) -> None:
    graphs = next((each.graphs for each in ranks if each.graphs), [])
    if not graphs:
        return
    record.put("cuda_graph_gib", round(sum(used for _, used in graphs), 2))
    if len(graphs) > 1:
        record.put("cuda_graph_parts_gib", [used for _, used in graphs])
    pieces = [used for kind, used in graphs if "piecewise" in kind]
    if pieces and len(graphs) > len(pieces):
        record.put("piecewise_graph_gib", round(sum(pieces), 2))
        record.put("decode_graph_gib", round(sum(used for _, used in graphs) - sum(pieces), 2))
