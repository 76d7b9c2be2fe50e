"""The drafts of an option: what is drafted, how much of it is taken to be accepted, and what that does to the time per token."""

from __future__ import annotations

from typing import Any

from gpusizer.engines.base.types import Evidence
from gpusizer.i18n import text
from gpusizer.performance.acceptance import Acceptance, assumed_acceptance
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.document import Block, Paragraph
from gpusizer.units import format_share

__all__ = ["speculative_blocks", "speculative_data"]


def _acceptance(plan: Plan, drafts: int) -> Acceptance:
    given = plan.request.acceptance
    return assumed_acceptance(drafts) if given is None else Acceptance(given, given, given)


def _token_s(option: Option, share: float) -> float | None:
    found = option.speeds.with_acceptance(share)
    return None if found is None else found.tpot_s.value


def speculative_data(plan: Plan, option: Option) -> dict[str, Any] | None:
    """Drafts for programs; None where no step drafts."""
    drafts, speed, without = option.drafts, option.performance, option.undrafted
    if drafts is None:
        return None
    accepted = _acceptance(plan, drafts.tokens)
    return {
        "method": drafts.method,
        "tokens": drafts.tokens,
        "draft": drafts.model or None,
        "acceptance": {"value": accepted.value, "low": accepted.low, "high": accepted.high},
        "tpot_s": None
        if speed is None
        else {"value": speed.tpot_s.value, "low": _token_s(option, accepted.high), "high": _token_s(option, accepted.low)},
        "asked": plan.request.speculative != "auto",
        "without": None if without is None else {"gpus": without.gpus, "tpot_s": without.tpot_s},
        "evidence": Evidence.ASSUMED,
    }


def speculative_blocks(plan: Plan, option: Option, language: str) -> list[Block]:
    """The same for people: one paragraph, or nothing."""
    found = speculative_data(plan, option)
    if found is None or found["tpot_s"] is None:
        return []
    accepted, tpot = found["acceptance"], found["tpot_s"]
    words = {name: format_share(round(value, 2)) for name, value in accepted.items()}
    words |= {"tokens": found["tokens"], "method": found["draft"] or found["method"]}
    words |= {"fast": f"{1000 * tpot['low']:.1f}", "slow": f"{1000 * tpot['high']:.1f}"}
    sentences = [text("ui", "drafts-given" if plan.request.acceptance is not None else "drafts-assumed", language, **words)]
    if not found["asked"]:
        without = found["without"]
        code = "drafts-only" if without is None else "drafts-fewer" if without["gpus"] > option.gpus else "drafts-quicker"
        figures = {} if without is None else {"gpus": without["gpus"], "tpot": f"{1000 * without['tpot_s']:.1f}"}
        sentences.append(text("ui", code, language, **figures))
    return [Paragraph((" " if language == "en" else "").join(sentences))]
