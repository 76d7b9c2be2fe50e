"""The flags of every engine, found by any spelling, and the deployment that values of them make. A flag of another engine is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

from gpusizer.architecture.storage.formats import plain_dtype
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration, declarations, get_engine
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.flag import MAX_RANKS, MAX_TOKENS, MOST_OTHER_MEMORY, Effect, Flag, normal
from gpusizer.engines.base.precision_asked import precision_asked
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.engines.base.version import checked_version
from gpusizer.errors import FlagError
from gpusizer.facts.hosts import LEAST_BYTES_PER_S, MOST_BYTES, platform_of, sockets_said

__all__ = [
    "COMMON",
    "FlagTable",
    "Launch",
    "cache_words",
    "checked_deployment",
    "checked_launch",
    "flag_table",
    "launch_from_flags",
    "unknown_flag",
]

OFFLOADS = ("none", "auto")
MOST_SOCKETS = 64
COMMON = (
    Flag("--gpus", "count", "gpus", low=1, high=MAX_RANKS),
    Flag("--tp", "count", "tp", low=1, high=MAX_RANKS),
    Flag("--pp", "count", "pp", low=1, high=MAX_RANKS),
    Flag("--dp", "count", "dp", low=1, high=MAX_RANKS),
    Flag("--ep", "count", "ep", low=1, high=MAX_RANKS),
    Flag("--other-memory", "bytes", "other_memory_bytes", high=MOST_OTHER_MEMORY),
    Flag("--host-memory", "bytes", "host_memory_bytes", low=1, high=MOST_BYTES),
    Flag("--host-bandwidth", "bandwidth", "host_bandwidth_bytes_per_s", low=LEAST_BYTES_PER_S, high=MOST_BYTES, effect=Effect.SPEED),
    Flag("--offload", "word", "offload", choices=OFFLOADS),
    Flag("--with", "word", "with_models", repeats=True),
)
"""Ours, for every engine; an engine may give these spellings a flag of its own."""

_FIELDS = {field.name for field in fields(Deployment)} - {"flags"}
_SHORTEST_BEGINNING = 6  # letters of a long flag that may stand for all of it, "--" included
_NAMED = ("model", "hf_repo", "hf_file", "quantization", "dtype", "visible_gpus")  # what settles before a deployment is made


class FlagTable:
    """The flags of one engine by spelling.

    Parameters
    ----------
    declared : Declaration
        The engine.
    """

    def __init__(self, declared: Declaration) -> None:
        module = import_module(declared.flags)
        self.declared = declared
        self.settle: Callable[[dict[str, Any]], tuple[Notice, ...]] = module.settle
        own: tuple[Flag, ...] = module.FLAGS
        taken = {normal(spelling) for flag in own for spelling in flag.spellings}
        self.flags: tuple[Flag, ...] = (*own, *(flag for flag in COMMON if flag.spelling not in taken))
        self._by_spelling = {normal(spelling): flag for flag in reversed(self.flags) for spelling in reversed(flag.spellings)}
        self._by_name: dict[str, Flag] = {}
        self.by_target: dict[str, Flag] = {}
        for flag in self.flags:
            self.by_target.setdefault(flag.target, flag)
            for spelling in flag.spellings:
                self._by_name.setdefault(self.plain(spelling), flag)

    def plain(self, spelling: str) -> str:
        """A spelling as a Python word: "--max-model-len" and "VLLM_X" as "max_model_len" and "x"."""
        if spelling.startswith("-"):
            return spelling.lstrip("-").replace("-", "_")
        start = next((each for each in self.declared.environment if spelling.startswith(each)), "")
        return spelling.removeprefix(start).lower() if start else spelling

    @property
    def counted(self) -> tuple[Flag, ...]:
        """Those that change a prediction."""
        return tuple(flag for flag in self.flags if flag.effect in (Effect.MEMORY, Effect.SPEED))

    def find(self, spelling: str) -> Flag | None:
        """The flag of a spelling as it stands in a command; where the engine abbreviates, of an unmistakable beginning."""
        wanted = normal(spelling)
        found = self._by_spelling.get(wanted)
        if found is not None or not self.declared.abbreviates or not wanted.startswith("--") or len(wanted) < _SHORTEST_BEGINNING:
            return found
        begun = {flag.spelling: flag for name, flag in self._by_spelling.items() if name.startswith(wanted)}
        return next(iter(begun.values())) if len(begun) == 1 else None

    def named(self, name: str) -> Flag | None:
        """The flag of a Python word, a field or an environment variable."""
        return self._by_name.get(self.plain(name)) or self.by_target.get(name)

    def nearest(self, spelling: str) -> list[str]:
        """Up to three long spellings that are close to one that is not known."""
        return get_close_matches(normal(spelling), [name for name in self._by_spelling if name.startswith("-")], 3, 0.7)


def flag_table(engine_id: str) -> FlagTable:
    """The flags of an engine.

    >>> flag_table("vllm").find("-tp").target, flag_table("sglang").named("mem_fraction_static").target
    ('tp', 'memory_fraction')
    """
    return _table(declaration(engine_id))


@cache
def _table(declared: Declaration) -> FlagTable:
    return FlagTable(declared)


@dataclass(frozen=True)
class Launch:
    """One start with what must be said of the words that made it.

    Parameters
    ----------
    deployment : Deployment
        What the engine is asked.
    notices : tuple of Notice
        Which flags change nothing, which are not counted, which were not understood.
    """

    deployment: Deployment
    notices: tuple[Notice, ...] = ()


def launch_from_flags(bare: Deployment, flags: Mapping[str, Any]) -> Launch:
    """One start from the flags that somebody typed.

    Parameters
    ----------
    bare : Deployment
        Model, device, engine, its version, precisions: what is no flag.
    flags : mapping
        Values by any spelling of their flags, or by Python words; None is "not given".

    Returns
    -------
    Launch
        What the engine is asked, and what must be said of the flags.

    Raises
    ------
    FlagError
        A flag of another engine, a value outside its bounds, a layout that does not make the number of GPUs.

    Examples
    --------
    >>> found = launch_from_flags(Deployment("qwen3-8b", "h200-sxm-141gb"), {"-tp": "2", "--port": "8000"})
    >>> found.deployment.tp, [notice.code for notice in found.notices]
    (2, ['flags-neutral'])
    """
    table = flag_table(bare.engine)
    values: dict[str, Any] = {"visible_gpus": visible} if (visible := flags.get("visible_gpus")) else {}
    given: list[Flag] = []
    for name, raw in flags.items():
        if raw is None or name == "visible_gpus":
            continue
        flag = table.find(name) if name.startswith("-") else table.named(name)
        if flag is None:
            raise unknown_flag(table, name)
        value = flag.read(raw)
        given.append(flag)
        if flag.kind == "bandwidth" and platform_of(str(raw)) is not None:  # the name of a processor may say how many there are
            values.setdefault("host_sockets", sockets_said(str(raw)))
        if flag.effect in (Effect.MEMORY, Effect.SPEED) and not (value is False and flag.target in _FIELDS):
            values[flag.target] = value
    notices = (*_effects(given), *table.settle(values))
    return Launch(_deployment(bare, table, values), notices)


def unknown_flag(table: FlagTable, name: str) -> FlagError:
    """That a flag belongs to other engines, or that nobody knows it."""
    spelled = name if name.startswith("-") else f"--{name.replace('_', '-')}"
    others = [each.id for each in declarations() if each.id != table.declared.id and _table(each).find(spelled) is not None]
    if others:
        return FlagError("option-elsewhere", option=spelled, engines=others, engine=table.declared.id)
    return FlagError("unknown-option", option=spelled[:80], nearest=table.nearest(spelled))


def _effects(given: list[Flag]) -> list[Notice]:
    """What must be said of flags by what they touch."""
    notices: list[Notice] = []
    for code, effect in (("flags-neutral", Effect.NOTHING), ("flags-host-memory", Effect.HOST)):
        names = list(dict.fromkeys(flag.spelling for flag in given if flag.effect is effect and flag.target not in _NAMED))
        if names:
            notices.append(Notice(code, {"flags": ", ".join(names)}))
    return notices + [Notice(flag.caveat, {"flag": flag.spelling}) for flag in dict.fromkeys(given) if flag.effect is Effect.UNCOUNTED]


def _deployment(bare: Deployment, table: FlagTable, values: dict[str, Any]) -> Deployment:
    """The deployment of settled values."""
    asked = {name: values.pop(name, None) for name in _NAMED}
    precision = precision_asked(bare.model, bare.precision, asked["quantization"], asked["dtype"])
    kv_precision = cache_words(values.pop("kv_precision", None)) or bare.kv_precision
    gpus, whole = values.pop("gpus", None), values.pop("ep_all", False)
    engine_id = table.declared.id
    layout = _layout(replace(bare, engine=engine_id, precision=precision), values, gpus)
    chosen = {name: values.pop(name) for name in sorted(_FIELDS & values.keys())}
    chosen |= {"tp": layout.tp, "pp": layout.pp, "kv_precision": kv_precision, "precision": precision}
    if whole:
        chosen["ep"] = chosen["tp"] * chosen.get("dp", bare.dp)
    further = {name: value for name, value in values.items() if value is not None}
    return replace(bare, engine=engine_id, engine_version=checked_version(bare.engine_version), flags=further, **chosen)


def cache_words(words: str | None) -> str | None:
    """A format of the cache by our word for it, whatever the engine calls it.

    >>> cache_words("bfloat16"), cache_words("fp8_e5m2"), cache_words(None)
    ('bf16', 'fp8_e5m2', None)
    """
    if words is None:
        return None
    return plain_dtype(words) or words


def _layout(bare: Deployment, chosen: Mapping[str, Any], gpus: int | None) -> Layout:
    """The layout that was said; with a number of GPUs alone, the widest tensor-parallel cut that is legal."""
    said = Layout(chosen.get("tp", 1), chosen.get("pp", 1), chosen.get("dp", 1), 1)
    if gpus is None or said.gpus == gpus:
        return said
    if said.gpus != 1 and gpus % said.gpus:
        raise FlagError("gpus-not-layout", gpus=gpus, layout_gpus=said.gpus)
    if "tp" in chosen and "pp" in chosen:
        raise FlagError("gpus-not-layout", gpus=gpus, layout_gpus=said.gpus)
    if "tp" in chosen or "dp" in chosen:
        return Layout(said.tp, gpus // (said.tp * said.dp), said.dp)
    if "pp" in chosen:
        return Layout(gpus // said.pp, said.pp)
    from gpusizer.architecture.load import load_architecture
    from gpusizer.architecture.precision.requantise import with_precision
    from gpusizer.facts.catalog import accelerator

    model = with_precision(load_architecture(bare.model, bare.checkpoint_bytes), bare.precision)
    choices = get_engine(bare.engine).layouts(model, accelerator(bare.gpu), gpus)
    legal = [choice.layout for choice in choices if choice.reason is None and choice.layout.ep == 1]
    return legal[0] if legal else Layout(gpus)


def checked_deployment(deployment: Deployment) -> Deployment:
    """A deployment that was built by hand, within the bounds of the engine's flags; see :func:`checked_launch`.

    Examples
    --------
    >>> checked_deployment(Deployment(model="qwen3-8b", gpu="h200-sxm-141gb", max_model_len=-5))
    Traceback (most recent call last):
    gpusizer.errors.FlagError: max_model_len: a number from 1 to 268,435,456 was expected, "-5" was found; correct the number; \
`--help` says what it means
    """
    return checked_launch(deployment).deployment


def checked_launch(deployment: Deployment) -> Launch:
    """A deployment that was built by hand, its fields within their bounds and its further flags settled as if they had been typed.

    Parameters
    ----------
    deployment : Deployment
        One start of one engine.

    Returns
    -------
    Launch
        The same with values in their own types, and what must be said of its flags.

    Raises
    ------
    FlagError
        A number that is none, or out of bounds; a flag that the engine does not have.
    """
    for name in ("model", "gpu", "engine", "precision", "kv_precision"):
        value = getattr(deployment, name)
        if not isinstance(value, str) or not 0 < len(value) <= 4096:
            raise FlagError("bad-word", option=name, found=str(value)[:40])
    table = flag_table(deployment.engine)
    for name in ("tp", "pp", "dp", "ep", "dcp", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size", "speculative_tokens"):
        value, flag = getattr(deployment, name), table.named(name) or (_ANY_CONTEXT if name == "max_model_len" else _ANY_COUNT)
        if value is None and name.startswith(("max_", "block")):
            continue
        low = 0 if name == "speculative_tokens" else 1
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= flag.high:
            raise FlagError("out-of-bounds", option=name, low=low, high=flag.high, found=str(value)[:40])
    bounds = (("other_memory_bytes", 0, MOST_OTHER_MEMORY), ("beside_bytes", 0, MOST_OTHER_MEMORY), ("host_memory_bytes", 1, MOST_BYTES))
    for name, low, most in bounds:
        held = getattr(deployment, name)
        if held is not None and (isinstance(held, bool) or not isinstance(held, int) or not low <= held <= most):
            raise FlagError("out-of-bounds", option=name, low=low, high=most, found=str(held)[:40])
    _checked_host(deployment)
    share = deployment.memory_fraction
    if share is not None and not (isinstance(share, int | float) and 0 < share <= 1):  # not a number compares with nothing
        raise FlagError("out-of-bounds", option="memory_fraction", low=0, high=1, found=str(share)[:40])
    checked_version(deployment.engine_version)
    if not deployment.flags:
        return Launch(deployment)
    return launch_from_flags(replace(deployment, flags={}), {**_beside_flags(deployment, table), **deployment.flags})


def _checked_host(deployment: Deployment) -> None:
    """How fast the host's memory is, and whether weights may go there, within their bounds."""
    rate, sockets, offload = deployment.host_bandwidth_bytes_per_s, deployment.host_sockets, deployment.offload
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not LEAST_BYTES_PER_S <= rate <= MOST_BYTES):
        raise FlagError("out-of-bounds", option="host_bandwidth_bytes_per_s", low=LEAST_BYTES_PER_S, high=MOST_BYTES, found=str(rate)[:40])
    if sockets is not None and (isinstance(sockets, bool) or not isinstance(sockets, int) or not 1 <= sockets <= MOST_SOCKETS):
        raise FlagError("out-of-bounds", option="host_sockets", low=1, high=MOST_SOCKETS, found=str(sockets)[:40])
    if offload not in OFFLOADS:
        raise FlagError("bad-choice", option="offload", expected=list(OFFLOADS), found=str(offload)[:40])


_BESIDE = ("tp", "pp", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "block_size", "speculative_tokens")


def _beside_flags(deployment: Deployment, table: FlagTable) -> dict[str, int]:
    """Fields that further flags may depend on, as flags, so that what settles those sees them."""
    told = {name: getattr(deployment, name) for name in _BESIDE if table.named(name) is not None}
    return {name: value for name, value in told.items() if value and not (name in ("tp", "pp") and value == 1)}


_ANY_COUNT = Flag("", "count", low=1, high=MAX_RANKS)
_ANY_CONTEXT = Flag("", "tokens", low=1, high=MAX_TOKENS)  # an engine may have no flag for that of one request
