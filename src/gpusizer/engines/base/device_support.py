"""Whether a device runs an engine, a number format, a cache and a kind of attention: one answer for plans, starts, remedies and workbooks.

What engines publish stands in the tables of their folders (:mod:`~gpusizer.engines.base.support_table`); what a device computes stands in its facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration, declarations
from gpusizer.engines.base.cache import cache_format
from gpusizer.engines.base.support_table import Row, conversion, rows_of
from gpusizer.engines.base.types import Layout
from gpusizer.engines.base.weights import once_per_architecture, weight_table
from gpusizer.facts.types import Accelerator

__all__ = [
    "Contents",
    "Support",
    "contents_of",
    "convert_first",
    "device_support",
    "format_families",
    "layout_refusal",
    "mixer_kinds",
    "other_checkpoint",
    "support_for",
    "weight_formats",
]

_SHARE = 0.02  # formats of less than this share of the parameters decide nothing

# Format of the weights -> the peak that computes it natively.
_NATIVE = {"fp8": "fp8", "mxfp8": "fp8", "int8": "int8", "nvfp4": "fp4", "mxfp4": "fp4"}
_BF16_FROM = 8.0
_PLAIN = ("bf16", "fp16", "fp32")
_NEWEST = (1 << 20,)  # above every version
_PATCHED, _REFUSED = 2, 9  # tiers
_KEPT = 4096  # answers: a few hundred devices, a handful of engines, versions and families of formats; a workbook asks for a device a thousand times


@dataclass(frozen=True, slots=True)
class Support:
    """How well a device serves.

    Parameters
    ----------
    refusal : Notice or None
        Why it does not serve at all.
    notices : tuple of Notice
        What must be said, with what to do instead.
    tier : int
        0 where everything is native and known; one more for each thing that is not.
    instead : tuple of str
        Precisions that run there where those of the weights do not, or are not known to; the best first.
    """

    refusal: Notice | None
    notices: tuple[Notice, ...]
    tier: int
    instead: tuple[str, ...] = ()


class Contents(NamedTuple):
    """What of a model decides whether a device runs it: families of formats, the one of most parameters first, and kinds of mixers."""

    families: tuple[str, ...]
    mixers: tuple[str, ...]


@once_per_architecture
def weight_formats(architecture: Architecture) -> tuple[str, ...]:
    """Families of the formats that hold a noticeable share of the parameters, the largest first ("fp8", "bf16", "int4" ...)."""
    table = weight_table(architecture)
    inside = ((one, count) for kind, count in Counter(table.kind_of).items() for one in table.kinds[kind])
    outside = ((one, 1) for part in (table.embedding, table.final, table.head, table.towers) for one in part)
    return format_families((one.form, one.params * times) for one, times in chain(outside, inside))


def format_families(stored: Iterable[tuple[StorageFormat, int]]) -> tuple[str, ...]:
    """Families of formats that hold a noticeable share, from formats and how many parameters have them; the largest first."""
    params: dict[str, int] = {}
    for form, count in stored:
        family = form.id.split("_")[0] if form.quantised and not form.block_elements else form.id
        params[family] = params.get(family, 0) + count
    total = sum(params.values()) or 1
    return tuple(name for name, count in sorted(params.items(), key=lambda pair: -pair[1]) if count >= _SHARE * total)


@once_per_architecture
def mixer_kinds(architecture: Architecture) -> tuple[str, ...]:
    """Kinds of mixers of a model, in the order of the layers: "attention", "sparse-latent", "linear" ..."""
    kinds: dict[str, None] = {}
    for layer in architecture.layers:
        for mixer in layer.mixers:
            sparse = mixer.kind in ("attention", "latent") and mixer.picks is not None
            kinds[f"sparse-{mixer.kind}" if sparse else mixer.kind] = None
    return tuple(kinds)


def contents_of(architecture: Architecture) -> Contents:
    """What of a model decides whether a device runs it."""
    return Contents(weight_formats(architecture), mixer_kinds(architecture))


def device_support(
    engine_id: str, architecture: Architecture, accelerator: Accelerator, *, version: tuple[int, ...] = _NEWEST, kv_precision: str = "auto"
) -> Support:
    """Whether a device serves a model with an engine.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    architecture : Architecture
        The model in the precision that is wanted.
    accelerator : Accelerator
        The device.
    version : tuple of int
        Of the engine; the newest where it is left out.
    kv_precision : str
        Number format of the cache.

    Returns
    -------
    Support
        Refusal, or notices and a tier.
    """
    return support_for(engine_id, contents_of(architecture), accelerator, version=version, kv_precision=kv_precision)


@lru_cache(maxsize=_KEPT)
def support_for(
    engine_id: str, contents: Contents, accelerator: Accelerator, *, version: tuple[int, ...] = _NEWEST, kv_precision: str = "auto"
) -> Support:
    """How a device runs families of formats, kinds of mixers and a cache; see :func:`device_support`."""
    notices: list[Notice] = []
    refusal, said = _runs(engine_id, accelerator, version)
    if refusal is not None:
        return Support(refusal, (), _REFUSED)
    notices += said
    tier = sum(each.code != "engine-by-package" for each in said)
    weights = Support(None, (), 0) if declaration(engine_id).widens else _weights(engine_id, contents.families, accelerator, version)
    cache = cache_format(kv_precision)
    others = [_mixer(engine_id, kind, accelerator, version) for kind in contents.mixers]
    others += [] if cache is None else [_cache(engine_id, cache.id, contents.mixers, accelerator, version)]
    for found in (weights, *others):
        if found.refusal is not None:
            return Support(found.refusal, tuple(notices), _REFUSED, found.instead)
        notices += found.notices
        tier += found.tier
    return Support(None, tuple(notices), tier, weights.instead)


def layout_refusal(engine_id: str, architecture: Architecture, accelerator: Accelerator, layout: Layout, version: tuple[int, ...]) -> Notice | None:
    """Why an engine has no kernels for a layout on a device; None where nothing is known against it."""
    for row in rows_of(engine_id, "layout"):
        above = row.exceeded(layout)
        if above is not None and row.on(accelerator, version) and (not row.attention or set(row.attention) & set(mixer_kinds(architecture))):
            if row.answer != "no":
                return None
            name, size = above
            return Notice("layout-not-on-device", {"engine": declaration(engine_id).label, "gpu": accelerator.id, "name": name, "value": size})
    return None


def other_checkpoint(engine_id: str, stored: Architecture, precision: str) -> Notice | None:
    """That the published files are not in this precision: somebody must quantise them, or find a copy that is.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    stored : Architecture
        The model as it is stored.
    precision : str
        What was asked for.

    Returns
    -------
    Notice or None
        None where the engine makes it while loading, or takes a GGUF file anyhow.
    """
    name = precision.lower().replace("-", "_")
    plain = stored.quantization.method is None
    engine = declaration(engine_id)
    made = name == "checkpoint" or engine.takes_gguf or (plain and (name in _PLAIN or name in engine.made_on_load))
    return None if made or name == stored.quantization.method else Notice("other-checkpoint", {"precision": name})


def convert_first(engine_id: str, stored: Architecture, accelerator: Accelerator, precision: str) -> Notice | None:
    """That the files must be converted before the start, with the tool that the engine's makers name for the device.

    Parameters
    ----------
    engine_id : str
        Id of the engine.
    stored : Architecture
        The model as it is stored.
    accelerator : Accelerator
        The device.
    precision : str
        What is loaded.

    Returns
    -------
    Notice or None
        None where the published files can be loaded as they are; "other-checkpoint" where they could be, but others are asked for.
    """
    other = other_checkpoint(engine_id, stored, precision)
    if other is None:
        return None
    way = conversion(engine_id, accelerator, precision.lower())
    if not way.quantization and not device_support(engine_id, stored, accelerator).instead:
        return other  # the device runs what is published as well
    kept = [each.upper() for each in weight_formats(stored) if each not in _PLAIN] or [stored.dtype.upper()]
    return Notice("convert-first", {"precision": way.to, "name": way.name, "tool": way.tool, "stored": " + ".join(kept)})


# ---- the parts of the answer ---------------------------------------------------------------------------------------


@lru_cache(maxsize=_KEPT)
def _runs(engine_id: str, accelerator: Accelerator, version: tuple[int, ...]) -> tuple[Notice | None, tuple[Notice, ...]]:
    """(refusal, notices) of the engine on the device at all."""
    answer, package = _answer(engine_id, accelerator, version)
    parameters: dict[str, Any] = {"engine": engine_id, "gpu": accelerator.id}
    if answer == "no":
        return _refused("engine-not-on-device", parameters, _others(engine_id, accelerator)), ()
    said = () if answer == "yes" else (Notice(f"engine-{answer}-on-device", parameters),)
    return None, (*said, Notice("engine-by-package", {**parameters, "package": package})) if package else said


def _answer(engine_id: str, accelerator: Accelerator, version: tuple[int, ...] = _NEWEST) -> tuple[str, str]:
    """What the table says of the engine on the device, else the facts of the device; and the package by which it runs."""
    row = _speaks(rows_of(engine_id, "device"), accelerator, version)
    if row is None or row.answer == "plugin":
        return _known(engine_id, accelerator), "" if row is None else row.package
    return row.answer, ""


def _refused(code: str, parameters: dict[str, Any], instead: Sequence[str]) -> Notice:
    """A refusal that says what to take, or that nothing is known to do."""
    return Notice(code, {**parameters, "instead": instead[0]}) if instead else Notice(f"{code}-alone", parameters)


def _known(engine_id: str, accelerator: Accelerator) -> str:
    """What the facts of the device say: yes, partial, no or unknown."""
    own, other = accelerator.engines.get(engine_id), declaration(engine_id).devices_like
    if own is not None or other is None:
        return own or "unknown"
    like = accelerator.engines.get(other, "unknown")
    return "unknown" if like == "no" else like


def _others(engine_id: str, accelerator: Accelerator, mixer: str = "") -> list[str]:
    """Engines that run on the device, and a kind of mixer there; those that are known to run first."""
    rank = {"yes": 0, "partial": 1}
    found: list[tuple[int, str]] = []
    for each in declarations():
        answer, _ = _answer(each.id, accelerator)
        row = _speaks((row for row in rows_of(each.id, "attention") if mixer in row.attention), accelerator, _NEWEST)
        if each.id != engine_id and each.devices_like is None and answer in rank and (row is None or row.answer == "yes"):
            found.append((rank[answer], each.id))
    return [id for _, id in sorted(found, key=lambda pair: pair[0])]


def _speaks(rows: Iterable[Row], accelerator: Accelerator, version: tuple[int, ...]) -> Row | None:
    return next((row for row in rows if row.on(accelerator, version)), None)


@lru_cache(maxsize=_KEPT)
def _weights(engine_id: str, families: tuple[str, ...], accelerator: Accelerator, version: tuple[int, ...]) -> Support:
    """All families of formats together: what is refused is named in one sentence."""
    rows = rows_of(engine_id, "weights")
    refused: list[str] = []
    runs: list[tuple[str, ...]] = []
    notices: list[Notice] = []
    for family in families:
        row = _speaks((each for each in rows if family in each.formats), accelerator, version)
        answer = "" if row is None else row.answer
        instead = _in_its_place(family, accelerator) if row is None or not row.instead else row.instead
        if answer == "no":
            refused.append(family)
            runs.append(instead)
        elif answer in ("unknown", "partial"):
            notices.append(Notice("precision-not-proven", {"gpu": accelerator.id, "precision": family, "instead": instead[0]}))
            runs += [row.instead] if row is not None and row.instead else []
        elif (said := _computed(family, accelerator, instead)) is not None:
            notices.append(said)
    common = tuple(each for each in runs[0] if all(each in other for other in runs)) if runs else ()
    if not refused:
        return Support(None, tuple(notices), len(notices), common)
    way = conversion(engine_id, accelerator, (common or runs[0])[0])
    parameters = {"engine": engine_id, "gpu": accelerator.id, "precision": " + ".join(refused)}
    return Support(Notice("precision-not-on-device", {**parameters, "instead": way.to, "name": way.name, "tool": way.tool}), (), _REFUSED, common)


def _in_its_place(family: str, accelerator: Accelerator) -> tuple[str, ...]:
    """Eight-bit formats that the device computes, else integers of four bits, which every kernel unpacks."""
    return (*(name for name in ("fp8", "int8") if name in accelerator.peak_flops and name != family), "int4")


def _computed(family: str, accelerator: Accelerator, instead: tuple[str, ...]) -> Notice | None:
    """How a format is computed that runs: None where natively."""
    peaks = accelerator.peak_flops
    capability = accelerator.capability or None
    if family in ("bf16", "fp16"):
        other = "fp16" if family == "bf16" else "bf16"
        if family in peaks:
            return None
        if other in peaks and (family == "bf16" or capability is None or capability < _BF16_FROM):
            return Notice("computed-in", {"gpu": accelerator.id, "precision": family, "computed": other})
        return None if peaks else Notice("precision-unknown-on-device", {"gpu": accelerator.id, "precision": family})
    peak = _NATIVE.get(family)
    if peak is None or peak in peaks:  # integers in groups and GGUF blocks are unpacked by the kernel on every device
        return None
    return Notice("precision-not-native", {"gpu": accelerator.id, "precision": family, "instead": instead[0]})


@lru_cache(maxsize=_KEPT)
def _mixer(engine_id: str, kind: str, accelerator: Accelerator, version: tuple[int, ...]) -> Support:
    """A kind of mixer on the device."""
    row = _speaks((each for each in rows_of(engine_id, "attention") if kind in each.attention), accelerator, version)
    parameters = {"engine": engine_id, "gpu": accelerator.id, "kind": kind}
    if row is not None and row.answer == "no":
        return Support(_refused(f"{kind}-not-on-device", parameters, _others(engine_id, accelerator, kind)), (), _REFUSED)
    if row is not None and row.answer == "patched":
        return Support(None, (Notice("mixer-in-patched-builds", parameters),), _PATCHED)
    return _said(row, Notice("mixer-not-proven", parameters))


@lru_cache(maxsize=_KEPT)
def _cache(engine_id: str, form: str, mixers: tuple[str, ...], accelerator: Accelerator, version: tuple[int, ...]) -> Support:
    """A number format of the cache on the device."""
    rows = (each for each in rows_of(engine_id, "cache") if form in each.formats and (not each.attention or set(each.attention) & set(mixers)))
    row = _speaks(rows, accelerator, version)
    parameters = {"engine": engine_id, "gpu": accelerator.id, "precision": form}
    if row is not None and row.answer == "no":
        return Support(_refused("cache-not-on-device", parameters, row.instead), (), _REFUSED)
    return _said(row, Notice("cache-not-proven", parameters))


def _said(row: Row | None, notice: Notice) -> Support:
    """What is not refused: said where nobody knows."""
    return Support(None, (), 0) if row is None or row.answer == "yes" else Support(None, (notice,), 1)
