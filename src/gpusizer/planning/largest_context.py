"""The longest context of a start, for one request and for several: each length is judged by the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration, get_engine
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.search import largest
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.planning.starts import held_range, settled_fit
from gpusizer.planning.verdict import Verdict, make_fit

__all__ = ["LongestContext", "Row", "longest_context"]

STEP_TOKENS = 256
UNKNOWN_LONGEST = 1 << 20  # tokens that are tried at most where a model declares no length
MOST_REQUESTS = 256
SHORTEST_TOKENS = 1024  # for several requests: what is shorter serves nobody


@dataclass(frozen=True)
class Row:
    """The longest context of so many requests.

    Parameters
    ----------
    requests : int
        At the same moment, each as long. [requests]
    context_tokens, likely_tokens : int
        On the safe side of the estimate, and by its middle; 0 where not even the shortest starts. [tokens]
    whole : bool
        It is all that the model takes: memory does not decide.
    launch : Deployment
        The start with that context.
    fit : Fit or None
        Its verdict; None where nothing starts.
    """

    requests: int
    context_tokens: int
    likely_tokens: int
    whole: bool
    launch: Deployment
    fit: Fit | None


@dataclass(frozen=True)
class LongestContext:
    """The answer.

    Parameters
    ----------
    verdict : Verdict
        Of the start as it was asked for.
    longest_tokens : int or None
        What the model declares. [tokens]
    rows : tuple of Row
        One request first, then twice as many each, while a context of some use is left.
    reason : Notice or None
        Why not even the shortest context starts.
    """

    verdict: Verdict
    longest_tokens: int | None
    rows: tuple[Row, ...]
    reason: Notice | None = None


def longest_context(deployment: Deployment, notices: Sequence[Notice] = ()) -> LongestContext:
    """The longest context for one request, two, four and so on.

    Parameters
    ----------
    deployment : Deployment
        A start; its own context and number of requests are left aside.
    notices : sequence of Notice
        What must be said beside.

    Returns
    -------
    LongestContext
        Lengths on the safe side of the estimate.

    Examples
    --------
    >>> answer = longest_context(Deployment(model="qwen3-32b", gpu="h100-sxm-80gb"))
    >>> answer.rows[0].requests, 16384 < answer.rows[0].context_tokens <= 40960
    (1, True)
    """
    verdict = make_fit(deployment.changed(max_model_len=None, max_num_seqs=None), notices)
    engine, declared = get_engine(deployment.engine), verdict.architecture.max_position_embeddings
    rows = tuple(_rows(verdict, engine, (declared or UNKNOWN_LONGEST)))
    reason = None if rows else _tried(verdict, engine, STEP_TOKENS, 1, safe=False)[1].reason or Notice("does-not-fit")
    return LongestContext(verdict, declared, rows if reason is None else (), reason)


def _rows(verdict: Verdict, engine: Engine, most_tokens: int) -> Iterator[Row]:
    requests, least = 1, 0
    while requests <= MOST_REQUESTS:
        row = _row(verdict, engine, most_tokens, requests)
        if row.likely_tokens <= least:
            return
        yield row
        most_tokens, requests, least = row.likely_tokens, 2 * requests, SHORTEST_TOKENS


def _row(verdict: Verdict, engine: Engine, most_tokens: int, requests: int) -> Row:
    def longest(most: int, *, safe: bool) -> int:
        def room(steps: int) -> float:
            _, fit = _tried(verdict, engine, min(steps * STEP_TOKENS, most), requests, safe=safe)
            held, spare = held_range(fit)[safe], (fit.low_concurrency if safe else fit.max_concurrency) - requests
            return spare if fit.fits and held >= requests else min(spare, -1.0)

        return min(largest(room, -(-most // STEP_TOKENS)) * STEP_TOKENS, most) if most else 0

    likely = longest(most_tokens, safe=False)
    tokens = longest(likely, safe=True)
    launch, fit = _tried(verdict, engine, max(tokens or likely, STEP_TOKENS), requests, safe=bool(tokens))
    declared = verdict.architecture.max_position_embeddings
    return Row(requests, tokens, likely, tokens == declared, launch, fit if likely else None)


def _tried(verdict: Verdict, engine: Engine, context_tokens: int, requests: int, *, safe: bool) -> tuple[Deployment, Fit]:
    asked = verdict.launch.changed(max_model_len=context_tokens)
    if safe or not declaration(engine.id).takes_gguf:
        asked = engine.for_requests(asked, verdict.architecture, verdict.accelerator, requests)
    else:  # each sequence has cells of its own, and as many as fit on the safe side are not asked for
        asked = asked.changed(max_num_seqs=requests)
    launch, fit = settled_fit(asked, engine, verdict.architecture, verdict.accelerator)
    if not fit.fits and asked.max_num_seqs is None:  # the batch that an engine prepares for by itself takes room, too
        return settled_fit(asked.changed(max_num_seqs=requests), engine, verdict.architecture, verdict.accelerator)
    return launch, fit
