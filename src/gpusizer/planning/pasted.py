"""A pasted launch command as a deployment: the model that it names in the words of :mod:`gpusizer.planning.words`, and the flags that it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.flags import Launch, launch_from_flags
from gpusizer.engines.base.pasted import read_command
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import FlagError
from gpusizer.planning.fields import checked_size
from gpusizer.planning.words import named

__all__ = ["launch_of_command"]


def launch_of_command(
    words: Sequence[str],
    *,
    gpu: str,
    model: str | None = None,
    engine: str | None = None,
    given: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Launch:
    """The deployment that a launch command starts.

    Parameters
    ----------
    words : sequence of str
        The command as a shell parts it, or whole as one word.
    gpu : str
        The accelerator.
    model : str or None
        Instead of the one that the command names.
    engine : str or None
        Id or alias; where the command starts with flags and names no engine.
    given : mapping or None
        ``engine_version``, ``precision``, ``checkpoint_bytes``, ``kv_precision``, and the ``hub`` to look a model up, where somebody said them.
    flags : mapping or None
        Flags beside the command; they decide.

    Returns
    -------
    Launch
        The deployment, and what must be said of its flags.

    Examples
    --------
    >>> launch = launch_of_command(["vllm serve someone/Qwen3-8B-W4A16 -tp 2 --max-model-len 8192"], gpu="rtx4090-24gb")
    >>> launch.deployment.model, launch.deployment.precision, launch.deployment.tp, launch.deployment.max_model_len
    ('someone/Qwen3-8B-W4A16', 'checkpoint', 2, 8192)
    """
    pasted = read_command(words, None if engine is None else declaration(engine).id)
    asked = model or pasted.model
    if asked is None:
        raise FlagError("command-without-model")
    said = dict(given or {})
    if (hub := said.get("hub")) is not None:
        from gpusizer.hub import look_up  # here: most commands touch no network

        asked = look_up(asked, hub)
    size = checked_size(said.get("checkpoint_bytes"))
    found = named(asked, said.get("precision", "checkpoint"), pasted.engine, elsewhere=model is None, checkpoint_bytes=size)
    bare = Deployment(
        model=found.model,
        gpu=gpu,
        engine=pasted.engine,
        engine_version=said.get("engine_version", pasted.engine_version),
        precision=found.precision,
        checkpoint_bytes=size,
        kv_precision=said.get("kv_precision", "auto"),
    )
    launch = launch_from_flags(bare, {**pasted.flags, **(flags or {})})
    return replace(launch, notices=(*found.notices, *launch.notices, *map(_unknown, pasted.unknown)))


def _unknown(flag: tuple[str, list[str]]) -> Notice:
    spelling, nearest = flag
    return Notice("flag-unknown", {"flag": spelling, "nearest": nearest}) if nearest else Notice("flag-unknown-alone", {"flag": spelling})
