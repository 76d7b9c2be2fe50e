"""Models by name: one TOML file an id in ``models/``, found through the index without reading the others.

``models/index.json`` is written by ``scripts/import_models.py --index``; a test holds it to the files. A name never becomes a path: only what the
index knows is opened.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from gpusizer.errors import UnknownIdError
from gpusizer.facts.pruned import Pruned, pruned_name
from gpusizer.facts.types import ModelEntry
from gpusizer.units import GB

__all__ = [
    "LONGEST_NAME",
    "MODELS",
    "find_model",
    "index_rows",
    "known_ids",
    "known_key",
    "name_key",
    "names_of",
    "nearest_models",
    "precision_within",
    "reductions",
    "resolve_model",
]

MODELS = Path(__file__).parent / "models"
LONGEST_NAME = 200
_CACHED = re.compile(r"(?:^|/)models--[^/]+?--([^/]+)")


def name_key(name: str) -> str:
    """A name without its organisation, in lower case, its words joined by "-".

    >>> name_key("deepseek-ai/DeepSeek-V3"), name_key("Llama 3.1 8B_Instruct"), name_key("gpt-oss:120b")
    ('deepseek-v3', 'llama-3.1-8b-instruct', 'gpt-oss-120b')
    """
    cached = _CACHED.search(name)  # a hub's cache: models--OWNER--NAME/snapshots/REVISION
    last = (cached[1] if cached else name.strip().rstrip("/").rpartition("/")[2]).lower()
    return re.sub(r"[\s_:-]+", "-", last).strip("-")


@cache
def _index() -> Mapping[str, Any]:
    index: dict[str, Any] = json.loads((MODELS / "index.json").read_text(encoding="utf-8"))
    return index


def known_ids() -> tuple[str, ...]:
    """All ids, sorted."""
    return tuple(_index()["models"])


def index_rows() -> Mapping[str, Mapping[str, Any]]:
    """What lists need of every model, by id: the fields of :class:`gpusizer.facts.model_list.ListedModel`, those that are empty left out."""
    rows: Mapping[str, Mapping[str, Any]] = _index()["models"]
    return rows


def names_of() -> Mapping[str, str]:
    """Every name by its key, and the id that it means."""
    names: Mapping[str, str] = _index()["names"]
    return names


def find_model(name: str) -> ModelEntry:
    """The entry with this id or alias, any letter case, with or without the organisation.

    Parameters
    ----------
    name : str
        For example ``deepseek-v3``, ``DeepSeek-V3`` or ``deepseek-ai/DeepSeek-V3``.

    Returns
    -------
    ModelEntry
        The entry.

    Examples
    --------
    >>> find_model("DeepSeek-V3").config["kv_lora_rank"]
    512
    >>> find_model("deepsek-v3")
    Traceback (most recent call last):
    gpusizer.errors.UnknownIdError: there is no model "deepsek-v3"; did you mean deepseek-v3, deepseek-v3.2, deepseek-v3.1? \
`gpusizer models list` shows all; a path of a config.json, a folder or a .gguf works too, and --hub looks owner/name up
    """
    found = _lookup(name)
    if found is None:
        raise UnknownIdError("unknown-model", id=name, nearest=nearest_models(name))
    return _entry(found)


def resolve_model(name: str) -> tuple[ModelEntry, str | None]:
    """The entry that a repository or file name means, and the precision that the name says.

    A known id or alias is taken as it is, precision None ("as stored"). Else suffixes are taken off one by one, the precision first ("-FP8",
    "-AWQ-4bit", "-Q4_K_M.gguf"), then what does not change shapes ("-Instruct", "-2507"), until a known name is left.

    Parameters
    ----------
    name : str
        As somebody wrote it.

    Returns
    -------
    ModelEntry, str or None
        The entry and the precision.

    Examples
    --------
    >>> names = ("deepseek-ai/DeepSeek-V3", "org/Qwen3-14B-Instruct-AWQ", "Qwen3-32B-Q4_0.gguf")
    >>> [(entry.id, precision) for entry, precision in map(resolve_model, names)]
    [('deepseek-v3', None), ('qwen3-14b', 'int4'), ('qwen3-32b', 'q4_0')]
    """
    if (found := _lookup(name)) is not None:
        return _entry(found), None
    for words in _spellings(name):
        for key, precision in reductions(words):
            if (found := known_key(key)) is not None:
                return _entry(found), precision
    raise UnknownIdError("unknown-model", id=name, nearest=nearest_models(name))


def _spellings(name: str) -> Iterator[str]:
    """The name with its remark in brackets, and without one that says nothing of the stored weights."""
    if len(name) > LONGEST_NAME:
        return
    yield re.sub(r"[()]", " ", name)
    remarks = re.findall(r"\([^()]*\)", name)
    if remarks and not any(_SAYS_PRECISION.search(remark.lower()) for remark in remarks):
        yield re.sub(r"\([^()]*\)", " ", name)


def _lookup(name: str) -> str | None:
    if len(name) > LONGEST_NAME:
        return None
    return known_key(name_key(name))


def known_key(key: str) -> str | None:
    """The id that a key means: of the catalogue, or of a model of it whose experts were pruned."""
    found: str | None = names_of().get(key)
    if found is not None:
        return found
    pruned = _pruned(key)
    return pruned.base + pruned.ending.lower() if pruned is not None else None


@lru_cache(maxsize=1024)
def _pruned(key: str) -> Pruned | None:
    return pruned_name(key, names_of(), _total_params)


def _total_params(model_id: str) -> int:
    """Published parameters of an entry, else the size in its name; 0 where neither is there. [parameters]"""
    size = re.search(r"-(\d{1,4})b(?=-|$)", model_id)
    return _file(model_id).get("published_total_params") or (int(size[1]) * GB if size else 0)


# What a suffix says about the stored weights.
_PRECISIONS: tuple[tuple[str, str], ...] = (
    (r"-qat(?:-q4-0)?", "q4_0"),
    (r"-w8a8-fp8", "fp8"),
    (r"-(?:quantized[.-])?w4a8(?:-(?:int8|fp8|mtp|quarot|dynamic|per-channel))*", "int4"),
    (r"-w8a8(?:-(?:mtp|quarot|dynamic))+", "int8"),
    (r"-(?:unsloth-)?bnb-(?:4bit|4-bit|nf4)", "int4"),
    (r"-(?:unsloth-)?bnb-(?:8bit|8-bit)", "int8"),
    (r"-(?:gptq-)?int4-int8mix", "int4"),
    (r"-int4-mixed-(?:autoround|auto-round)", "int4"),
    (r"-nvfp4a16", "nvfp4"),
    (r"-mxfp8", "mxfp8"),
    (r"-(?:awq-|gptq-|autoround-|auto-round-|quantized[.-])?w4a16(?:-g\d+)?", "int4"),
    (r"-(?:quantized[.-])?w8a(?:8|16)(?:-int8)?", "int8"),
    (r"-fp8-block", "fp8_block"),
    (r"-fp8(?:-(?:dynamic|static|tensorwise|kv))?", "fp8"),
    (r"-(?:nv)?fp4(?:-(?:mtp|moe|only))?", "nvfp4"),
    (r"-mxfp4(?:-moe)?", "mxfp4"),
    (r"-(?:(?:awq|gptq|autoround|auto-round)-)?(?:int4|4bit|4-bit|4b-128g|w4)", "int4"),
    (r"-(?:(?:awq|gptq|autoround|auto-round)-)?(?:int8|8bit|8-bit)", "int8"),
    (r"-int4-(?:awq|gptq|autoround|auto-round)", "int4"),
    (r"-int8-(?:gptq|autoround|auto-round)", "int8"),
    (r"-awq|-gptq|-autoround|-auto-round", "int4"),
    (r"-bf16", "bf16"),
    (r"-f(?:p)?16", "fp16"),
    (r"-q8", "q8_0"),
    (r"[.-](?:ud-|mix-|smol-|pure-)?(i?q\d(?:-(?:\d|k|xxs|xs|nl|s|m|l|xl|ks|kss|kl|kt|r4|r8))*|tq\d-0)", ""),
)
_SAYS_PRECISION = re.compile(r"\d-?bit|int\d|fp\d|awq|gptq|w\da\d|bf16|q\d")
# Suffixes that leave the shapes as they are.
_SAME_SHAPE = re.compile(r"-(?:instruct|chat|it|base|hf|gguf|thinking|mtp|dynamic|v\d|\d{4}|\d{6,8}|preview|abliterated|heretic|imat|i1|exp|qat)$")
_MAKERS = re.compile(
    r"^(?:meta|nvidia|huihui|unsloth|thudm|zai-org|zai|zhipuai|openai|mistralai|google|microsoft|qwen(?=-qwen)|deepseek-ai|moonshotai|minimaxai|ibm-granite"
    r"|baidu|tencent|bytedance-seed|stepfun-ai|allenai|coherelabs|lgai-exaone|meituan-longcat|inclusionai)-"
)


def reductions(name: str) -> Iterator[tuple[str, str | None]]:
    """Ever shorter keys of a name, with the precision that was taken off."""
    key = name_key(name)
    precision: str | None = None
    if key.endswith(".gguf"):
        key = re.sub(r"-\d{5}-of-\d{5}$", "", key.removesuffix(".gguf"))
        yield key, None
    for _ in range(8):
        shorter = key
        if precision is None:
            for pattern, says in _PRECISIONS:
                match = re.search(f"(?:{pattern})$", key)
                if match:
                    precision = says or match[1].replace("-", "_")
                    shorter = key[: match.start()]
                    break
        if shorter == key:
            shorter = _SAME_SHAPE.sub("", key)
        if shorter == key:
            shorter = _MAKERS.sub("", key)
        if shorter == key:
            return
        key = shorter
        yield key, precision
        yield _MAKERS.sub("", key), precision


def precision_within(words: str) -> str | None:
    """The precision that words beside a name say; a recipe of a GGUF file before the format that the file was made from.

    Parameters
    ----------
    words : str
        What is left of a name.

    Returns
    -------
    str or None
        None where they say none.

    Examples
    --------
    >>> [precision_within(words) for words in ("f16 iMat Q5_K_S", "AutoRound int4, DFlash", "text only")]
    ['q5_k_s', 'int4', None]
    """
    key = "-" + re.sub(r"[^a-z0-9.]+", "-", words.lower())
    for pattern, says in (_PRECISIONS[-1], *_PRECISIONS):
        if match := re.search(rf"(?:{pattern})(?![a-z0-9])", key):
            return says or match[1].replace("-", "_")
    return None


def nearest_models(name: str) -> list[str]:
    """Up to three ids whose name is close, none where nothing is."""
    names = names_of()
    key = name_key(name) if len(name) <= LONGEST_NAME else ""
    close = difflib.get_close_matches(key, names, 6, 0.6)
    return list(dict.fromkeys(names[each] for each in close))[:3]


def _entry(model_id: str) -> ModelEntry:
    if model_id not in names_of().values() and (pruned := _pruned(model_id)) is not None:
        whole = _entry(pruned.base)
        return ModelEntry(
            id=model_id,
            name=whole.name + pruned.ending,
            aliases=(),
            config=whole.config,
            licence=whole.licence,
            published_total_params=pruned.total_params or None,
            published_source="name of the model" if pruned.total_params else None,
            config_source=whole.config_source,
            uses=whole.uses,
            pruned=True,
            pruned_percent=pruned.percent,
        )
    record, row = _file(model_id), index_rows()[model_id]
    config = _config(record)
    if base := record.get("same_as"):
        inherited = _config(_file(base))
        config = {**{key: value for key, value in inherited.items() if key not in record.get("without", ())}, **config}
    return ModelEntry(
        id=model_id,
        name=record["name"],
        aliases=tuple(record.get("aliases", ())),
        config=config,
        licence=record.get("licence") or row.get("licence"),
        published_total_params=record.get("published_total_params"),
        published_activated_params=record.get("published_activated_params"),
        published_source=record.get("published_source"),
        checkpoint_bytes=record.get("checkpoint_bytes"),
        checkpoint_dtype=record.get("checkpoint_dtype"),
        checkpoint_source=record.get("checkpoint_source"),
        article=record.get("article", {}),
        config_source=record.get("config_source"),
        notes=tuple(record.get("notes", ())),
        uses=tuple(record.get("uses") or row.get("uses", ())),
        uses_source=record.get("uses_source"),
        reasoning_source=record.get("reasoning_source"),
        released=row.get("released"),
    )


def _config(record: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of one file, with the keys that are null: "none" there, where an absent key means what its class gives."""
    config = {key: dict(value) if isinstance(value, dict) else value for key, value in record.get("config", {}).items()}
    for path in record.get("null", ()):
        *sections, key = path.split(".")
        place = config
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = None
    return config


@cache
def _file(model_id: str) -> Mapping[str, Any]:
    with (MODELS / f"{model_id}.toml").open("rb") as stream:
        return tomllib.load(stream)
