"""A plan as eight plain lines for a mail, the subject first."""

from __future__ import annotations

from importlib.metadata import version

from gpusizer.facts.servers import KW
from gpusizer.i18n import one_line, text
from gpusizer.planning.servers import gpus_power_of, housed_in
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.companions import companions_data
from gpusizer.rendering.devices import counted_devices
from gpusizer.rendering.launch import launch_command
from gpusizer.rendering.need import need_line
from gpusizer.rendering.notices import notice_words
from gpusizer.rendering.plan import plan_sentence
from gpusizer.rendering.plan_options import cost_words, evidence_of
from gpusizer.rendering.prefill_workers import launch_of
from gpusizer.rendering.report.build import command_again

__all__ = ["mail_words"]

MILLISECONDS = 1000  # in a second


def mail_words(plan: Plan, language: str) -> str:
    """Subject, answer, servers and power, price, speed, what it holds and rests on, how it is started, how this is repeated.

    Parameters
    ----------
    plan : Plan
        The answer.
    language : str
        "en" or "zh".

    Returns
    -------
    str
        Eight lines, without Markdown.
    """

    best = plan.best
    hardware = _say("none", language) if best is None else counted_devices(best.gpus, best.accelerator, language)
    subject = _say("subject", language, model=plan.model.name, hardware=hardware)
    again = _say("again", language, version=version("gpusizer")) + " ".join(command_again(plan, language))
    middle = _unanswered(plan, language) if best is None else _answered(plan, best, language)
    return "\n".join(map(one_line, (subject, plan_sentence(plan, language), *middle, again))) + "\n"


def _say(code: str, language: str, **parameters: object) -> str:
    return text("report", f"mail-{code}", language, **parameters)


def _answered(plan: Plan, best: Option, language: str) -> list[str]:
    """Servers and power, price, speed, what it holds, how it is started."""
    evidence = text("ui", f"evidence-{evidence_of(best)}", language)
    held = _say("held", language, held=best.held_requests, low=best.held_requests_low, evidence=evidence)
    command = launch_command(launch_of(best))
    first = [str(each["command"]) for each in companions_data(best.companions) if each["command"]]
    started = [*first, command.line or " ".join(notice_words(each, "warning", language) for each in command.notices)]
    return [
        _hardware(best, language),
        _price(best, language),
        _speed(best, language),
        held + need_line(plan.need, language),
        _say("launch", language) + text("ui", "semicolon", language).join(started),
    ]


def _unanswered(plan: Plan, language: str) -> list[str]:
    """The same where nothing will do."""
    return [
        _say("no-hardware", language),
        _say("no-price", language),
        _say("no-speed", language),
        need_line(plan.need, language),
        _say("no-launch", language),
    ]


def _hardware(best: Option, language: str) -> str:
    """Servers, power of the GPUs, and what whole servers take at most."""
    gpus, housed = gpus_power_of(best), next(iter(housed_in(best)), None)
    whole = None if housed is None else housed.maximum_w
    servers = text("ui", "servers-one" if best.nodes == 1 else "servers-many", language, nodes=best.nodes)
    powers = [
        text("report", "power-gpus-unknown", language) if gpus is None else text("report", "power-gpus", language, kw=f"{gpus / KW:,.1f}"),
        text("report", "power-servers-unknown", language) if whole is None else text("report", "power-servers", language, kw=f"{whole / KW:,.1f}"),
    ]
    return _say("hardware", language, servers=servers, power=text("ui", "comma", language).join(powers))


def _price(best: Option, language: str) -> str:
    if best.is_there:
        return text("ui", "plan-owned", language)
    costs = {"purchase": best.purchase, "rent": best.cost}
    known = {name: text("report", "not-known", language) if cost is None else cost_words(cost, language) for name, cost in costs.items()}
    return _say("price", language, **known) if any(costs.values()) else _say("no-price", language)


def _speed(best: Option, language: str) -> str:
    speed = best.performance
    if speed is None:
        return _say("no-speed", language)
    ends: dict[str, str] = {}
    for name, figure, times, form in (("ttft", speed.ttft_s, 1, ".2f"), ("tpot", speed.tpot_s, MILLISECONDS, ".1f")):
        found = {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
        ends |= {end: format(times * value, form) for end, value in found.items()}
    return _say("speed", language, **ends, rate=f"{speed.output_tokens_per_s.value:,.0f}")
