"""The one door: a catalogue id, a ``config.json``, a checkpoint folder or a GGUF file becomes an :class:`Architecture`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from gpusizer.architecture.failures import named_failures
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.readers.pruned import Left, with_fewer_experts
from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError, UnreadableFileError
from gpusizer.given_files import settled_state, stands_here
from gpusizer.once import Remembered

__all__ = ["is_pasted", "load_architecture", "pasted_name", "read_json", "read_pasted", "remember", "remembered"]

_MAX_CONFIG_BYTES = 8 << 20  # the largest published one has 3 MB
_MAX_PARTS = 500_000  # lists and objects: each takes far more memory than its brackets
_PASTED = "pasted:"
_LONGEST_NAME = 80


def read_json(path: Path) -> Any:
    """What a JSON file holds; refused with a code when it is missing, too large, or no JSON.

    Parameters
    ----------
    path : Path
        The file. ``Infinity`` and ``NaN`` are let through, as published configurations have them; readers refuse them where a number counts.

    Returns
    -------
    object
        The parsed value.
    """
    from gpusizer.architecture.files.headers import open_checked

    size = open_checked(path)
    if size > _MAX_CONFIG_BYTES:
        raise UnreadableFileError("file-too-large", path=str(path), found_bytes=size, limit_bytes=_MAX_CONFIG_BYTES)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError("file-missing", path=str(path)) from error
    if text.startswith(b"version https://git-lfs"):
        raise UnreadableFileError("lfs-pointer", path=str(path))
    return _parsed(text, str(path))


def _parsed(text: bytes, path: str) -> Any:
    """The value that JSON holds; ``path`` is what an error calls its place."""
    if text.count(b"[") + text.count(b"{") > _MAX_PARTS:
        raise UnreadableFileError("config-crowded", path=path, limit=_MAX_PARTS)
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, path))
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, not UTF-8, or an endless number
        raise UnreadableFileError("not-json", path=path) from error


def _once(pairs: list[tuple[str, Any]], path: str) -> dict[str, Any]:
    """An object of JSON; a key that stands there twice with two values is refused, since either may be meant."""
    values = dict(pairs)
    if len(values) < len(pairs):
        for key, value in pairs:
            if values[key] != value:
                raise UnreadableFileError("key-twice", path=path, key=key[:80])
    return values


def load_architecture(source: str, checkpoint_bytes: int | None = None) -> Architecture:
    """What a model is.

    Parameters
    ----------
    source : str
        A catalogue id or alias in any letter case, the id of a quantised copy ("X-AWQ") or another name that means one model; the path of a
        ``config.json``, a folder that holds one (its safetensors headers are read as well, or the size that its index states), or a ``.gguf`` file.
    checkpoint_bytes : int or None
        Size of the files of a quantised copy together, where it is known. [bytes]

    Returns
    -------
    Architecture
        The model; the same object each time for a catalogue id, and for files that stay as they are.
    """
    if checkpoint_bytes is not None:
        return _sized(load_architecture(source), checkpoint_bytes)
    if (known := remembered(source)) is not None:
        return known
    if not stands_here(source) and not source.lower().endswith((".gguf", ".json")):
        return _entry(source.strip())  # outside the net: what goes wrong with an entry of ours is a defect
    state = settled_state(source)
    return _read(source) if state is None else _READ.once((source, state), lambda: _read(source))


_READ: Remembered[tuple[str, tuple[tuple[int, ...], ...]], Architecture] = Remembered(4)  # one start asks for its model many times


def _read(source: str) -> Architecture:
    """A model of files, whatever stands in them."""
    with named_failures(source):
        return _of_file(Path(source))


_SIZED: dict[tuple[int, int], tuple[Architecture, Architecture]] = {}  # by the model and the size: equal starts share one object
_MOST_SIZED = 32


def _sized(model: Architecture, checkpoint_bytes: int) -> Architecture:
    """The model with files of a size (remembered)."""
    from gpusizer.architecture.precision.stated_size import of_size

    key = (id(model), checkpoint_bytes)
    known = _SIZED.get(key)
    if known is None or known[0] is not model:
        while len(_SIZED) >= _MOST_SIZED:
            del _SIZED[next(iter(_SIZED))]
        known = _SIZED[key] = (model, of_size(model, checkpoint_bytes))
    return known[1]


_REMEMBERED: dict[str, Architecture] = {}
_MOST_REMEMBERED = 256


def remember(source: str, model: Architecture) -> None:
    """Keep a model that was read elsewhere (from a hub) under its name for the rest of the process."""
    while len(_REMEMBERED) >= _MOST_REMEMBERED:
        del _REMEMBERED[next(iter(_REMEMBERED))]
    _REMEMBERED[source.strip()] = model


def remembered(source: str) -> Architecture | None:
    """A model that was read elsewhere, by the name that it was kept under."""
    return _REMEMBERED.get(source.strip()) if _REMEMBERED else None


def _of_file(path: Path) -> Architecture:
    """A model of a stranger's files, its parameters counted while a failure can still be told as theirs."""
    read = _folder if path.is_dir() else _gguf if path.name.lower().endswith(".gguf") else _config
    model = read(path)
    _ = model.parameters
    return model


def pasted_name(text: str) -> str:
    """The name of a configuration that somebody pasted: it depends on the text alone.

    >>> pasted_name("{}")
    'pasted:44136fa355b3678a1146ad16f7e8649e'
    """
    return _PASTED + hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()[:32]


def is_pasted(source: str) -> bool:
    """Whether a name is that of a configuration that somebody pasted."""
    return source.startswith(_PASTED)


def read_pasted(text: str) -> None:
    """Read a configuration that somebody pasted, and keep it under its :func:`pasted_name` for the rest of the process.

    Parameters
    ----------
    text : str
        What stands in a ``config.json``.

    Raises
    ------
    InputError
        As for a file.

    Examples
    --------
    >>> read_pasted('{"model_type": "nobody"}')
    Traceback (most recent call last):
    gpusizer.errors.UnsupportedArchitectureError: ...
    """
    written, source = text.encode("utf-8", errors="replace"), pasted_name(text)
    if remembered(source) is None:
        if len(written) > _MAX_CONFIG_BYTES:
            raise UnreadableFileError("file-too-large", path="config.json", found_bytes=len(written), limit_bytes=_MAX_CONFIG_BYTES)
        with named_failures("config.json"):
            config = _parsed(written, "config.json")
            model = _of_config(config, "config.json", source, _own_name(config))
            _ = model.parameters
        remember(source, model)


def _own_name(config: Any) -> str:
    """What a configuration calls its model, in case it does."""
    said = config.get("_name_or_path") if isinstance(config, dict) else None
    name = said.rstrip("/").rpartition("/")[2] if isinstance(said, str) else ""
    return name if 0 < len(name) <= _LONGEST_NAME and name.isprintable() else "config.json"


def _config(path: Path) -> Architecture:
    name = path.parent.name if path.name == "config.json" else path.stem
    return _of_config(read_json(path), str(path), name or path.stem, name or path.stem)


def _of_config(config: Any, path: str, id: str, name: str) -> Architecture:
    if not isinstance(config, dict):
        raise UnreadableFileError("not-json", path=path)
    config.pop("gpusizer", None)  # our own words stand in entries of the catalogue alone
    return read_config(config, id=id, name=name)


def _folder(folder: Path) -> Architecture:
    """A checkpoint folder: its configuration, and the headers of its files where there are some."""
    config = folder / "config.json"
    if not config.is_file():
        files = sorted(folder.glob("*.gguf"))
        if len(files) == 1 or (files and "-of-" in files[0].name):
            return _gguf(files[0])
        if files:
            raise UnreadableFileError("several-gguf", path=str(folder), count=len(files), nearest=[file.name for file in files[:5]])
        raise UnreadableFileError("config-missing", path=str(folder))
    model = _config(config)
    from gpusizer.architecture.files.headers import with_headers
    from gpusizer.architecture.files.safetensors import index_total_bytes, read_safetensors_folder

    headers = read_safetensors_folder(folder)
    if headers:
        return with_headers(model, headers)
    from gpusizer.architecture.precision.stated_size import of_size

    total = index_total_bytes(folder)
    return model if total is None else of_size(model, total)


def _gguf(path: Path) -> Architecture:
    """A GGUF file: metadata as configuration keys, its tensors as headers."""
    from gpusizer.architecture.files.gguf import read_gguf
    from gpusizer.architecture.files.gguf_config import gguf_config, gguf_formats
    from gpusizer.architecture.files.headers import with_headers
    from gpusizer.architecture.readers.classes.class_rows import class_of_gguf

    file = read_gguf(path)
    name = file.metadata.get("general.name")
    config = gguf_config(file)
    config["model_type"] = class_of_gguf(config["model_type"])
    model = read_config(config, id=path.stem, name=name if isinstance(name, str) else path.stem)
    if not file.tensors:  # what llama.cpp keeps its vocabularies in
        raise UnreadableFileError("no-tensors", path=str(path))
    return with_headers(model, file.tensors, gguf_formats(model, file))


@lru_cache(maxsize=1024)
def _entry(source: str) -> Architecture:
    """A model of the catalogue by any of its names; a quantised copy of one that has no entry of its own, in the precision that its name says."""
    from gpusizer.facts.model_words import QUANTISED, model_meant  # here: a path needs no catalogue

    meant = model_meant(source)
    model = _model(meant.id)
    if meant.exact:
        return _of_another(model, source)
    if meant.precision is None:
        return replace(model, warnings=(*model.warnings, Notice("model-taken", {"found": source, "model": model.name})))
    if meant.precision == QUANTISED:
        raise InputError("quantised-how", id=source)
    from gpusizer.architecture.precision.asked import asked_precision
    from gpusizer.architecture.precision.copies import copy_of

    asked = asked_precision(meant.precision, model=model)
    copy = copy_of(model, meant.repository or source, asked.precision, _model)
    said = Notice("model-taken-in", {"found": source, "model": model.name, "precision": asked.precision})
    return replace(copy, warnings=(*copy.warnings, said, *((asked.notice,) if asked.notice else ())))


def _of_another(model: Architecture, source: str) -> Architecture:
    """A quantised entry, or another publisher's copy that has its name."""
    from gpusizer.architecture.precision.copies import copy_of
    from gpusizer.architecture.precision.precision_words import precision_of_words
    from gpusizer.facts.stored_copies import published_by_another

    precision, _ = precision_of_words(source)
    another = precision is not None and model.quantization.method is not None and published_by_another(model.id, source)
    return copy_of(model, source, str(precision), _model) if another else model


@cache  # the catalogue is finite, and equal ids are one object
def _model(id: str) -> Architecture:
    """A model of the catalogue by its id, read once."""
    from gpusizer.facts.catalog import model_entry
    from gpusizer.facts.types import EMBEDS

    entry = model_entry(id)
    if entry.pruned:
        left = Left(entry.published_total_params or 0, entry.pruned_percent)
        return with_fewer_experts(entry.config, id=entry.id, name=entry.name, left=left)
    model = read_config(entry.config, id=entry.id, name=entry.name)
    return model.as_pooled() if entry.uses == EMBEDS else model
