"""What somebody names: a model and a precision in their own words become an id (or a repository, or a path) and a precision that engines are asked.

One place for ``plan``, ``fit``, ``simulate``, Python and JSON. Nothing is taken for something else without a notice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpusizer.architecture.load import load_architecture, remembered
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.asked import LONGEST_WORDS, asked_precision, recipe_of_size
from gpusizer.architecture.precision.gguf_recipes import RECIPES
from gpusizer.architecture.precision.listed import FAMILIES
from gpusizer.architecture.precision.mlx_formats import is_mlx
from gpusizer.architecture.precision.requantise import precision_ids
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.flags import Launch, checked_launch, launch_from_flags
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError
from gpusizer.facts.model_words import QUANTISED, MeantModel, model_meant
from gpusizer.given_files import stands_here
from gpusizer.planning.fields import checked_size

__all__ = ["GGUF_DEFAULT", "MLX_DEFAULT", "Named", "checked_start", "named", "start_from_flags"]

GGUF_DEFAULT = "q4_k_m"
"""What engines that run GGUF files take where nobody names a precision: the usual tag of their libraries."""

MLX_DEFAULT = "mlx_4bit"
"""What is taken for MLX where a model of the catalogue is named and no precision: what ``mlx_lm.convert -q`` makes by itself."""

_OPEN = "checkpoint"
_RECIPE = re.compile(r"i?q\d|tq\d|gguf")


@dataclass(frozen=True, slots=True)
class Named:
    """What was meant.

    Parameters
    ----------
    model : str
        A path or an id as it was typed, the repository of a quantised copy, or the id of the catalogue.
    precision : str
        One that :func:`gpusizer.architecture.precision.requantise.with_precision` knows.
    notices : tuple of Notice
        What was taken for what.
    """

    model: str
    precision: str
    notices: tuple[Notice, ...] = ()


def named(model: str, precision: str, engine: str, *, elsewhere: bool = False, checkpoint_bytes: int | None = None) -> Named:
    """What a model and a precision in somebody's words mean to an engine.

    Parameters
    ----------
    model : str
        A name in any words that mean one model, or a path.
    precision : str
        A word; "checkpoint" where nothing was said.
    engine : str
        Id or alias.
    elsewhere : bool
        Of a command for another machine: the name of a file or folder that is not here tells the model.
    checkpoint_bytes : int or None
        Size of the files of a quantised copy. [bytes]

    Returns
    -------
    Named
        Model and precision as engines take them.

    Examples
    --------
    >>> found = named("unsloth/Qwen3-8B-GGUF", "checkpoint", "llama.cpp")
    >>> found.model, found.precision, [notice.code for notice in found.notices]
    ('qwen3-8b', 'q4_k_m', ['model-taken-in'])
    >>> named("Qwen/Qwen3-14B-AWQ", "checkpoint", "vllm").model, named("qwen3-14b", "4bit", "vllm").precision
    ('Qwen/Qwen3-14B-AWQ', 'int4')
    """
    found = _named(model, precision, engine, elsewhere=elsewhere)
    if checkpoint_bytes is None:
        return found
    if found.precision in RECIPES:
        recipe = recipe_of_size(load_architecture(found.model), found.precision, checkpoint_bytes)
        return replace(found, precision=recipe)
    if found.precision in FAMILIES and not stands_here(found.model):
        return replace(found, model=f"{found.model}-{found.precision}", precision=_OPEN)  # a copy by its name: its size decides the rest
    return found


def _named(model: str, precision: str, engine: str, *, elsewhere: bool) -> Named:
    declared = declaration(engine)
    if (known := remembered(model)) is not None:
        return _asked(model, precision, declared, known)
    if stands_here(model):
        stored = load_architecture(model)
        return _asked(model, precision, declared, stored, file=declared.takes_mlx or _is_gguf(model))
    if elsewhere and (made := _made_by_hand(model)) is not None:
        model, said = made
        precision = said if precision.strip().lower() == _OPEN else precision
    elif model.lower().endswith((".gguf", ".json")) and not elsewhere:
        return Named(model, precision)  # a file that is not there: reading it says so
    return _of_catalogue(model, precision, declared, model_meant(model), elsewhere=elsewhere)


def _of_catalogue(model: str, precision: str, declared: Declaration, meant: MeantModel, *, elsewhere: bool) -> Named:
    stored = load_architecture(meant.id)
    if meant.exact:
        own = model if "://" not in model else meant.repository or meant.id
        return _asked(own, precision, declared, stored, file=declared.takes_mlx and meant.repository is not None)
    open_ended = precision.strip().lower() == _OPEN
    if meant.precision is None or (meant.precision == QUANTISED and not open_ended):
        found = _asked(meant.id, precision, declared, stored)
        return replace(found, notices=(Notice("model-taken", {"found": model, "model": stored.name}), *found.notices))
    if meant.precision == QUANTISED:
        raise InputError("quantised-how", id=model)
    if open_ended and is_mlx(meant.precision) and not declared.takes_mlx:
        raise InputError("model-format-other-engine", id=model, engine=declared.label, nearest=[meant.id])
    if not open_ended:
        found = _asked(meant.id, precision, declared, stored)
        decides = {"found": model, "model": stored.name, "precision": found.precision}
        return replace(found, notices=(Notice("model-taken-precision-decides", decides), *found.notices))
    if meant.repository is not None and not (declared.takes_gguf or _RECIPE.match(meant.precision)):
        return Named(meant.repository, _OPEN)  # the copy itself is what the engine loads, and what its name means is a warning of the model
    kept = meant.precision == "gguf" and declared.takes_gguf and _carried(stored)
    asked = asked_precision(_OPEN if kept else meant.precision, gguf=declared.takes_gguf, mlx=declared.takes_mlx, model=stored)
    said = Notice("model-taken-in", {"found": model, "model": stored.name, "precision": asked.precision})
    mix = (asked.notice,) if asked.notice is not None and asked.notice.code.startswith("mix") else ()
    made_by_hand = elsewhere and meant.repository is None and ":" not in model  # a file or a folder that is called after the model and its format
    return Named(meant.id, asked.precision, mix if made_by_hand else (said, *mix))


def _asked(model: str, precision: str, declared: Declaration, stored: Architecture, *, file: bool = False) -> Named:
    """The precision of a known model: as asked, else as stored, else the usual one of engines with files of their own; those exist for themselves."""
    asked = asked_precision(precision, gguf=declared.takes_gguf, mlx=declared.takes_mlx, model=stored)
    notices = (asked.notice,) if asked.notice is not None else ()
    if is_mlx(asked.precision) and not declared.takes_mlx:
        raise InputError("precision-other-engine", id=precision[:LONGEST_WORDS], engine=declared.label)
    if asked.precision != _OPEN or not (declared.takes_gguf or declared.takes_mlx) or file or _carried(stored):
        return Named(model, asked.precision, notices)
    code, usual = ("gguf-default", GGUF_DEFAULT) if declared.takes_gguf else ("mlx-default", MLX_DEFAULT)
    return Named(model, usual, (*notices, Notice(code, {"engine": declared.id, "precision": usual})))


def _made_by_hand(words: str) -> tuple[str, str] | None:
    """A file or folder that is called after a model and the precision that somebody made of it: "./Qwen3-32B-int4", "Qwen3-8B-Q4_K_M.gguf"."""
    file = words.lower().endswith(".gguf")
    if not (file or words.startswith("./")):
        return None
    stem = words.replace("\\", "/").rpartition("/")[2]
    stem = stem[: -len(".gguf")] if file else stem
    head, _, tail = stem.rpartition("-")
    whole = [(stem, _OPEN)] if file else []  # a file of a copy that is published in this precision
    for name, precision in (*whole, (head, tail.lower())):
        try:
            if precision in precision_ids() and model_meant(name).exact:
                return name, precision
        except InputError:
            continue
    return None


def _carried(stored: Architecture) -> bool:
    """Whether a checkpoint is published in a format that GGUF files hold as it is: MXFP4, NVFP4."""
    return stored.quantization.method is not None and any(name in ("mxfp4", "nvfp4") for name in weight_formats(stored)[:1])


def _is_gguf(words: str) -> bool:
    path = Path(words)
    return words.lower().endswith(".gguf") or (path.is_dir() and not (path / "config.json").is_file())


def start_from_flags(bare: Deployment, flags: Mapping[str, Any], *, hub: str | None = None) -> Launch:
    """A start from flags that somebody typed, its model and its precision in their own words; see :func:`launch_from_flags`."""
    bare = _looked_up(bare, hub)
    bare, notices = _in_our_words(bare)
    launch = launch_from_flags(bare, flags)
    return replace(launch, notices=(*notices, *launch.notices))


def checked_start(deployment: Deployment, *, hub: str | None = None) -> Launch:
    """A deployment that was built by hand, its model and its precision in its maker's own words; see :func:`checked_launch`.

    >>> checked_start(Deployment(model="Qwen3 8B", gpu="rtx4090-24gb", precision="awq")).deployment.precision
    'int4'
    """
    checked_launch(replace(deployment, flags={}))
    deployment = _looked_up(deployment, hub)
    deployment, notices = _in_our_words(deployment)
    launch = checked_launch(deployment)
    return replace(launch, notices=(*notices, *launch.notices))


def _looked_up(deployment: Deployment, hub: str | None) -> Deployment:
    """With the model read from a hub, where one is named and the catalogue lacks it."""
    if hub is None:
        return deployment
    from gpusizer.hub import look_up  # here: most starts touch no network

    return replace(deployment, model=look_up(deployment.model, hub))


def _in_our_words(deployment: Deployment) -> tuple[Deployment, tuple[Notice, ...]]:
    found = named(deployment.model, deployment.precision, deployment.engine, checkpoint_bytes=checked_size(deployment.checkpoint_bytes))
    return replace(deployment, model=found.model, precision=found.precision), found.notices
