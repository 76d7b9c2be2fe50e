"""How a deployment is started: its command, ready for a shell, under the name that the engine knows the model by."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

from gpusizer.architecture.load import load_architecture
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import other_checkpoint
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.catalog import model_entry

__all__ = ["command_line", "layout_words", "served_name", "version_of"]


def command_line(deployment: Deployment) -> str:
    """The launch command, quoted for a shell; control characters of a path are spelled out, so that it stays one harmless line."""
    engine = get_engine(deployment.engine)
    named = replace(deployment, model=_stored_name(deployment))
    words = " ".join(_quoted(word) for word in engine.command(named))
    file = engine.options_file(named)
    return words if file is None else f"echo {_quoted(json.dumps(file[1]))} > {_quoted(file[0])} && {words}"


def _stored_name(deployment: Deployment) -> str:
    """The repository of the model; where its files are of another precision, the folder that somebody must make."""
    served = served_name(deployment.model)
    try:
        other = other_checkpoint(deployment.engine, load_architecture(deployment.model), deployment.precision)
    except InputError:
        return served
    return served if other is None else f"./{served.rstrip('/').rpartition('/')[2]}-{deployment.precision.lower()}"


def served_name(model: str) -> str:
    """The repository of a model of the catalogue: the one that was named, else the first that is published. A path stays itself.

    >>> served_name("deepseek-v3"), served_name("deepseek-v3-base"), served_name("QWEN/qwen3-8b")
    ('deepseek-ai/DeepSeek-V3', 'deepseek-ai/DeepSeek-V3-Base', 'Qwen/Qwen3-8B')
    """
    try:
        if Path(model).exists():
            return model
        repositories = [alias for alias in model_entry(model).aliases if "/" in alias]
    except (OSError, ValueError, UnknownIdError):
        return model
    wish = model.lower()
    named = next((each for each in repositories if wish in (each.lower(), each.lower().rpartition("/")[2])), None)
    if named is None and "/" in model:  # another repository of the same shapes
        return model
    return named or next(iter(repositories), model)


def version_of(deployment: Deployment) -> str:
    """The version that is predicted, the newest known where none was asked for."""
    return deployment.engine_version or ".".join(str(part) for part in get_engine(deployment.engine).newest)


def layout_words(layout: Layout, replicas: int = 1) -> str:
    """A layout as people write it.

    >>> layout_words(Layout(tp=8, pp=2)), layout_words(Layout()), layout_words(Layout(tp=8, ep=8), 3)
    ('TP8 PP2', 'TP1', '3 x (TP8 EP8)')
    """
    parts = [f"TP{layout.tp}", *(f"{name.upper()}{size}" for name in ("pp", "dp", "ep", "dcp") if (size := getattr(layout, name)) > 1)]
    words = " ".join(parts)
    return words if replicas == 1 else f"{replicas} x ({words})" if len(parts) > 1 else f"{replicas} x {words}"


def _quoted(word: str) -> str:
    r"""A word for a shell.

    >>> print(_quoted("a b"), _quoted("a'\n\x1b[31m"))
    'a b' $'a\'\n\x1b[31m'
    """
    if word.isprintable() or not word:
        return shlex.quote(word)
    spelled = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(each if each.isprintable() else _escape(each) for each in spelled) + "'"


def _escape(character: str) -> str:
    if character == "\n":
        return "\\n"
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", errors="surrogateescape"))
