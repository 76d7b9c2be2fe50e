"""What an address or a body asks: a request of a plan from a stranger, who may name no file of this machine and no network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from gpusizer.architecture.load import pasted_name
from gpusizer.errors import InputError
from gpusizer.facts.model_words import model_meant
from gpusizer.planning.fields import Field
from gpusizer.planning.owned import without_count
from gpusizer.planning.request import FIELDS, Request, from_mapping, to_query

__all__ = ["OWN", "PLAN_FIELDS", "Asked", "asked_of", "catalogued", "pairs_of", "refuse_files"]

_NOT_OVER_HTTP = ("trace", "prices", "calibrate", "hub")
_FILES = (".gguf", ".json", ".toml", ".safetensors")
_MOST_FIELDS = 200

PLAN_FIELDS = tuple(each for each in FIELDS if each.name not in _NOT_OVER_HTTP)
"""Inputs of a plan that a stranger may give."""

OWN: tuple[Field, ...] = (
    Field("config", "json", ""),
    Field("top", "count", "top"),
    Field("fields", "word", "fields", many=True),
    Field("title", "word", "title"),
    Field("customer", "word", "customer"),
    Field("date", "word", "date"),
)
"""Inputs beside those of a request: a pasted configuration, and how the answer is shown."""

_OWN = {each.name for each in OWN}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came over HTTP.

    Parameters
    ----------
    request : Request
        The request; its model is a word of the catalogue, or the name of the pasted configuration.
    config : str or None
        A ``config.json`` that was pasted or uploaded instead of naming a model.
    shown : mapping
        How the answer is shown: the fields of :data:`OWN` that were given, but for ``config``.
    """

    request: Request
    config: str | None
    shown: Mapping[str, Any]

    @property
    def query(self) -> str:
        """The query that asks the same, in one order."""
        rest = [(name, each) for name, value in self.shown.items() for each in (value if isinstance(value, tuple) else (value,))]
        if self.config is None:
            return "&".join(filter(None, (to_query(self.request), urlencode(rest))))
        without = to_query(replace(self.request, model="-")).partition("&")[2]
        return "&".join(filter(None, (urlencode([("config", self.config)]), without, urlencode(rest))))


def pairs_of(query: str) -> list[tuple[str, str]]:
    """The names and values of a query; empty values are left out.

    Raises
    ------
    InputError
        Too many of them.
    """
    try:
        return parse_qsl(query, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InputError("too-many-fields", most=_MOST_FIELDS) from error


def asked_of(pairs: Iterable[tuple[str, Any]]) -> Asked:
    """The request that names and values state.

    Parameters
    ----------
    pairs : iterable of (str, object)
        Names and values of a query or of a JSON object.

    Returns
    -------
    Asked
        A request that touches no file and no network.

    Raises
    ------
    InputError
        Every mistake that the command line refuses as well, and ``not-over-http`` for what names a file.

    Examples
    --------
    >>> asked = asked_of([("model", "DeepSeek-V3"), ("users", "1,000"), ("top", "3")])
    >>> asked.request.users, dict(asked.shown), asked.query
    (1000, {'top': 3}, 'model=DeepSeek-V3&users=1000&top=3')
    """
    values: dict[str, Any] = {}
    many = {each.name for each in (*FIELDS, *OWN) if each.many}
    for name, value in pairs:
        if name in many and name in values:
            values[name] = (*values[name], *_entries(value))
        elif name in values:
            raise InputError("given-twice", name=name[:40])
        else:
            values[name] = tuple(_entries(value)) if name in many else value
    own = {name: values.pop(name) for name in list(values) if name in _OWN}
    config = own.pop("config", None)
    refuse_files(values, ("model", "gpus", "owned", "with_models"))
    shown = {each.name: each.read(own[each.name]) for each in OWN if each.name in own}
    if config is None:
        request = from_mapping(values)
        catalogued(request.model, *request.with_models)
        return Asked(request, None, shown)
    text = config if isinstance(config, str) else json.dumps(config, ensure_ascii=False)
    values.pop("model", None)
    request = from_mapping({"model": pasted_name(text), **values})
    catalogued(*request.with_models)
    return Asked(request, text, shown)


def catalogued(*models: str) -> None:
    """Refuse what does not mean a model of the catalogue."""
    for each in models:
        model_meant(each)


def _entries(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def refuse_files(values: Mapping[str, Any], names: Iterable[str]) -> None:
    """Refuse what would be read from this machine, or from a network.

    Parameters
    ----------
    values : mapping
        What was given, by name.
    names : iterable of str
        Those whose values may be mistaken for a file.

    Raises
    ------
    InputError
        ``not-over-http``.
    """
    for name in _NOT_OVER_HTTP:
        if values.get(name) is not None:
            raise InputError("not-over-http", name=name)
    for name in names:
        for entry in _entries(values.get(name, "")):
            if any(without_count(word).endswith(_FILES) for word in str(entry).split(",")):
                raise InputError("not-over-http", name=name)
