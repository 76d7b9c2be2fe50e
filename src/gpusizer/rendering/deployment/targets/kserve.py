"""KServe's LLMInferenceService, which llm-d takes too: the flags for its own preset of vLLM, which brings image, port and certificates.

The preset hands its arguments to a shell a second time (``eval`` in config-llm-template.yaml), so each is quoted for one; and it writes the name of
the model into that line as it is, so only names of a hub are taken.
"""

from __future__ import annotations

import re
from typing import Any

from gpusizer.errors import InputError
from gpusizer.rendering.deployment.names import gib, unexpanded
from gpusizer.rendering.deployment.pods import PERIOD_S, environment, limits, tries
from gpusizer.rendering.deployment.workload import Workload
from gpusizer.rendering.deployment.yaml import Commented, written
from gpusizer.rendering.launch import quoted

__all__ = ["document", "write"]

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def write(workload: Workload) -> str:
    """The object."""
    return written(document(workload), [*workload.remarks, workload.text("preset")])


def document(workload: Workload) -> dict[str, Any]:
    """The object as plain data."""
    if not _REPOSITORY.fullmatch(workload.model):
        raise InputError("deploy-no-repository", target="kserve", model=workload.model, instead="kubernetes")
    image = workload.wishes.image
    container = {
        "name": "main",
        **({"image": workload.mirrored(image)} if image else {}),
        "args": [unexpanded(quoted(word)) for word in workload.arguments],
        "env": environment(workload)[1:],
        "resources": {"limits": limits(workload), "requests": limits(workload)},
        "startupProbe": Commented({"periodSeconds": PERIOD_S, "failureThreshold": tries(workload)}, workload.pace_remark),
    }
    shared = workload.contained.serving.shared_bytes
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": workload.name},
        "spec": {
            "model": {"uri": f"hf://{workload.model}", "name": workload.model},
            "replicas": workload.replicas,
            "router": {"route": {}, "gateway": {}, "scheduler": {}},
            "template": {
                "containers": [container],
                "volumes": [{"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": gib(shared)}}],
            },
        },
    }
