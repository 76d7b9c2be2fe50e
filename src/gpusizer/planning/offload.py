"""A start with what its GPUs do not hold in the memory of the host, by flags that are found with the same arithmetic that judges them."""

from __future__ import annotations

from dataclasses import replace

from gpusizer.architecture.model import Architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.types import Deployment
from gpusizer.facts.types import Accelerator

__all__ = ["AUTO", "offloaded"]

AUTO = "auto"
"""What :attr:`Deployment.offload` says where the flags are to be found."""


def offloaded(launch: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment | None:
    """The start with as little on the host as will do on the safe side.

    llama.cpp keeps everything on the GPUs, else puts the routed experts of as few layers as will do on the host, else all experts and as few layers
    as will do. Ollama does so by itself.

    Parameters
    ----------
    launch : Deployment
        The start as it was asked for; ``host_memory_bytes`` bounds what the host may hold.
    architecture : Architecture
        The model in the precision of the start.
    accelerator : Accelerator
        The device.

    Returns
    -------
    Deployment or None
        A start that fits; None where no flags are known that make it one, or where the operator placed weights and they do not fit so.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> from gpusizer.architecture.precision.requantise import with_precision
    >>> from gpusizer.facts.catalog import accelerator
    >>> model, card = with_precision(load_architecture("gpt-oss-120b"), "checkpoint"), accelerator("rtx4090-24gb")
    >>> launch = Deployment("gpt-oss-120b", card.id, engine="llama.cpp", max_model_len=32768, host_memory_bytes=128 * 10**9)
    >>> sorted(offloaded(launch, model, card).flags)
    ['n_cpu_moe']
    """
    engine = get_engine(launch.engine)
    bare = replace(launch, offload="none")
    chosen = engine.offloaded(bare, architecture, accelerator)
    if chosen is None or not engine.judge(chosen, architecture, accelerator).fits:
        return None
    return chosen
