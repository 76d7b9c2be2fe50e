"""Requests as plain data, as somebody's program makes them: read, written in every way and read again, now and then planned."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import replace

from hypothesis import strategies as st

from fuzz.given import chosen, once_in
from fuzz.laws import codes, hold
from fuzz.mutate import changed_json, json_bytes
from fuzz.surface import Surface
from gpusizer import Request, plan
from gpusizer.errors import InputError
from gpusizer.facts.catalog import scenarios
from gpusizer.planning.request import FIELDS, from_mapping, from_query, to_mapping, to_query

_NOT_HERE = ("hub", "trace", "prices", "calibrate")  # a network, and files that have a surface of their own
_KEYS = tuple(each.name for each in FIELDS if each.name not in _NOT_HERE)
_CARDS = ("h100-sxm-80gb", "rtx4090-24gb", "h200-sxm-141gb", "ascend-910b-64gb", "48GB,864GB/s,362TFLOPS", "m3-ultra-512gb")
_REQUESTS = (
    {"model": "qwen3-8b", "concurrency": 4, "gpus": ["h100-sxm-80gb"]},
    {"model": "llama-3.1-8b-instruct", "users": "1,000", "active_share": "2%", "context_tokens": "8k", "gpus": ["rtx4090-24gb"], "ttft_s": "2s"},
    {
        "model": "gpt-oss-20b",
        "request_rate": "2/s",
        "input_tokens": 1024,
        "output_tokens": "256",
        "max_gpus": 8,
        "tpot_p95_s": "50ms",
        "gpus": ["h100"],
    },
    {"model": "qwen3-30b-a3b", "owned": ["l40s:4"], "engine": "sglang", "precision": "fp8,int4", "kv_precision": "fp8", "spare": 1, "sort": "cost"},
    {
        "model": "deepseek-v2-lite",
        "engine": "llama.cpp",
        "precision": "Q4_K_M",
        "gpus": ["48GB,864GB/s,362TFLOPS"],
        "currency": "EUR",
        "market": "cn",
    },
    {"model": "gemma-3-27b-it", "scenario": scenarios()[0].id, "speculative": "mtp:2", "with_models": ["bge-m3"], "gpus": ["h200"], "tuning": "off"},
)


def _seeds() -> list[bytes]:
    return [json_bytes(each) for each in _REQUESTS]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return changed_json(known, _KEYS).map(json_bytes)


def _answer(content: bytes) -> Hashable:
    values = json.loads(content)
    if not isinstance(values, dict) or any(name in values for name in _NOT_HERE):
        return "not fed"
    request = from_mapping(values)
    assert from_mapping(json.loads(json.dumps(to_mapping(request), allow_nan=False))) == request
    assert from_query(to_query(request)) == request
    if once_in(5, content):
        return _planned(request, content)
    return frozenset(to_mapping(request))


def _planned(request: Request, content: bytes) -> Hashable:
    """A plan for a device or two: all of them take their time and say no more."""
    few = request.gpus[:2] or (() if request.owned else (chosen(_CARDS, content),))
    try:
        return codes(hold(plan(replace(request, gpus=few)).to_json())["warnings"])
    except InputError as error:
        return error.code


SURFACE = Surface("requests", _seeds, _changed, _answer, weight=5)
