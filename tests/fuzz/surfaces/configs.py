"""A stranger's ``config.json``: read, shown, and now and then started on an engine."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Any

from hypothesis import strategies as st

from fuzz.given import chosen, file, known_keys, large_configs, once_in, small_configs
from fuzz.laws import codes, hold, read_back
from fuzz.mutate import changed_bytes, changed_json, json_bytes, mixed
from fuzz.surface import Surface
from gpusizer import Deployment, fit
from gpusizer.answers import architecture_answer
from gpusizer.engines import engine_ids
from gpusizer.errors import InputError
from gpusizer.i18n import LANGUAGES
from gpusizer.rendering.render import render

_VERSIONS = (None, "0.5.2", "0.11.0", "1.0.0")  # an engine that has no such version takes the nearest, or says so
_GPUS = ("h200-sxm-141gb", "rtx4090-24gb", "mi300x-192gb", "ascend-910b-64gb")


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return mixed((9, changed_json(known, known_keys()).map(json_bytes)), (1, changed_bytes(known)))


def _answer(content: bytes) -> Hashable:
    path = file("config.json", content)
    data = hold(render(architecture_answer(path, chosen(LANGUAGES, content)), "json"))
    if once_in(12, content):
        _whatever_the_order(content, data)
    if once_in(12, content[2:]):
        _more_layers_weigh_more(content, data)
    if once_in(12, content[1:]):
        started(path, content)
    mixers = frozenset(layer["mixer"].partition(",")[0] for layer in data["layers"])
    return mixers, data["quantization"] is None, codes(data["warnings"])


def _whatever_the_order(content: bytes, data: dict[str, Any]) -> None:
    """The order of keys means nothing."""
    turned = file("config.json", json_bytes(dict(reversed(json.loads(content).items()))))
    again = read_back(render(architecture_answer(turned, chosen(LANGUAGES, content)), "json"))
    first, second = ({**each, "warnings": sorted(map(str, each["warnings"]))} for each in (data, again))
    assert first == second, "the order of keys changes the answer"


def _more_layers_weigh_more(content: bytes, data: dict[str, Any]) -> None:
    """With twice the layers a model has more parameters and no smaller cache, or is refused."""
    config = json.loads(content)
    layers = config.get("num_hidden_layers")
    if not isinstance(layers, int) or isinstance(layers, bool):
        return
    try:
        more = hold(render(architecture_answer(file("config.json", json_bytes({**config, "num_hidden_layers": 2 * layers})), "en"), "json"))
    except InputError:
        return
    for name in ("total_params", "kv_cache_bytes_per_token", "fixed_bytes_per_request", "checkpoint_bytes"):
        assert more[name] >= data[name], f"{name} of twice the layers: {more[name]} of {data[name]}"


def started(path: str, content: bytes) -> None:
    """A model of a file on some engine and some device."""
    engine, version = chosen(engine_ids(), content), chosen(_VERSIONS, content[2:])
    deployment = Deployment(path, chosen(_GPUS, content), tp=chosen((1, 2, 8), content[3:]), engine=engine, engine_version=version)
    try:
        answer = fit(deployment)
    except InputError:
        return
    hold(answer.to_json())


SURFACE = Surface("configs", small_configs, _changed, _answer, weight=30, larger=large_configs)
