"""What the publishers of models say of them, each with its source: ``data/model_cards.toml``. Lists read it in ``models/index.json``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Card", "card", "source_of"]


class Card(NamedTuple):
    """What is known of one model.

    Parameters
    ----------
    released : str or None
        Year and month ("2025-04") in which its weights came out.
    licence : str or None
        In the words of :mod:`gpusizer.facts.licences`.
    base : bool
        It continues texts; nobody tuned it to answer.
    code, reasoning : bool
        Its publisher made it for code; it thinks before it answers.
    copy_of : str or None
        The model of which it is a quantised or pruned copy, where its name does not tell.
    """

    released: str | None = None
    licence: str | None = None
    base: bool = False
    code: bool = False
    reasoning: bool = False
    copy_of: str | None = None


def card(model_id: str) -> Card:
    """What is known of a model; nothing where nobody noted it.

    >>> card("starcoder2-7b").code, card("nobody-knows").released
    (True, None)
    """
    return Card(**{fact: value for fact, (value, _) in _cards().get(model_id, {}).items()})


def source_of(model_id: str, fact: str) -> str | None:
    """Where a fact of a model stands.

    Parameters
    ----------
    model_id : str
        Id of the catalogue.
    fact : str
        A field of :class:`Card`.

    Returns
    -------
    str or None
        None where nobody noted the fact.

    Examples
    --------
    >>> source_of("starcoder2-7b", "code"), source_of("nobody-knows", "code")
    ("the publisher's name of the model", None)
    """
    return _cards().get(model_id, {}).get(fact, (None, None))[1]


@cache
def _cards() -> Mapping[str, Mapping[str, tuple[Any, str]]]:
    """By model and field: the value and its source."""
    with (Path(__file__).parent / "data" / "model_cards.toml").open("rb") as stream:
        tables = tomllib.load(stream)
    found: dict[str, dict[str, tuple[Any, str]]] = {}
    for fact, groups in tables.items():
        for group in groups:
            values: Mapping[Any, list[str]] = group.get("values") or {True: group["models"]}
            for value, model in ((value, model) for value, models in values.items() for model in models):
                if fact in found.setdefault(model, {}):
                    raise ValueError(f"{fact} of {model} is told twice")
                found[model][fact] = (value, group["source"])
    return found
