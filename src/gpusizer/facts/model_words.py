"""Models by the words of people: quantised copies, tags of Ollama's library, ModelScope's names, pasted addresses, Chinese, other spellings.

An exact id or alias always wins; what is understood beyond it is told by the caller. A name that several models share is asked back, one whose
weights nobody publishes or whose format no engine here reads is refused with what comes nearest. Tables: ``data/model_words.toml``.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.mlx_names import mlx_copy
from gpusizer.facts.model_names import (
    LONGEST_NAME,
    find_model,
    known_ids,
    known_key,
    name_key,
    names_of,
    nearest_models,
    precision_within,
    reductions,
)
from gpusizer.facts.model_remarks import another_line, readings, same_size

__all__ = ["QUANTISED", "MeantModel", "model_meant", "repository_of"]

QUANTISED = "quantised"  # the name says that it is a quantised copy and not in what
_MOST_CANDIDATES = 8
_ADDRESS = re.compile(
    r"^(?:https?://)?(?:www\.)?(?:(?:huggingface\.co|hf\.co|hf-mirror\.com)(?:/models)?|modelscope\.(?:cn|ai)(?:/models)?|ollama\.com(?:/library)?)/",
    re.I,
)
_PLACE = re.compile(r"(?:/(?:tree|blob|resolve|files|file|summary|raw)(?:/.*)?|[?#].*)$", re.I)
_FOREIGN: tuple[tuple[str, str, str], ...] = (
    (r"exl2", "ExLlamaV2", "exl2"),
    (r"exl3", "ExLlamaV3", "exl3"),
)
_GGUF = re.compile(r"(?:^|[-.])gguf(?:$|[-.])")
_TUNED = ("-instruct", "-it", "-chat")


@dataclass(frozen=True, slots=True)
class MeantModel:
    """What a name means.

    Parameters
    ----------
    id : str
        Id of the catalogue.
    precision : str or None
        What the name says of the stored weights ("int4", "q4_k_xl", "gguf" for a repository of such files, :data:`QUANTISED`); None for "as stored".
    exact : bool
        The name is the id or an alias, apart from letter case and joints.
    repository : str or None
        Owner and name as written, without an address around them.
    """

    id: str
    precision: str | None
    exact: bool
    repository: str | None = None


@lru_cache(maxsize=1024)
def model_meant(name: str) -> MeantModel:
    """The model that a name means.

    Parameters
    ----------
    name : str
        As typed or pasted.

    Returns
    -------
    MeantModel
        Its id, and the precision that the name says.

    Raises
    ------
    UnknownIdError
        ``unknown-model`` with near names, ``ambiguous-model`` with those that share the name.
    InputError
        ``model-not-published``, ``model-format-elsewhere``.

    Examples
    --------
    >>> [(each.id, each.precision) for each in map(model_meant, ("Qwen/Qwen3-32B-AWQ", "llama3.3:70b-instruct-q4_K_M", "DeepSeek R1 满血版"))]
    [('qwen3-32b', 'int4'), ('llama-3.3-70b-instruct', 'q4_k_m'), ('deepseek-r1', None)]
    """
    if len(name) > LONGEST_NAME or "\0" in name:
        raise UnknownIdError("unknown-model", id=name, nearest=[])
    names = names_of()
    if (found := names.get(name_key(name))) is not None:
        return MeantModel(found, None, exact=True, repository=repository_of(name))
    plain, repository = _plain(name), repository_of(name)
    key = name_key(plain)
    _refuse(name, plain, key)
    if (copy := mlx_copy(plain)) is not None:
        return _of_mlx(name, *copy, repository)
    quantised = re.search(r"(?:^|-)quantised(?:$|-)", key) is not None
    if quantised:
        key = re.sub(r"-?quantised(?=$|-)", "", key).strip("-")
    for words, precision in _readings(key):
        if (meant := _known(words)) is not None:
            said = _as_published(precision, repository) or (QUANTISED if quantised else None)
            return MeantModel(meant, said, exact=False, repository=repository)
    if (among := _among_words(plain)) is not None:
        meant, precision = among
        return MeantModel(meant, _as_published(precision, repository) or (QUANTISED if quantised else None), exact=False, repository=repository)
    candidates = _beginning_with(key)
    if len(candidates) == 1 and not another_line(candidates[0].removeprefix(key)):
        return MeantModel(candidates[0], QUANTISED if quantised else None, exact=False, repository=repository)
    if len(candidates) > 1:
        raise UnknownIdError("ambiguous-model", id=name, nearest=candidates[:_MOST_CANDIDATES], count=len(candidates))
    raise UnknownIdError("unknown-model", id=name, nearest=nearest_models(key) or nearest_models(name))


def _of_mlx(name: str, key: str, precision: str | None, repository: str | None) -> MeantModel:
    """The model of a checkpoint of MLX, by what is left of its name."""
    for words, _ in _readings(key):
        if (meant := _known(words)) is not None:
            return MeantModel(meant, precision or QUANTISED, exact=False, repository=repository)
    raise UnknownIdError("unknown-model", id=name, nearest=nearest_models(key))


def _among_words(plain: str) -> tuple[str, str | None] | None:
    """The model that is named among other words, with the precision that they say."""
    for reading in readings(plain):
        for words, precision in _readings(name_key(reading.name)):
            if (meant := _known(words)) is not None and same_size(reading, find_model(meant).published_total_params):
                return meant, _more_exact(precision, reading.rest)
    return None


def _more_exact(precision: str | None, rest: str) -> str | None:
    """What the other words say of the stored weights, where the name says little: "f16-iMat-Q5_K_S" is a file that was made from 16 bits."""
    within = precision_within(rest)
    if precision in ("fp16", "bf16") and within is not None and re.match(r"i?q\d_", within):
        return within
    if precision not in (None, "gguf"):
        return precision
    return within or ("gguf" if _GGUF.search(rest.lower().replace(" ", "-")) else precision)


def _as_published(precision: str | None, repository: str | None) -> str | None:
    """The precision of a suffix as the owner of a repository means it."""
    owner = (repository or "").partition("/")[0].lower()
    own: dict[str, str] = _tables()["publishers"].get(owner, {})
    return own.get(precision or "", precision)


def _bare(name: str) -> str:
    """The name without quotes and an address around it."""
    plain = unicodedata.normalize("NFKC", name).strip().strip("\"'<>《》")
    return (_PLACE.sub("", _ADDRESS.sub("", plain)) if _ADDRESS.match(plain) else plain).rstrip("/")


def repository_of(name: str) -> str | None:
    """Owner and name, where both are written as a hub writes them.

    Parameters
    ----------
    name : str
        As typed, or the address of a page.

    Returns
    -------
    str or None
        None for anything else.

    Examples
    --------
    >>> repository_of("https://modelscope.cn/models/Qwen/Qwen3-8B/summary"), repository_of("qwen3-8b")
    ('Qwen/Qwen3-8B', None)
    """
    bare = _bare(name)
    return bare if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", bare, re.ASCII) else None


def _plain(name: str) -> str:
    """The bare name in lower case, its Chinese words in those of the catalogue."""
    plain = _bare(name).lower()
    if any(ord(letter) > 0x2E7F for letter in plain):
        for chinese, ours in _tables()["chinese"].items():
            plain = plain.replace(chinese, f" {ours} " if chinese != ours else ours)
        plain = re.sub(r"(qwen|glm|hunyuan|ernie|baichuan|internlm|step|yi) +(?=[\d.])", r"\1", " ".join(plain.split()))
        plain = re.sub(r"\b(glm) +glm\b", r"\1", plain)
    return plain


def _refuse(name: str, plain: str, key: str) -> None:
    """A model that nobody publishes, or a copy in a format that no engine here reads."""
    for each in _tables()["closed"]:
        if re.fullmatch(each["pattern"], key):
            raise InputError("model-not-published", id=name, owner=each["owner"], nearest=each["nearest"])
    for word, engine, kind in _FOREIGN:
        if re.search(rf"(?:^|[-/_.]){word}(?:$|[-/_.])", plain):
            nearest = [found] if (found := _without(key, word)) is not None else []
            raise InputError("model-format-elsewhere", id=name, engine=engine, kind=kind, nearest=nearest)


def _without(key: str, word: str) -> str | None:
    """The model of a copy in a foreign format."""
    bare = re.sub(rf"-{word}(?:-.*)?$", "", key)
    return next((found for words, _ in _readings(bare) if (found := _known(words)) is not None), None)


def _readings(key: str) -> Iterator[tuple[str, str | None]]:
    """Ever shorter keys with the precision that was taken off, as spelled and with family and version apart."""
    gguf = "gguf" if _GGUF.search(key) else None
    spaced = re.sub(r"(?<=[a-z]{4})(?=\d)", "-", key)
    for spelling in dict.fromkeys((key, spaced)):
        yield spelling, gguf
        for words, precision in reductions(spelling):
            yield words, precision or gguf


def _known(key: str) -> str | None:
    """The id of a key: as it is, by a short name, with the usual tuning, or with all joints left out."""
    names, short = names_of(), _tables()["short"]
    for each in (key, short.get(key), *(key + ending for ending in _TUNED)):
        if each is not None and each in names:
            return names[each]
    if (pruned := known_key(key)) is not None:
        return pruned
    return _compact().get(_pressed(key))


def _pressed(key: str) -> str:
    return re.sub(r"[-_\s]", "", key)


@cache
def _compact() -> Mapping[str, str]:
    """Keys without joints, those alone that one model has."""
    found: dict[str, set[str]] = {}
    for key, model_id in names_of().items():
        found.setdefault(_pressed(key), set()).add(model_id)
    return {key: next(iter(ids)) for key, ids in found.items() if len(ids) == 1 and len(key) > 3}


def _beginning_with(key: str) -> list[str]:
    """Models whose ids begin with a key: those of its own line before its offshoots, the newest version first."""
    spellings = {key, re.sub(r"(?<=[a-z]{3})(?=\d)", "-", key), re.sub(r"(?<=[a-z])-(?=\d)", "", key)} - {""}
    attached = r"[-\d]" if re.search(r"[a-z]$", key) and len(key) > 1 else "-"  # "qwen" begins "qwen3-8b"; "qwen3" does not begin "qwen32"
    found = [each for each in known_ids() if any(re.match(re.escape(spelling) + attached, each) for spelling in spellings)]
    return sorted(found, key=lambda each: (each.count("-"), -_version(each), each))


def _version(model_id: str) -> float:
    found = re.match(r"[a-z]+-?[a-z]?(\d{1,2}(?:\.\d)?)(?![\d.]*b)", model_id)
    return float(found[1]) if found else 0.0


@cache
def _tables() -> Mapping[str, Any]:
    with (Path(__file__).parent / "data" / "model_words.toml").open("rb") as stream:
        return tomllib.load(stream)
