"""The arguments of a launch command, taken apart by the flags that its engine declares. Nothing is executed, and nothing is looked up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gpusizer.engines.base.flag import Flag, json_value
from gpusizer.engines.base.flags import FlagTable, unknown_flag
from gpusizer.errors import FlagError

__all__ = ["Arguments", "as_the_engine_reads", "is_flag", "read_arguments"]

MOST_ARGUMENTS = 2_000
_LITERALS = re.compile(r"-?\d{1,9}|on|off|auto|all|none|true|false|yes|no|enabled|disabled|low|medium|high", re.IGNORECASE)
_BOOLEANS = ("true", "false", "1", "0")
_HUMAN = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)([kKmMgGtT])")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


@dataclass
class Arguments:
    """What a command holds.

    Parameters
    ----------
    values : dict
        By the spelling of the flag: text, true or false, a list, a mapping.
    positionals : list of str
        Words that belong to no flag.
    unknown : list of (str, list of str)
        Flags that nobody knows, with the nearest that are known.
    """

    values: dict[str, Any] = field(default_factory=dict)
    positionals: list[str] = field(default_factory=list)
    unknown: list[tuple[str, list[str]]] = field(default_factory=list)


def is_flag(word: str) -> bool:
    """Whether a word begins a flag: a negative number or a lone dash does not.

    >>> [is_flag(word) for word in ("--tp", "-tp", "-1", "-", "x")]
    [True, True, False, False, False]
    """
    return bool(re.match(r"--?[A-Za-z]", word))


def read_arguments(words: Sequence[str], table: FlagTable, *, lenient: bool = False) -> Arguments:
    """Take the arguments of a command apart.

    Parameters
    ----------
    words : sequence of str
        After the words that start the engine.
    table : FlagTable
        Its flags.
    lenient : bool
        A flag that no engine knows is noted instead of refused.

    Returns
    -------
    Arguments
        Values by flag, what stands alone, what is not known.

    Raises
    ------
    FlagError
        A flag of another engine, or a value that is missing.

    Examples
    --------
    >>> from gpusizer.engines.base.flags import flag_table
    >>> found = read_arguments("Qwen/Qwen3-8B -tp 2 --max_model_len=8192 --no-enable-prefix-caching -O3".split(), flag_table("vllm"))
    >>> found.positionals, found.values["--tensor-parallel-size"], found.values["--max-model-len"], found.values["--enable-prefix-caching"]
    (['Qwen/Qwen3-8B'], '2', '8192', False)
    """
    if len(words) > MOST_ARGUMENTS:
        raise FlagError("command-too-long", found=len(words), limit=MOST_ARGUMENTS)
    found, index = Arguments(), 0
    while index < len(words):
        word = words[index]
        index += 1
        if not is_flag(word):
            found.positionals.append(word)
            continue
        index = _flag(words, index, table, found, lenient=lenient)
    return found


def _flag(words: Sequence[str], index: int, table: FlagTable, found: Arguments, *, lenient: bool) -> int:
    """Read the flag before ``index`` and what follows it; returns where the next argument is."""
    word = words[index - 1]
    spelling, equals, value = word.partition("=")
    flag = table.find(spelling)
    if flag is not None:
        return _value(flag, value if equals else None, words, index, found)
    if (negated := _negated(spelling, table)) is not None:
        found.values[negated.spelling] = str(value).lower() in ("false", "0") if equals else False
        return index
    level = re.fullmatch(r"-O\.?(?:level=|mode=)?(\w{1,20})?", word)
    if level and level[1] and (flag := table.find("-O")) is not None:
        found.values[flag.spelling] = level[1]
        return index
    head, dot, path = spelling.partition(".")
    if dot and (flag := table.find(head)) is not None and flag.kind in ("json", "word"):
        text = value if equals else words[index] if index < len(words) and not is_flag(words[index]) else "true"
        if flag.kind == "json":
            _nested(found, flag, path.split("."), json_value(text))
        else:
            found.values.setdefault(flag.spelling, text)
        return index if equals else index + (index < len(words) and not is_flag(words[index]))
    error = unknown_flag(table, spelling)
    if error.code == "option-elsewhere" or not lenient:
        raise error
    found.unknown.append((spelling[:80], table.nearest(spelling)))
    return index + (not equals and index < len(words) and not is_flag(words[index]))


def _negated(spelling: str, table: FlagTable) -> Flag | None:
    if not spelling.startswith(("--no-", "--no_")):
        return None
    flag = table.find(f"--{spelling[5:]}")
    return flag if flag is not None and flag.kind in ("switch", "setting") else None


def _value(flag: Flag, given: str | None, words: Sequence[str], index: int, found: Arguments) -> int:
    following = words[index] if index < len(words) else None
    match flag.kind:
        case "switch" | "setting":
            pattern = _LITERALS if flag.kind == "setting" else None
            takes = given is None and following is not None and (bool(pattern.fullmatch(following)) if pattern else following.lower() in _BOOLEANS)
            found.values[flag.spelling] = given if given is not None else following if takes else True
            return index + takes
        case "words" | "numbers":
            taken = [] if given is None else [given]
            while given is None and index < len(words) and not is_flag(words[index]):
                if flag.kind == "numbers" and not re.fullmatch(r"[\d\s,\[\]]+", words[index]):
                    break
                taken.append(words[index])
                index += 1
            found.values[flag.spelling] = taken
            return index
        case _:
            if given is None and (following is None or is_flag(following)):
                raise FlagError("option-needs-value", option=flag.spelling)
            value = given if given is not None else following
            if flag.repeats:
                found.values.setdefault(flag.spelling, []).append(value)
            else:
                found.values[flag.spelling] = value
            return index + (given is None)


def _nested(found: Arguments, flag: Flag, path: Sequence[str], value: object) -> None:
    """``--compilation-config.x.y value`` as a part of the mapping."""
    place = found.values.get(flag.spelling)
    if not isinstance(place, dict):
        read = flag.read(place)
        place = read if isinstance(read, dict) else {}
        found.values[flag.spelling] = place
    for name in path[:-1][:8]:
        inner = place.get(name)
        if not isinstance(inner, dict):
            inner = place[name] = {}
        place = inner
    place[path[-1]] = value


def as_the_engine_reads(value: object, flag: Flag, *, decimal_k: bool) -> object:
    """A number with a letter as the engine itself reads it: vLLM's ``32k`` is 32,000 and its ``32K`` 32,768; a bare ``20G`` is 2^30.

    >>> from gpusizer.engines.base.flag import Flag
    >>> [as_the_engine_reads(words, Flag("--max-model-len", "tokens"), decimal_k=True) for words in ("32k", "25.6K", "8192")]
    [32000, 26214, '8192']
    """
    if flag.kind not in ("tokens", "count", "bytes") or not isinstance(value, str):
        return value
    if flag.left_open and value == "-1":
        return "auto"
    match = _HUMAN.fullmatch(value.strip())
    if match is None:
        return value
    letter = match[2]
    base = 1000 if decimal_k and letter.islower() else 1024
    return int(float(match[1]) * base ** _POWERS[letter.lower()])
