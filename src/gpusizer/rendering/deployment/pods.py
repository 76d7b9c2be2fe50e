"""A server as a pod of Kubernetes, shared by every target that stands on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpusizer.formulas.core import ceil_div
from gpusizer.rendering.deployment.names import gib, unexpanded
from gpusizer.rendering.deployment.workload import FOLDER, SETTINGS, Workload
from gpusizer.rendering.deployment.yaml import Commented

__all__ = ["CLAIM", "PERIOD_S", "SHARED", "environment", "limits", "pod", "probes", "settings", "storage_claim", "tries"]

PERIOD_S = 10
"""Between two questions whether a server is well. [s]"""

CLAIM, SHARED, SETTINGS_VOLUME = "checkpoint", "shared-memory", "settings"
TOKEN_SECRET = "hf-token"


def pod(workload: Workload, further: Sequence[str] = (), *, answers: bool = True) -> dict[str, Any]:
    """The specification of one pod.

    Parameters
    ----------
    workload : Workload
        What runs.
    further : sequence of str
        Arguments of this pod, in which variables of Kubernetes stand as such.
    answers : bool
        Whether it answers requests; one that does not has neither port nor probes.
    """
    inside = workload.contained
    program, *rest = inside.words
    port = inside.serving.port
    served = {"ports": [{"name": "http", "containerPort": port}]} if answers else {}
    return {
        "containers": [
            {
                "name": "server",
                "image": inside.image,
                "command": [program],
                "args": [*map(unexpanded, rest), *further],
                "workingDir": FOLDER,
                "env": environment(workload),
                **served,
                "resources": {"limits": limits(workload)},
                "volumeMounts": _mounts(workload),
                **(probes(workload) if answers else {}),
            }
        ],
        "volumes": _volumes(workload),
    }


def environment(workload: Workload, home: str = FOLDER) -> list[dict[str, Any]]:
    """Variables of the container; a token of the hub comes from a secret that need not be there."""
    serving = workload.serving
    told = [("HF_HOME", home), *workload.environment, *workload.hub, *(serving.environment(serving.port) if serving is not None else ())]
    found: list[dict[str, Any]] = [{"name": name, "value": unexpanded(value)} for name, value in told]
    if workload.wishes.offline != "on":
        secret = {"name": TOKEN_SECRET, "key": "token", "optional": True}
        found.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": secret}})
    return found


def limits(workload: Workload) -> dict[str, str]:
    """The devices of one pod."""
    return {workload.resource or "": str(workload.gpus)}


def tries(workload: Workload) -> int:
    """How often a start is asked about before it counts as failed."""
    return int(ceil_div(workload.startup_s, PERIOD_S))


def probes(workload: Workload) -> dict[str, Any]:
    """Whether it has started, whether it can serve, whether it must be started anew."""
    ask = {"httpGet": {"path": workload.contained.serving.health, "port": "http"}, "periodSeconds": PERIOD_S}
    return {
        "startupProbe": Commented({**ask, "failureThreshold": tries(workload)}, workload.pace_remark),
        "readinessProbe": {**ask, "timeoutSeconds": 5},
        "livenessProbe": {**ask, "timeoutSeconds": 10, "failureThreshold": 6},
    }


def _mounts(workload: Workload) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"name": CLAIM, "mountPath": FOLDER}]
    if workload.contained.serving.shared_bytes:
        found.append({"name": SHARED, "mountPath": "/dev/shm"})
    if workload.file is not None:
        found.append({"name": SETTINGS_VOLUME, "mountPath": SETTINGS, "readOnly": True})
    return found


def _volumes(workload: Workload) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"name": CLAIM, "persistentVolumeClaim": {"claimName": workload.name}}]
    shared = workload.contained.serving.shared_bytes
    if shared:
        found.append({"name": SHARED, "emptyDir": {"medium": "Memory", "sizeLimit": gib(shared)}})
    if workload.file is not None:
        found.append({"name": SETTINGS_VOLUME, "configMap": {"name": workload.name}})
    return found


def storage_claim(workload: Workload) -> dict[str, Any]:
    """Room for the checkpoint; several pods share it."""
    mode = "ReadWriteOnce" if workload.replicas * workload.nodes == 1 else "ReadWriteMany"
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": workload.name},
        "spec": Commented(
            {"accessModes": [mode], "resources": {"requests": {"storage": gib(workload.storage_bytes)}}},
            workload.storage_remark,
        ),
    }


def settings(workload: Workload) -> list[dict[str, Any]]:
    """The file that the command reads; nothing without."""
    if workload.file is None:
        return []
    data = {workload.file.name: workload.file.words}
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": workload.name}, "data": data}]
