"""How a deployment is started: its command, ready for a shell, under the name that the engine knows the model by."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from gpusizer.architecture.load import is_pasted, load_architecture
from gpusizer.architecture.types import Notice
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import other_checkpoint
from gpusizer.engines.base.support_table import conversion
from gpusizer.engines.base.types import Deployment, Layout
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.catalog import accelerator, model_entry
from gpusizer.given_files import stands_here
from gpusizer.rendering.document import Block, Command
from gpusizer.rendering.notices import warning_paragraphs

__all__ = [
    "as_stored",
    "command_blocks",
    "command_line",
    "hidden_word",
    "launch_command",
    "layout_words",
    "quoted",
    "served_name",
    "version_of",
]


class LaunchCommand(NamedTuple):
    """How a deployment is started.

    Parameters
    ----------
    parts : sequence of str or None
        The command word by word, quoted for a shell, with what writes the file that it reads; None where a word has characters that no line shows:
        shells do not agree on how to write them.
    notices : tuple of Notice
        Why there is no command; empty where there is one.
    """

    parts: Sequence[str] | None
    notices: tuple[Notice, ...] = ()

    @property
    def line(self) -> str | None:
        """The command on one line."""
        return None if self.parts is None else " ".join(self.parts)


def launch_command(deployment: Deployment, *, variables: Sequence[str] = (), arguments: Sequence[str] = ()) -> LaunchCommand:
    """The command that starts a deployment, with further variables of its environment and arguments, or why there is none."""
    engine, named = get_engine(deployment.engine), as_stored(deployment)
    words = [*engine.command(named), *arguments]
    if variables:
        words = ["env", *variables, *(words[1:] if words[0] == "env" else words)]
    hidden = hidden_word(words)
    if hidden is not None:
        return LaunchCommand(None, (Notice("no-launch-command", {"found": hidden}),))
    file = engine.options_file(named)
    before = [] if file is None else ["echo", quoted(json.dumps(file[1])), ">", quoted(file[0]), "&&"]
    return LaunchCommand([*before, *map(quoted, words)])


def command_line(deployment: Deployment) -> str | None:
    """The launch command on one line; None where there is none."""
    return launch_command(deployment).line


def command_blocks(deployment: Deployment, language: str) -> list[Block]:
    """The command, or the sentence that says why there is none."""
    command = launch_command(deployment)
    return [*warning_paragraphs(command.notices, language)] if command.parts is None else [Command(command.parts)]


def hidden_word(words: Sequence[str]) -> str | None:
    """The first word that has characters which no line shows; None where all can be read."""
    return next((word for word in words if not word.isprintable()), None)


def as_stored(deployment: Deployment) -> Deployment:
    """With the repository of the model; where its files are of another precision, the folder that somebody must make, and how the engine loads it."""
    served = served_name(deployment.model)
    try:
        other = other_checkpoint(deployment.engine, load_architecture(deployment.model), deployment.precision)
    except InputError:
        other = None
    if other is None:
        return replace(deployment, model=served)
    made, loaded_as = f"./{served.rstrip('/').rpartition('/')[2]}-{deployment.precision.lower()}", _quantization(deployment)
    return replace(deployment, model=made, flags={**deployment.flags, "quantization": loaded_as} if loaded_as else deployment.flags)


def _quantization(deployment: Deployment) -> str:
    """What the engine must be told to load converted weights; empty where the files say so."""
    try:
        return conversion(deployment.engine, accelerator(deployment.gpu), deployment.precision.lower()).quantization
    except UnknownIdError:
        return ""


def served_name(model: str) -> str:
    """The repository of a model of the catalogue: the one that was named, else the first that is published. A path stays itself.

    >>> served_name("deepseek-v3"), served_name("deepseek-v3-base"), served_name("QWEN/qwen3-8b")
    ('deepseek-ai/DeepSeek-V3', 'deepseek-ai/DeepSeek-V3-Base', 'Qwen/Qwen3-8B')
    """
    if is_pasted(model):
        return f"./{load_architecture(model).name.removesuffix('config.json') or 'model'}"  # wherever its checkpoint lies
    if stands_here(model):
        return model
    try:
        repositories = [alias for alias in model_entry(model).aliases if "/" in alias]
    except UnknownIdError:
        return model
    wish = model.lower()
    named = next((each for each in repositories if wish in (each.lower(), each.lower().rpartition("/")[2])), None)
    if named is None and "/" in model:  # another repository of the same shapes
        return model
    return named or next(iter(repositories), model)


def version_of(deployment: Deployment) -> str:
    """The version that is predicted, the newest known where none was asked for."""
    return deployment.engine_version or ".".join(map(str, get_engine(deployment.engine).version_of(deployment)))


def layout_words(layout: Layout, replicas: int = 1, spare: int = 0) -> str:
    """A layout as people write it, replicas in reserve behind a plus sign.

    >>> layout_words(Layout(tp=8, pp=2)), layout_words(Layout()), layout_words(Layout(tp=8, ep=8), 3), layout_words(Layout(tp=2), 3, 1)
    ('TP8 PP2', 'TP1', '3 x (TP8 EP8)', '3+1 x TP2')
    """
    parts = [f"TP{layout.tp}", *(f"{name.upper()}{size}" for name in ("pp", "dp", "ep", "dcp") if (size := getattr(layout, name)) > 1)]
    words = " ".join(parts)
    count = f"{replicas}+{spare}" if spare else f"{replicas}"
    return words if count == "1" else f"{count} x ({words})" if len(parts) > 1 else f"{count} x {words}"


def quoted(word: str) -> str:
    r"""A word for any of the usual shells: fish reads a backslash between single quotes, zsh a "=" in front, fish a "%".

    >>> print(quoted("a b"), quoted("it's"), quoted("a\\b"), quoted("=ls"), quoted("a-b"))
    'a b' 'it'"'"'s' 'a'"\\"'b' '=ls' a-b
    """
    if word.startswith(("=", "%")) or "\\" in word:
        pieces = re.findall(r"\\+|'+|[^\\']+", word)
        return "".join(f'"{piece}"' if piece[0] == "'" else f'"{piece * 2}"' if piece[0] == "\\" else f"'{piece}'" for piece in pieces)
    return shlex.quote(word)
