"""One start as somebody asks for it: a model and flags, or a launch command pasted whole, on accelerators that are named one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpusizer.engines import declaration
from gpusizer.engines.base.flags import Launch
from gpusizer.engines.base.pasted import engine_of
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import FlagError
from gpusizer.facts.catalog import accelerator
from gpusizer.facts.own_card import given_card
from gpusizer.planning.fields import checked_size
from gpusizer.planning.pasted import launch_of_command
from gpusizer.planning.request import Request
from gpusizer.planning.words import start_from_flags

__all__ = ["asked_start"]


def asked_start(model: str | None, gpus: Sequence[str], *, command: Sequence[str] = (), named: Mapping[str, str], flags: Mapping[str, Any]) -> Launch:
    """The start that was asked for, with or without a launch command.

    Parameters
    ----------
    model : str or None
        A model in any words; None where the command names it.
    gpus : sequence of str
        Accelerators, one for each card, or the one kind of all cards.
    command : sequence of str
        A launch command as a shell parts it, or whole as one word; empty without one.
    named : mapping of str to str
        What is no flag of an engine, where it was said: ``engine``, ``engine_version``, ``precision``, ``checkpoint_bytes``,
        ``kv_precision``, ``hub``.
    flags : mapping
        Flags of the engine by any spelling; they come before those of the command.

    Returns
    -------
    Launch
        The deployment, and what must be said of its flags.

    Raises
    ------
    FlagError
        No accelerator, no model, accelerators that the engine cannot mix, or a flag that is not the engine's.

    Examples
    --------
    >>> asked_start(None, ["h200"], command=["vllm serve Qwen/Qwen3-8B -tp 2"], named={}, flags={}).deployment.tp
    2
    """
    if model is not None:
        Request(model=model)  # the same bounds as everywhere
    cards = tuple(map(given_card, gpus))
    if not cards:
        raise FlagError("command-without-gpu") if command else FlagError("missing-argument", name="--gpu")
    said: dict[str, Any] = dict(named)
    if "checkpoint_bytes" in said:
        said["checkpoint_bytes"] = checked_size(said["checkpoint_bytes"])
    if command:
        engine = said.pop("engine", None)
        several = _several(cards, engine or engine_of(command))
        return launch_of_command(command, gpu=cards[0], model=model, engine=engine, given=said, flags={**several, **flags})
    if model is None:
        raise FlagError("missing-argument", name="MODEL")
    several, hub = _several(cards, said.get("engine", "vllm")), said.pop("hub", None)
    return start_from_flags(replace(Deployment(model=model, gpu=cards[0]), **said), {**several, **flags}, hub=hub)


def _several(gpus: tuple[str, ...], engine: str) -> dict[str, Any]:
    """Accelerators that were named one by one: so many of a kind, or unequal ones where the engine shares layers over them."""
    ids = [accelerator(gpu).id for gpu in gpus]
    if len(ids) == 1:
        return {}
    if len(set(ids)) == 1:
        return {"--gpus": len(ids)}
    if not declaration(engine).layout_by_devices:
        raise FlagError("unequal-gpus", engine=declaration(engine).id, found=ids)
    return {"--devices": ",".join(ids)}
