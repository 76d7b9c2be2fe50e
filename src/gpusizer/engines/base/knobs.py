"""What an operator turns before buying more GPUs: each engine says which settings it has and how far its own documents go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from gpusizer.architecture.types import Notice

if TYPE_CHECKING:
    from gpusizer.engines.base.types import Deployment

__all__ = ["Knobs", "Rung", "rungs"]

_ROUND = 8  # requests at once are said in steps of so many


@dataclass(frozen=True, slots=True)
class Knobs:
    """The settings of one engine that leave more of a GPU to the cache, in the order of what they cost the user.

    Parameters
    ----------
    sequences : bool
        It takes a limit of requests at once, below which graphs and buffers are smaller.
    of_all_ranks : bool
        That limit counts the requests of all attention-data-parallel ranks.
    step_tokens : tuple of int
        Smaller steps, which cost speed on prompts. [tokens]
    safe_fraction : float or None
        Share of the card that its documents call safe.
    most_fraction : float or None
        Share that people run where nothing else shares the card; it leaves no room for what nobody foresaw.
    cache_format : str
        A smaller cache format; empty where it has none.
    graphs : bool
        It can go without captured graphs, which costs speed on answers.
    sources : tuple of str
        Where the shares stand.
    """

    sequences: bool = True
    of_all_ranks: bool = False
    step_tokens: tuple[int, ...] = ()
    safe_fraction: float | None = None
    most_fraction: float | None = None
    cache_format: str = ""
    graphs: bool = False
    sources: tuple[str, ...] = ()


class Rung(NamedTuple):
    """One setting more: its words, the fields of the start that it changes, and what it costs.

    Parameters
    ----------
    notice : Notice
        Words under "knob", from and to.
    changes : dict
        Fields of a deployment.
    slows : bool
        It costs speed: for one replica that holds the load, not to shave replicas off many.
    risky : bool
        Nothing is left for what nobody foresaw: a start that needs it is tight.
    """

    notice: Notice
    changes: dict[str, Any]
    slows: bool = False
    risky: bool = False


def rungs(knobs: Knobs, complete: Deployment, requests: int, *, smaller_cache: bool) -> Iterator[Rung]:
    """Settings from the cheapest to the dearest; each is meant on top of those before it.

    Parameters
    ----------
    knobs : Knobs
        What the engine has.
    complete : Deployment
        The start with every default filled in.
    requests : int
        Requests that one replica must serve at once. [requests]
    smaller_cache : bool
        Model, device and user allow the smaller cache format.

    Yields
    ------
    Rung
        Only those that change something.

    Examples
    --------
    >>> from gpusizer.engines.base.types import Deployment
    >>> start = Deployment("m", "g", max_num_seqs=256, max_num_batched_tokens=8192, memory_fraction=0.92)
    >>> [rung.changes for rung in rungs(Knobs(step_tokens=(1024,), safe_fraction=0.95), start, 3, smaller_cache=False)]
    [{'max_num_seqs': 8}, {'max_num_batched_tokens': 1024}, {'memory_fraction': 0.95}]
    """
    ranks = 1 if knobs.of_all_ranks else complete.dp
    sequences = -(-max(requests, 1) // (_ROUND * ranks)) * _ROUND
    if knobs.sequences and sequences < (complete.max_num_seqs or 0):
        yield Rung(Notice("sequences", {"before": complete.max_num_seqs, "after": sequences}), {"max_num_seqs": sequences})
    steps = complete.max_num_batched_tokens or 0
    for tokens in knobs.step_tokens:
        if sequences <= tokens < steps:
            yield Rung(Notice("step-tokens", {"before": steps, "after": tokens}), {"max_num_batched_tokens": tokens}, slows=True)
    share = complete.memory_fraction
    if share is not None and knobs.safe_fraction is not None and share < knobs.safe_fraction:
        yield Rung(Notice("memory-share", {"before": share, "after": knobs.safe_fraction}), {"memory_fraction": knobs.safe_fraction})
    if smaller_cache:
        before = {"before": complete.kv_precision, "after": knobs.cache_format}
        yield Rung(Notice("smaller-cache", before), {"kv_precision": knobs.cache_format})
    if knobs.graphs and not complete.enforce_eager:
        yield Rung(Notice("no-graphs"), {"enforce_eager": True}, slows=True)
    if share is not None and knobs.most_fraction is not None and share < knobs.most_fraction:
        most = {"before": share, "after": knobs.most_fraction}
        yield Rung(Notice("memory-share-risky", most), {"memory_fraction": knobs.most_fraction}, risky=True)
