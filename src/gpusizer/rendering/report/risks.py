"""What is not sure: verdicts without room, evidence that is assumed or thin, prices and facts that nobody vouches for, and every warning."""

from __future__ import annotations

from collections.abc import Iterator

from gpusizer.engines.base.types import Evidence
from gpusizer.i18n import text
from gpusizer.planning.servers import housed_in
from gpusizer.planning.types import TIGHT, Option, Plan
from gpusizer.rendering.accelerators import unverified_fields
from gpusizer.rendering.devices import counted_devices, device_name
from gpusizer.rendering.launch import launch_command
from gpusizer.rendering.notices import field_words, notice_words
from gpusizer.rendering.plan_options import evidence_of, said_of
from gpusizer.rendering.prefill_workers import launch_of
from gpusizer.rendering.report.comparison import compared_options

__all__ = ["risk_lines"]

FEW_OWNERS = 3
"""Independent owners of measured runs below which a band is thin."""

_WEIGHTY = ("memory_bytes", "bandwidth_bytes_per_s", "peak_flops", "interconnect_bytes_per_s", "tdp_w", "prices")


def risk_lines(plan: Plan, language: str) -> list[str]:
    """One sentence each, of the options that stand side by side first, then what holds for all.

    Parameters
    ----------
    plan : Plan
        An answer.
    language : str
        "en" or "zh".
    """
    options = [pick.option for pick in compared_options(plan)]
    lines = [text("report", code, language, **said) for option in options for code, said in _doubts(option, language)]
    best = plan.best
    own = () if best is None else (*said_of(plan, best), *best.fit.warnings, *launch_command(launch_of(best)).notices)
    warned = [_sentence(notice_words(each, "warning", language), language) for each in (*own, *plan.warnings)]
    return list(dict.fromkeys([*lines, *warned, text("report", "risk-always", language)]))


def _doubts(option: Option, language: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Codes and words of what is not sure of an option."""
    speed = option.performance
    said: dict[str, object] = {"option": counted_devices(option.gpus, option.accelerator, language)}
    if option.verdict == TIGHT:
        yield "risk-tight", {**said, "held": option.held_requests, "low": option.held_requests_low}
    if evidence_of(option) == Evidence.ASSUMED:
        yield "risk-assumed", said
    if speed is None:
        yield "risk-no-speed", said
    elif 0 < speed.owners < FEW_OWNERS:
        yield "risk-few", {**said, "owners": speed.owners}
    if option.cost is None and not option.is_there:
        yield "risk-no-rent", said
    if option.purchase is None and not option.is_there:
        yield "risk-no-purchase", said
    device: dict[str, object] = {"gpu": device_name(option.accelerator.name, language)}
    fields = dict.fromkeys(name.partition(".")[0] for name in unverified_fields(option.accelerator))
    if doubted := [field_words(name, language) for name in fields if name in _WEIGHTY]:
        yield "risk-unverified", {**device, "fields": doubted}
    if not any(each.rack_units is not None and each.maximum_w is not None for each in housed_in(option)):
        yield "risk-no-server", device


def _sentence(words: str, language: str) -> str:
    """With a capital letter and a full stop."""
    return words[:1].upper() + words[1:] + text("report", "risk-end", language)
