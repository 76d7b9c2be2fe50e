"""What runs, before it has the form of any target: the program with its words, where it runs and how often, what it needs, how long it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

from gpusizer.engines import declaration, get_engine
from gpusizer.engines.base.serving import Node, Serving
from gpusizer.engines.base.types import Deployment
from gpusizer.errors import InputError
from gpusizer.facts.deployment import ContainerDevices, Image, devices_of, engines_of, image_of, pace, resource_of, storage
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.core import ceil_div
from gpusizer.i18n import text
from gpusizer.planning.deploy import COMMAND, COMPOSE, KUBERNETES, ToRun, Wishes
from gpusizer.rendering.companions import FIRST_PORT, companion_command
from gpusizer.rendering.deployment.names import label, mirrored
from gpusizer.rendering.fit import fit_sentence
from gpusizer.rendering.launch import as_stored, hidden_word, launch_command, version_of
from gpusizer.rendering.notices import warning_words
from gpusizer.rendering.plan import plan_sentence

__all__ = ["FOLDER", "SETTINGS", "File", "Workload", "deployed_sentence", "workload_of"]

FOLDER = "/models"
"""Where the checkpoint lies in a container: a path of the command that names no place starts there."""

SETTINGS = "/etc/gpusizer"
"""Where a file lies that the command reads."""

_OVER_SERVERS = (COMMAND, KUBERNETES, "ray")
_OWN_IMAGES = (COMMAND, "kserve", "ray")  # or none
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_IMAGE = re.compile(r"[\w.:/@-]{1,255}")
_ADDRESS = re.compile(r"https?://[\w.:/~%-]{1,200}")
_HOST = re.compile(r"[\w.:-]{1,253}")


@dataclass(frozen=True, slots=True)
class File:
    """A file that the command reads: its name and its text."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Workload:
    """What runs.

    Parameters
    ----------
    wishes : Wishes
        How it is to be carried.
    name : str
        Of its objects.
    model : str
        As its engine is told.
    launch : Deployment
        The start of one replica, under that name.
    accelerator : Accelerator
        The device.
    words : tuple of str
        Program and arguments of one replica, without its environment.
    environment : tuple of (str, str)
        Variables that the start itself needs.
    hub : tuple of (str, str)
        Variables that say where checkpoints come from.
    file : File or None
        What the command reads.
    beside : tuple of (str, str)
        Commands of what else must be started: what it is, and its line.
    serving : Serving or None
        How it runs in a container.
    image : str or None
        The image.
    resource : str or None
        Kubernetes' name of its devices.
    devices : ContainerDevices or None
        How a container gets them.
    replicas, nodes, gpus : int
        Copies, servers of each, devices on each server.
    checkpoint_bytes, storage_bytes : int
        Files of the model, and the room for them. [bytes]
    startup_s : int
        Longest start that is waited for. [s]
    remarks : tuple of str
        What stands above every file.
    pace_remark, storage_remark : str
        What startup and room follow from.
    language : str
        Of all remarks.
    """

    wishes: Wishes
    name: str
    model: str
    launch: Deployment
    accelerator: Accelerator
    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    hub: tuple[tuple[str, str], ...]
    file: File | None
    beside: tuple[tuple[str, str], ...]
    serving: Serving | None
    image: str | None
    resource: str | None
    devices: ContainerDevices | None
    replicas: int
    nodes: int
    gpus: int
    checkpoint_bytes: int
    storage_bytes: int
    startup_s: int
    remarks: tuple[str, ...]
    pace_remark: str
    storage_remark: str
    language: str

    def node_words(self, rank: str, leader: str, *, first: bool) -> list[str]:
        """Further arguments on one server of a replica; none where it has one alone."""
        if self.nodes == 1:
            return []
        found = get_engine(self.launch.engine).on_node(self.launch, Node(self.nodes, rank, leader, first))
        if found is None:
            raise InputError("deploy-no-nodes", engine=self.launch.engine, nodes=self.nodes)
        return found

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the command says behind the name of the model."""
        return self.words[self.words.index(self.model) + 1 :]

    @property
    def per_server(self) -> int:
        """Replicas on one server, where a replica needs no more than that."""
        return min(max(self.accelerator.node_size // self.gpus, 1), self.replicas)

    @property
    def servers(self) -> int:
        """Servers of all replicas together."""
        return self.replicas * self.nodes if self.nodes > 1 else int(ceil_div(self.replicas, self.per_server))

    @property
    def contained(self) -> Contained:
        """The same in a container; refused where it runs in none, or nobody knows its image."""
        if self.serving is None:
            raise InputError("deploy-no-container", engine=self.launch.engine)
        if self.image is None:
            raise InputError("deploy-no-image", engine=self.launch.engine, gpu=self.accelerator.id)
        serving = self.serving
        programs = dict(serving.programs)
        first, *rest = self.words
        path = self.file and f"{SETTINGS}/{self.file.name}"
        words = (programs.get(first, first), *(path if self.file and path and word == self.file.name else word for word in rest))
        return Contained((*words, *serving.arguments(serving.port)), serving, self.image)

    def mirrored(self, image: str) -> str:
        """An image at the mirror that was wished for."""
        return mirrored(image, self.wishes.registry)

    def text(self, code: str, **words: object) -> str:
        """A remark in the language of the file."""
        return text("deploy", code, self.language, **words)


@dataclass(frozen=True, slots=True)
class Contained:
    """A program in a container: its words there, how it serves, its image."""

    words: tuple[str, ...]
    serving: Serving
    image: str


def workload_of(run: ToRun, wishes: Wishes, language: str) -> Workload:
    """What runs, worked out once for every target.

    Parameters
    ----------
    run : ToRun
        An option of a plan, or one start.
    wishes : Wishes
        How it is to be carried.
    language : str
        "en" or "zh": of the remarks.

    Raises
    ------
    InputError
        The target does not carry it: the hint names one that does.
    """
    _checked(run, wishes)
    launch, device = as_stored(run.launch), run.accelerator
    engine = get_engine(launch.engine)
    environment, words = _parted(engine.command(launch))
    hidden = hidden_word([*words, *(value for _, value in environment), *filter(None, (wishes.image, wishes.registry))])
    if hidden is not None:
        raise InputError("deploy-hidden", found=hidden)
    file = engine.options_file(launch)
    served = declaration(launch.engine).serving
    image = _image(run, wishes)
    size, speed = run.checkpoint_bytes, pace()
    said = partial(text, "deploy", language=language)
    return Workload(
        wishes=wishes,
        name=label(launch.model.removesuffix(".gguf")),
        model=launch.model,
        launch=launch,
        accelerator=device,
        words=tuple(words),
        environment=tuple(environment),
        hub=_hub(wishes),
        file=None if file is None else File(file[0], json.dumps(file[1])),
        beside=_beside(run, language),
        serving=served,
        image=None if image is None else mirrored(image.name, wishes.registry),
        resource=resource_of(device),
        devices=devices_of(device),
        replicas=run.replicas,
        nodes=run.nodes,
        gpus=int(ceil_div(run.gpus, run.nodes)),
        checkpoint_bytes=size,
        storage_bytes=run.storage_bytes,
        startup_s=run.startup_s,
        remarks=(*_remarks(run, wishes, image, language), *_lies_there(launch, words, wishes, language)),
        pace_remark=said("pace", size_bytes=size, rate_bytes=speed.read_bytes_per_s, start_s=speed.start_s),
        storage_remark=said("storage", size_bytes=size, share=storage().spare_share),
        language=language,
    )


def _checked(run: ToRun, wishes: Wishes) -> None:
    """Refuse what the target does not carry, and words that are no image, address or host."""
    target = wishes.target
    engines = engines_of(target)
    if engines is not None and run.launch.engine not in engines:
        raise InputError("deploy-engine", target=target, engine=run.launch.engine, expected=list(engines), instead=KUBERNETES)
    if run.nodes > 1 and target not in _OVER_SERVERS:
        raise InputError("deploy-one-server", target=target, nodes=run.nodes, instead=KUBERNETES)
    if target != COMMAND and (run.companions or run.prefill is not None):
        raise InputError("deploy-beside", target=target, instead=COMMAND)
    for option, words, pattern in (
        ("--image", wishes.image, _IMAGE),
        ("--registry", wishes.registry, _IMAGE),
        ("--hub-endpoint", wishes.hub_endpoint, _ADDRESS),
        ("--leader", wishes.leader, _HOST),
    ):
        if words is not None and not pattern.fullmatch(words):
            raise InputError("deploy-bad-word", option=option, found=words[:40])
    if target == COMPOSE and devices_of(run.accelerator) is None:
        raise InputError("deploy-no-devices", gpu=run.accelerator.id, instead=KUBERNETES)
    if target not in (COMMAND, COMPOSE) and resource_of(run.accelerator) is None:
        raise InputError("deploy-no-resource", gpu=run.accelerator.id, instead=COMMAND)


def _parted(command: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Variables in front of a command, and its words."""
    words = list(command)
    environment: list[tuple[str, str]] = []
    if words and words[0] == "env":
        del words[0]
        while words and re.match(r"\w+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            environment.append((name, value))
    return environment, words


def _hub(wishes: Wishes) -> tuple[tuple[str, str], ...]:
    """Variables of huggingface_hub: a mirror, or nothing but what lies there."""
    found = [("HF_ENDPOINT", wishes.hub_endpoint)] if wishes.hub_endpoint else []
    return (*found, *((("HF_HUB_OFFLINE", "1"),) if wishes.offline == "on" else ()))


def _beside(run: ToRun, language: str) -> tuple[tuple[str, str], ...]:
    """What else must be started, each with its command."""
    ports = enumerate(run.companions, FIRST_PORT + run.replicas - 1)
    found = [(each.companion.model.name, companion_command(each, port).line) for port, each in ports]
    if (pool := run.prefill) is not None:
        launch = get_engine(pool.launch.engine).in_role(pool.launch, "prefill") or pool.launch
        found.append((text("deploy", "prefill", language, workers=pool.workers), launch_command(launch).line))
    return tuple((what, line) for what, line in found if line is not None)


def _image(run: ToRun, wishes: Wishes) -> Image | None:
    """The image that was wished for, else the usual one."""
    version = version_of(run.fit.deployment)
    return Image(wishes.image, version) if wishes.image else image_of(run.launch.engine, run.accelerator, version)


def _lies_there(launch: Deployment, words: Sequence[str], wishes: Wishes, language: str) -> tuple[str, ...]:
    """That the checkpoint must be put into the volume, where the command names files or a mirror has none."""
    downloaded = launch.model in words and _REPOSITORY.fullmatch(launch.model) and wishes.offline != "on"
    return () if downloaded or wishes.target == COMMAND else (text("deploy", "lies-there", language, folder=FOLDER),)


def deployed_sentence(run: ToRun, language: str) -> str:
    """What is deployed, as its plan or its verdict says it."""
    if run.plan is not None and run.option is not None:
        return plan_sentence(replace(run.plan, options=(run.option,)), language)
    return fit_sentence(run.fit, run.model.name, run.accelerator, language)


def _remarks(run: ToRun, wishes: Wishes, image: Image | None, language: str) -> tuple[str, ...]:
    """The sentence, our version, what must be known of the start."""
    said = [deployed_sentence(run, language), text("deploy", "made-by", language, version=version("gpusizer"))]
    if wishes.target not in _OWN_IMAGES and wishes.image is None:
        said.append(text("deploy", "image-unchecked", language))
        if image is not None and image.version != version_of(run.fit.deployment):
            said.append(text("deploy", "image-older", language, found=image.version, version=version_of(run.fit.deployment)))
    return (*said, *(warning_words(each, language) for each in run.fit.warnings))
