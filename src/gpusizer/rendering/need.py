"""What was asked for, in words: the load, where each part of it comes from, and what else follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.i18n import LANGUAGES, has, printable, text
from gpusizer.planning.need import Need
from gpusizer.planning.types import Option, Plan
from gpusizer.rendering.document import Block, Paragraph
from gpusizer.rendering.notices import notice_data, notice_words
from gpusizer.units import format_share

__all__ = ["load_words", "near_miss_blocks", "need_data", "need_line", "need_lines", "performance_words"]


def need_line(need: Need, language: str) -> str:
    """The load as a calculation, and which of its parts were given.

    Parameters
    ----------
    need : Need
        The load with every part filled in.
    language : str
        "en" or "zh".

    Examples
    --------
    >>> from gpusizer.planning.need import need_of
    >>> from gpusizer.planning.request import Request
    >>> print(need_line(need_of(Request(model="m", concurrency=8, input_tokens=900, output_tokens=100)), "en"))
    Need: 8 concurrent, 900 tokens in and 100 out each. All of it as given.
    """
    sizes = {"input": need.input_tokens, "output": need.output_tokens, "context": need.context_tokens}
    together = need.input_tokens + need.output_tokens
    tokens = text("need", "tokens" if together == need.context_tokens else "tokens-longest", language, **sizes)
    return text("need", "need-line", language, load=load_words(need, language), tokens=tokens, origin=_origin(need, language))


def load_words(need: Need, language: str) -> str:
    """How many requests are in flight, as the product that it is."""
    if need.request_rate is not None:
        code = "load-rate-open" if need.request_s is None else "load-rate"
        seconds = "" if need.request_s is None else f"{need.request_s:.3g}"
        return text("need", code, language, rate=need.request_rate, seconds=seconds, concurrency=need.concurrency)
    if need.users is None or need.active_share is None:
        return text("need", "load-concurrency", language, concurrency=need.concurrency)
    exact = abs(need.users * need.active_share - need.concurrency) < 1e-6
    share = {"users": need.users, "share": format_share(need.active_share), "concurrency": need.concurrency}
    return text("need", "load-users" if exact else "load-users-rounded", language, **share)


def _parts(need: Need) -> tuple[str, ...]:
    """What the load is made of, by name."""
    if need.request_rate is not None:
        load: tuple[str, ...] = ("request_rate",)
    else:
        load = ("concurrency",) if need.users is None else ("users", "active_share")
    return (*load, *(("context_tokens", "split") if need.split is not None else ("input_tokens", "output_tokens")))


def _is_given(need: Need, part: str) -> bool:
    """Whether a part was given, or follows from two that were."""
    lengths = {"input_tokens", "output_tokens"}
    return part in need.said or (part in lengths and "context_tokens" in need.said and bool(lengths & need.said))


def _origin(need: Need, language: str) -> str:
    parts = _parts(need)
    given = [part for part in parts if _is_given(need, part)]
    rest = [part for part in parts if part not in given]
    if not rest or need.scenario is None:
        return text("need", "all-given", language)
    name = text("scenario", need.scenario, language) if has("scenario", need.scenario, language) else need.scenario
    where = {"scenario": need.scenario, "name": name}
    if not given:
        return text("need", "all-scenario", language, **where)
    named = {"given": _named(given, need, language), "rest": _named(rest, need, language)}
    return text("need", "part-scenario", language, **where, **named)


def _named(parts: Iterable[str], need: Need, language: str) -> str:
    share = need.input_tokens / need.context_tokens
    return printable([text("need", f"part-{part}", language, share=share) for part in parts], language)


def _rounded(plan: Plan) -> tuple[Notice, ...]:
    """The length that the launch line allows, where it is not that of the need."""
    allowed, needed = None if plan.best is None else plan.best.launch.max_model_len, plan.need.context_tokens
    if allowed is None or allowed == needed:
        return ()
    return (Notice("length-rounded", {"max_model_len": allowed, "context_tokens": needed}),)


def need_lines(plan: Plan, language: str) -> list[str]:
    """The need, and what was made of it."""
    notes = [text("need", "note-line", language, sentence=notice_words(each, "need", language)) for each in _rounded(plan)]
    return [need_line(plan.need, language) + "".join(notes)]


def near_miss_blocks(plan: Plan, language: str) -> list[Block]:
    """Fewer GPUs that hold most of it."""
    return [Paragraph(text("need", "near-miss-line", language, sentence=notice_words(each, "need", language))) for each in plan.near_misses]


def need_data(plan: Plan) -> dict[str, Any]:
    """The need as JSON: each part with where it comes from, the sentence, and what was made of it."""
    need = plan.need
    origin = {part: "given" if _is_given(need, part) else "scenario" for part in _parts(need)}
    return {
        "concurrency": need.concurrency,
        "users": need.users,
        "active_share": need.active_share,
        "request_rate": need.request_rate,
        "request_s": need.request_s,
        "input_tokens": need.input_tokens,
        "output_tokens": need.output_tokens,
        "context_tokens": need.context_tokens,
        "scenario": need.scenario,
        "origin": origin,
        "sentence": {language: need_line(need, language) for language in LANGUAGES},
        "notices": [notice_data(each, "need") for each in (*(() if need.split is None else (need.split,)), *_rounded(plan))],
    }


def performance_words(option: Option, need: Need, language: str) -> str:
    """Speed as the end of a sentence: what one request sees, and all of them together."""
    speed = option.performance
    if speed is None:
        return text("need", "sentence-no-speed", language)
    together, ttft = speed.output_tokens_per_s.value, speed.ttft_s.value
    words = {"ttft": f"{ttft:.1f}" if ttft >= 0.095 else f"{ttft:.2g}", "all": f"{together:,.0f}"}
    if need.concurrency == 1:
        return text("need", "sentence-speed-one", language, **words)
    each = together / need.concurrency
    return text("need", "sentence-speed", language, **words, each=f"{each:,.0f}" if each >= 10 else f"{each:.1f}")
