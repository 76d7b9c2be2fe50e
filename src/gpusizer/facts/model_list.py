"""All models of the catalogue as a list, from ``models/index.json`` alone: what each is for, since when, under which licence, how large."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from gpusizer.facts.model_names import index_rows

__all__ = ["ListedModel", "listed_model", "listed_models"]


class ListedModel(NamedTuple):
    """One model of the list.

    Parameters
    ----------
    uses : tuple of str
        What it is for, of the words of :data:`gpusizer.facts.types.USES`; empty for a base model that is made for nothing else.
    base : bool
        It continues texts; nobody tuned it to answer.
    released : str or None
        Year and month ("2025-04"), None where no source was found.
    licence : str or None
        A short word ("apache-2.0", "llama3.1", "other"), None where nobody noted it.
    commercial : str
        Whether commercial use is free: "yes", "conditions", "no", "unknown".
    context_tokens : int or None
        Longest context that its configuration declares. [tokens]
    total_params, activated_params : int
        As counted from its configuration; of a mixture of experts those that one token passes through.
    copy_of : str or None
        The model of which it is a quantised or pruned copy.
    """

    id: str
    name: str
    total_params: int
    activated_params: int
    uses: tuple[str, ...] = ()
    base: bool = False
    released: str | None = None
    licence: str | None = None
    commercial: str = "unknown"
    context_tokens: int | None = None
    copy_of: str | None = None


@cache
def _by_id() -> Mapping[str, ListedModel]:
    return {each: ListedModel(id=each, **{**row, "uses": tuple(row.get("uses", ()))}) for each, row in index_rows().items()}


def listed_models() -> tuple[ListedModel, ...]:
    """Every model of the catalogue, sorted by id.

    >>> found = {model.id: model for model in listed_models()}
    >>> found["deepseek-v3.2-nvfp4"].copy_of, found["bge-m3"].uses, found["qwen3-8b"].licence, found["qwen3-8b"].commercial
    ('deepseek-v3.2', ('embedding',), 'apache-2.0', 'yes')
    """
    return tuple(_by_id().values())


def listed_model(model_id: str) -> ListedModel | None:
    """One of them by its id, None for an id that is not in the catalogue.

    >>> listed_model("qwen3-8b").context_tokens
    40960
    """
    return _by_id().get(model_id)
