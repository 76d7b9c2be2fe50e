"""Regular expressions of strangers in time that is bounded: states advance together, so nothing is ever tried twice.

Quantisation lists and placements of tensors name modules by regular expressions, and the usual matcher tries ways one after the other: with forty
``.?`` it never ends. Here an expression becomes a set of states that move over the text once; what was computed for a state and a character is kept.
All of the usual notation is understood but what needs memory of the text (back references, conditions) or of the way that was tried (atomic groups,
possessive repeats) and looking behind; those are refused. Texts are names of one line.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from gpusizer.errors import UnsupportedArchitectureError

__all__ = ["Expression", "ExpressionRefused", "Expressions", "Work"]

_MAX_LENGTH = 4096  # characters of one expression
_MAX_EXPRESSIONS = 4096  # of one list
_MAX_DEPTH = 32  # groups inside groups
_MAX_STATES = 4096  # of one expression, its bounded repeats written out
_MAX_KEPT_STEPS = 2_000
_MAX_WORK = 12_000_000  # steps of all expressions of one model, a few seconds
_WORK_OF_A_TEXT = 10
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-3][0-7]{2}|0[0-7]?|.)", re.DOTALL)
_REPEAT = re.compile(r"([*+?]|\{(?!\})(\d*)(,?)(\d*)\})([?+]?)")
_GROUP = re.compile(r"\((?:\?(?::|P<[^>]*>|(?P<look>[=!])|(?P<flags>[a-zA-Z]*)(?P<more>[:)-])|(?P<other>.)))?", re.DOTALL)
_EDGES = {"^": "start", "\\A": "start", "$": "end", "\\Z": "end", "\\b": "edge", "\\B": "inside"}
_PLAIN_FLAGS = "imsua"
_PLAIN_CHARACTERS = re.compile(r"[\w-]", re.ASCII)


class ExpressionRefused(ValueError):
    """An expression that is not used: "too-long", "not-supported" or "not-an-expression"."""


@dataclass
class _State:
    """Where a match may stand: before a character, at a fork, at a condition, or at its end."""

    kind: str  # "one", "fork", "start", "end", "edge", "inside", "ahead", "not-ahead", "done"
    targets: list[int]
    one: re.Pattern[str] | None = None
    ahead: int = 0


_Node = tuple[object, ...]


class _Parser:
    """From an expression that the usual compiler accepts to a tree."""

    def __init__(self, source: str) -> None:
        self._source, self._place, self._depth = source, 0, 0
        self.flags = 0
        flags = re.match(r"\(\?([a-zA-Z]+)\)", source)
        if flags:
            if set(flags[1]) - set(_PLAIN_FLAGS):
                raise ExpressionRefused("not-supported")
            self.flags = re.compile(flags[0]).flags & ~re.UNICODE
            self._place = flags.end()

    def tree(self) -> _Node:
        node = self._either()
        if self._place < len(self._source):
            raise ExpressionRefused("not-an-expression")
        return node

    def _either(self) -> _Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExpressionRefused("too-long")
        ways = [self._sequence()]
        while self._source.startswith("|", self._place):
            self._place += 1
            ways.append(self._sequence())
        self._depth -= 1
        return ("either", ways)

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._place < len(self._source) and self._source[self._place] not in "|)":
            parts.append(self._repeated(self._part()))
        return ("sequence", parts)

    def _part(self) -> _Node:
        source, start = self._source, self._place
        if source[start] == "(":
            return self._group()
        if source[start] == "[":
            end = start + (3 if source.startswith("[^", start) else 2)  # a bracket that stands first is itself
            while source[end] != "]":
                end += 2 if source[end] == "\\" else 1
            self._place = end + 1
        elif source[start] == "\\":
            escape = _ESCAPE.match(source, start)
            if escape is None or (escape[0][1] in "123456789" and len(escape[0]) == 2):
                raise ExpressionRefused("not-supported")
            self._place = escape.end()
        else:
            self._place += 1
        text = source[start : self._place]
        return (_EDGES[text],) if text in _EDGES else ("one", text)

    def _group(self) -> _Node:
        head = _GROUP.match(self._source, self._place)
        if head is None or head["other"] or head["more"] or head["flags"]:
            raise ExpressionRefused("not-supported")
        self._place = head.end()
        inner = self._either()
        self._place += 1
        return ("ahead" if head["look"] == "=" else "not-ahead", inner) if head["look"] else inner

    def _repeated(self, node: _Node) -> _Node:
        repeat = _REPEAT.match(self._source, self._place)
        if repeat is None:
            return node
        if repeat[5] == "+":
            raise ExpressionRefused("not-supported")
        self._place = repeat.end()
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(repeat[1], (-1, None))
        if low < 0:
            low = int(repeat[2] or 0)
            high = (int(repeat[4]) if repeat[4] else None) if repeat[3] else low
        if max(low, high or 0) > _MAX_STATES:
            raise ExpressionRefused("too-long")
        return ("repeat", node, low, high)


class Expression:
    """One regular expression.

    Parameters
    ----------
    source : str
        In the notation of Python's ``re``.
    ours : bool
        Written by ourselves: well-formed without a look.

    Examples
    --------
    >>> Expression(r".*layers\\.(?:3|1[0-4])\\.mlp").matches("model.layers.12.mlp.gate"), Expression("(a+)+b").matches("a" * 100)
    (True, False)
    >>> Expression(r"(.)\\1")
    Traceback (most recent call last):
    ...
    gpusizer.architecture.storage.expressions.ExpressionRefused: not-supported
    """

    def __init__(self, source: str, *, ours: bool = False) -> None:
        if len(source) > _MAX_LENGTH:
            raise ExpressionRefused("too-long")
        if not ours:
            _check(source)
        parser = _Parser(source)
        tree = parser.tree()
        self._flags = parser.flags
        self.source = source
        self._states: list[_State] = [_State("done", [])]
        self._start = frozenset({self._build(tree, 0)})
        self._depends = any(state.kind in ("ahead", "not-ahead") for state in self._states)  # on more than the next character
        self._steps: dict[tuple[frozenset[int], str, str], frozenset[int] | None] = {}
        self.literals = () if self._flags else _literals(tree)
        self.work = 0

    def matches(self, text: str, *, anywhere: bool = False) -> bool:
        """Whether the text begins with a match, or holds one anywhere."""
        return self._run(self._start, text, 0, {}, anywhere=anywhere)

    def _run(self, start: frozenset[int], text: str, place: int, seen: dict[tuple[int, int], bool], *, anywhere: bool) -> bool:
        now = start
        for index in range(place, len(text)):
            before = text[index - 1] if index else ""
            found = self._step(now, before, text, index, seen)
            if found is None:
                return True
            now = found | start if anywhere else found
            self.work += 1
            if not now:
                return False
        last = text[-1:] if text else ""
        return self._closure(now, last, text, len(text), seen) is None

    def _step(self, now: frozenset[int], before: str, text: str, index: int, seen: dict[tuple[int, int], bool]) -> frozenset[int] | None:
        """States after one character, None where the expression has ended before it."""
        key = (now, "" if not before else "w" if _is_word(before) else "-", text[index])
        if not self._depends and key in self._steps:
            return self._steps[key]
        ready = self._closure(now, before, text, index, seen)
        found = None if ready is None else frozenset(state.targets[0] for state in ready if state.one is not None and state.one.match(text[index]))
        if not self._depends:
            if len(self._steps) >= _MAX_KEPT_STEPS:
                self._steps.clear()
            self._steps[key] = found
        return found

    def _closure(self, now: Iterable[int], before: str, text: str, index: int, seen: dict[tuple[int, int], bool]) -> list[_State] | None:
        """States before a character that can be reached without one; None where one of them is the end."""
        after = text[index] if index < len(text) else ""
        edge = _is_word(before) != _is_word(after)
        holds = {"fork": True, "start": not before, "end": not after, "edge": edge, "inside": bool(before or after) and not edge}
        reached, todo, ready = set(now), list(now), []
        while todo:
            number = todo.pop()
            state = self._states[number]
            if state.kind == "done":
                return None
            if state.kind == "one":
                ready.append(state)
                continue
            if holds[state.kind] if state.kind in holds else self._ahead(number, text, index, seen):
                new = [target for target in state.targets if target not in reached]
                reached.update(new)
                todo.extend(new)
        self.work += 2 * len(reached)
        return ready

    def _ahead(self, number: int, text: str, index: int, seen: dict[tuple[int, int], bool]) -> bool:
        key = (number, index)
        if key not in seen:
            state = self._states[number]
            found = self._run(frozenset({state.ahead}), text, index, seen, anywhere=False)
            seen[key] = found == (state.kind == "ahead")
        return seen[key]

    def _add(self, kind: str, targets: list[int], one: re.Pattern[str] | None = None, ahead: int = 0) -> int:
        if len(self._states) >= _MAX_STATES:
            raise ExpressionRefused("too-long")
        self._states.append(_State(kind, targets, one, ahead))
        return len(self._states) - 1

    def _build(self, node: _Node, then: int) -> int:
        """The state that begins a part, after which ``then`` follows."""
        match node:
            case ("either", list(ways)):
                return self._build(ways[0], then) if len(ways) == 1 else self._add("fork", [self._build(way, then) for way in ways])
            case ("sequence", list(parts)):
                for part in reversed(parts):
                    then = self._build(part, then)
                return then
            case ("repeat", tuple(inner), int(low), high):
                return self._build_repeat(inner, low, high if isinstance(high, int) else None, then)
            case ("one", str(text)):
                return self._add("one", [then], one=_one_character(text, self._flags))
            case (("ahead" | "not-ahead") as kind, tuple(inner)):
                return self._add(str(kind), [then], ahead=self._build(inner, self._add("done", [])))
            case (kind,):
                return self._add(str(kind), [then])
        raise ExpressionRefused("not-an-expression")

    def _build_repeat(self, inner: _Node, low: int, high: int | None, then: int) -> int:
        if high is None:
            loop = self._add("fork", [then])
            self._states[loop].targets.append(self._build(inner, loop))
            then = loop
        for _ in range((high or 0) - low):
            then = self._add("fork", [then, self._build(inner, then)])
        for _ in range(low):
            then = self._add("fork", [self._build(inner, then)])
        return then


def _check(source: str) -> None:
    """Refuse what the usual compiler refuses."""
    try:
        with warnings.catch_warnings():  # of notation that may change its meaning some day
            warnings.simplefilter("ignore")
            re.compile(source)
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        raise ExpressionRefused("not-an-expression") from error


@lru_cache(maxsize=4096)
def _one_character(text: str, flags: int) -> re.Pattern[str]:
    """A dot, a class, an escape or a plain character, as the usual matcher takes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(text if len(text) > 1 or text == "." else re.escape(text), flags)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _literals(tree: _Node) -> tuple[str, ...]:
    """Runs of plain characters that every match holds, to pass over most texts at once."""
    runs = [""]
    for part in _needed(tree):
        match part:
            case ("one", str(text)) if _PLAIN_CHARACTERS.fullmatch(text) or text == "\\.":
                runs[-1] += text[-1]
            case _:
                runs.append("")
    return tuple(sorted({run for run in runs if run}, key=len, reverse=True))


def _needed(tree: _Node) -> Iterator[_Node]:
    """The parts of an expression that stand in every match, in order."""
    match tree:
        case ("either", [way]) if isinstance(way, tuple):
            yield from _needed(way)
        case ("sequence", list(parts)):
            for part in parts:
                yield from _needed(part)
        case _:
            yield tree


class Work:
    """What expressions may take together, counted and not timed, so that a model is refused everywhere or nowhere.

    Parameters
    ----------
    most : int
        Steps that are allowed.
    """

    def __init__(self, most: int = _MAX_WORK) -> None:
        self._left = most

    def spend(self, steps: int, pattern: str) -> None:
        """Count steps; refused beyond the bound."""
        self._left -= steps
        if self._left < 0:
            raise UnsupportedArchitectureError("pattern-too-slow", pattern=pattern[:40])


class Expressions:
    """Expressions of one list in order; those that cannot be used are named with the reason.

    Parameters
    ----------
    sources : iterable of str
        In the notation of Python's ``re``.
    work : Work or None
        What several lists may take together; None gives this one a bound of its own.
    ours : bool
        Written by ourselves: well-formed without a look.

    Examples
    --------
    >>> found = Expressions(["exps", r"(.)\\1", "blk.[0-9]"])
    >>> found.first("blk.3.attn", anywhere=True), found.first("output", anywhere=True), found.refused
    (2, None, ((1, 'not-supported'),))
    """

    def __init__(self, sources: Iterable[str], *, work: Work | None = None, ours: bool = False) -> None:
        self._usable: list[tuple[str, int, Expression]] = []  # with the longest run of plain characters that a match holds
        refused: list[tuple[int, str]] = []
        for index, source in enumerate(sources):
            if len(self._usable) >= _MAX_EXPRESSIONS and not ours:
                refused.append((index, "too-many"))
                continue
            try:
                expression = Expression(source, ours=ours)
            except ExpressionRefused as error:
                refused.append((index, str(error)))
                continue
            self._usable.append((expression.literals[0] if expression.literals else "", index, expression))
        self.refused = tuple(refused)
        self._work = work or Work()

    def __bool__(self) -> bool:
        return bool(self._usable)

    def first(self, text: str, *, anywhere: bool = False) -> int | None:
        """Which of the sources is the first that matches; refused where the whole list takes too long.

        Parameters
        ----------
        text : str
            A name of one line.
        anywhere : bool
            Whether a match may begin anywhere, not only at the start.

        Returns
        -------
        int or None
            Place among the sources, None where none matches.
        """
        self._work.spend(len(self._usable) // 4 + _WORK_OF_A_TEXT, text)
        possible = [(index, expression) for literal, index, expression in self._usable if literal in text]
        for index, expression in possible:
            if not all(literal in text for literal in expression.literals):
                continue
            before = expression.work
            found = expression.matches(text, anywhere=anywhere)
            self._work.spend(expression.work - before, expression.source)
            if found:
                return index
        return None
