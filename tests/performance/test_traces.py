"""Traces from strangers: what is read, and that everything else is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpusizer.errors import UnreadableFileError
from gpusizer.performance.simulation import trace
from gpusizer.performance.simulation.trace import read_trace

LINE = '{"arrival_s": 10.5, "input_tokens": 100, "output_tokens": 20}\n'


def written(folder: Path, content: str | bytes) -> str:
    path = folder / "trace"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize(
    "content",
    [
        LINE + '\n{"arrival_s": 11, "input_tokens": 7.0, "output_tokens": 1, "user": "x"}\n',
        "arrival_s,user,input_tokens,output_tokens\n10.5,a,100,20\n11,b,7,1\n",
        "\ufeffarrival_s,input_tokens,output_tokens\r\n10.5,100,20\r\n11,7,1\r\n",
        "\ufeff" + LINE + '{"arrival_s": "11", "input_tokens": "7", "output_tokens": "1"}',
    ],
    ids=["json", "csv", "csv of an editor", "text for numbers"],
)
def test_both_forms_are_the_same_requests(tmp_path: Path, content: str) -> None:
    found = read_trace(written(tmp_path, content))
    assert (found.arrival_s, found.input_tokens, found.output_tokens) == ([0.0, 0.5], [100, 7], [20, 1])


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        ("", "trace-empty", None),
        ("\n \n", "trace-empty", None),
        (LINE + "{]\n", "bad-trace-line", 2),
        (LINE + "[1, 2, 3]\n", "bad-trace-line", 2),
        (LINE + '"x"\n', "bad-trace-line", 2),
        (LINE + "{" + '"a":[' * 5000, "bad-trace-line", 2),
        (LINE.encode() + b'{"arrival_s": \xff}\n', "bad-trace-line", 2),
        (LINE.replace("10.5", "NaN"), "bad-trace-value", 1),
        (LINE.replace("10.5", "Infinity"), "bad-trace-value", 1),
        (LINE.replace("10.5", "-1"), "bad-trace-value", 1),
        (LINE.replace("10.5", "1e400"), "bad-trace-value", 1),
        (LINE.replace("10.5", "true"), "bad-trace-value", 1),
        (LINE.replace("10.5", "[1]"), "bad-trace-value", 1),
        (LINE.replace("100", "0"), "bad-trace-value", 1),
        (LINE.replace("100", "-5"), "bad-trace-value", 1),
        (LINE.replace("100", "1" + "0" * 400), "bad-trace-value", 1),
        (LINE.replace("20}", "1e12}"), "bad-trace-value", 1),
        ('{"arrival_s": 1, "input_tokens": 1}\n', "bad-trace-value", 1),
        (LINE + LINE.replace("10.5", "10.4"), "trace-unsorted", 2),
        ("hello world\n1\n", "trace-without-names", None),
        ("arrival_s,input_tokens\n1,2\n", "trace-without-names", None),
        ("arrival_s,input_tokens,output_tokens\n1,2\n", "bad-trace-value", 2),
        ("arrival_s,input_tokens,output_tokens\n1,2,x\n", "bad-trace-value", 2),
        ("arrival_s,input_tokens,output_tokens\n1,2,3\n2,2,nan\n", "bad-trace-value", 3),
        (b"arrival_s,input_tokens,output_tokens\n1,2,\xff\xfe\n", "bad-trace-line", 2),
        (LINE + " " * 70_000 + "\n", "trace-line-too-long", 2),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(tmp_path: Path, content: str | bytes, code: str, line: int | None) -> None:
    with pytest.raises(UnreadableFileError) as refused:
        read_trace(written(tmp_path, content))
    assert refused.value.code == code
    assert refused.value.parameters.get("line") == line


def test_a_trace_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MOST_REQUESTS", 3)
    with pytest.raises(UnreadableFileError) as refused:
        read_trace(written(tmp_path, LINE * 4))
    assert refused.value.code == "trace-too-long"
    monkeypatch.setattr(trace, "LARGEST_FILE_BYTES", 100)
    with pytest.raises(UnreadableFileError) as refused:
        read_trace(written(tmp_path, LINE * 4))
    assert refused.value.code == "trace-too-large"
    for path in (str(tmp_path), str(tmp_path / "none"), "a\0b"):
        with pytest.raises(UnreadableFileError) as refused:
            read_trace(path)
        assert refused.value.code == "trace-missing"
