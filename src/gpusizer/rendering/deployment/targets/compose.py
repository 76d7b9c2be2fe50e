"""A compose file: the replicas of one machine, each on its devices."""

from __future__ import annotations

from typing import Any

from gpusizer.facts.deployment import ContainerDevices
from gpusizer.rendering.deployment.names import unexpanded
from gpusizer.rendering.deployment.pods import PERIOD_S
from gpusizer.rendering.deployment.workload import FOLDER, SETTINGS, Workload
from gpusizer.rendering.deployment.yaml import Commented, written
from gpusizer.units import GiB

__all__ = ["document", "write"]

CHECKPOINT = "checkpoint"


def write(workload: Workload) -> str:
    """The file; where the replicas need several machines, the same file on each."""
    servers, each = workload.servers, workload.per_server
    remarks = [*workload.remarks, *([workload.text("machines", servers=servers, each=each)] if servers > 1 else [])]
    return written(document(workload), remarks)


def document(workload: Workload) -> dict[str, Any]:
    """The file as plain data."""
    each = workload.per_server
    names = [workload.name] if each == 1 else [f"{workload.name}-{number}" for number in range(each)]
    file = workload.file
    return {
        "name": workload.name,
        "services": {name: _service(workload, number) for number, name in enumerate(names)},
        "volumes": {CHECKPOINT: Commented({}, workload.storage_remark)},
        **({"configs": {file.name: {"content": unexpanded(file.words)}}} if file is not None else {}),
    }


def _service(workload: Workload, number: int) -> dict[str, Any]:
    inside = workload.contained
    program, *rest = inside.words
    serving, file = inside.serving, workload.file
    numbers = range(number * workload.gpus, (number + 1) * workload.gpus)
    variables = {"HF_HOME": FOLDER, **dict(workload.environment), **dict(workload.hub), **dict(serving.environment(serving.port))}
    told: dict[str, str | None] = {name: unexpanded(value) for name, value in variables.items()}
    told |= {} if workload.wishes.offline == "on" else {"HF_TOKEN": None}  # that of whoever starts it
    given = _given(workload, numbers)
    told |= given.pop("environment", {})
    mounts = [f"{CHECKPOINT}:{FOLDER}", *given.pop("volumes", [])]
    return {
        "image": inside.image,
        "entrypoint": [program],
        "command": list(map(unexpanded, rest)),
        "working_dir": FOLDER,
        "environment": told,
        "ports": [f"{serving.port + number}:{serving.port}"],
        "volumes": mounts,
        **({"configs": [{"source": file.name, "target": f"{SETTINGS}/{file.name}"}]} if file is not None else {}),
        **({"shm_size": f"{serving.shared_bytes // GiB}gb"} if serving.shared_bytes else {}),
        **given,
        "healthcheck": Commented(
            {
                "test": ["CMD", "curl", "--fail", "--silent", f"http://127.0.0.1:{serving.port}{serving.health}"],
                "interval": f"{PERIOD_S}s",
                "start_period": f"{workload.startup_s}s",
            },
            workload.pace_remark,
        ),
        "restart": "unless-stopped",
    }


def _given(workload: Workload, numbers: range) -> dict[str, Any]:
    """How the container gets its devices."""
    access = workload.devices or ContainerDevices()  # where nobody knows it was refused before
    if access.driver:
        reserved = {"driver": access.driver, "device_ids": [str(each) for each in numbers], "capabilities": ["gpu"]}
        return {"deploy": {"resources": {"reservations": {"devices": [reserved]}}}}
    own = [access.each.format(number=each) for each in numbers] if access.each else []
    return {
        "devices": [f"{path}:{path}" for path in (*own, *access.nodes)],
        **({"group_add": list(access.groups)} if access.groups else {}),
        **({"volumes": [f"{path}:{path}" for path in access.mounts]} if access.mounts else {}),
        **({"environment": {access.visible: ",".join(map(str, numbers))}} if access.visible else {}),
    }
