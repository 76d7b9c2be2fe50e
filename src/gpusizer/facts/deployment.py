"""What an operator knows of where engines run, from ``data/deployment.toml``: images, device plugins, devices of a container, the pace of a start."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gpusizer.facts.types import Accelerator

__all__ = [
    "ContainerDevices",
    "Image",
    "Pace",
    "RayImage",
    "Storage",
    "devices_of",
    "engines_of",
    "image_of",
    "pace",
    "ray_image",
    "resource_of",
    "storage",
]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a start takes: what the slowest tenth of measured loadings reached, and what comes beside the loading.

    Parameters
    ----------
    read_bytes_per_s : int
        From storage to the device. [bytes/s]
    start_s : int
        Processes, compilation, capture of graphs. [s]
    source : str
        Where it was measured.
    """

    read_bytes_per_s: int
    start_s: int
    source: str


@dataclass(frozen=True, slots=True)
class Storage:
    """Room for a checkpoint: a share more than its files, in whole steps."""

    spare_share: float
    step_bytes: int


@dataclass(frozen=True, slots=True)
class RayImage:
    """The image of Ray Serve LLM, which brings an engine of its own, and Ray's version in it."""

    version: str
    image: str
    source: str


class Image(NamedTuple):
    """A container image, and the version of the engine in it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ContainerDevices:
    """How a container of one machine is given its devices.

    Parameters
    ----------
    driver : str
        Of compose's ``devices``, which takes numbers of devices; empty where device files are named instead.
    each : str
        The file of one device, with ``{number}``; empty where all devices share theirs.
    nodes : tuple of str
        Files that all of them share.
    groups : tuple of str
        Groups whose members may open them.
    mounts : tuple of str
        Files of the driver that the container sees at the same place.
    visible : str
        The variable that names the devices that a process sees, where their files do not part them.
    """

    driver: str = ""
    each: str = ""
    nodes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    visible: str = ""


@cache
def _table() -> Mapping[str, Any]:
    with (Path(__file__).parent / "data" / "deployment.toml").open("rb") as stream:
        return tomllib.load(stream)


def _first(kind: str, accelerator: Accelerator, engine: str | None = None) -> Mapping[str, Any] | None:
    """The first entry of a kind that fits a device, and an engine where it names one."""
    found: Mapping[str, Any]
    for found in _table()[kind]:
        if found["vendor"] != accelerator.vendor or (engine is not None and found["engine"] != engine):
            continue
        if any(fnmatchcase(accelerator.id, each) for each in found.get("ids", ("*",))):
            return found
    return None


def resource_of(accelerator: Accelerator) -> str | None:
    """The resource that the device plugin of its maker offers to Kubernetes; None where nobody says.

    >>> from gpusizer.facts.catalog import accelerator
    >>> resource_of(accelerator("h200-sxm-141gb")), resource_of(accelerator("ascend910b3-64gb")), resource_of(accelerator("m4-max-128gb"))
    ('nvidia.com/gpu', 'huawei.com/Ascend910', None)
    """
    found = _first("resource", accelerator)
    return None if found is None else str(found["name"])


def devices_of(accelerator: Accelerator) -> ContainerDevices | None:
    """How a container of one machine is given such devices; None where nobody says.

    >>> from gpusizer.facts.catalog import accelerator
    >>> devices_of(accelerator("ascend910b3-64gb")).each
    '/dev/davinci{number}'
    """
    found = _first("devices", accelerator)
    if found is None:
        return None
    lists = {name: tuple(found.get(name, ())) for name in ("nodes", "groups", "mounts")}
    return ContainerDevices(found.get("driver", ""), found.get("each", ""), visible=found.get("visible", ""), **lists)


def image_of(engine: str, accelerator: Accelerator, version: str) -> Image | None:
    """The image of an engine for a device, at a version or the last before it that was built; None where nobody says.

    Parameters
    ----------
    engine : str
        Its id.
    accelerator : Accelerator
        The device.
    version : str
        Of the engine.

    Examples
    --------
    >>> from gpusizer.facts.catalog import accelerator
    >>> image_of("vllm", accelerator("h200-sxm-141gb"), "0.33.0"), image_of("vllm", accelerator("tpu-v6e-32gb"), "0.33.0")
    (Image(name='vllm/vllm-openai:v0.33.0', version='0.33.0'), None)
    >>> image_of("vllm", accelerator("ascend910b3-64gb"), "0.24.0").name
    'quay.io/ascend/vllm-ascend:v0.23.0'
    """
    found = _first("image", accelerator, engine)
    if found is None:
        return None
    built = [each for each in found.get("releases", ()) if _numbers(each) <= _numbers(version)]
    known = built[-1] if built else version
    return Image(str(found["name"]).format(version=known), known)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d{1,6}", version)[:3])


def engines_of(target: str) -> tuple[str, ...] | None:
    """The engines that something which carries servers is made for; None for any.

    >>> engines_of("production-stack"), engines_of("compose")
    (('vllm',), None)
    """
    found = next((each for each in _table()["target"] if each["name"] == target), None)
    return None if found is None else tuple(found["engines"])


def pace() -> Pace:
    """How long starts take."""
    return Pace(**_table()["pace"])


def storage() -> Storage:
    """Room for a checkpoint."""
    return Storage(**_table()["storage"])


def ray_image() -> RayImage:
    """The image of Ray Serve LLM."""
    return RayImage(**_table()["ray"])
