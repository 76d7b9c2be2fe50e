"""The words of both languages, by group and code; read from small files when first asked for.

The core hands out codes and parameters; here a code becomes a sentence. A group is a table of one file: ``error`` and ``hint`` live in
``errors.toml``, ``warning`` in ``warnings.toml`` and so on. Placeholders are those of :meth:`str.format`, with these endings of our own:
``{x:GB}`` and ``{x:GiB}`` print bytes (``{x:GB3}`` with three digits), ``{x:percent}`` a share, ``{x:count}`` a number with thousands marked.
"""

from __future__ import annotations

import os
import string
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["GROUPS", "LANGUAGES", "choose_language", "error_sentence", "error_words", "has", "one_line", "printable", "system_words", "table", "text"]

LANGUAGES = ("en", "zh")

GROUPS: Mapping[str, str] = {
    "error": "errors",
    "hint": "errors",
    "warning": "warnings",
    "reason": "reasons",
    "remedy": "reasons",
    "knob": "reasons",
    "item": "items",
    "formula": "formulas",
    "symbol": "formulas",
    "scenario": "scenarios",
    "need": "need",
    "ui": "ui",
    "command": "help",
    "option": "help",
    "flag": "flags",
    "host": "host",
    "site": "site",
    "web": "web",
    "report": "report",
    "api": "api",
    "workbook": "workbook",
    "tool": "agents",
    "chart": "charts",
    "run-on": "run_on",
    "run-on-page": "run_on_page",
    "measure": "measure",
    "stack": "stack",
    "deploy": "deploy",
    "diagnose": "diagnose",
    "finding": "diagnose",
    "log-event": "log_events",
}
"""The file that holds each group of texts."""

JOIN = {"en": ", ", "zh": "、"}


@cache
def _file(language: str, name: str) -> Mapping[str, Mapping[str, str]]:
    path = Path(__file__).parent / language / f"{name}.toml"
    with path.open("rb") as stream:
        return tomllib.load(stream)


def table(group: str, language: str) -> Mapping[str, str]:
    """All texts of a group in one language, by code.

    >>> "unknown-model" in table("error", "en")
    True
    """
    return _file(language, GROUPS[group]).get(group, {})


def has(group: str, code: str, language: str = "en") -> bool:
    """Whether a group has a text for a code."""
    return code in table(group, language)


def text(group: str, code: str, language: str, **parameters: Any) -> str:
    """The sentence for a code in one language.

    Parameters
    ----------
    group : str
        One of :data:`GROUPS`.
    code : str
        The code that the core handed out.
    language : str
        "en" or "zh".
    **parameters
        What the sentence names. Lists are joined; control characters of strangers' strings are dropped. One that is lacking shows as "?".

    Returns
    -------
    str
        The sentence. A code without a text shows itself with its parameters, so that nothing is ever swallowed.

    Examples
    --------
    >>> text("error", "unknown-model", "en", id="deepsek", nearest=["deepseek-v3"])
    'there is no model "deepsek"'
    """
    template = table(group, language).get(code)
    if template is None:
        pairs = ", ".join(f"{key}={printable(value, language)}" for key, value in parameters.items())
        return f"{code}: {pairs}" if pairs else code
    return "".join(
        words if name is None else words + _filled(parameters.get(name, "?"), ending, language) for words, name, ending in _pieces(template)
    )


def error_sentence(code: str, language: str, parameters: Mapping[str, Any]) -> str:
    """What is wrong and what to try, on one line whatever the parameters hold.

    >>> error_sentence("unknown-engine", "en", {"id": "vlm", "nearest": ["vllm"]})
    'there is no engine "vlm"; did you mean vllm? `gpusizer engines list` shows all'
    """
    return {"en": "; ", "zh": "；"}[language].join(part for part in error_words(code, language, parameters) if part)


def error_words(code: str, language: str, parameters: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, and what to try (empty where nothing is known to help), each on one line.

    >>> error_words("bad-share", "en", {"found": "120%"})
    ('a share above 0% and up to 100% was expected, "120%" was found', 'write 2% or 0.02')
    """
    if isinstance(detail := parameters.get("detail"), str):
        parameters = {**parameters, "detail": system_words(detail, language)}
    hint = ""
    if has("hint", code, language):
        nearest = parameters.get("nearest", True)
        variant = code if nearest or not has("hint", f"{code}-none", language) else f"{code}-none"
        hint = text("hint", variant, language, **parameters)
    return " ".join(text("error", code, language, **parameters).split()), " ".join(hint.split())


def system_words(detail: str, language: str) -> str:
    """What an operating system said, in the language of the answer where it is common; else as it is.

    >>> system_words("Permission denied", "zh"), system_words("No such device", "zh")
    ('没有权限', 'No such device')
    """
    code = "os-" + "-".join("".join(letter if letter.isalnum() else " " for letter in detail.lower()).split())
    return text("ui", code, language) if has("ui", code, language) else detail


def printable(value: Any, language: str = "en") -> str:
    """A parameter as text on one line: lists joined, control characters dropped, long text cut.

    >>> printable(["a", "b"]), printable("one\\ntwo\\x1b[31m"), printable(None)
    ('a, b', 'one two[31m', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, str):
        line = one_line(value)
        return line if len(line) <= 300 else line[:299] + "…"
    if isinstance(value, Mapping):
        return JOIN[language].join(f"{key}={printable(entry, language)}" for key, entry in value.items())
    if isinstance(value, Sequence | set | frozenset):
        return JOIN[language].join(printable(entry, language) for entry in value)
    return str(value)


def one_line(words: str) -> str:
    """A text on one line, without control characters and whole.

    >>> one_line("one\\ntwo\\x1b[31m")
    'one two[31m'
    """
    line = " ".join(words.split())
    return line if line.isprintable() else "".join(character for character in line if character.isprintable())


def choose_language(wish: str | None = None, environment: Mapping[str, str] = os.environ) -> str:
    """The language to speak: the one asked for, else the one of the locale.

    >>> choose_language("zh"), choose_language(None, {"LANG": "zh_CN.UTF-8"}), choose_language(None, {"LC_ALL": "C", "LANG": "zh_CN"})
    ('zh', 'zh', 'en')
    """
    if wish in LANGUAGES:
        return wish
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


@cache
def _pieces(template: str) -> tuple[tuple[str, str | None, str], ...]:
    """A template cut at its placeholders: the words before each, its name (None behind the last one), and its ending."""
    return tuple((words, name, ending or "") for words, name, ending, _ in string.Formatter().parse(template))


def _filled(value: Any, ending: str, language: str) -> str:
    """What stands in the place of a placeholder: bytes, shares and lists in our own way, the rest as :meth:`str.format` has it."""
    if not ending or isinstance(value, bool) or not isinstance(value, (int, float)):
        return printable(value, language)
    if ending in ("GB", "GiB"):
        from gpusizer import units

        return f"{value / getattr(units, ending):,.1f} {ending}"
    if ending == "GB3":
        from gpusizer.units import GB

        return f"{value / GB:,.3f} GB"
    if ending == "percent":
        return f"{100 * value:.3g}%"
    return f"{value:,}" if ending == "count" else format(value, ending)
