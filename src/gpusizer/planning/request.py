"""What is asked: one frozen request, and one table of its fields from which options, query strings and documents are made.

A field's parser, bounds and option name stand here once; the command line, the page and the API read them from :data:`FIELDS`. A request that is
written as a command line, a query string or JSON comes back as the same request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gpusizer.engines.base.version import checked_version
from gpusizer.errors import InputError
from gpusizer.facts.market import ON_REQUEST
from gpusizer.planning.drafts import AUTO, OFF, ON
from gpusizer.planning.fields import CALIBRATE, CHECKPOINT, WITH_MODELS, Field

__all__ = ["FIELDS", "PERCENTILE_TARGETS", "Field", "Request", "alternatives", "from_mapping", "from_query", "to_arguments", "to_mapping", "to_query"]

MAX_ALTERNATIVES = 6  # precisions or engines of one plan

FIELDS: tuple[Field, ...] = (
    Field("model", "word", ""),
    Field("concurrency", "count", "--concurrency"),
    Field("users", "count", "--users"),
    Field("active_share", "share", "--active-share"),
    Field("scenario", "word", "--scenario"),
    Field("input_tokens", "tokens", "--input-tokens"),
    Field("output_tokens", "tokens", "--output-tokens"),
    Field("context_tokens", "tokens", "--context-tokens"),
    Field("shared_prefix_tokens", "tokens", "--shared-prefix-tokens", lowest=0),
    Field("request_rate", "rate", "--request-rate"),
    Field("trace", "word", "--trace"),
    Field("precision", "word", "--precision"),
    CHECKPOINT,
    Field("kv_precision", "word", "--kv-precision"),
    Field("engine", "word", "--engine"),
    Field("engine_version", "word", "--engine-version"),
    Field("gpus", "gpu", "--gpu", many=True),
    Field("owned", "owned", "--owned", many=True),
    Field("vendor", "word", "--vendor"),
    Field("include", "choice", "--include", ON_REQUEST, many=True),
    Field("market", "choice", "--market", ("global", "cn", "cn-domestic")),
    Field("max_gpus", "count", "--max-gpus"),
    Field("other_memory_bytes", "bytes", "--other-memory", lowest=0),
    WITH_MODELS,
    Field("spare", "count", "--spare", lowest=0),
    Field("prices", "word", "--prices"),
    CALIBRATE,
    Field("currency", "currency", "--currency"),
    Field("ttft_s", "seconds", "--ttft"),
    Field("tpot_s", "seconds", "--tpot"),
    Field("ttft_p50_s", "seconds", "--ttft-p50"),
    Field("ttft_p95_s", "seconds", "--ttft-p95"),
    Field("ttft_p99_s", "seconds", "--ttft-p99"),
    Field("tpot_p95_s", "seconds", "--tpot-p95"),
    Field("tpot_p99_s", "seconds", "--tpot-p99"),
    Field("speculative", "drafts", "--speculative"),
    Field("acceptance", "share", "--acceptance"),
    Field("tuning", "choice", "--tuning", (AUTO, OFF)),
    Field("disaggregate", "choice", "--disaggregate", (OFF, ON, AUTO)),
    Field("service_floor", "choice", "--service-floor", (ON, OFF)),
    Field("method", "choice", "--method", ("engine", "article")),
    Field("sort", "choice", "--sort", ("best", "gpus", "cost", "speed")),
    Field("hub", "choice", "--hub", ("huggingface", "modelscope")),
)
"""Every input of ``plan``, in the order of the help."""

PERCENTILE_TARGETS = ("ttft_p50_s", "ttft_p95_s", "ttft_p99_s", "tpot_p95_s", "tpot_p99_s")
"""Targets of which a simulation tells whether they are kept."""

_BY_NAME = {field.name: field for field in FIELDS}


@dataclass(frozen=True, slots=True)
class Request:
    """A need and its limits, as somebody states them; what is None follows from the scenario or the engine.

    Parameters
    ----------
    model : str
        Catalogue id or alias, path of a config.json, a checkpoint folder or a .gguf file.
    concurrency : int or None
        Requests served at the same moment; it comes before users x share. [requests]
    users, active_share : int or None, float or None
        People who may use it, and the share of them with a request in flight. [people, share]
    scenario : str or None
        A typical use; without any need a retrieval knowledge base.
    input_tokens, output_tokens, context_tokens : int or None
        Of one request; the context is both together. [tokens]
    shared_prefix_tokens : int
        Tokens at the start that all requests have in common. [tokens]
    request_rate : float or None
        Requests that arrive in a second. [1/s]
    trace : str or None
        A file of timestamps and lengths (JSON lines or CSV) that states rate and lengths, and what the first options are simulated with.
    precision, kv_precision : str
        Of the weights ("checkpoint" as published; several to choose from as "checkpoint,fp8") and of the cache ("auto").
    checkpoint_bytes : int or None
        Size of the files of a quantised copy together: which tensors it keeps in more bits follows from it. [bytes]
    engine, engine_version : str, str or None
        Who serves (several to choose from as "vllm,sglang"); the newest version that is known.
    gpus : tuple of str
        Accelerators to consider; all without. A card of one's own is a line ("48GB,864GB/s,362TFLOPS") or a TOML file, which is read at once.
    owned : tuple of str
        GPUs that are there already, each kind with its number ("l40s:4"): only those are considered, of them ``gpus`` where both are said, no more
        of them, and nothing is to order.
    vendor : str or None
        Only accelerators of this vendor, in English or Chinese; "domestic" for all Chinese ones.
    include : tuple of str
        Classes of parts to consider beside what is sold for data centres, workstations and games.
    market : str
        "cn" for what can be bought in China, at prices of China; "cn-domestic" for the same with Chinese makers first; else "global".
    max_gpus : int or None
        Most GPUs of the whole deployment. [GPUs]
    other_memory_bytes : int or None
        Held by the system and other programs of each machine whose GPU shares its memory ("6GiB"); what is usual without. [bytes]
    with_models : tuple of str
        Models beside this one: they embed, rank, listen or write; one of each serves all replicas.
    spare : int
        Replicas more than the load takes. [replicas]
    prices : str or None
        A TOML file of own prices, which come before those of the catalogue.
    calibrate : str or None
        A file of own measured cases, as ``gpusizer measure`` writes them, that moves the speeds of their devices.
    currency : str or None
        Of all prices, converted by dated rates where need be; that of the market without.
    ttft_s, tpot_s : float or None
        Longest time to the first token, and mean time per token after it. [s]
    ttft_p50_s, ttft_p95_s, ttft_p99_s, tpot_p95_s, tpot_p99_s : float or None
        What so many in a hundred requests may see at most; the first options are simulated. [s]
    speculative : str
        Drafts of a step: "auto", "off", "mtp:N", or "eagle3:N:DRAFT" for a head with a checkpoint of its own.
    acceptance : float or None
        Share of drafts that are accepted; what measured runs suggest without.
    disaggregate : str
        Prompts on workers of their own: "off", "on", or "auto" where that takes fewer GPUs.
    tuning : str
        "auto" turns the engine's settings before GPUs are added, "off" keeps its defaults.
    service_floor : str
        "on" marks what is slower than a person would call usable and puts it last, "off" does not.
    method : str
        "engine", or "article" for the article's figures first.
    sort : str
        "best" for what somebody who buys would take first, "gpus", "cost" or "speed".
    hub : str or None
        "huggingface" or "modelscope": where a model is looked up that the catalogue lacks; without it nothing touches a network.

    Examples
    --------
    >>> Request(model="deepseek-v3", users="1,000", active_share="2%", context_tokens="2k").context_tokens
    2048
    """

    model: str
    concurrency: int | None = None
    users: int | None = None
    active_share: float | None = None
    scenario: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    context_tokens: int | None = None
    shared_prefix_tokens: int = 0
    request_rate: float | None = None
    trace: str | None = None
    precision: str = "checkpoint"
    checkpoint_bytes: int | None = None
    kv_precision: str = "auto"
    engine: str = "vllm"
    engine_version: str | None = None
    gpus: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    vendor: str | None = None
    include: tuple[str, ...] = ()
    market: str = "global"
    max_gpus: int | None = None
    other_memory_bytes: int | None = None
    with_models: tuple[str, ...] = ()
    spare: int = 0
    prices: str | None = None
    calibrate: str | None = None
    currency: str | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    ttft_p50_s: float | None = None
    ttft_p95_s: float | None = None
    ttft_p99_s: float | None = None
    tpot_p95_s: float | None = None
    tpot_p99_s: float | None = None
    speculative: str = AUTO
    acceptance: float | None = None
    disaggregate: str = OFF
    tuning: str = AUTO
    service_floor: str = ON
    method: str = "engine"
    sort: str = "best"
    hub: str | None = None

    def __post_init__(self) -> None:
        for each in FIELDS:
            object.__setattr__(self, each.name, each.read(getattr(self, each.name)))
        if self.model is None:
            raise InputError("missing-field", name="model")
        checked_version(self.engine_version)

    @property
    def has_targets(self) -> bool:
        """Whether speed decides, not memory alone."""
        return self.mean_ttft_s is not None or self.mean_tpot_s is not None or self.request_rate is not None or self.sort == "speed"

    @property
    def is_stacked(self) -> bool:
        """Whether more is planned than replicas for the load: other models, or a reserve."""
        return bool(self.with_models or self.spare)

    @property
    def country(self) -> str:
        """Where it is bought: "cn", or "" where nobody says."""
        return "cn" if self.market.startswith("cn") else ""

    @property
    def money(self) -> str:
        """The currency of all prices: the one asked for, that of the market, or that of own prices."""
        if self.currency is not None or self.country == "cn" or self.prices is None:
            return self.currency or ("CNY" if self.country == "cn" else "USD")
        from gpusizer.planning.prices import own_currency  # here: most requests bring none

        return own_currency(self.prices) or "USD"

    @property
    def is_simulated(self) -> bool:
        """Whether the first options are simulated: means do not say what is asked."""
        return self.request_rate is not None or any(getattr(self, name) is not None for name in PERCENTILE_TARGETS)

    @property
    def mean_ttft_s(self) -> float | None:
        """What the mean time to the first token must keep: a percentile that matters lies above it. [s]"""
        return min((each for each in (self.ttft_s, self.ttft_p95_s, self.ttft_p99_s) if each is not None), default=None)

    @property
    def mean_tpot_s(self) -> float | None:
        """What the mean time per token must keep. [s]"""
        return min((each for each in (self.tpot_s, self.tpot_p95_s, self.tpot_p99_s) if each is not None), default=None)


def alternatives(value: str) -> list[str]:
    """What may be chosen from: the words of a list, each once.

    >>> alternatives("checkpoint, fp8,fp8")
    ['checkpoint', 'fp8']
    """
    found = list(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    if not found or len(found) > MAX_ALTERNATIVES:
        raise InputError("bad-list", found=value[:40], most=MAX_ALTERNATIVES)
    return found


_DEFAULTS = {each.name: each.default for each in fields(Request)}


def from_mapping(values: Mapping[str, Any]) -> Request:
    """A request from JSON or TOML; an unknown name is refused with the nearest.

    >>> from_mapping({"model": "qwen3-8b", "concurrency": 4}).concurrency
    4
    """
    for name in values:
        if name not in _BY_NAME:
            raise InputError("unknown-field", id=str(name)[:40], nearest=get_close_matches(str(name), _BY_NAME, 3, 0.4))
    if values.get("model") is None:
        raise InputError("missing-field", name="model")
    return Request(**{name: value for name, value in values.items() if value is not None})


def to_mapping(request: Request, *, defaults: bool = False) -> dict[str, Any]:
    """A request as plain data; without ``defaults`` only what was said."""
    pairs = {each.name: getattr(request, each.name) for each in FIELDS}
    said = {name: value for name, value in pairs.items() if defaults or value != _DEFAULTS[name]}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def to_query(request: Request) -> str:
    """A request as the query of an address.

    >>> to_query(Request(model="deepseek-v3", users=1000, gpus=("h200-sxm-141gb", "h20-96gb")))
    'model=deepseek-v3&users=1000&gpus=h200-sxm-141gb&gpus=h20-96gb'
    """
    return urlencode(list(_written(request)), errors="surrogateescape")


def from_query(query: str) -> Request:
    """A request from the query of an address."""
    values: dict[str, Any] = {}
    for name, value in parse_qsl(query, max_num_fields=200, errors="surrogateescape"):
        if name in _BY_NAME and _BY_NAME[name].many:
            values[name] = (*values.get(name, ()), value)
        elif name in values:
            raise InputError("given-twice", name=name)
        elif value:
            values[name] = value
    return from_mapping(values)


def to_arguments(request: Request) -> list[str]:
    """A request as arguments of ``gpusizer plan``.

    >>> to_arguments(Request(model="deepseek-v3", concurrency=10, ttft_s=0.5))
    ['deepseek-v3', '--concurrency', '10', '--ttft', '0.5s']
    """
    found: list[str] = []
    for name, words in _written(request):
        option = _BY_NAME[name].option
        found.extend([option, words] if option else [words])
    return found


def _written(request: Request) -> Iterable[tuple[str, str]]:
    for each in FIELDS:
        value = getattr(request, each.name)
        if each.name != "model" and value == _DEFAULTS[each.name]:
            continue
        for entry in value if each.many else (value,):
            yield each.name, each.write(entry)
