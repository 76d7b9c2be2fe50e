"""The longest request that a launch line allows: the need rounded up to a length that people write, where that costs nothing."""

from __future__ import annotations

from typing import NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.engines.base.engine import Engine
from gpusizer.engines.base.pooled import PooledEngine
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.types import Accelerator
from gpusizer.planning.starts import known_fit

__all__ = ["Rounded", "rounded_start", "rounded_tokens"]

STEPS = ((8192, 512), (32768, 1024))  # up to so many tokens, steps of so many [tokens]
LARGEST_STEP = 4096  # beyond [tokens]


class Rounded(NamedTuple):
    """A start with a rounded length, and the share of the cache that is left of the exact one's."""

    launch: Deployment
    fit: Fit
    share: float


def rounded_tokens(context_tokens: int, longest: int | None) -> int:
    """The length of a launch line for requests of so many tokens.

    Parameters
    ----------
    context_tokens : int
        What a request needs. [tokens]
    longest : int or None
        What the model was made for. [tokens]

    Returns
    -------
    int
        A multiple of 512, from 8k of 1,024, from 32k of 4,096; at most the model's own length, and never less than the need. [tokens]

    Examples
    --------
    >>> [rounded_tokens(each, 131072) for each in (2100, 5120, 9000, 33000, 130000)]
    [2560, 5120, 9216, 36864, 131072]
    >>> rounded_tokens(9000, 8192)
    9000
    """
    step = next((size for most, size in STEPS if context_tokens <= most), LARGEST_STEP)
    rounded = -(-context_tokens // step) * step
    return max(min(rounded, longest or rounded), context_tokens)


def rounded_start(engine: Engine, architecture: Architecture, accelerator: Accelerator, launch: Deployment, fit: Fit) -> Rounded | None:
    """The same start with its length rounded up; None where the length is round, where the engine reserves it, or where it would not start.

    Parameters
    ----------
    engine : Engine
        Who serves: one that sets a pool aside, in which a request takes only what it needs.
    architecture : Architecture
        The model.
    accelerator : Accelerator
        The device.
    launch, fit : Deployment, Fit
        A start with the exact length, and its verdict.

    Returns
    -------
    Rounded or None
        Its launch and verdict.
    """
    exact = launch.max_model_len
    if exact is None or not isinstance(engine, PooledEngine):
        return None
    wish = rounded_tokens(exact, architecture.max_position_embeddings)
    if wish == exact:
        return None
    longer = launch.changed(max_model_len=wish)
    found = known_fit(engine, longer, architecture, accelerator)
    if not found.fits or found.low_concurrency < found.deployment.dp or found.free_bytes < min(fit.free_bytes, 0):
        return None
    return Rounded(longer, found, min(found.kv_cache.blocks / max(fit.kv_cache.blocks, 1), 1.0))
