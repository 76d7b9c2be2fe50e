"""What comes over HTTP: the query and the body of every kind of question, answered as a worker of the server answers."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from urllib.parse import quote_plus

from hypothesis import strategies as st

from fuzz.laws import hold
from fuzz.mutate import ODD_WORDS, changed_bytes, changed_json, mixed, one_of
from fuzz.surface import Surface
from gpusizer.web.job import Job
from gpusizer.web.replies import KINDS, reply_to
from tiny_config import CONFIG

_FORMS = ("json", "page", "part", "csv", "text", "markdown", "yaml", "sh")
_QUERIES = {
    "plan": "model=qwen3-8b&gpus=h100-sxm-80gb&users=100&active_share=2%25&input_tokens=1k&output_tokens=256&top=3",
    "fit": "model=qwen3-8b&gpu=h100-sxm-80gb&tp=2&max_model_len=32k&engine=vllm",
    "run-on": "machine=l40s:4&models=qwen3-8b&context_tokens=16k&host_memory=128GB",
    "deploy": "model=qwen3-8b&gpus=h200&users=200&option=1&target=kubernetes&registry=registry.example:5000/mirror&offline=on",
    "models": "filter=qwen3&use=code",
    "accelerators": "vendor=NVIDIA",
    "engines": "",
}
_BODIES = (
    ("plan", "json", json.dumps({"model": "qwen3-8b", "gpus": ["h100-sxm-80gb"], "concurrency": 4, "ttft_s": 2, "top": 1})),
    ("fit", "json", json.dumps({"config": CONFIG, "gpu": "h100-sxm-80gb", "tp": 2, "max_model_len": 4096})),
    ("run-on", "json", json.dumps({"machine": ["l40s:4"], "models": ["qwen3-8b"], "context_tokens": "16k"})),
)
_NAMES = [pair.partition("=")[0] for query in _QUERIES.values() for pair in query.split("&") if pair]
_NAMES += [
    "config",
    "command",
    "engine_version",
    "precision",
    "kv_precision",
    "ttft_s",
    "fields",
    "title",
    "date",
    "count",
    "prices",
    "hub",
    "owned",
    "x",
]
_VALUES = [
    *ODD_WORDS,
    "2",
    "16",
    "1e9",
    "128k",
    "fp8",
    "json",
    "zh",
    "sglang",
    "llama.cpp",
    json.dumps(CONFIG),
    "vllm serve qwen3-8b -tp 2",
    "card.toml",
]
_WORDS = [f"&{name}=".encode() for name in _NAMES]
_value = st.sampled_from(_VALUES) | st.text(max_size=6)
_few = st.integers(0, 3)


def _of(kind: str, form: str, query: str) -> bytes:
    return f"{kind} {form} {query}".encode(errors="surrogateescape")


def _seeds() -> list[bytes]:
    return [_of(kind, form, query) for kind, query in _QUERIES.items() for form in _FORMS[:2]] + [_of(*body) for body in _BODIES]


@st.composite
def _changed_query(draw: st.DrawFn, known: Sequence[bytes]) -> bytes:
    kind, form, query = one_of(draw, known).decode(errors="replace").split(" ", 2)
    pairs = query.split("&")
    for _ in range(1 + draw(_few)):
        place = draw(st.integers(0, len(pairs)))
        value = draw(_value)
        new = f"{one_of(draw, _NAMES)}={quote_plus(value, errors='replace')}"
        pairs[place : place + draw(_few) % 2] = [new] if draw(_few) else []
    return _of(kind, one_of(draw, (form, *_FORMS)), "&".join(pairs))


@st.composite
def _changed_body(draw: st.DrawFn) -> bytes:
    kind, form, body = one_of(draw, _BODIES)
    return _of(kind, form, json.dumps(draw(changed_json([body.encode()], _NAMES))))


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    whole = [each for each in known if each.count(b" ") >= 2]
    return mixed((1, changed_bytes(whole, _WORDS)), (4, _changed_query(whole)), (1, _changed_body()))


def _answer(content: bytes) -> Hashable:
    kind, _, rest = content.decode(errors="replace").partition(" ")
    form, _, query = rest.partition(" ")
    if kind not in KINDS or form not in _FORMS:
        return "not fed"
    body = query.encode() if query.startswith("{") else b""
    reply = reply_to(Job(kind, form, "zh" if "zh" in query else "en", "" if body else query, body=body))
    assert reply.status == 200 or 400 <= reply.status < 500, (reply.status, reply.body[:300])
    if reply.media_type.startswith("application/"):
        said = hold(reply.body)
        assert said.get("code") != "defect", said
        return kind, form, reply.status, said.get("code", "")
    return kind, form, reply.status


SURFACE = Surface("queries", _seeds, _changed, _answer, weight=2)
