"""A log as a stream: whatever wrote it, however long it is, the start that counts is found, in constant memory."""

from __future__ import annotations

import codecs
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpusizer.diagnosis import reader
from gpusizer.diagnosis.lines import LONGEST_LINE, blocks_of, plain_lines
from gpusizer.diagnosis.reader import Reading, read_log
from gpusizer.errors import UnreadableFileError

START = """\
(APIServer pid=1) INFO 11-02 10:00:00 [api_server.py:1912] vLLM API server version 0.11.2
(APIServer pid=1) INFO 11-02 10:00:00 [utils.py:233] non-default args: {'model': 'Qwen/Qwen3-8B', 'max_model_len': 32768}
(EngineCore_DP0 pid=9) INFO 11-02 10:00:40 [gpu_model_runner.py:2653] Model loading took 15.2683 GiB memory and 9.0 seconds
(EngineCore_DP0 pid=9) INFO 11-02 10:01:10 [gpu_worker.py:298] Available KV cache memory: 22.81 GiB
(EngineCore_DP0 pid=9) INFO 11-02 10:01:10 [kv_cache_utils.py:1087] GPU KV cache size: 166,096 tokens
(EngineCore_DP0 pid=9) INFO 11-02 10:01:10 [kv_cache_utils.py:1091] Maximum concurrency for 32,768 tokens per request: 5.07x
(EngineCore_DP0 pid=9) INFO 11-02 10:01:40 [gpu_model_runner.py:3480] Graph capturing finished in 4 secs, took 0.60 GiB
(APIServer pid=1) INFO:     Application startup complete.
"""
FAILED = START[: START.index("(EngineCore_DP0 pid=9) INFO 11-02 10:01:10")] + (
    "(EngineCore_DP0 pid=9) INFO [gpu_worker.py:298] Available KV cache memory: -1.50 GiB\n"
    "(EngineCore_DP0 pid=9) ERROR [core.py:842] ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`\n"
)
REQUEST = '(APIServer pid=1) INFO:     10.0.0.5:43210 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
KILLED = "[4242.1] Out of memory: Killed process 991 (VLLM::EngineCor) total-vm:9kB\n"
FIGURES = {"weights_gib_per_gpu": 15.2683, "kv_available_gib_per_gpu": 22.81, "kv_tokens": 166096, "max_concurrency": 5.07, "cuda_graph_gib": 0.6}


OLLAMA = """\
time=2025-09-20 level=INFO source=routes.go:1528 msg="Listening on 127.0.0.1:11434 (version 0.12.0)"
time=2025-09-20 level=INFO source=types.go:131 msg="inference compute" id=GPU-1 library=cuda name="NVIDIA GeForce RTX 3090" total="23.6 GiB"
"""
RUNNER = """\
time=2025-09-20 level=INFO source=server.go:398 msg="starting runner" cmd="/usr/bin/ollama runner --model /models/blob --port 41231"
print_info: general.name     = {model}
load_tensors: offloaded {layers}/{layers} layers to GPU
load_tensors:        CUDA0 model buffer size = {size} MiB
time=2025-09-20 level=INFO source=server.go:1289 msg="llama runner started in 5.00 seconds"
"""


def read(text: str | bytes, chunk_bytes: int = 1 << 20) -> Reading:
    content = text.encode() if isinstance(text, str) else text
    return read_log([content[at : at + chunk_bytes] for at in range(0, len(content), chunk_bytes)])


def figures(reading: Reading) -> dict[str, object]:
    measured = reading.told.record.measured
    return {name: measured.get(name) for name in FIGURES}


def coloured(text: str) -> str:
    return "".join(f"\x1b[36m{line[:14]}\x1b[0m{line[14:]}\x1b]8;;http://x\x07\x1b[K\n" for line in text.splitlines())


def wrapped(text: str) -> str:
    return "".join(json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-11-02T10:00:00Z"}) + "\n" for line in text.splitlines())


WRITTEN: dict[str, str | bytes] = {
    "as it is": START,
    "Windows": START.replace("\n", "\r\n"),
    "coloured": coloured(START),
    "docker": wrapped(START),
    "compose": "".join(f"vllm-1  | {line}\n" for line in START.splitlines()),
    "mark of UTF-8": codecs.BOM_UTF8 + START.encode(),
    "PowerShell": codecs.BOM_UTF16_LE + START.encode("utf-16-le"),
    "big end first": codecs.BOM_UTF16_BE + START.encode("utf-16-be"),
    "bytes that are no text": START.replace("\n", "\n\x00\ufffd\n").encode("utf-8").replace(b"\xef\xbf\xbd", b"\xff\xfe\xc3"),
    "progress bars": START.replace(
        "(EngineCore_DP0 pid=9) INFO 11-02 10:00:40", "Loading:  50%|#####\rLoading: 100%|##########\r(EngineCore_DP0 pid=9) INFO"
    ),
    "no end of the last line": START.rstrip("\n"),
    "two ranks between each other": "".join(line + line.replace("pid=9", "pid=10") for line in START.splitlines(keepends=True)),
}


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("chunk_bytes", [7, 1 << 20])
def test_whatever_wrote_it_the_figures_are_read(kind: str, chunk_bytes: int) -> None:
    found = read(WRITTEN[kind], chunk_bytes)
    assert found.told.engine == "vllm"
    assert figures(found) == FIGURES
    assert found.told.record.outcome == "starts"
    assert found.starts == 1


def test_numbers_of_lines_are_those_of_the_file() -> None:
    text = "other\n" * 41 + FAILED
    event = next(each for each in read(text).told.record.events if each.code == "no-cache-memory")
    assert text.splitlines()[event.line - 1].endswith("Try increasing `gpu_memory_utilization`")
    assert event.quote in text


def test_a_start_that_comes_again_counts_and_the_last_that_ended_tells() -> None:
    again = read(START + REQUEST * 30 + FAILED)
    assert (again.starts, again.told.record.outcome, again.told.first_line) == (2, "refused", 39)
    assert "kv_tokens" not in again.told.record.measured
    cut = read(FAILED + START[: START.index("(EngineCore_DP0 pid=9) INFO 11-02 10:01:10")])
    assert (cut.starts, cut.told.record.outcome) == (2, "refused")  # the second is cut: what became of it is not said
    assert read(FAILED * 3 + START).told.record.outcome == "starts"


def test_behind_the_bound_the_same_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "WHOLE_BYTES", 20_000)
    monkeypatch.setattr(reader, "CAPTURED_BYTES", 10_000)
    requests = REQUEST * 1_000
    late = read(requests + START + requests, 5_000)
    assert (figures(late), late.is_whole) == (FIGURES, False)
    assert (late.starts, late.told.first_line) == (1, 1_001)
    killed = read(START + requests + KILLED + requests, 5_000)
    event = next(each for each in killed.told.record.events if each.code == "host-killed")
    assert (figures(killed), event.line) == (FIGURES, 8 + 1_000 + 1)
    looping = read((START + REQUEST * 50) * 40 + FAILED, 5_000)
    assert looping.told.record.outcome == "refused"
    assert looping.starts == 41


def test_memory_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "WHOLE_BYTES", 100_000)

    def parts() -> Iterator[bytes]:
        yield START.encode()
        for _ in range(64):
            yield REQUEST.encode() * 6_000  # half a megabyte

    tracemalloc.start()
    try:
        found = read_log(parts())
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.size_bytes > 32_000_000
    assert peak_bytes < 6_000_000
    assert figures(found) == FIGURES


def test_a_line_without_end_is_cut() -> None:
    blocks = list(blocks_of([b"x" * 100_000] * 30 + [b"\nnext\n"], "x"))
    assert max(map(len, blocks)) < 200_000
    assert sum(map(len, blocks)) < 2 * LONGEST_LINE
    assert b"".join(blocks).endswith(b"\nnext\n")
    assert figures(read("y" * 300_000 + "\n" + START)) == FIGURES


def test_nothing_of_a_terminal_is_left_in_a_line() -> None:
    assert plain_lines(b"\x1b]0;title\x07a\x1b[2K\x1b[1;31mb\x1b[0m\x00\x08c\xe2\x80\xaed") == ["abcd"]
    assert all(text.isprintable() for text in plain_lines(bytes(range(256)) * 3))


@pytest.mark.parametrize("mark", [b"\x1f\x8b\x08\x00", b"PK\x03\x04", b"(\xb5/\xfd"])
def test_packed_files_are_refused_with_what_unpacks_them(mark: bytes) -> None:
    with pytest.raises(UnreadableFileError) as raised:
        read(mark + b"\x00" * 50)
    assert raised.value.code == "log-packed"


@settings(max_examples=60)
@given(st.lists(st.one_of(st.binary(max_size=200), st.sampled_from([line.encode() for line in (START + FAILED).splitlines(keepends=True)]))))
def test_any_bytes_are_read(parts: list[bytes]) -> None:
    content = b"".join(parts)
    try:
        found = read_log([content])
    except UnreadableFileError:
        return
    assert found.lines == content.count(b"\n") + (bool(content) and not content.endswith(b"\n"))
    assert all(each.quote.isprintable() for each in found.told.record.events)


def test_what_a_server_says_once_of_its_machine_holds_for_each_model_that_it_loads() -> None:
    first, second = RUNNER.format(model="Qwen3 8B", layers=37, size="4455.34"), RUNNER.format(model="Qwen3 14B", layers=41, size="8148.38")
    found = read(OLLAMA + first + second)
    assert (found.told.engine, found.starts) == ("ollama", 2)
    told = found.told.record
    assert (told.launch["model"], told.launch["gpu"], told.launch["engine_version"]) == ("Qwen3 14B", "NVIDIA GeForce RTX 3090", "0.12.0")
    assert told.measured["model_buffer_mib_by_device"] == {"CUDA0": 8148.38}
