"""The model of a measured case, from a name with remarks, publishers and file endings around it."""

from __future__ import annotations

from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.catalog import model_entry, resolve_model
from gpusizer.facts.model_remarks import readings, same_size
from gpusizer.facts.model_words import model_meant
from gpusizer.facts.stored_copies import stored_copy_id
from gpusizer.facts.types import ModelEntry

__all__ = ["model_of", "stored_in"]

LONGEST_NAME = 400


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
    for reading in readings(words):
        try:
            entry, precision = resolve_model(reading.name)
        except UnknownIdError:
            continue
        if same_size(reading, entry.published_total_params):
            return entry, precision
    try:
        meant = model_meant(words)  # what people may type, a case may say
    except InputError:
        raise UnknownIdError("unknown-model", id=words, nearest=list(unknown.parameters.get("nearest", ()))) from unknown
    return model_entry(meant.id), None  # fields and flags of a case tell its precision, and its words are read again for it


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
