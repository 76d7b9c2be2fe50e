"""Values for vLLM's production-stack chart: one entry of ``modelSpec``, behind the chart's router.

Flags that the chart has names for stand under those; the chart turns prefix caching off where nothing is said, so it is always said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gpusizer.rendering.deployment.names import gib, image_named, unexpanded
from gpusizer.rendering.deployment.pods import PERIOD_S, environment, limits, tries
from gpusizer.rendering.deployment.workload import Workload
from gpusizer.rendering.deployment.yaml import Commented, written

__all__ = ["document", "write"]

HOME = "/data"
"""Where the chart mounts the claim of a model."""

_NAMED = {
    "--tensor-parallel-size": "tensorParallelSize",
    "--max-model-len": "maxModelLen",
    "--max-num-seqs": "maxNumSeqs",
    "--gpu-memory-utilization": "gpuMemoryUtilization",
    "--dtype": "dtype",
}
_CACHED, _UNCACHED = "--enable-prefix-caching", "--no-enable-prefix-caching"


def write(workload: Workload) -> str:
    """The values."""
    return written(document(workload), [*workload.remarks, workload.text("chart")])


def document(workload: Workload) -> dict[str, Any]:
    """The values as plain data."""
    inside = workload.contained
    repository, tag = image_named(inside.image)
    ask = {"httpGet": {"path": inside.serving.health, "port": inside.serving.port}, "initialDelaySeconds": PERIOD_S, "periodSeconds": PERIOD_S}
    settings, rest = _settings(workload.arguments)
    model = {
        "name": workload.name,
        "repository": repository,
        "tag": tag,
        "modelURL": unexpanded(workload.model),
        "replicaCount": workload.replicas,
        "requestGPU": workload.gpus,
        "requestGPUType": workload.resource or "",
        "resources": {"requests": limits(workload), "limits": limits(workload)},
        "pvcStorage": Commented(gib(workload.storage_bytes), workload.storage_remark),
        "pvcAccessMode": ["ReadWriteOnce" if workload.replicas == 1 else "ReadWriteMany"],
        "shmSize": gib(inside.serving.shared_bytes),
        "env": environment(workload, HOME)[1:],
        "vllmConfig": {**settings, "extraArgs": rest},
    }
    return {
        "servingEngineSpec": {
            "containerPort": inside.serving.port,
            "modelSpec": [model],
            "startupProbe": Commented({**ask, "failureThreshold": tries(workload)}, workload.pace_remark),
        },
    }


def _settings(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What the chart has names for, and the arguments that are left."""
    found: dict[str, Any] = {"tensorParallelSize": 1, "enablePrefixCaching": _UNCACHED not in words}
    left: list[str] = []
    for flag, values in _flags(words):
        if flag in _NAMED and len(values) == 1 and (value := _value(values[0])) is not None:
            found[_NAMED[flag]] = value
        elif flag not in (_CACHED, _UNCACHED):
            left += map(unexpanded, (flag, *values))
    return found, left


def _flags(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each flag with the words behind it."""
    flag, values = "", list[str]()
    for word in (*words, "--"):
        if word.startswith("--"):
            if flag:
                yield flag, values
            flag, values = word, []
        else:
            values.append(word)


def _value(word: str) -> int | float | str | None:
    """A number as such, a word of letters as it is; None for what the chart's names do not take."""
    try:
        return int(word) if word.isdecimal() else float(word)
    except ValueError:
        return word if word.isalnum() and not word.isdecimal() and word != "auto" else None
