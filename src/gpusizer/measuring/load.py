"""A load against a server of the user's own: so many requests in flight, each replaced when it ends, one level of concurrency after the other."""

from __future__ import annotations

import http.client
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import TypeVar

from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError
from gpusizer.measuring.address import Address, Refused
from gpusizer.measuring.fields import inner, spread_of, word
from gpusizer.measuring.prompts import Prompts
from gpusizer.measuring.run import MeasuredRun
from gpusizer.measuring.stream import Dialect, Seen, ask

__all__ = ["LEAST_REQUESTS", "MOST_CONCURRENCY", "ROUNDS", "LoadAsked", "Server", "measure", "reach"]

MOST_CONCURRENCY = 512  # more would measure this program
LEAST_REQUESTS, ROUNDS = 8, 4  # of a level where nobody says how many: at least, and for each that is in flight
TRIALS = 3  # after which the length of prompts is as near as it comes
CLOSE = 0.02
LEAST_FULL = 0.2  # of a run in which all places are taken, from which on that part alone is counted
WARM_TOKENS = 16  # of an answer that only warms up
WATCH_S = 0.05
_RICHNESS = ((True, True), (False, True), (False, False))  # answers of a given length; tokens counted by the server
_DIALECTS = tuple(Dialect(chat=chat, whole_answers=whole, counts=counts) for chat in (False, True) for whole, counts in _RICHNESS)
_GONE = (404, 405, 501)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class LoadAsked:
    """What is sent.

    Parameters
    ----------
    concurrency : tuple of int
        Levels, in their order. [requests]
    input_tokens, output_tokens : int
        Of each request. [tokens]
    requests : int or None
        Of a level. [requests]
    duration_s : float or None
        After which no request of a level is begun. [s]
    seed : int or None
        Of the prompts; None for other ones each time.
    """

    concurrency: tuple[int, ...]
    input_tokens: int
    output_tokens: int
    requests: int | None = None
    duration_s: float | None = None
    seed: int | None = None

    def count(self, concurrency: int) -> int:
        """Requests of a level."""
        return max(self.requests or max(LEAST_REQUESTS, ROUNDS * concurrency), concurrency)


@dataclass(frozen=True)
class Server:
    """A server that answered.

    Parameters
    ----------
    address : Address
        Where.
    model : str
        As it calls it.
    dialect : Dialect
        What it understands.
    prompts : Prompts
        Of about the wanted length.
    """

    address: Address
    model: str
    dialect: Dialect
    prompts: Prompts


def reach(address: Address, model: str | None, asked: LoadAsked) -> Server:
    """Find out which model answers, what the server understands, and how long prompts must be.

    Parameters
    ----------
    address : Address
        The server.
    model : str or None
        As the server calls it; the only one that it has where nobody says.
    asked : LoadAsked
        What will be sent.

    Returns
    -------
    Server
        Ready to be measured; the requests so far have warmed it up.

    Raises
    ------
    InputError
        Nobody answers there, it refuses, has several models, or answers without a token.
    """
    name, prompts = model or _only_model(address), Prompts(asked.input_tokens, asked.seed)
    dialect = _dialect(address, name, prompts)
    for _ in range(TRIALS):
        words = prompts.words
        seen = _answered(address, lambda: ask(address, dialect, name, prompts.next(), WARM_TOKENS))
        if seen is None:
            raise InputError("server-without-tokens", address=address.words, model=name)
        if seen.prompt_tokens is None or abs(seen.prompt_tokens - asked.input_tokens) <= CLOSE * asked.input_tokens:
            break
        prompts.learn(words, seen.prompt_tokens)
    return Server(address, name, dialect, prompts)


def _only_model(address: Address) -> str:
    listed = _answered(address, lambda: address.get("models"))
    data = inner({"": listed}, "").get("data")
    names = [name for each in (data if isinstance(data, list) else [])[:100] if (name := word(inner({"": each}, "").get("id")))]
    if len(names) != 1:
        raise InputError("server-models", address=address.words, models=names[:10], nearest=names[:10])
    return names[0]


def _dialect(address: Address, model: str, prompts: Prompts) -> Dialect:
    """The richest that the server does not refuse; prompts as they are rather than messages, since templates lengthen those."""
    refused: Refused | None = None
    for each in _DIALECTS:
        if refused is not None and refused.status in _GONE and not each.chat:
            continue
        try:
            _reached(address, partial(ask, address, each, model, prompts.next(), 1))
        except Refused as error:
            refused = error
            if error.status in (401, 403, 429):
                break
            continue
        return each
    assert refused is not None
    raise _refusal(address, refused)


def _answered(address: Address, call: Callable[[], Found]) -> Found:
    try:
        return _reached(address, call)
    except Refused as error:
        raise _refusal(address, error) from None


def _reached(address: Address, call: Callable[[], Found]) -> Found:
    try:
        return call()
    except (OSError, http.client.HTTPException) as error:
        raise InputError("server-unreachable", address=address.words, detail=_failure(error)) from error


def _failure(error: Exception) -> str:
    """Why a request failed, in a few words."""
    if isinstance(error, Refused):
        return f"{error.status} {error.words}".strip()
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _refusal(address: Address, error: Refused) -> InputError:
    return InputError("server-refused", address=address.words, status=error.status, detail=error.words)


def measure(server: Server, asked: LoadAsked, progress: Callable[[int, int, int], None] | None = None) -> Iterator[MeasuredRun]:
    """Measure one level of concurrency after the other.

    Parameters
    ----------
    server : Server
        Reached before.
    asked : LoadAsked
        What is sent.
    progress : callable, optional
        Is told the level, how many of its requests have ended, and of how many.

    Yields
    ------
    MeasuredRun
        One a level; of a level that is cut short what was seen of it, after which the interruption goes on.

    Raises
    ------
    InputError
        No request of a level was answered.
    """
    for concurrency in asked.concurrency:
        level = _Level(server, asked, concurrency)
        level.warm()
        try:
            level.run(progress)
        except KeyboardInterrupt:
            if level.seen:
                yield level.measured(cut=True)
            raise
        yield level.measured(cut=False)


@dataclass
class _Level:
    """One level: threads that each keep one request in flight."""

    server: Server
    asked: LoadAsked
    concurrency: int
    seen: list[Seen] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    left: int = 0
    began_s: float = 0.0
    full_until_s: float = 0.0
    ended_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def warm(self) -> None:
        """As many short requests as will be in flight, so that nothing is compiled or captured while it is measured."""
        self._in_threads(lambda: self._one(WARM_TOKENS))
        self.seen, self.failures = [], []

    def run(self, progress: Callable[[int, int, int], None] | None) -> None:
        """Send all requests."""
        whole = self.left = self.asked.count(self.concurrency)
        self.began_s = self.full_until_s = self.ended_s = time.perf_counter()
        until = math.inf if self.asked.duration_s is None else self.began_s + self.asked.duration_s
        self._in_threads(lambda: self._keep_on(until), None if progress is None else lambda: progress(self.concurrency, self._done, whole))

    @property
    def _done(self) -> int:
        return len(self.seen) + len(self.failures)

    def _keep_on(self, until: float) -> None:
        while time.perf_counter() < until:
            with self.lock:
                if not self.left:
                    return
                self.left, self.full_until_s = self.left - 1, time.perf_counter()
            self._one(self.asked.output_tokens)

    def _one(self, output_tokens: int) -> None:
        with self.lock:
            prompt = self.server.prompts.next()
        try:
            seen = ask(self.server.address, self.server.dialect, self.server.model, prompt, output_tokens)
        except (OSError, http.client.HTTPException, Refused) as error:
            seen, failure = None, _failure(error)
        else:
            failure = "0 tokens"
        with self.lock:
            self.ended_s = time.perf_counter()
            if seen is None:
                self.failures.append(failure)
            else:
                self.seen.append(seen)

    def _in_threads(self, work: Callable[[], None], shown: Callable[[], None] | None = None) -> None:
        """Threads of their own, which an interruption leaves behind: they end with the program."""
        threads = [threading.Thread(target=work, daemon=True) for _ in range(self.concurrency)]
        for each in threads:
            each.start()
        for each in threads:
            while each.is_alive():
                each.join(WATCH_S)
                if shown is not None:
                    shown()

    def measured(self, *, cut: bool) -> MeasuredRun:
        """What was seen."""
        with self.lock:
            self.left, seen, failures = 0, list(self.seen), list(self.failures)
        if not seen:
            raise InputError("level-unanswered", concurrency=self.concurrency, detail=failures[0] if failures else "-")
        return _summary(self, seen, _notices(self, seen, failures, cut=cut))


def _notices(level: _Level, seen: Sequence[Seen], failures: Sequence[str], *, cut: bool) -> tuple[Notice, ...]:
    asked, found = level.asked, []
    if cut:
        found.append(Notice("measuring-cut-short", {"concurrency": level.concurrency, "requests": len(seen)}))
    if failures:
        found.append(Notice("requests-failed", {"failed": len(failures), "requests": len(seen) + len(failures)}))
    if not all(each.counted for each in seen):
        found.append(Notice("tokens-by-packets", {}))
    if any(each.prompt_tokens is None for each in seen):
        found.append(Notice("prompt-tokens-assumed", {"input_tokens": asked.input_tokens}))
    written = fmean(each.output_tokens for each in seen)
    if abs(written - asked.output_tokens) > CLOSE * asked.output_tokens:
        found.append(Notice("answers-of-other-length", {"asked": asked.output_tokens, "found": written}))
    return tuple(found)


def _summary(level: _Level, seen: Sequence[Seen], notices: tuple[Notice, ...]) -> MeasuredRun:
    server = level.server
    between = [each.tpot_s for each in seen if each.tpot_s is not None]
    prompts = [each.prompt_tokens for each in seen if each.prompt_tokens is not None]
    run = MeasuredRun(
        tool="gpusizer measure",
        input_tokens=fmean(prompts) if prompts else float(level.asked.input_tokens),
        output_tokens=fmean(each.output_tokens for each in seen),
        concurrency=float(level.concurrency),
        requests=float(len(seen)),
        length_spread=spread_of([each.output_tokens for each in seen]),
        ttft_s=fmean(each.ttft_s for each in seen),
        tpot_s=fmean(between) if between else None,
        e2e_s=fmean(each.e2e_s for each in seen),
        output_tokens_per_s=_rate(level, seen),
        model=server.model,
        notices=notices,
    )
    points = {f"ttft_p{share}": _point([each.ttft_s for each in seen], share) for share in (50, 99)}
    points |= {f"tpot_p{share}": _point(between, share) for share in (50, 99) if between}
    return replace(run, percentiles_s=points)


def _rate(level: _Level, seen: Sequence[Seen]) -> float:
    """Tokens a second while all places were taken: until the last request was begun; of a single wave, over the whole run. [tokens/s]"""
    full_s, whole_s = level.full_until_s - level.began_s, max(level.ended_s - level.began_s, 1e-9)
    if full_s < LEAST_FULL * whole_s:
        return sum(each.output_tokens for each in seen) / whole_s
    return sum(each.tokens_until(level.full_until_s) for each in seen) / full_s


def _point(values: Sequence[float], share: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) * share // 100, len(ordered) - 1)]
