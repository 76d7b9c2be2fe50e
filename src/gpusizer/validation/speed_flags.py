"""What the launch words of a measured run make of its start: fields and flags by the engine's own declarations, and drafts from any words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.engines import find_declaration
from gpusizer.engines.base.flag import MAX_RANKS, Effect, json_value
from gpusizer.engines.base.flags import FlagTable, flag_table
from gpusizer.engines.base.types import Layout
from gpusizer.formulas.latency import speculative_tokens
from gpusizer.validation.devices import Devices
from gpusizer.validation.flags import engine_fields
from gpusizer.validation.hosts import host_flags

__all__ = ["Drafts", "Told", "drafts_of", "launch_of", "launch_words_of", "unread", "words_of"]

NOT_THE_ENGINE = frozenset({"client", "env"})
"""Keys of "flags" that are no flags of the engine: the load generator, and environment variables."""

MOST_FLAGS = 500
_LAYOUT = ("tp", "pp", "dp", "ep", "dcp", "max_model_len")  # told elsewhere; the length that a request needs decides, not the longest that may come
_METHODS = re.compile(r"eagle-?3|eagle|mtp|nextn|dflash|n-?gram|prompt lookup|medusa|suffix|lookahead", re.IGNORECASE)
_NAMES = {"eagle-3": "eagle3", "nextn": "mtp", "n-gram": "ngram", "prompt lookup": "ngram"}
_NONE = re.compile(r"\s*(?:none|no\b|off\b|not\b|without\b|false\b|$)", re.IGNORECASE)
_COUNTS = (
    re.compile(r"(\d{1,2})[- ]steps?\b", re.IGNORECASE),
    re.compile(r"(\d{1,2}) (?:speculative |draft |drafted )?(?:tokens?|drafts?)\b", re.IGNORECASE),
    re.compile(r"(?:mtp|nextn|dflash|n-?gram|medusa|suffix|eagle-?3|eagle)[- =:x]{1,2}(\d{1,2})\b", re.IGNORECASE),
    re.compile(r"(?:mtp|nextn)(\d{1,2})\b", re.IGNORECASE),
)
_ACCEPTED = re.compile(r"accept\w{0,8}(?: (length|rate))?(?: of| about| is|:|=){0,2} ?(\d{1,2}(?:\.\d{1,4})?)( ?%)?", re.IGNORECASE)
_DEFAULT_DRAFTS = {"eagle": 3, "eagle3": 3}  # sgl-project/sglang, auto_choose_speculative_params: three steps for most models
_HALVINGS = 50


@dataclass(frozen=True, slots=True)
class Drafts:
    """Speculative decoding of a run.

    Parameters
    ----------
    method : str
        "mtp", "eagle3", "ngram" and the like; empty without drafts.
    tokens : int
        Drafts of a step. [tokens]
    acceptance : float or None
        Probability that a draft is accepted, where somebody said so.
    """

    method: str = ""
    tokens: int = 0
    acceptance: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What launch words say of a layout whose own words are silent.

    Parameters
    ----------
    experts : bool
        Whole experts are shared out over all ranks.
    attention : int or None
        Ranks of attention data parallelism inside the tensor-parallel group.
    attention_whole : bool
        Every rank of the group holds attention whole.
    """

    experts: bool = False
    attention: int | None = None
    attention_whole: bool = False

    def of(self, layout: Layout, words: str) -> Layout:
        """The layout with what its words leave out.

        >>> Told(experts=True, attention_whole=True).of(Layout(tp=8), "tp8"), Told(experts=True).of(Layout(tp=8), "tp8 ep1")
        (Layout(tp=1, pp=1, dp=8, ep=8, dcp=1), Layout(tp=8, pp=1, dp=1, ep=1, dcp=1))
        """
        ranks = layout.tp if self.attention_whole else self.attention or 1
        if "dp" not in words and ranks > 1 and layout.dp == 1 and layout.tp % ranks == 0:
            layout = replace(layout, tp=layout.tp // ranks, dp=ranks)
        if self.experts and not re.search(r"ep\d", words):
            layout = replace(layout, ep=layout.tp * layout.dp)
        return layout


def launch_of(engine: str, row: Mapping[str, Any], devices: Devices) -> tuple[dict[str, Any], dict[str, Any], Told]:
    """What the launch words of a case make of its start.

    Parameters
    ----------
    engine : str
        Id of the engine.
    row : mapping
        The case, with what rules filled in.
    devices : Devices
        Its devices.

    Returns
    -------
    tuple of (dict, dict, Told)
        Fields of a deployment but its layout; further flags by the engine's own names; what the launch words alone say of the layout.
    """
    if find_declaration(engine) is None:
        return {}, {}, Told()
    words = launch_words_of(engine, row)
    fields, flags = engine_fields(engine, {}, words, devices)
    steps = flags.pop("speculative_num_steps", None)
    if isinstance(steps, int) and steps > 0 and fields.get("speculative_tokens"):
        fields["speculative_tokens"] = steps  # its count of draft tokens has the verified one among them
    if row.get("stream_interval"):
        flags["stream_interval"] = row["stream_interval"]
    return {name: value for name, value in fields.items() if name not in _LAYOUT}, flags, _told(flag_table(engine), words)


def _told(table: FlagTable, words: Mapping[str, Any]) -> Told:
    """What launch words say of experts and attention, each in its engine's own way."""
    values = {flag.target: value for name, value in words.items() if (flag := table.named(name)) is not None}
    ranks = values.get("dp") if values.get("enable_dp_attention") is True else None
    attention = ranks if isinstance(ranks, int) and not isinstance(ranks, bool) and 1 < ranks <= MAX_RANKS else None
    experts = values.get("ep")
    several = isinstance(experts, int) and not isinstance(experts, bool) and experts > 1
    return Told(several or values.get("ep_all") is True, attention, values.get("enable_attention_dp") is True)


def launch_words_of(engine: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Launch words of a case by Python words, those about its host among them."""
    table = flag_table(engine)
    given = row.get("flags")
    placed = host_flags(row.get("host")) if table.declared.layout_by_devices else {}
    return {**placed, **words_of(table, given if isinstance(given, Mapping) else {})}


def words_of(table: FlagTable, given: Mapping[str, Any]) -> dict[str, Any]:
    """Flags of a case by Python words: dashes, "no-" in front of a switch, and dotted keys of JSON settings brought to the flags they mean.

    >>> words_of(flag_table("vllm"), {"no-enable-prefix-caching": True, "compilation-config.cudagraph_mode": "NONE", "client": {}})
    {'enable_prefix_caching': False, 'compilation_config': {'cudagraph_mode': 'NONE'}}
    """
    found: dict[str, Any] = {}
    for spelled, value in list(given.items())[:MOST_FLAGS]:
        name = str(spelled)[:200].lstrip("-").replace("-", "_")
        if spelled in NOT_THE_ENGINE or value is None:
            continue
        flag = table.named(name)
        head, dot, key = name.partition(".")
        outer = table.named(head) if dot and flag is None else None
        if flag is not None and flag.kind == "json":
            found[name] = json_value(value) if isinstance(value, str) else value
        elif flag is None and name.startswith("no_") and (switch := table.named(name[3:])) is not None and switch.kind == "switch":
            found[name[3:]] = value is not True
        elif outer is not None and outer.kind == "json":
            before = found.get(head)
            found[head] = {**(before if isinstance(before, dict) else {}), key: value}
        else:
            found[name] = value
    return found


def unread(engine: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Flags of a case that no field and no flag of its deployment comes of, and why: "unknown", or what they touch.

    >>> unread("sglang", {"flags": {"scheduler-recv-interval": 30, "log-level": "info", "no-such": 1}})
    {'log_level': 'nothing', 'no_such': 'unknown'}
    """
    table = flag_table(engine)
    found = {}
    for name in launch_words_of(engine, row):
        flag = table.named(name)
        if flag is None or flag.effect not in (Effect.MEMORY, Effect.SPEED):
            found[name] = "unknown" if flag is None else flag.effect.value
    return found


def drafts_of(row: Mapping[str, Any], fields: Mapping[str, Any], flags: Mapping[str, Any]) -> Drafts:
    """Drafts of a run: what its launch words say, else the words about speculation, else what a rule filled in.

    >>> drafts_of({"speculative": "EAGLE3, 4 draft tokens"}, {}, {}), drafts_of({"speculative": "MTP 3 drafts"}, {}, {}).tokens
    (Drafts(method='eagle3', tokens=4, acceptance=None), 3)
    >>> drafts_of({"speculative": "MTP (EAGLE), 3 steps, 4 draft tokens"}, {}, {}).tokens, drafts_of({"speculative": "none stated"}, {}, {}).tokens
    (3, 0)
    """
    words = str(row.get("speculative") or "")[:400]
    told = fields.get("speculative_tokens")
    if isinstance(told, int) and told:
        return Drafts(str(flags.get("speculative_method") or "draft"), told, _acceptance(words, told))
    method = _METHODS.search(words)
    counts = [int(found[1]) for pattern in _COUNTS if (found := pattern.search(words))]
    if not _NONE.match(words) and (method or counts):
        name = method[0].lower() if method else "draft"
        name = _NAMES.get(name, name)
        tokens = counts[0] if counts else _DEFAULT_DRAFTS.get(name, 1)
        return Drafts(name, tokens, _acceptance(words, tokens)) if tokens else Drafts()
    filled = row.get("drafts")
    return Drafts("mtp", filled) if isinstance(filled, int) and filled > 0 else Drafts()


def _acceptance(words: str, drafts: int) -> float | None:
    """Probability of acceptance: as it is said, or from the mean number of tokens that a step wins."""
    said = _ACCEPTED.search(words)
    if said is None:
        return None
    number = float(said[2]) / (100 if said[3] else 1)
    if 0 < number < 1 and said[1] != "length":
        return number
    if not 1 < number < 1 + drafts:
        return None
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        half = (low + high) / 2
        won = speculative_tokens(acceptance=half, drafts=drafts)
        low, high = (half, high) if won < number else (low, half)
    return (low + high) / 2
