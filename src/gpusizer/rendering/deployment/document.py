"""A deployment as an answer: the file of its target, the commands in it word by word, and what it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from gpusizer.errors import InputError
from gpusizer.i18n import LANGUAGES, text
from gpusizer.planning.deploy import TARGETS, ToRun, Wishes
from gpusizer.rendering.deployment.targets.command import lines_of
from gpusizer.rendering.deployment.workload import Workload, deployed_sentence, workload_of
from gpusizer.rendering.document import Column, Document, Fixed, Heading, Table
from gpusizer.rendering.launch import version_of

__all__ = ["carried", "deploy_document", "deployed"]


def deployed(run: ToRun, wishes: Wishes, language: str) -> str:
    """The file that starts it.

    Parameters
    ----------
    run : ToRun
        An option of a plan, or one start.
    wishes : Wishes
        How it is to be carried.
    language : str
        "en" or "zh": of its remarks.
    """
    return _written(workload_of(run, wishes, language), wishes.target)


def carried(run: ToRun, language: str) -> list[str]:
    """The targets that carry it without further words.

    Parameters
    ----------
    run : ToRun
        An option of a plan, or one start.
    language : str
        "en" or "zh".
    """
    found = []
    for target in TARGETS:
        try:
            deployed(run, Wishes(target=target), language)
        except InputError:
            continue
        found.append(target)
    return found


def _written(workload: Workload, target: str) -> str:
    words: str = import_module(f"gpusizer.rendering.deployment.targets.{target.replace('-', '_')}").write(workload)
    return words


def deploy_document(run: ToRun, wishes: Wishes, language: str) -> Document:
    """The same as an answer of every form.

    Parameters
    ----------
    run : ToRun
        An option of a plan, or one start.
    wishes : Wishes
        How it is to be carried.
    language : str
        "en" or "zh".
    """
    workload = workload_of(run, wishes, language)
    words = _written(workload, wishes.target)
    columns = (Column(text("deploy", "column-where", language)), Column(text("deploy", "target-command", language)))
    commands = Table(columns, [list(each) for each in _commands(workload)])
    return Document(_data(run, wishes, workload, words), [Heading(workload.remarks[0]), Fixed(words)], commands)


def _commands(workload: Workload) -> list[tuple[str, str]]:
    """The commands behind a file; none where what carries it brings servers together that the engine's own command does not."""
    try:
        return list(lines_of(workload))
    except InputError:
        return []


def _data(run: ToRun, wishes: Wishes, workload: Workload, words: str) -> Mapping[str, Any]:
    return {
        "schema": "gpusizer.deploy/1",
        "target": wishes.target,
        "rank": None if run.option is None else run.option.rank,
        "sentence": {language: deployed_sentence(run, language) for language in LANGUAGES},
        "model": run.architecture.id or run.model.name,
        "served_model": workload.model,
        "gpu": run.accelerator.id,
        "gpus": run.replicas * run.gpus,
        "nodes": run.nodes,
        "replicas": run.replicas,
        "engine": workload.launch.engine,
        "engine_version": version_of(run.fit.deployment),
        "image": workload.image,
        "resource": workload.resource,
        "checkpoint_bytes": workload.checkpoint_bytes,
        "storage_bytes": workload.storage_bytes,
        "startup_s": workload.startup_s,
        "commands": [line for _, line in _commands(workload)],
        "file": words,
    }
