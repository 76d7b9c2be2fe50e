"""Vision and audio towers with their projectors: from ``vision_config`` and ``audio_config`` to stored tensors.

Each module here reads one kind of tower and is found by itself. What a class implies and a configuration leaves out stands in ``implied.toml``
by the class's ``model_type``; everything else follows the keys. A tower that no reader understands is said, never counted as nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.architecture.readers.classes.table_file import TableFile
from gpusizer.architecture.readers.keys import Keys
from gpusizer.architecture.readers.towers.kit import READERS, Shelf, Tower, TowerReader
from gpusizer.architecture.types import Notice, Tensor

__all__ = ["describes_whole", "names_tower", "read_towers", "tower_readers"]

_SECTIONS = ("vision", "audio")
_NESTED = ("thinker_config",)  # a model that also speaks: the language model and its towers stand one level below
_SPEAKERS = ("talker_config", "token2wav_config", "code2wav_config")
_TOWER_PARTS = ("vision_config", "audio_config", "projector_config", "img_token_compression_config")
_TOWER_WORDS = re.compile(r"vis(ion|ual)|vit_|img|image|audio|speech|sound|projector|aligner")
_OPTIONAL = {"optional": True}  # a class that builds no tower unless the configuration has one
_OWN_NAMES = ("intern_vit_6b", "moonvit")  # classes of a checkpoint's own code that readers were written for
_QUANTIZED = ("quantization_config", "compression_config", "quantization")


@cache
def tower_readers() -> tuple[TowerReader, ...]:
    """Every reader of towers, found by looking through this package."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(READERS)


_IMPLIED = TableFile(Path(__file__).with_name("implied.toml"))
"""What classes imply, by model type: "tower." for the class of a tower, "whole." for that of the model around it."""


def _knows(table: str, model_type: str) -> bool:
    return f"{table}.{model_type}" in _IMPLIED.heads


def describes_whole(model_type: str) -> bool:
    """Whether a class of models with towers is known here.

    >>> describes_whole("llava"), describes_whole("crystal_ball")
    (True, False)
    """
    return _knows("whole", model_type)


def names_tower(part: str) -> bool:
    """Whether a part of this name is looked at here: read, or said.

    >>> names_tower("speech_encoder"), names_tower("memory_config")
    (True, False)
    """
    return part in _TOWER_PARTS or part in _SPEAKERS or _TOWER_WORDS.search(part) is not None


def read_towers(keys: Keys, hidden_size: int) -> tuple[tuple[Tensor, ...], tuple[Notice, ...]]:
    """Stored tensors of every tower and projector (group "vision").

    Parameters
    ----------
    keys : Keys
        The whole configuration.
    hidden_size : int
        Width of the language model.

    Returns
    -------
    tuple of Tensor, tuple of Notice
        The tensors; what was not understood (``unknown-tower``) or taken from the class (``implied-tower``).

    Examples
    --------
    >>> read_towers(Keys({"model_type": "llama"}), 4096)
    ((), ())
    >>> tensors, notices = read_towers(Keys({"vision_config": {"model_type": "crystal_ball", "facets": 57}}), 4096)
    >>> tensors, notices[0].code, dict(notices[0].parameters)
    ((), 'unknown-tower', {'model_type': 'crystal_ball'})
    """
    nested = keys.section(*_NESTED)
    holder = nested if nested is not None else keys
    kind = holder.text("model_type", default="")
    implied = _IMPLIED.table(f"whole.{kind}")
    whole = _over(implied, holder)
    tensors: list[Tensor] = []
    notices: list[Notice] = []
    for section in _SECTIONS:
        name = f"{section}_config"
        given = holder.section(name)
        if given is None:
            if implied.get(name, _OPTIONAL).get("optional"):
                continue
            notices.append(Notice("implied-tower", {"model_type": kind, "section": name}))
        found = _read(section, given, implied.get(name, {}), whole, hidden_size)
        if given is not None:
            given.ignore(*given.values)
        if found is None:
            label = given.text("model_type", default=kind) if given is not None else kind
            notices.append(Notice("unknown-tower", {"model_type": label or name}))
            continue
        own = given.values.get("model_type") if given is not None else None
        if isinstance(own, str) and own and own not in (*_OWN_NAMES, kind) and not _knows("tower", own):
            notices.append(Notice("tower-by-keys", {"model_type": own}))
        tensors.extend(found)
    notices.extend(_uncounted(keys.values))
    if any(isinstance(keys.raw(name), Mapping) for name in _QUANTIZED):
        tensors = [single for tensor in tensors for single in _one_by_one(tensor)]
    return tuple(tensors), tuple(notices)


def _uncounted(values: Mapping[str, Any]) -> Iterator[Notice]:
    """Parts under other names: towers that nobody looks for, and models that speak, which engines load on their own."""
    parts = [name for name, value in values.items() if isinstance(value, Mapping) and value]
    spoken = [name for name in parts if name in _SPEAKERS]
    if spoken:
        yield Notice("parts-not-counted", {"keys": spoken})
    for name in parts:
        if names_tower(name) and name not in _TOWER_PARTS and name not in _SPEAKERS:
            yield Notice("unknown-tower", {"model_type": name[:40]})


def _read(section: str, given: Keys | None, implied: Mapping[str, Any], whole: Keys, hidden_size: int) -> list[Tensor] | None:
    """Tensors of one tower, None where no reader understands it."""
    values = {} if given is None else given.values
    own = values.get("model_type")
    if not isinstance(own, str) or not _knows("tower", own):
        own = implied.get("model_type")  # the class around it decides
    base = _IMPLIED.table(f"tower.{own}") if isinstance(own, str) else {}
    part = _over(base if values else {**base, **implied}, given if given is not None else Keys({}, f"{whole.path}{section}_config."))
    tower = Tower(part, whole, hidden_size)
    for reader in tower_readers():
        if reader.section == section and reader.recognises(tower):
            shelf = Shelf()
            return shelf.tensors if reader.read(tower, shelf) else None
    return None


def _over(implied: Mapping[str, Any], given: Keys) -> Keys:
    """A configuration over what its class implies."""
    return Keys({**implied, **{key: value for key, value in given.values.items() if value is not None}}, given.path)


def _one_by_one(tensor: Tensor) -> Iterator[Tensor]:
    """Every tensor of equal blocks by itself, with the number of its block in the name, for quantisation lists that name blocks one by one."""
    if tensor.copies == 1 or tensor.name.count("*") != 1:
        yield tensor
        return
    for index in range(tensor.copies):
        yield replace(tensor, name=tensor.name.replace("*", str(index)), copies=1)
