"""Logs of engines, as ``diagnose`` reads them: figures that no card has, lines of one engine among those of another, lines cut in the middle."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import cache

from hypothesis import strategies as st

from fuzz.given import chosen, once_in
from fuzz.laws import codes, hold_for_band, hold_for_numbers, read_back
from fuzz.mutate import ODD_WORDS, changed_bytes, changed_lines, mixed, one_of
from fuzz.surface import Surface
from gpusizer.diagnosis.diagnose import diagnose
from gpusizer.diagnosis.row import Given
from gpusizer.engines import engine_ids
from gpusizer.engines.base.log_lines import UNTOLD
from gpusizer.engines.base.types import Deployment
from gpusizer.i18n import LANGUAGES
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.diagnose import diagnosis_document
from gpusizer.rendering.fit import log_lines
from gpusizer.rendering.render import render

_HEADS = (
    b"INFO 11-02 10:00:00 [api_server.py:1912] vLLM API server version 0.11.2",
    b"INFO 11-02 10:00:00 [utils.py:233] non-default args: {'model': 'Qwen/Qwen3-8B', 'max_model_len': 32768, 'tensor_parallel_size': 2}",
    b"server_args=ServerArgs(model_path='Qwen/Qwen3-8B', tp_size=2, mem_fraction_static=0.85, context_length=32768)",
    b"vllm serve Qwen/Qwen3-8B --tensor-parallel-size 2 --gpu-memory-utilization 0.9",
    b"llama_model_loader: loaded meta data with 30 key-value pairs and 399 tensors from Qwen3-8B-Q4_K_M.gguf (version GGUF V3 (latest))",
)
_ENDS = (
    b"ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.",
    b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 44.40 GiB of which 900.00 MiB is free.",
    b"[4242.1] Out of memory: Killed process 991 (VLLM::EngineCor) total-vm:9kB",
    b"INFO:     Application startup complete.",
    b"WARNING Sequence group 7 is preempted by PreemptionMode.RECOMPUTE mode because there is not enough KV cache space.",
)
_FIGURES = (b"0", b"-1.50", b"1e308", b"9" * 400, b"166,096", b"nan", b"0.0000001", b"1.2.3", b"\xd9\xa1", b"22.81", b"1")
_WORDS = [*_FIGURES, b"GiB", b"MiB", b"GB", b"\r", b"\x1b[36m", b"{'a': ", b"\\", *(word.encode(errors="replace") for word in ODD_WORDS)]
_DIFFERENCES = ("kv_cache_pool", "cuda_graph", "non_torch", "avail", "free")  # of memory that others take too: printed below nothing as well
_FIGURE = re.compile(rb"\d[\d.,]*")


@cache
def _seeds() -> tuple[bytes, ...]:
    """What each engine would print of a start, by our own word; then how starts end."""
    found = []
    for engine in engine_ids():
        lines = log_lines(make_fit(Deployment("qwen3-8b", "l40s-48gb", engine=engine)).fit)
        found.append(b"\n".join((*_HEADS[:1], *(each.line.replace(UNTOLD, "9").encode() for each in lines))))
    return (b"\n".join((*_HEADS, *_ENDS)), *found, *(b"\n".join((_HEADS[0], end)) for end in _ENDS))


@cache
def _known_lines() -> tuple[bytes, ...]:
    return tuple(sorted({line for seed in _seeds() for line in seed.split(b"\n") if line}))


@st.composite
def _line(draw: st.DrawFn) -> bytes:
    """A line that some engine prints, with another figure."""
    line = one_of(draw, _known_lines())
    places = list(_FIGURE.finditer(line))
    if not places:
        return line
    place = one_of(draw, places)
    return line[: place.start()] + one_of(draw, _FIGURES) + line[place.end() :]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return mixed((3, changed_lines(known, _line())), (2, changed_bytes(known, _WORDS)))


def _answer(content: bytes) -> Hashable:
    given = chosen((Given(), Given("qwen3-8b", ("l40s-48gb",)), Given("qwen3-8b", ("h100-sxm-80gb",), "sglang")), content)
    cut = len(content) // 2
    found = diagnose([content[:cut], content[cut:]], given)
    document = diagnosis_document(found, chosen(LANGUAGES, content))
    data = read_back(render(document, "json"))
    hold_for_numbers({name: each for name, each in data["measured"].items() if not name.startswith(_DIFFERENCES)})
    for name, each in found.compared.items():
        hold_for_band(name, each.low, each.predicted, each.high, fits=bool(found.fit and found.fit.fits))
    if once_in(4, content):
        render(document, chosen(("text", "markdown", "csv"), content))
    return found.engine, found.outcome, frozenset(data["measured"]), codes(data["warnings"]), len(data["remedies"])


SURFACE = Surface("logs", _seeds, _changed, _answer, weight=10)
