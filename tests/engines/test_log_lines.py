"""The lines that a prediction says an engine will print: its grammar reads them back to the same figures, and published logs have the same words."""

from __future__ import annotations

import re

import pytest

from conftest import shared_lines
from gpusizer.diagnosis.reader import read_log
from gpusizer.diagnosis.row import measured_of
from gpusizer.engines import get_engine
from gpusizer.engines.base.log_lines import UNTOLD, ExpectedLine, expected_lines
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.engines.base.version import named_version, ordered_version
from gpusizer.planning.verdict import make_fit
from gpusizer.rendering.fit import log_lines

VLLM = ("0.7.3", "0.8.5", "0.9.2", "0.10.2", "0.11.0", "0.13.0", "0.16.0", "0.20.2", "0.26.0", "0.33.0")
STARTS = [
    *(("vllm", version, {"max_model_len": 16384}) for version in VLLM),
    ("sglang", None, {"max_model_len": 16384}),
    ("tensorrt-llm", None, {"max_model_len": 16384}),
    ("llama.cpp", None, {"max_model_len": 16384, "precision": "q4_k_m"}),
]
PRINTED_TO = {"_bytes": 0.0051 * (1 << 30), "_tokens": 0.5, "_concurrency": 0.0051}


def fitted(engine: str, version: str | None, **fields: object) -> Fit:
    start = Deployment("qwen3-8b", "l40s-48gb", engine=engine, engine_version=version, **fields)  # type: ignore[arg-type]
    return make_fit(start).fit


def told(lines: tuple[ExpectedLine, ...]) -> str:
    return "".join(each.line.replace(UNTOLD, "9") + "\n" for each in lines)


@pytest.mark.parametrize(("engine", "version", "fields"), STARTS, ids=lambda value: value if isinstance(value, str) else None)
def test_what_is_foretold_is_read_back(engine: str, version: str | None, fields: dict[str, object]) -> None:
    lines = log_lines(fitted(engine, version, **fields))
    record = read_log([told(lines).encode()]).told
    assert record.engine == engine
    measured = measured_of({"engine": engine, "measured": record.record.measured})
    assert lines
    for each in lines:
        digits = next(value for ending, value in PRINTED_TO.items() if each.quantity.endswith(ending))
        assert measured[each.quantity] == pytest.approx(each.value, abs=digits), each.line
        assert each.low <= each.value <= each.high


def test_a_start_that_fails_prints_no_size_of_its_cache() -> None:
    quantities = [each.quantity for each in log_lines(fitted("vllm", "0.13.0", memory_fraction=0.3))]
    assert "kv_cache_pool_bytes" in quantities
    assert "kv_cache_tokens" not in quantities


def test_an_engine_whose_log_nobody_described_prints_nothing() -> None:
    assert log_lines(fitted("transformers", None)) == ()


def masked(line: str) -> str:
    """Words of a line, whatever its figures."""
    return re.sub(r"-?\d[\d,.]*", "#", line.replace(UNTOLD, "9")).strip()


@pytest.mark.shared
def test_versions_print_these_words() -> None:
    """Every line that somebody published of a release of vLLM from 0.8 on, in the words that are foretold for that release."""
    begins = ("Model loading took", "Available KV cache memory:", "GPU KV cache size:", "Maximum concurrency for", "Graph capturing finished in")
    held = 0
    for row in shared_lines("starts.jsonl"):
        version = named_version(str(row["engine_version"] or ""), ())
        if row["engine"] != "vllm" or version is None or not re.fullmatch(r"0\.\d{1,2}\.\d(\+.*)?", str(row["engine_version"])):
            continue  # branches and forks print what they like
        start = fitted("vllm", version, max_model_len=16384)
        foretold = {masked(each.line) for each in expected_lines(start, get_engine("vllm").version_of(start.deployment))}
        if ordered_version(version) < ordered_version("0.8"):
            continue
        for line in row["log"].split(" | "):
            found = next((line[line.index(words) :] for words in begins if words in line), None)
            if found is None or not re.search(r"\[\w+\.py:\d+\]", line):
                continue  # shortened by who published it
            held += 1
            assert masked(found) in foretold, (row["id"], version, found)
    assert held > 100
