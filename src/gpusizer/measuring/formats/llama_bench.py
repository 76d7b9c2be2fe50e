"""What ``llama-bench`` prints as JSON, JSON lines, CSV or Markdown: rates of prompts ("pp") and of answers ("tg"), each a test of its own.

Fields read in ggml-org/llama.cpp tools/llama-bench/README.md in November 2026. Neither rate holds tokenising or sampling; the answers of a test start
at its depth ("@ d512"), from an empty context without one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.measuring.fields import day, number, word
from gpusizer.measuring.formats.told import ToldLoad
from gpusizer.measuring.run import MeasuredRun

__all__ = ["markdown_tables", "recognises", "runs"]

_TEST = re.compile(r"(?:pp ?(\d{1,7}))?(?:\+?tg ?(\d{1,7}))?(?: ?@ ?d ?(\d{1,7}))?")
_BUILD = re.compile(r"^build: ([0-9a-f]{6,40}) \((\d{1,6})\)", re.MULTILINE)
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)")
_ALL_LAYERS = 99
_QUANT = re.compile(r"\b(?:UD-)?((?:IQ|Q|TQ)\d[0-9A-Z_]*|F16|BF16|F32|MXFP4)\b", re.IGNORECASE)
_SIZES = {"Small": "S", "Medium": "M", "Large": "L"}
_MOST_ROWS = 10_000


def recognises(table: Mapping[str, Any]) -> bool:
    """Whether it is a test of ``llama-bench``."""
    return "avg_ts" in table and ("n_gen" in table or "n_prompt" in table)


def runs(table: Mapping[str, Any], told: ToldLoad) -> list[MeasuredRun]:
    """The run of one test; none of one that mixes prompt and answer, whose times cannot be told apart.

    Parameters
    ----------
    table : mapping
        As the tool wrote it, numbers perhaps as words.
    told : ToldLoad
        Not used: the file holds its load.

    Returns
    -------
    list of MeasuredRun
        At most one.
    """
    prompt, answer, depth = (number(table.get(name)) for name in ("n_prompt", "n_gen", "n_depth"))
    rate = number(table.get("avg_ts"))
    if rate is None or (prompt is None) == (answer is None):
        return []
    seen: dict[str, Any] = {"ttft_s": prompt / rate} if prompt is not None else {"tpot_s": 1 / rate}
    devices = [each for each in re.split(r", | / ", word(table.get("gpu_info"))) if each]
    file = word(table.get("model_filename")).replace("\\", "/").rsplit("/", 1)[-1]
    build = number(table.get("build_number"))
    return [
        MeasuredRun(
            tool="llama-bench",
            input_tokens=prompt if prompt is not None else depth or 1.0,
            output_tokens=answer or 1.0,
            concurrency=1.0,
            length_spread=0.0,
            model=file or word(table.get("model_type")),
            precision=_precision(file) or _precision(word(table.get("model_type"))),
            gpu=devices[0] if devices else "",
            gpu_count=len(devices) or None,
            engine="llama.cpp",
            engine_version="" if build is None else f"b{int(build)}",
            date=day(table.get("test_time")),
            flags=_flags(table),
            notices=(Notice("several-gpus-seen", {"gpus": devices}),) if len(set(devices)) > 1 else (),
            **seen,
        )
    ]


def _flags(table: Mapping[str, Any]) -> dict[str, object]:
    """What bears on speed and differs from the usual: layers and experts on the host, the format of the cache, the size of a step."""
    found: dict[str, object] = {}
    layers, experts, step = (number(table.get(name)) for name in ("n_gpu_layers", "n_cpu_moe", "n_ubatch"))
    if layers is not None and layers < _ALL_LAYERS:
        found["n-gpu-layers"] = int(layers)
    if experts is not None:
        found["n-cpu-moe"] = int(experts)
    if step is not None:
        found["ubatch-size"] = int(step)
    for name in ("type_k", "type_v"):
        kind = word(table.get(name)).lower()
        if kind and kind != "f16":
            found[f"cache-type-{name[-1]}"] = kind
    return found


def _precision(words: str) -> str:
    """The recipe in the name of a file ("Q4_K_M"), or as the tool words it ("Q4_K - Medium").

    >>> _precision("Qwen3-8B-Q4_K_M.gguf"), _precision("qwen3 8B Q4_K - Medium"), _precision("llama 7B mostly Q4_0"), _precision("qwen3 8B all F32")
    ('Q4_K_M', 'Q4_K_M', 'Q4_0', 'F32')
    """
    found = _QUANT.search(words)
    if found is None:
        return ""
    size = re.search(r" - (Small|Medium|Large)", words)
    return f"{found[1].upper()}_{_SIZES[size[1]]}" if size else found[1].upper()


def markdown_tables(text: str) -> list[dict[str, Any]]:
    """The tests of a table in Markdown, by the names of the other forms; empty where there is none.

    >>> rows = markdown_tables("| model | size | test | t/s |\\n| --- | --- | --- | --- |\\n| qwen3 8B Q8_0 | 8 GiB | tg128 @ d512 | 61.5 ± 0.1 |")
    >>> rows[0]["n_gen"], rows[0]["n_depth"], rows[0]["avg_ts"]
    ('128', '512', '61.5')
    """
    build = _BUILD.search(text)
    heads: list[str] = []
    found: list[dict[str, Any]] = []
    for line in text.splitlines()[:_MOST_ROWS]:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|"):
            heads = []
        elif "t/s" in cells and "test" in cells:
            heads = cells
        elif heads and len(cells) == len(heads) and not set(line) <= set("|-: \t"):
            row = dict(zip(heads, cells, strict=True))
            test, rate = _TEST.fullmatch(row["test"]), _RATE.match(row["t/s"])
            if test and rate and (test[1] or test[2]):
                prompt, answer, depth = (each or "0" for each in test.groups())
                told = {"n_prompt": prompt, "n_gen": answer, "n_depth": depth, "avg_ts": rate[1], "model_type": row.get("model", "")}
                further = {name: row.get(name, "") for name in ("n_ubatch", "type_k", "type_v", "n_cpu_moe")}
                found.append({**told, **further, "n_gpu_layers": row.get("ngl", ""), "build_number": build[2] if build else ""})
    return found
