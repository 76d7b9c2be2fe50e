"""One measured memory case -> the start that was measured: model, device, layout and flags, by what an operator knew before it.

Only launch fields are read (``KNOWN_BEFORE``): ``measured``, ``log`` and ``notes`` never reach a prediction. What cannot be told is refused by
code, or, where only some figures depend on it (the recipe of a GGUF file, the name of the card), those figures are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.asked import recipe_of_size
from gpusizer.architecture.precision.copies import copy_of
from gpusizer.architecture.precision.gguf_mixes import mix_of, told_mix
from gpusizer.architecture.precision.gguf_recipes import RECIPES
from gpusizer.architecture.precision.listed import FAMILIES
from gpusizer.architecture.precision.precision_words import precision_of_words
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.precision.stated_size import of_size
from gpusizer.architecture.storage.formats import plain_dtype
from gpusizer.architecture.tensors import checkpoint_bytes, stored_tensors
from gpusizer.architecture.types import Notice
from gpusizer.engines import declaration
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.device_support import weight_formats
from gpusizer.engines.base.log import LAUNCH_FIELDS
from gpusizer.engines.base.releases import release_on
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.base.version import build_day, known_build, named_version, ordered_version
from gpusizer.errors import InputError
from gpusizer.facts.stored_copies import published_by_another
from gpusizer.facts.types import Accelerator, ModelEntry
from gpusizer.units import GiB
from gpusizer.validation.command_lines import launch_words
from gpusizer.validation.devices import Devices, devices_of
from gpusizer.validation.flags import engine_fields
from gpusizer.validation.gguf_precisions import OWN_MIX, gguf_precision
from gpusizer.validation.measured import LARGEST_NUMBER, MEMORY_QUANTITIES
from gpusizer.validation.models import model_of, stored_in

__all__ = ["KNOWN_BEFORE", "Case", "check_numbers", "deployment_of", "is_performance", "whole"]

KNOWN_BEFORE = list(LAUNCH_FIELDS)
"""The fields that a prediction may use."""

LONGEST_FIELD = 20_000
_PLAIN = ("bf16", "fp16", "fp32")
_OF_COPIES = frozenset({"usual-list", "recipe-guessed", "size-solved", "size-differs", "experts-pruned"})
_PULL = re.compile(r"\bPR\b.*\bbranch\b")
_MOST_OF_SHARED = 0.9  # of memory that host and device share; the system has the rest
_METHOD = re.compile(r"modelopt|compressed|quark|torchao|gguf|native|checkpoint|ascend")  # how a checkpoint was made, not in which format
_ON_GPU = re.compile(r"([\w.-]+) \(GPU part\)", re.IGNORECASE)
_UNQUANTISED = frozenset({"none", "no", "unquantised", "unquantized", "not quantised", "not quantized"})
_TOOLS = re.compile(r"compressed[-_]tensors|modelopt")
_UNNAMED = re.compile(r"checkpoint (?:is )?not (?:named|seen|said|printed)", re.IGNORECASE)
# Figures that depend on how each tensor is stored, and those that depend on the memory of the card.
_OF_CACHE = frozenset({"kv_cache_pool_bytes", "kv_cache_tokens", "max_concurrency"})
_OF_WEIGHTS = _OF_CACHE | {"weights_bytes", "model_buffer_bytes", "fits"}
_OF_MEMORY = _OF_CACHE | {"fits"}
_OF_ROOM = frozenset({"fits"})
_SMALL_SHARE = 0.4  # of the memory of a machine: a model of so much goes to its GPU as a whole, whatever else runs there
_OF_PLACEMENT = _OF_WEIGHTS | {"compute_buffer_bytes"}


@dataclass(frozen=True)
class Case:
    """A measured start as an engine can be asked about it.

    Parameters
    ----------
    deployment : Deployment
        The start.
    architecture : Architecture
        The model in the precision of the start.
    accelerator : Accelerator
        The device; the first one where several kinds work together.
    unpredictable : frozenset of str
        Quantities that depend on what the case does not say; they are not predicted.
    notices : tuple of Notice
        What was taken for granted.
    """

    deployment: Deployment
    architecture: Architecture
    accelerator: Accelerator
    unpredictable: frozenset[str] = frozenset()
    notices: tuple[Notice, ...] = ()


def is_performance(row: Mapping[str, Any]) -> bool:
    """Whether a case measured times and rates rather than memory: told by its keys.

    >>> is_performance({"isl": 1024, "osl": 1024}), is_performance({"max_model_len": 8192})
    (True, False)
    """
    return "isl" in row or "osl" in row or "parallelism" in row


def deployment_of(row: Mapping[str, Any]) -> Case | Notice:
    """The start that a measured memory case describes, or why it cannot be told.

    Parameters
    ----------
    row : mapping
        A case in the format of measured memory cases; whatever is not in ``KNOWN_BEFORE`` is not read.

    Returns
    -------
    Case or Notice
        The start; or a code with its parameters.
    """
    known = {name: row.get(name) for name in KNOWN_BEFORE}
    try:
        check_numbers(known)
        return _case(known)
    except InputError as error:
        return Notice(error.code, dict(error.parameters))


def _case(row: Mapping[str, Any]) -> Case:
    engine = declaration(text(row, "engine"))
    words = launch_words(text(row, "other_flags"), engine.id)
    entry, named = model_of(text(row, "model"))
    gguf = engine.takes_gguf
    stored = _stored(row, engine, entry, words, named)
    architecture, precision, told = stored.architecture, stored.precision, stored.told
    devices = devices_of(text(row, "gpu"), whole(row, "gpu_count", 1 << 14), optional=True)
    if not gguf and not devices.each:
        raise InputError("case-without-device", found=text(row, "gpu"))
    fields, flags = engine_fields(engine.id, row, words, devices)
    if "ik_llama.cpp fork" in text(row, "engine_version"):
        fields["fork"] = "ik_llama.cpp"  # caches latent attention by its own --mla
        if not words:
            flags["mla"] = 2  # a log without its command line: who runs the fork on such a model does so for its latent cache
    asked = gguf and fields.get("max_model_len")  # llama.cpp's cache has the size that was asked for, whatever is free
    weights, memory = (_OF_WEIGHTS - _OF_CACHE, _OF_MEMORY - _OF_CACHE) if asked else (_OF_WEIGHTS, _OF_MEMORY)
    roomy = gguf and not devices.memory_known and _roomy(devices, architecture, precision)  # whatever others hold of it
    unpredictable = (frozenset() if told else weights) | (frozenset() if devices.memory_known else _OF_ROOM if roomy else memory)
    first = devices.first
    if not gguf and not devices.memory_known:  # weights are the same on a card that nobody names; nothing else is
        first, unpredictable = replace(first, memory_bytes=80 * GiB), unpredictable | (frozenset(MEMORY_QUANTITIES) - {"weights_bytes"})
    if gguf and not devices.memory_known and not roomy and devices.each and "n_gpu_layers" not in words:
        unpredictable |= _OF_PLACEMENT - ({"kv_cache_tokens"} if asked else set())  # how much goes to the GPU follows from what is free there
    flags |= _mapped_tables(engine.id, with_precision(architecture, precision), devices)
    if engine.placed_by_hand:
        room = sum(device.memory_bytes for device in devices.each)
        unpredictable |= _unpredictable_placement(
            words, flags, told=told, spills=checkpoint_bytes(with_precision(architecture, precision), mtp=False) > room
        )
    if stored.similar:
        fields["similar_precision"] = stored.similar
    version = text(row, "engine_version")
    fields["build"] = "" if known_build(version) else "other" if version else "dated"
    deployment = Deployment(
        model=entry.id,
        gpu=first.id,
        engine=engine.id,
        engine_version=_version(engine, row),
        precision=precision,
        flags=flags,
        **fields,
    )
    return Case(deployment, with_precision(architecture, precision), first, unpredictable, (*devices.notices, *stored.notices))


def _roomy(devices: Devices, architecture: Architecture, precision: str) -> bool:
    """Whether a start goes to GPUs as a whole although it is not known how much of their memory is free: it is small beside it."""
    room = sum(device.memory_bytes for device in devices.each)
    return room > 0 and checkpoint_bytes(with_precision(architecture, precision), mtp=False) <= _SMALL_SHARE * room


@dataclass(frozen=True)
class _Stored:
    """What the files of a case hold: the model, the precision to ask for, whether it can be told, and what is only alike."""

    architecture: Architecture
    precision: str
    told: bool
    similar: str
    notices: tuple[Notice, ...]


def _stored(row: Mapping[str, Any], engine: Declaration, entry: ModelEntry, words: Mapping[str, Any], named: str | None) -> _Stored:
    wish, told, alike = _wish(row, words, named)
    size = _size(row)
    if engine.takes_gguf:
        return _gguf(row, engine, entry, words, (wish, told, alike), size)
    other = stored_in(entry, wish)
    architecture = load_architecture(other.id)
    precision = _precision(row, words, wish, architecture)
    similar = (wish or "other") if other.id != entry.id else ""  # the checkpoint of another publisher stands for it
    tool = words.get("quantization")
    made = tool if isinstance(tool, str) and _TOOLS.match(tool) else ""
    copy = _copy(row, entry.id, wish, named, requantised=bool(similar) or precision in FAMILIES, tool=made)
    if copy is not None:
        architecture, precision, similar = copy, "checkpoint", ""
    if size is not None:
        architecture, precision, similar = of_size(with_precision(architecture, precision), size), "checkpoint", ""
    notices = [notice for notice in architecture.warnings if notice.code in _OF_COPIES]
    if alike:
        notices.append(Notice("similar-precision", {"found": text(row, "quantization") or text(row, "model"), "precision": precision}))
    return _Stored(architecture, precision, told, similar, tuple(notices))


def _gguf(
    row: Mapping[str, Any], engine: Declaration, entry: ModelEntry, words: Mapping[str, Any], wished: tuple[str | None, bool, bool], size: int | None
) -> _Stored:
    wish, told, alike = wished
    architecture = load_architecture(entry.id)
    precision, similar = gguf_precision(engine, wish, architecture), ""
    notices = (Notice("similar-precision", {"found": text(row, "quantization") or text(row, "model"), "precision": precision}),) if alike else ()
    said = f"{text(row, 'model')} {text(row, 'quantization')} {words.get('model')}"
    own = alike or OWN_MIX.search(said) or told_mix(said)
    mix = mix_of(said, precision, architecture) if own else precision
    if size is not None and precision in RECIPES:
        precision = recipe_of_size(architecture, precision, size, mix)
    elif own:
        similar, precision = "other", mix
    elif precision in RECIPES and _unsaid(row):  # the header names the type of most tensors
        similar, precision = "other", f"{precision}+{precision}"
    return _Stored(architecture, precision, told and wish is not None, similar, notices)


# A table of n-grams in a file: sgl-project/sglang pull 37995 ("a single Spark fits only with the table in a file"), eugr/spark-vllm-docker issue 388.
_IN_A_FILE: Mapping[str, dict[str, str]] = {"sglang": {"ple_offload_backend": "file"}, "vllm": {"ple_table_memory": "disk"}}


def _mapped_tables(engine_id: str, architecture: Architecture, devices: Devices) -> dict[str, str]:
    """What lets a start run whose tables of n-grams would not fit beside the other weights in the memory of host and device together."""
    if not devices.first.unified_memory or not any(tensor.group == "ngram_embedding" for _, _, tensor, _ in stored_tensors(architecture)):
        return {}
    room = sum(device.memory_bytes for device in devices.each)
    if checkpoint_bytes(architecture, mtp=False) <= _MOST_OF_SHARED * room:
        return {}
    return _IN_A_FILE.get(engine_id, {})


def _unsaid(row: Mapping[str, Any]) -> bool:
    """Whether a file has a name of its own without a word for its precision, so that somebody may have chosen type by type."""
    name = text(row, "model")
    return name.lower().endswith(".gguf") and precision_of_words(name)[0] is None


def _size(row: Mapping[str, Any]) -> int | None:
    """The size of the files, where a case states it. [bytes]"""
    size = row.get("checkpoint_gib")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < LARGEST_NUMBER:
        raise InputError("bad-case-number", field="checkpoint_gib", found=str(size)[:40], most=LARGEST_NUMBER)
    return round(size * GiB)


def _copy(row: Mapping[str, Any], model_id: str, wish: str | None, named: str | None, *, requantised: bool, tool: str) -> Architecture | None:
    """The quantised copy that a name or the tool that made it tells of; None where they tell of none, or of the entry itself."""
    name = re.sub(r"[\s()]+", "-", text(row, "model"))
    if wish is None or wish not in FAMILIES:
        return None
    if not (named or precision_of_words(name)[0]):
        if not tool:
            return None
        name = f"{name.rpartition('/')[2]}-{wish}"  # somebody's copy of the model that is named
    if not requantised and not published_by_another(model_id, name):
        return None
    return copy_of(load_architecture(model_id), name, wish, load_architecture, tool=tool)


def _version(engine: Declaration, row: Mapping[str, Any]) -> str | None:
    """The version that the case names, else the newest release of the day of its build, or of its own day."""
    words = text(row, "engine_version")
    if engine.builds:
        build = re.search(r"\b(?:(?:build|version)[ :=]+|b)(\d{3,6})\b", words)
        year = re.search(r"\b(20\d\d)\b", words)
        day = build_day(words) or text(row, "date") or (f"{year[1]}-07" if year else "")
        fork = "fork" in words
        if fork and "branch" in words:  # what it brings was merged soon after
            return next((release for first, release in engine.fork_releases if first > day), None)
        told = build is not None and (not fork or int(build[1]) >= int(engine.fork_releases[0][1]))  # who builds from a copy gets "build 1"
        return build[1] if build and told else release_on(engine.id, day, fork=fork)
    day = build_day(words) or text(row, "date")
    named, released = named_version(words, engine.months), release_on(engine.id, _month_before(day) if _PULL.search(words) else day)
    if named and released and engine.releases and ordered_version(named) < ordered_version(engine.releases[0][1]):
        return released  # older than all that was released since: the version of an image or a fork, by its own count
    return named or released


def _month_before(day: str) -> str:
    """A pull request's branch leaves the main line some weeks before it is measured.

    >>> _month_before("2026-07-02"), _month_before("2026-01-31"), _month_before("")
    ('2026-06', '2025-12', '')
    """
    told = re.match(r"(\d{4})-(\d{2})", day)
    if told is None:
        return day
    months = int(told[1]) * 12 + int(told[2]) - 2
    return f"{months // 12:04}-{months % 12 + 1:02}"


def _wish(row: Mapping[str, Any], words: Mapping[str, Any], named: str | None) -> tuple[str | None, bool, bool]:
    """(precision that the case names, whether it can be told, whether it is only alike) of the weights.

    The field of the case decides, then the launch flag, then the model's name.
    """
    field, flag = text(row, "quantization"), words.get("quantization")
    if (on_gpu := _ON_GPU.match(field)) is not None:
        field = on_gpu[1]  # experts beside it are computed in host memory, in a format of their own
    wish, alike = precision_of_words(field)
    if re.search(r"mixed|custom|not (?:seen|named)", field) and wish in (None, "bf16", "fp16"):
        return None, False, False
    unquantised = field.strip().lower() in _UNQUANTISED  # the engine said so: a name may still tell where the weights came from
    if field and wish is None and not unquantised and not _METHOD.search(field.lower()):
        return None, False, False  # a format that nobody here knows is not 16 bits
    for other in (flag if isinstance(flag, str) else "", "" if unquantised else text(row, "model")):
        if wish is None:
            wish, alike = precision_of_words(other)
    if wish is None and not field and _UNNAMED.search(text(row, "model")):
        return None, False, False  # the case says that it does not tell which files were loaded
    return wish or (None if unquantised else named), True, alike


def _unpredictable_placement(words: Mapping[str, Any], flags: Mapping[str, Any], *, told: bool, spills: bool) -> frozenset[str]:
    """What depends on flags that a log without its command line does not tell, or on experts of an unknown format that pass through a GPU."""
    if not words and flags.get("device") != "none":
        return frozenset({"compute_buffer_bytes", "kv_cache_pool_bytes", "fits"}) | (_OF_WEIGHTS if spills else frozenset())
    hosted = any(name in words for name in ("override_tensor", "cpu_moe", "n_cpu_moe"))
    return frozenset({"compute_buffer_bytes"}) if hosted and not told else frozenset()


def _precision(row: Mapping[str, Any], words: Mapping[str, Any], wish: str | None, architecture: Architecture) -> str:
    """The precision to ask for; a checkpoint that is stored in the format that is wished is taken as it is."""
    quantised = [name for name in weight_formats(architecture) if name not in _PLAIN]
    if wish is None or wish in _PLAIN:
        dtype = plain_dtype(words.get("dtype") or row.get("dtype"))
        wish = wish or dtype
        return wish if wish and not quantised and wish not in weight_formats(architecture) else "checkpoint"
    if wish in quantised[:1]:
        return "checkpoint"
    # "fp8 with mxfp4 experts" names two formats; a format of the smaller part alone is another checkpoint.
    return "checkpoint" if quantised and "expert" in text(row, "quantization") else wish


def text(row: Mapping[str, Any], name: str) -> str:
    """A field as text, "" where it is absent or no text; its length is bounded."""
    value = row.get(name)
    return value[:LONGEST_FIELD] if isinstance(value, str) else ""


def check_numbers(row: Mapping[str, Any]) -> None:
    """Refuse a case with a number that no start and no load has."""
    for name, value in row.items():
        if isinstance(value, int | float) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            found = f"{value:g}" if isinstance(value, float) else f"2^{value.bit_length()}"  # an endless whole number has no words
            raise InputError("bad-case-number", field=name, found=found, most=LARGEST_NUMBER)


def whole(row: Mapping[str, Any], name: str, most: int) -> int | None:
    """A field as a whole number from 0 to ``most``, None where it is absent; refused where it is something else."""
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise InputError("bad-case-number", field=name, found=str(value)[:40], most=most)
    return value
