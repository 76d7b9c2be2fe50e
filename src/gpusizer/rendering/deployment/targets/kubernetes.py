"""Manifests of Kubernetes: a Deployment and a Service, or a LeaderWorkerSet where a replica spans servers."""

from __future__ import annotations

from typing import Any

from gpusizer.rendering.deployment.pods import pod, settings, storage_claim
from gpusizer.rendering.deployment.workload import Workload
from gpusizer.rendering.deployment.yaml import written

__all__ = ["documents", "write"]

LEADER, RANK = "$(LWS_LEADER_ADDRESS)", "$(LWS_WORKER_INDEX)"
"""What a LeaderWorkerSet tells each of its pods (kubernetes-sigs/lws: docs/reference/labels-annotations-and-environment-variables)."""

_NAME = "app.kubernetes.io/name"
_DEADLINE_S = 600  # beside the longest start: pulling the image, waiting for a server


def write(workload: Workload) -> str:
    """All objects in one file."""
    return "---\n".join(written(each, workload.remarks if number == 0 else ()) for number, each in enumerate(documents(workload)))


def documents(workload: Workload) -> list[dict[str, Any]]:
    """The objects, in the order in which they are made."""
    servers = _deployment(workload) if workload.nodes == 1 else _leader_worker_set(workload)
    return [storage_claim(workload), *settings(workload), servers, _service(workload)]


def _deployment(workload: Workload) -> dict[str, Any]:
    labels = {_NAME: workload.name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": workload.name, "labels": labels},
        "spec": {
            "replicas": workload.replicas,
            "strategy": {"type": "Recreate"},  # devices are free for new pods when the old ones are gone
            "progressDeadlineSeconds": workload.startup_s + _DEADLINE_S,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod(workload)},
        },
    }


def _leader_worker_set(workload: Workload) -> dict[str, Any]:
    labels = {_NAME: workload.name}
    leader, worker = workload.node_words("0", LEADER, first=True), workload.node_words(RANK, LEADER, first=False)
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": workload.name, "labels": labels},
        "spec": {
            "replicas": workload.replicas,
            "leaderWorkerTemplate": {
                "size": workload.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": {"metadata": {"labels": {**labels, "role": "leader"}}, "spec": pod(workload, leader)},
                "workerTemplate": {"metadata": {"labels": labels}, "spec": pod(workload, worker, answers=False)},
            },
        },
    }


def _service(workload: Workload) -> dict[str, Any]:
    asked = {_NAME: workload.name, **({"role": "leader"} if workload.nodes > 1 else {})}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": workload.name, "labels": {_NAME: workload.name}},
        "spec": {"selector": asked, "ports": [{"name": "http", "port": workload.contained.serving.port, "targetPort": "http"}]},
    }
