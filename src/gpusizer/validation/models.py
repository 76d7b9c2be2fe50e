"""The model of a measured case, from a name with remarks, publishers and file endings around it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import model_entry, resolve_model
from gpusizer.facts.stored_copies import stored_copy_id
from gpusizer.facts.types import ModelEntry
from gpusizer.units import GB

__all__ = ["model_of", "stored_in"]

LONGEST_NAME = 400
_MOST_WORDS = 24
_ENDINGS = re.compile(r"(-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)
# Words after a known name that make another model of it: a size, another line, a teacher's pupil, a draft model.
_ANOTHER = re.compile(
    r"(a?\d+(\.\d+)?[bmt]|\d{1,2}e|\d{1,3}(\.\d+)?|v\d+\.\d+|distill\w*|lite|mini|small|large|flash|air|vl|vision|coder|code|math|eagle\d?|draft|dflash|omni|"
    r"nano|super|ultra|pro|max|next|turbo|embedding|reranker|audio|nemotron|linear|think|dev)",
    re.IGNORECASE,
)


def model_of(words: str) -> tuple[ModelEntry, str | None]:
    """The entry that words mean, and the precision that they say.

    Remarks in parentheses, words before the name (a publisher, a tuner's own name) and words after it that leave shapes alone drop out. A name with
    a word that makes another model of it is refused: a distilled model is not its teacher.

    Parameters
    ----------
    words : str
        As written.

    Returns
    -------
    ModelEntry, str or None
        The entry and the precision.

    Examples
    --------
    >>> [model_of(words)[0].id for words in ("DeepSeek-R1-11446-Q2_K-00001-of-00030.gguf", "deepseek-ai/DeepSeek-V3 or R1 (671B)")]
    ['deepseek-r1', 'deepseek-v3']
    >>> try:
    ...     model_of("DeepSeek-V3-Draft-1B")
    ... except UnknownIdError as error:
    ...     print(error.code)
    unknown-model
    """
    words = words[:LONGEST_NAME].strip()
    try:
        return resolve_model(words)
    except UnknownIdError as error:
        unknown = error
    for name, sizes in _readings(words):
        try:
            entry, precision = resolve_model(name)
        except UnknownIdError:
            continue
        total = entry.published_total_params or 0
        if all(abs(size - total) <= _SAME_SIZE * total for size in sizes):
            return entry, precision
    nearest = list(unknown.parameters.get("nearest", ()))
    raise UnknownIdError("unknown-model", id=words, nearest=nearest)


def stored_in(entry: ModelEntry, precision: str | None) -> ModelEntry:
    """The catalogue's entry of a model as it is stored in a precision: its list of what stays unquantised is a real one.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    precision : str or None
        What a case names.

    Returns
    -------
    ModelEntry
        An entry of the same name in that precision, else one of the same shapes, else the model's own.

    Examples
    --------
    >>> stored_in(model_entry("glm-5.1"), "nvfp4").id, stored_in(model_entry("qwen3-8b"), None).id
    ('glm-5.1-nvfp4', 'qwen3-8b')
    """
    return entry if precision is None else model_entry(stored_copy_id(entry.id, precision))


_SAME_SIZE = 0.03
_SIZE = re.compile(r"(\d{1,5}(?:\.\d+)?)b", re.IGNORECASE)


def _readings(words: str) -> Iterator[tuple[str, list[float]]]:
    """Ever shorter readings of a name, with the sizes among the words that were left out."""
    plain = re.sub(r"\([^()]*\)?", " ", words).strip()
    plain = _ENDINGS.sub("", plain)
    last = plain.rstrip("/").rpartition("/")[2]
    for reading in dict.fromkeys((plain.replace("/", "-or-") if "/" in plain and " " in plain else last, last)):
        parts = re.split(r"[\s_:-]+|(?<=[a-z])\.(?=q\d)", _spaced(reading))[:_MOST_WORDS]
        for start in range(min(len(parts), 4)):
            for end in range(len(parts), start, -1):
                sizes = [float(size[1]) * GB for part in parts[end:] if (size := _SIZE.fullmatch(part))]
                if any(_ANOTHER.fullmatch(part) and not _SIZE.fullmatch(part) for part in parts[end:]):
                    break
                yield "-".join(parts[start:end]), sizes


def _spaced(name: str) -> str:
    """ "gemma3:12b" as "gemma-3:12b" and "Llama-3_1" as "Llama-3.1": a version apart from its name, its parts joined by a point."""
    name = re.sub(r"(?<=[^.\d]\d)_(?=\d(?![\da-z.]))", ".", name)
    return re.sub(r"(?<=[a-z]{4})(?=\d+:)", "-", name)
