"""A pasted launch command: which engine it starts, with which arguments, environment and devices. It is read, never run."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpusizer.engines import declarations
from gpusizer.engines.base.arguments import MOST_ARGUMENTS, as_the_engine_reads, is_flag, read_arguments
from gpusizer.engines.base.declaration import Declaration
from gpusizer.engines.base.flag import json_value
from gpusizer.engines.base.flags import flag_table
from gpusizer.errors import FlagError, UnknownIdError

__all__ = ["Pasted", "engine_of", "read_command", "words_of_command"]

LONGEST_COMMAND = 65_536  # characters
_ENDS = ("&&", "||", ";", "|", "&", ">", ">>", "<", "2>&1", "2>")
_ASSIGNED = re.compile(r"([A-Za-z_]\w{0,127})=(.*)", re.DOTALL)
_VISIBLE = (
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"),
    *("ASCEND_RT_VISIBLE_DEVICES", "MUSA_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "MLU_VISIBLE_DEVICES"),
)
_CONTAINERS = ("docker", "podman", "nerdctl")
_PROCESSES = ("--nproc-per-node", "--nproc_per_node")
_VERSION_TAG = re.compile(r":v?(\d{1,3}\.\d{1,3}(?:\.\d{1,3})?)")


@dataclass(frozen=True)
class Pasted:
    """What a command says.

    Parameters
    ----------
    engine : str
        Id of the engine that it starts.
    engine_version : str or None
        From the tag of a container image.
    model : str or None
        As the command names it.
    flags : mapping
        Values by spelling; ``visible_gpus`` is how many devices it may see.
    unknown : tuple of (str, list of str)
        Flags that are not known, with the nearest.
    """

    engine: str
    engine_version: str | None
    model: str | None
    flags: Mapping[str, Any]
    unknown: tuple[tuple[str, list[str]], ...] = ()


@dataclass
class _Prefix:
    """What stands before the engine's own arguments."""

    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    visible: int | None = None
    version: str | None = None


def words_of_command(words: Sequence[str]) -> list[str]:
    """The words of a command that came as arguments, or whole as one of them.

    Line continuations are joined; quotation marks that do not pair are taken off.

    >>> words_of_command(["vllm serve m \\\\\\n  --hf-overrides '{\\"a\\": 1}'"])
    ['vllm', 'serve', 'm', '--hf-overrides', '{"a": 1}']
    """
    if sum(len(word) for word in words) > LONGEST_COMMAND:
        raise FlagError("command-too-long", found=sum(len(word) for word in words), limit=LONGEST_COMMAND)
    if len(words) == 1 and re.search(r"\s", words[0].strip()):
        text = re.sub(r"[\\^`]\s*\r?\n", " ", words[0])
        text = text.replace("\\", "/") if re.search(r"(?<!\w)[A-Za-z]:\\", text) else text  # a path of Windows
        text = re.sub(r"\\\s+(?=-)", " ", text)  # a continuation whose end of line was lost
        text = re.sub(r"(?m)^\s*[$#>]\s+", "", text).replace("“", '"').replace("”", '"')
        try:
            found = shlex.split(text)
        except ValueError:
            found = [part.strip("'\"") for part in text.split()]
    else:
        found = [word.strip() if is_flag(word.strip()) else word for word in words]
    return [word for word in found if word.strip() not in ("", "\\")]


def read_command(words: Sequence[str], engine: str | None = None) -> Pasted:
    """Read a launch command.

    Parameters
    ----------
    words : sequence of str
        As a shell parts them, or the whole command as one.
    engine : str or None
        Where the command starts with flags and names no engine.

    Returns
    -------
    Pasted
        Engine, model and flags.

    Raises
    ------
    FlagError
        No engine is started, or not the one that was asked for; a flag of another engine; too long.

    Examples
    --------
    >>> found = read_command(["CUDA_VISIBLE_DEVICES=0,1 vllm serve Qwen/Qwen3-8B -tp 2 --port 8000"])
    >>> found.engine, found.model, dict(found.flags)
    ('vllm', 'Qwen/Qwen3-8B', {'visible_gpus': 2, '--tensor-parallel-size': '2', '--port': '8000'})
    """
    parts = words_of_command(words)
    if len(parts) > MOST_ARGUMENTS:
        raise FlagError("command-too-long", found=len(parts), limit=MOST_ARGUMENTS)
    declared, start = _launcher(parts, engine)
    if engine is not None and declared.id != engine:
        raise FlagError("engines-differ", engine=engine, found=declared.id)
    called = _call(parts, start)
    before, after = parts[:start], parts[start:] if called is None else called
    prefix = _prefix(before, declared)
    table = flag_table(declared.id)
    found = read_arguments(_to_its_end(after), table, lenient=True)
    flags: dict[str, Any] = {} if prefix.visible is None else {"visible_gpus": prefix.visible}
    for name, value in prefix.environment.items():
        if table.find(name) is not None or (name.startswith(declared.environment) and table.named(name) is not None):
            flags[name] = value
    for spelling, value in found.values.items():
        flag = table.find(spelling)
        known: Any = prefix.files.get(value, value) if isinstance(value, str) else value
        flags[spelling] = known if flag is None else as_the_engine_reads(known, flag, decimal_k=declared.decimal_k)
    if prefix.visible == 0:
        flags |= {"--device": "none"} if table.find("--device") in table.counted else {}
    return Pasted(declared.id, prefix.version, _model(found.positionals, found.values, table.declared), flags, tuple(found.unknown))


def engine_of(words: Sequence[str]) -> str:
    """The id of the engine that a command starts.

    >>> engine_of(["python -m sglang.launch_server --model-path m"])
    'sglang'
    """
    return _launcher(words_of_command(words), None)[0].id


def _launcher(parts: Sequence[str], engine: str | None) -> tuple[Declaration, int]:
    """Which engine the words start, and where its own arguments begin."""
    image: tuple[Declaration, int] | None = None
    contained = any(_base(word) in _CONTAINERS for word in parts[:64])
    for index, word in enumerate(parts):
        for declared in declarations():
            for launcher in sorted(declared.launchers, key=len, reverse=True):
                if _base(word) == launcher[0] and tuple(parts[index + 1 : index + len(launcher)]) == launcher[1:]:
                    return declared, index + len(launcher)
            if declared.calls and any(f"{call}(" in word for call in declared.calls):
                return declared, index
            if contained and image is None and index > 1 and not is_flag(word) and "=" not in word and _is_image(word, declared):
                image = declared, index + 1
    if image is not None:
        return image
    if engine is not None and parts and is_flag(parts[0]):
        return next(each for each in declarations() if each.id == engine), 0
    _refuse_neighbours(parts)
    raise FlagError("no-launcher", found=" ".join(parts)[:60], expected=[" ".join(each.launchers[0]) for each in declarations() if each.launchers])


def _refuse_neighbours(parts: Sequence[str]) -> None:
    """Engines that people run and that are not modelled are named as such."""
    for word in parts[:16]:
        name = _base(word).lower().replace("_", "-").partition(".")[0]
        near = [declared.id for declared in declarations() if name in declared.neighbours]
        if near:
            raise UnknownIdError("engine-not-modelled", id=name, nearest=near)


def _is_image(word: str, declared: Declaration) -> bool:
    name = word.partition("@")[0]
    return any(image in name for image in declared.images)


def _base(word: str) -> str:
    return word.replace("\\", "/").rpartition("/")[2].removesuffix(".exe")


def _prefix(before: Sequence[str], declared: Declaration) -> _Prefix:
    """Environment, visible devices, files that are written inline, and the version of an image."""
    found = _Prefix()
    for index, word in enumerate(before):
        following = before[index + 1] if index + 1 < len(before) else ""
        assigned = _ASSIGNED.fullmatch(word.removeprefix("--env="))
        if assigned and not word.startswith("--gpus"):
            found.environment[assigned[1]] = assigned[2].strip().rstrip(";")
        spelling, equals, value = word.partition("=")
        if spelling in _PROCESSES:
            found.visible = _number(value if equals else following)
        if spelling == "--gpus":
            found.visible = _devices(value if equals else following)
        if word == ">" and index and isinstance(inline := json_value(before[index - 1]), dict):
            found.files[following] = inline
        if _is_image(word, declared) and (tag := _VERSION_TAG.search(word)):
            found.version = tag[1]
    for name in _VISIBLE:
        if name in found.environment and found.environment[name].lower() not in ("all", "void"):
            found.visible = len([part for part in found.environment[name].split(",") if part.strip() and part.strip() != "-1"])
    return found


def _number(words: str) -> int | None:
    return int(words) if words.isdecimal() and len(words) < 6 else None


def _devices(words: str) -> int | None:
    """``--gpus all``, ``--gpus 2``, ``--gpus '"device=0,1"'``."""
    named = re.search(r"device=([\w,:.-]{1,400})", words)
    return len([part for part in named[1].split(",") if part]) if named else _number(words)


def _to_its_end(words: Sequence[str]) -> list[str]:
    """The arguments up to where the shell does something else."""
    found = []
    for word in words:
        if word in _ENDS or re.match(r"\d?>", word):
            break
        found.append(word.removesuffix(";"))
        if word.endswith(";") and word != ";":
            break
    return [word for word in found if word]


def _call(parts: Sequence[str], start: int) -> list[str] | None:
    """The arguments of a call in a line of Python as words; None where the command is no such line."""
    if start >= len(parts):
        return None
    calls = [call for declared in declarations() for call in declared.calls]
    if not any(f"{call}(" in parts[start] for call in calls):
        return None
    try:
        tree = ast.parse(parts[start][:LONGEST_COMMAND])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    words: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in (*calls, "dict", "generate"):
            words += [str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant) and _called(node) in calls]
            for keyword in node.keywords:
                if keyword.arg and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str | int | float):
                    words.append(f"--{keyword.arg.replace('_', '-')}={keyword.value.value}")
    return words


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""


def _model(positionals: Sequence[str], values: Mapping[str, Any], declared: Declaration) -> str | None:
    """The model that a command names: by a flag, else the first word that stands alone."""
    table = flag_table(declared.id)
    named = {flag.target: value for spelling, value in values.items() if (flag := table.find(spelling)) is not None and isinstance(value, str)}
    repository, file = named.get("hf_repo"), named.get("hf_file")
    if repository:
        return str(file or repository)
    return named.get("model") or next(iter(positionals), None)
