"""A RayService with Ray Serve LLM: the flags as arguments of the engine, the servers as a group of workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpusizer.engines.base.flags import flag_table
from gpusizer.engines.base.pasted import read_command
from gpusizer.facts.deployment import ray_image
from gpusizer.rendering.deployment.names import gib
from gpusizer.rendering.deployment.pods import CLAIM, SHARED, environment, limits, storage_claim
from gpusizer.rendering.deployment.workload import FOLDER, Workload
from gpusizer.rendering.deployment.yaml import Block, written

__all__ = ["documents", "engine_arguments", "write"]


def write(workload: Workload) -> str:
    """The service and the room for its checkpoint, in one file."""
    remarks = [*workload.remarks, workload.text("ray", version=ray_image().version)]
    return "---\n".join(written(each, remarks if number == 0 else ()) for number, each in enumerate(documents(workload)))


def documents(workload: Workload) -> list[dict[str, Any]]:
    """The objects as plain data."""
    known = ray_image()
    image = workload.mirrored(workload.wishes.image or known.image)
    head = {"name": "ray-head", "image": image, "ports": [{"name": "serve", "containerPort": 8000}, {"name": "dashboard", "containerPort": 8265}]}
    service = {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": workload.name},
        "spec": {
            "serveConfigV2": Block(written(_application(workload))),
            "rayClusterConfig": {
                "rayVersion": known.version,
                "headGroupSpec": {"rayStartParams": {"num-cpus": "0", "num-gpus": "0"}, "template": {"spec": {"containers": [head]}}},
                "workerGroupSpecs": [_workers(workload, image)],
            },
        },
    }
    return [storage_claim(workload), service]


def _application(workload: Workload) -> dict[str, Any]:
    """What Ray Serve runs."""
    return {
        "applications": [
            {
                "name": workload.name,
                "import_path": "ray.serve.llm:build_openai_app",
                "route_prefix": "/",
                "args": {
                    "llm_configs": [
                        {
                            "model_loading_config": {"model_id": workload.model, "model_source": workload.model},
                            "engine_kwargs": engine_arguments(workload.words, workload.launch.engine),
                            "deployment_config": {"num_replicas": workload.replicas},
                        }
                    ]
                },
            }
        ]
    }


def _workers(workload: Workload, image: str) -> dict[str, Any]:
    """Servers with devices, as many as all replicas take."""
    servers = workload.replicas * workload.nodes
    shared = gib(workload.serving.shared_bytes) if workload.serving is not None else "0"
    worker = {
        "name": "ray-worker",
        "image": image,
        "env": environment(workload),
        "resources": {"limits": limits(workload)},
        "volumeMounts": [{"name": CLAIM, "mountPath": FOLDER}, {"name": SHARED, "mountPath": "/dev/shm"}],
    }
    volumes = [
        {"name": CLAIM, "persistentVolumeClaim": {"claimName": workload.name}},
        {"name": SHARED, "emptyDir": {"medium": "Memory", "sizeLimit": shared}},
    ]
    return {
        "groupName": "gpus",
        "replicas": servers,
        "minReplicas": servers,
        "maxReplicas": servers,
        "rayStartParams": {"num-gpus": str(workload.gpus)},
        "template": {"spec": {"containers": [worker], "volumes": volumes}},
    }


def engine_arguments(words: Sequence[str], engine: str) -> dict[str, Any]:
    """The arguments of a command as those of the engine's constructor.

    Parameters
    ----------
    words : sequence of str
        A launch command.
    engine : str
        Its id.

    Examples
    --------
    >>> engine_arguments(["vllm", "serve", "m", "--tensor-parallel-size", "2", "--gpu-memory-utilization", "0.92", "--enforce-eager"], "vllm")
    {'tensor_parallel_size': 2, 'gpu_memory_utilization': 0.92, 'enforce_eager': True}
    """
    table = flag_table(engine)
    found: dict[str, Any] = {}
    for spelling, told in read_command(words, engine).flags.items():
        flag = table.find(spelling)
        if flag is not None and flag.target != "model":
            value = flag.read(told)
            found[flag.name] = "auto" if flag.left_open and value == -1 else value
    return found
