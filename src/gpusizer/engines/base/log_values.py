"""Python values as programs print them in their logs: ``{'a': 1, 'b': C(d=2)}``, ``Namespace(a=1)``, ``a='x', b=torch.bfloat16``. Read, never run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from typing import Any

__all__ = ["printed_items", "printed_value"]

LONGEST_TEXT = 65_536  # characters
_LONGEST_VALUE = 4096  # characters of a list or mapping that is read
_DEEPEST = 16
_OPEN, _CLOSE = "([{<", ")]}>"
_NAME = re.compile(r"\s*(?:'(\w{1,64})'|\"(\w{1,64})\"|(\w{1,64}))\s*[:=]\s*")


def printed_items(text: str) -> Iterator[tuple[str, str]]:
    """Names and values that stand on the outermost level, up to the bracket that closes it.

    Parameters
    ----------
    text : str
        Behind the opening bracket.

    Yields
    ------
    tuple of str
        Name and value, as they are printed.

    Examples
    --------
    >>> list(printed_items("model='m', draft=Draft(model='d', tokens=3), dtype=torch.bfloat16) and more"))
    [('model', "'m'"), ('draft', "Draft(model='d', tokens=3)"), ('dtype', 'torch.bfloat16')]
    >>> list(printed_items("'a': ['x, y'], 'b': {'c': 1}}"))
    [('a', "['x, y']"), ('b', "{'c': 1}")]
    """
    for part in _parts(text[:LONGEST_TEXT]):
        name = _NAME.match(part)
        if name is not None:
            yield next(each for each in name.groups() if each), part[name.end() :].strip()


def _parts(text: str) -> Iterator[str]:
    """What commas part on the outermost level."""
    start, depth, quote, index = 0, 0, "", 0
    while index < len(text):
        sign = text[index]
        if quote:
            index += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
        if depth < 0 or (sign == "," and depth == 0 and not quote):
            yield text[start:index]
            start = index + 1
            if depth < 0:
                return
        index += 1
    yield text[start:]


def printed_value(printed: str) -> Any:
    """A value of its print: a number, a word, a list, a mapping; none where it is none, or an object of which only a name is printed.

    Examples
    --------
    >>> printed_value("'fp8'"), printed_value("0.9"), printed_value("None"), printed_value("torch.bfloat16")
    ('fp8', 0.9, None, 'bfloat16')
    >>> printed_value("{'method': 'mtp', 'n': 3}"), printed_value("<function f at 0x7f>")
    ({'method': 'mtp', 'n': 3}, None)
    """
    plain = printed.strip()
    if len(plain) > _LONGEST_VALUE or sum(map(plain.count, "([{")) > _DEEPEST:
        return None
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):  # "5and" is read, and Python would say so to whoever asked
            return ast.literal_eval(plain)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    word = re.fullmatch(r"(?:torch\.)?([\w./:+-]{1,128})", plain)
    return word[1] if word else None
