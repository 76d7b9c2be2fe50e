"""A pasted launch command as a deployment: the model that it names, the precision that the name says, the flags that it gives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import precision_ids
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.flags import Launch, launch_from_flags
from gpusizer.engines.base.pasted import Pasted, read_command
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import FlagError, UnknownIdError
from gpusizer.facts.catalog import model_entry, resolve_model

__all__ = ["launch_of_command", "model_named"]

_LIBRARY_RECIPE = "q4_k_m"  # of Ollama's library and of llama.cpp's -hf where no tag names another


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
        ``engine_version``, ``precision``, ``kv_precision`` where somebody said them.
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
    ('qwen3-8b', 'int4', 2, 8192)
    """
    pasted = read_command(words, None if engine is None else declaration(engine).id)
    named = model or pasted.model
    if named is None:
        raise FlagError("command-without-model")
    said = dict(given or {})
    found, precision = (named, "checkpoint") if model is not None else model_named(named, library=_from_library(pasted))
    bare = Deployment(
        model=found,
        gpu=gpu,
        engine=pasted.engine,
        engine_version=said.get("engine_version", pasted.engine_version),
        precision=said.get("precision", precision),
        kv_precision=said.get("kv_precision", "auto"),
    )
    launch = launch_from_flags(bare, {**pasted.flags, **(flags or {})})
    return replace(launch, notices=(*launch.notices, *map(_unknown, pasted.unknown)))


def model_named(words: str, *, library: bool = False) -> tuple[str, str]:
    """The model that a command names, and the precision that its name says.

    Parameters
    ----------
    words : str
        A repository, a path, a file or a tag.
    library : bool
        A tag of a library of GGUF files, which names a recipe or leaves the usual one.

    Returns
    -------
    (str, str)
        A path as it is, or an id of the catalogue; "checkpoint" where the name says no precision.

    Examples
    --------
    >>> model_named("Qwen/Qwen3-8B"), model_named("/models/Qwen3-8B-Q4_K_M.gguf"), model_named("llama3.1:8b", library=True)
    (('Qwen/Qwen3-8B', 'checkpoint'), ('qwen3-8b', 'q4_k_m'), ('llama3.1:8b', 'q4_k_m'))
    """
    if _is_path(words):
        return words, "checkpoint"
    made = _made_by_hand(words)
    if made is not None:
        return made
    try:
        model_entry(words)
        found, precision = words, None
    except UnknownIdError as unknown:
        found, precision = _resolved(words, unknown)
    if precision is None and library and load_architecture(found).quantization.method is None:
        precision = _LIBRARY_RECIPE
    return found, precision or "checkpoint"


def _resolved(words: str, unknown: UnknownIdError) -> tuple[str, str | None]:
    """The entry of a name with remarks about its precision; a tag ("llama3.1:8b") as its words apart."""
    spaced = re.sub(r"(?<=[a-z]{4})(?=\d)", "-", words) if ":" in words else words
    for name in dict.fromkeys((words, spaced)):
        try:
            entry, precision = resolve_model(name)
        except UnknownIdError:
            continue
        return entry.id, precision
    raise unknown


def _made_by_hand(words: str) -> tuple[str, str] | None:
    """A file or folder that is named after a model and the precision that somebody made of it: "./Qwen3-32B-int4", "Qwen3-8B-Q4_K_M.gguf"."""
    file = words.lower().endswith(".gguf")
    if not (file or words.startswith("./")):
        return None
    stem = words.replace("\\", "/").rpartition("/")[2]
    stem = stem[: -len(".gguf")] if file else stem
    head, _, tail = stem.rpartition("-")
    whole = [(stem, "checkpoint")] if file else []  # a file of a copy that is published in this precision
    for name, precision in (*whole, (head, tail.lower())):
        try:
            if precision in precision_ids():
                return model_entry(name).id, precision
        except UnknownIdError:
            continue
    return None


def _is_path(words: str) -> bool:
    try:
        return Path(words).exists()
    except (OSError, ValueError):
        return False


def _from_library(pasted: Pasted) -> bool:
    """Whether the name is a tag of a library of GGUF files, not a file."""
    return declaration(pasted.engine).takes_gguf and not (pasted.model or "").lower().endswith(".gguf")


def _unknown(flag: tuple[str, list[str]]) -> Notice:
    spelling, nearest = flag
    return Notice("flag-unknown", {"flag": spelling, "nearest": nearest}) if nearest else Notice("flag-unknown-alone", {"flag": spelling})
