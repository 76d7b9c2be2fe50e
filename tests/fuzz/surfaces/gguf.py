"""GGUF files: metadata of every type in every place, headers that lie, files that end early."""

from __future__ import annotations

import struct
from collections.abc import Hashable, Sequence

from hypothesis import strategies as st

from file_bytes import gguf_bytes
from fuzz.given import chosen, file, once_in
from fuzz.laws import codes, hold
from fuzz.mutate import ODD_WORDS, changed_bytes, mixed, one_of
from fuzz.surface import Surface
from fuzz.surfaces.configs import started
from gpusizer.answers import architecture_answer
from gpusizer.i18n import LANGUAGES
from gpusizer.rendering.render import render

_PLAIN = {"block_count": 2, "embedding_length": 64, "feed_forward_length": 96, "attention.head_count": 4, "attention.head_count_kv": 2}
_PLAIN |= {"context_length": 512, "vocab_size": 100}
_EXPERTS = {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 32}
_STATES = {"ssm.inner_size": 128, "ssm.state_size": 16, "ssm.conv_kernel": 4, "ssm.time_step_rank": 4}
_LATENT = {"attention.kv_lora_rank": 32, "attention.q_lora_rank": 24, "attention.key_length": 24, "attention.value_length": 16}
_LATENT |= {"rope.dimension_count": 8, "expert_shared_count": 1, "leading_dense_block_count": 1}
_WINDOWS = {"attention.sliding_window": 128, "attention.sliding_window_pattern": 6, "attention.key_length": 16}
_MODELS: dict[str, dict[str, int]] = {
    "llama": _PLAIN,
    "qwen3moe": _PLAIN | _EXPERTS,
    "deepseek2": _PLAIN | _EXPERTS | _LATENT,
    "gemma3": _PLAIN | _WINDOWS,
    "mamba": _PLAIN | _STATES,
    "nemotron_h": _PLAIN | _STATES | {"ssm.group_count": 2},
    "qwen3next": _PLAIN | _EXPERTS | _STATES | {"ssm.group_count": 2, "full_attention_interval": 2},
}
_KEYS = sorted({key for keys in _MODELS.values() for key in keys} | {"nextn_predict_layers", "interleave_moe_layer_step", "rope.freq_base"})
_TENSORS: tuple[str, ...] = (
    "token_embd.weight",
    "output.weight",
    "blk.0.attn_q.weight",
    "blk.0.attn_k.weight",
    "blk.0.attn_q.bias",
    "blk.1.ssm_ba.weight",
)
_TENSORS += ("blk.0.ffn_down_exps.weight", "blk.1.ffn_down_shexp.weight", "blk.0.ffn_up.weight", "rope_freqs.weight", "x", "blk.99.attn_q.weight")
_CODES = {"B": 0, "b": 1, "H": 2, "h": 3, "I": 4, "i": 5, "f": 6, "?": 7, "Q": 10, "q": 11, "d": 12}
_TEXT, _ARRAY = 8, 9
_NUMBERS = (0, 1, 2, 3, 4, 7, 8, 16, 64, 100, 255, 65_535, 2**31 - 1, 2**32 - 1, 2**62, 2**64 - 1)
_few, _kind = st.integers(0, 4), st.integers(0, 9)


def _text(words: str) -> bytes:
    content = words.encode(errors="surrogatepass")
    return struct.pack("<Q", len(content)) + content


def _number(value: int, code: str) -> bytes:
    """A number as some type holds it, cut to its bits."""
    if code in "fd":
        return struct.pack("<" + code, value if value < 2**60 else float("inf"))
    size = struct.calcsize("<" + code)
    return (value % (1 << 8 * size)).to_bytes(size, "little")


@st.composite
def _value(draw: st.DrawFn) -> tuple[int, bytes]:
    """A value of metadata: its type and its bytes."""
    kind = draw(_kind)
    if kind == 0:
        return _TEXT, _text(one_of(draw, ODD_WORDS))
    code = one_of(draw, list(_CODES))
    if kind <= 6:
        return _CODES[code], _number(one_of(draw, _NUMBERS), code)
    entries = [one_of(draw, _NUMBERS) for _ in range(draw(_few))]
    said = one_of(draw, (len(entries), len(entries), 2**40))
    return _ARRAY, struct.pack("<IQ", _CODES[code], said) + b"".join(_number(each, code) for each in entries)


@st.composite
def _composed(draw: st.DrawFn) -> bytes:
    """A file of some architecture with a few values of its own, and some tensors."""
    name = one_of(draw, list(_MODELS))
    values = {key: (4, struct.pack("<I", number)) for key, number in _MODELS[name].items()}
    for _ in range(draw(_few)):
        values[one_of(draw, _KEYS)] = draw(_value())
    if draw(_few) == 0:
        del values[one_of(draw, list(values))]
    tensors, offset = [], 0
    for tensor in [one_of(draw, _TENSORS) for _ in range(draw(_few))]:
        sides = tuple(one_of(draw, (32, 64, 128, 256, 0, 1, 2**40)) for _ in range(1 + draw(_few) % 3))
        tensors.append((tensor, sides, one_of(draw, (0, 1, 2, 8, 12, 14, 30, 39, 99)), offset))
        offset += one_of(draw, (0, 32, 8192, 65_536))
    keys = [("general.architecture", _TEXT, _text(name)), *((f"{name}.{key}", *value) for key, value in values.items())]
    return gguf_bytes(keys, tensors, one_of(draw, (0, 64, 70_000)))


def _plain(name: str) -> bytes:
    keys = [(f"{name}.{key}", 4, struct.pack("<I", number)) for key, number in _MODELS[name].items()]
    return gguf_bytes([("general.architecture", _TEXT, _text(name)), *keys], [("token_embd.weight", (64, 100), 0, 0)], 25_600)


def _seeds() -> list[bytes]:
    return [_plain(name) for name in _MODELS]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    words = [key.encode() for key in _KEYS] + [name.encode() for name in _TENSORS]
    return mixed((1, changed_bytes(known, words)), (2, _composed()))


def _answer(content: bytes) -> Hashable:
    path = file("x.gguf", content)
    data = hold(render(architecture_answer(path, chosen(LANGUAGES, content)), "json"))
    if once_in(12, content):
        started(path, content)
    return frozenset(layer["mixer"].partition(",")[0] for layer in data["layers"]), codes(data["warnings"])


SURFACE = Surface("gguf", _seeds, _changed, _answer, weight=16)
