"""vLLM's log, versions 0.6 to 0.33, both engines, vLLM-Ascend and forks. Prefixes of workers, dates and places in the code are not asked for."""

from __future__ import annotations

import re

from gpusizer.engines.base.log import LogGrammar, LogRecord
from gpusizer.engines.base.log_common import COMMON
from gpusizer.engines.vllm.log_errors import ERRORS
from gpusizer.engines.vllm.log_launch import BEGINS, LAUNCH
from gpusizer.engines.vllm.log_memory import MEMORY

__all__ = ["LOG"]

_STORED = re.compile(r"models--([\w.-]+?)--([\w.-]+)(?:/|$)")  # a folder of the cache of Hugging Face


def _finish(record: LogRecord) -> None:
    """What follows from several lines: GPUs, the length that a cache was needed for, what the engine was at, the name of a stored model."""
    launch = record.launch
    stored = _STORED.search(launch.get("model", ""))
    if stored is not None:
        launch["model"] = f"{stored[1]}/{stored[2]}"
    if " run " in record.command and "vllm" not in record.command:
        record.command = ""  # of another container
    ranks = launch.get("tp", 1) * launch.get("pp", 1) * launch.get("dp", 1)
    if ranks > 1 or "tp" in launch:
        launch["gpu_count"] = max(launch.get("gpu_count", 1), ranks)
    if "kv_needed_gib" in record.measured and "max_model_len" in launch:
        record.put("kv_needed_for_tokens", launch["max_model_len"])
    for event in record.events:
        if event.code.startswith("torch-out-of-memory") and record.state.get("out_of_memory_stage"):
            event.parameters["stage"] = record.state["out_of_memory_stage"]


LOG = LogGrammar("vllm", (*LAUNCH, *ERRORS, *MEMORY, *COMMON), words=frozenset({"attention_backend"}), finish=_finish, begins=BEGINS)
