"""Why a start ended as it did: codes with figures, the most telling first; words under ``finding``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gpusizer.architecture.types import Notice
from gpusizer.diagnosis.row import outcome_of
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Fit, Section
from gpusizer.units import GiB, MiB

if TYPE_CHECKING:
    from gpusizer.engines.base.log import LogRecord
    from gpusizer.validation.accuracy import Compared

__all__ = ["explained", "failed_allocation", "outcome_code"]

_PARTS = {
    "weights_bytes": Section.WEIGHTS,
    "activation_peak_bytes": Section.ACTIVATION,
    "non_torch_bytes": Section.NON_TORCH,
    "cuda_graph_bytes": Section.GRAPHS,
}
_CACHE_FULL = ("preempted", "requests-retracted", "no-cache-slot", "decode-out-of-memory", "prefill-out-of-memory")
_SMALL = 0.25  # of the card: a cache below it is small
_NOTABLE = 0.05  # of the card: what takes more is worth a sentence
_LEAST = GiB // 4
_OTHERS = GiB  # held by others before the start, beyond what a driver keeps for itself [bytes]
_USUAL_SHARE = 0.88  # of the card, below which an operator has lowered the engine's own share


def outcome_code(record: LogRecord, engine_id: str) -> str:
    """What became of a start, in one code.

    Parameters
    ----------
    record : LogRecord
        What the log says of it.
    engine_id : str
        The engine.
    """
    found = outcome_of(record, engine_id)
    died = any(each.code.endswith("-serving") or each.code == "host-killed" for each in record.events)
    return "starts-then-out-of-memory" if found == "starts" and died else found


def explained(code: str, record: LogRecord, measured: Mapping[str, float], compared: Mapping[str, Compared], fit: Fit | None) -> tuple[Notice, ...]:
    """Why the start ended as it did.

    Parameters
    ----------
    code : str
        Its outcome, as of :func:`outcome_code`.
    record : LogRecord
        What the log says of it.
    measured : mapping
        Figures of the log. [bytes, tokens, requests]
    compared : mapping
        What was predicted beside them.
    fit : Fit or None
        The prediction, where there is one.

    Returns
    -------
    tuple of Notice
        The most telling first.
    """
    found = [Notice(f"outcome-{code}")]
    found += _asked_and_free(record, measured)
    found += [Notice("cache-full-while-serving") for each in record.events if each.code in _CACHE_FULL][:1]
    found += _takers(code, measured, fit)
    found += _held_by_others(measured)
    if fit is not None:
        found += _by_settings(fit)
        found += _unlike(compared)
    return tuple(found)


def _asked_and_free(record: LogRecord, measured: Mapping[str, float]) -> Iterator[Notice]:
    """The allocation that failed, or the cache that one request needs."""
    asked, free = failed_allocation(record)
    if asked is not None and free is not None:
        yield Notice("allocation-failed", {"asked_bytes": asked, "free_bytes": free})
    elif asked is not None:
        yield Notice("allocation-failed-alone", {"asked_bytes": asked})
    needed, left = measured.get("kv_needed_bytes"), measured.get("kv_cache_pool_bytes")
    if needed is not None and left is not None and needed > left:
        yield Notice("request-too-long", {"needed_bytes": needed, "left_bytes": left})
    elif (tokens := _too_long(record)) is not None:
        yield Notice("request-beyond-cache", tokens)


def _too_long(record: LogRecord) -> dict[str, float] | None:
    """Length of a request and of the cache, where the engine refused in tokens alone. [tokens]"""
    length, held = record.launch.get("max_model_len"), record.measured.get("kv_tokens")
    refused = any(each.code == "request-too-long" for each in record.events)
    return {"length": length, "held": held} if refused and length and held and length > held else None


def failed_allocation(record: LogRecord) -> tuple[int | None, int | None]:
    """What an allocation asked for that failed, and what was free then, as far as its line says. [bytes]"""
    for each in record.events:
        asked, free = each.parameters.get("failed_alloc_mib"), each.parameters.get("free_mib")
        if asked is not None:
            return round(asked * MiB), None if free is None else round(free * MiB)
    return None, None


def _takers(code: str, measured: Mapping[str, float], fit: Fit | None) -> Iterator[Notice]:
    """What takes most of the card, and what is left for the cache."""
    sums = per_gpu(fit.ranks[fit.worst].items) if fit is not None else {}
    total = measured.get("total_gpu_memory_bytes") or measured.get("total_bytes") or sum(sums.values())
    if not total:
        return
    taken = {name: measured.get(name, sums.get(section, 0)) for name, section in _PARTS.items()}
    pool = measured.get("kv_cache_pool_bytes")
    most = max(taken, key=lambda name: (name in measured or name == "weights_bytes", taken[name]))
    if code in ("starts", "pool-allocated") and pool is not None and pool >= _SMALL * total:
        return
    if taken[most] > _NOTABLE * total:
        figures = {"bytes": taken[most], "total_bytes": total, "share": taken[most] / total}
        yield Notice(f"takes-most-{most.removesuffix('_bytes').replace('_', '-')}", figures | {"measured": most in measured})
    for name, size in taken.items():
        if name != most and size > max(_NOTABLE * total, _LEAST):
            told = "takes" if name in measured else "predicted"
            yield Notice(f"{told}-{name.removesuffix('_bytes').replace('_', '-')}", {"bytes": size, "total_bytes": total, "share": size / total})
    if pool is not None:
        yield Notice("left-nothing" if pool <= 0 else "left-for-cache", {"bytes": abs(pool), "share": pool / total})


def _held_by_others(measured: Mapping[str, float]) -> Iterator[Notice]:
    """Memory that was not free when the start began."""
    free, total = measured.get("initial_free_bytes"), measured.get("total_gpu_memory_bytes")
    if free is not None and total is not None and total - free > _OTHERS:
        yield Notice("held-by-others", {"free_bytes": free, "total_bytes": total, "bytes": total - free})


def _by_settings(fit: Fit) -> Iterator[Notice]:
    """Settings that take memory from the cache."""
    deployment = fit.deployment
    sizes = per_gpu(fit.ranks[fit.worst].items)
    total = sum(sizes.values())
    share = deployment.memory_fraction
    if share is not None and share < _USUAL_SHARE and fit.free_bytes > _NOTABLE * total:
        yield Notice("share-lowered", {"share": share, "bytes": fit.free_bytes})
    if sizes[Section.ACTIVATION] > max(_NOTABLE * total, GiB):
        asked = {"requests": deployment.max_num_seqs, "tokens": deployment.max_num_batched_tokens}
        if all(asked.values()):
            yield Notice("profile-large", {"bytes": sizes[Section.ACTIVATION], **asked})
    drafts = sum(item.bytes for rank in (fit.ranks[fit.worst],) for item in rank.items if "draft" in item.id or "mtp" in item.id)
    if deployment.speculative_tokens and drafts > _LEAST:
        yield Notice("drafts-take", {"bytes": drafts, "tokens": deployment.speculative_tokens})


def _unlike(compared: Mapping[str, Compared]) -> Iterator[Notice]:
    """What differs from the prediction beyond its band."""
    for name, each in compared.items():
        if each.measured is None or each.inside:
            continue
        if isinstance(each.predicted, bool):
            yield Notice("started-although" if each.measured else "failed-although")
            continue
        more = "more" if each.measured > each.high else "less"
        size = {"measured": each.measured, "predicted": each.predicted, "low": each.low, "high": each.high}
        yield Notice(f"{more}-than-predicted", {"quantity": name, **size})
