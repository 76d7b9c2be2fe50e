"""What an engine's log says, line by line: patterns with named figures, gathered into the fields of a measured case.

An engine's folder has a module ``log`` with ``LOG``, a :class:`LogGrammar`; its declaration names it. A group of a pattern is named as the field
that it sets: those of :data:`LAUNCH_FIELDS` tell how the start was launched, all others what it measured, in the unit that ends the name. Where the
line prints a unit of its own, a group ``UNIT`` behind the figure (``weights_gib_per_gpu__unit``) has it; one that is empty says bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

from gpusizer.units import GB, KB, MB, TB, GiB, KiB, MiB, TiB

__all__ = ["LAUNCH_FIELDS", "LogEvent", "LogGrammar", "LogPattern", "LogRecord", "Outcome"]

LAUNCH_FIELDS = (
    "engine",
    "engine_version",
    "date",
    "model",
    "quantization",
    "dtype",
    "gpu",
    "gpu_count",
    "tp",
    "pp",
    "dp",
    "ep",
    "dp_attention",
    "kv_cache_dtype",
    "max_model_len",
    "context_len",
    "max_num_seqs",
    "max_running_requests",
    "max_num_batched_tokens",
    "chunked_prefill_size",
    "gpu_memory_utilization",
    "mem_fraction_static",
    "block_size",
    "enforce_eager",
    "speculative",
    "checkpoint_gib",
    "cuda_graph_max_bs",
    "other_flags",
)
"""Fields of a measured case that say how it was launched; a log tells some of them."""

Outcome = Literal["starts", "out-of-memory", "refused", "unknown"]
"""What became of a start. ``refused``: the engine ended it itself, for memory that it counted or for another reason; the events say which."""

_COUNTED = frozenset({"gpu_count", "tp", "pp", "dp"})
_RANK: Mapping[Outcome, int] = {"unknown": 0, "starts": 1, "refused": 2, "out-of-memory": 3}
Keep = Literal["first", "last", "most", "least", "sum"]
MOST_EVENTS = 64
LONGEST_QUOTE = 400  # characters of a line that are kept with an event
LONGEST_COMMAND = 16_384  # characters
MOST_RANKS = 1 << 20
LONGEST_FIGURE = 32  # characters: more digits than any size in bytes has
_AROUND = 120  # characters before what matched, where a long line is cut

_UNITS = {"": 1, "b": 1, "bytes": 1, "kb": KB, "kib": KiB, "mb": MB, "mib": MiB, "gb": GB, "gib": GiB, "tb": TB, "tib": TiB}


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that happened, as a code with parameters; words under ``log-event``.

    Parameters
    ----------
    code : str
        What happened: "no-cache-memory", "torch-out-of-memory", "preempted" ...
    parameters : dict
        The figures of its line, by field.
    line : int
        The line's number, from 1.
    quote : str
        The line, without colours and cut. It is a stranger's text.
    count : int
        How often it was said.
    """

    code: str
    parameters: dict[str, Any]
    line: int
    quote: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class LogPattern:
    """One thing that an engine prints.

    Parameters
    ----------
    pattern : str
        A regular expression that is searched in a line, with groups named as fields. It must not backtrack: classes and bounds, no nested repetition.
    needs : str
        A word that every such line holds: lines without it are not searched.
    keep : str
        Which of several figures of one field counts: the first (ranks print one after another), the last, the largest, the smallest, or the sum.
    outcome : str or None
        What the line proves: "starts", "out-of-memory" or "refused".
    event : str
        The code of what happened; empty for a figure alone.
    read : callable or None
        Takes the match and the record, where groups are not enough.
    own : bool
        Only this engine prints it: the line says which engine it was.
    serves : bool
        The line proves that the server was up: what fails behind it did not keep it from starting.
    event_serving : str
        The code of what happened where the server was up already; empty where it is the same.
    later : bool
        What the line tells may stand anywhere in the log, hours behind the start: :attr:`LogGrammar.later` has its word.
    """

    pattern: str
    needs: str
    keep: Keep = "first"
    outcome: Outcome | None = None
    event: str = ""
    read: Callable[[re.Match[str], LogRecord], None] | None = None
    own: bool = True
    serves: bool = False
    event_serving: str = ""
    later: bool = False


@dataclass(slots=True)
class LogRecord:
    """What was gathered of one engine's log.

    Parameters
    ----------
    launch : dict
        Fields of :data:`LAUNCH_FIELDS`.
    flags : dict
        Flags of the engine that the log told, by the names of its command line without dashes, with underscores.
    measured : dict
        Figures by the names of ``measured`` in a case.
    events : list of LogEvent
        What happened, in the order of the lines.
    outcome : str
        "unknown" until a line proves another.
    matched : int
        How often a pattern of the engine's own found something.
    serving : bool
        The server was up.
    command : str
        The command line that launched it, where the log shows it; lines that a backslash joins are joined.
    state : dict
        What the patterns of an engine remember from line to line, until its ``finish`` makes figures of it.
    """

    launch: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    events: list[LogEvent] = field(default_factory=list)
    outcome: Outcome = "unknown"
    matched: int = 0
    serving: bool = False
    command: str = ""
    state: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, value: Any, keep: Keep = "first") -> None:
        """Set a field, by the rule for several; ranks and GPUs are counted with, so that words are none ("1.2.3", cut in the middle)."""
        if name in _COUNTED and not (isinstance(value, int) and 0 < value <= MOST_RANKS):
            return
        where = self.launch if name in LAUNCH_FIELDS else self.measured
        old = where.get(name)
        if old is None or keep == "last":
            where[name] = value
        elif keep == "sum":
            where[name] = old + value
        elif keep in ("most", "least"):
            where[name] = max(old, value) if keep == "most" else min(old, value)

    def kept(self, figures: Mapping[str, Any], keep: Keep) -> dict[str, Any]:
        """The parameters of an event: as its line says them, or over all lines so far where one rule of several figures holds for them."""
        where = {} if keep == "first" else self.launch | self.measured
        return {name.lstrip("_"): where.get(name, value) for name, value in figures.items()}

    def happened(self, code: str, parameters: Mapping[str, Any], line: int, quote: str, *, keep: Keep = "first") -> None:
        """Note an event; one that is said again is counted, and what it did not say the first time is added to it."""
        for index, each in enumerate(self.events):
            if each.code == code:
                both = {**parameters, **each.parameters} if keep == "first" else {**each.parameters, **parameters}
                self.events[index] = LogEvent(code, both, each.line, each.quote, each.count + 1)
                return
        if len(self.events) < MOST_EVENTS:
            self.events.append(LogEvent(code, dict(parameters), line, quote[:LONGEST_QUOTE]))


def bytes_in(number: float, unit: str) -> float:
    """A printed size as bytes; torch and SGLang write GB for 2**30 bytes: their patterns do not pass the unit."""
    return number * _UNITS[unit.lower()]


def number_of(printed: str) -> float | int:
    """A printed number: thousands may be parted by commas or underscores, and a sentence may end behind it. ``ValueError`` where it is none.

    >>> number_of("476,000"), number_of("54.71"), number_of("-0.07"), number_of("7.5.")
    (476000, 54.71, -0.07, 7.5)
    """
    plain = printed.replace(",", "").replace("_", "").rstrip(".")
    if len(plain) > LONGEST_FIGURE:
        raise ValueError(plain[:LONGEST_FIGURE])
    return float(plain) if any(mark in plain for mark in ".eE") else int(plain)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """Patterns are constants: each is compiled once."""
    return re.compile(pattern)


def quoted(match: re.Match[str]) -> str:
    """The line around what matched, short enough to be shown."""
    line = match.string
    start = max(0, match.start() - _AROUND) if len(line) > LONGEST_QUOTE else 0
    return line[start : start + LONGEST_QUOTE].strip()


@dataclass(frozen=True)
class LogGrammar:
    """Everything that one engine's log may say.

    Parameters
    ----------
    engine : str
        Its id.
    patterns : tuple of LogPattern
        In the order in which they are tried; a line may match several.
    words : frozenset of str
        Fields whose value is a word and not a number, beside those that are always words.
    finish : callable or None
        Takes the record when the last line was read: what follows from several lines.
    begins : tuple of str
        Words of the line with which a start begins: behind the first figures it says that the engine was started again.
    """

    engine: str
    patterns: tuple[LogPattern, ...]
    words: frozenset[str] = frozenset()
    finish: Callable[[LogRecord], None] | None = None
    begins: tuple[str, ...] = ()

    @property
    def later(self) -> tuple[str, ...]:
        """The words to look for in the rest of a long log: of new starts, and of what happens to a server that is up."""
        return tuple(dict.fromkeys((*self.begins, *(each.needs for each in self.patterns if each.later))))

    def read(self, line: str, number: int, record: LogRecord) -> bool:
        """Read one line into the record; whether it is one that only this engine prints."""
        if record.command.endswith("\\") and len(record.command) < LONGEST_COMMAND:
            record.command = f"{record.command[:-1].rstrip()} {line.strip()}"
        found = [(match, each) for each in self.patterns if each.needs in line for match in _expression(each.pattern).finditer(line)]
        if len(found) > 1:
            found.sort(key=lambda pair: pair[0].start())  # lines that were joined are read in their order
        for match, pattern in found:
            self._take(pattern, match, number, record)
        own = sum(pattern.own for _, pattern in found)
        record.matched += own
        return own > 0

    def within(self, block: str) -> LogGrammar:
        """The same grammar with those patterns alone that may match in a block of many lines: its lines are then read many times faster.

        Parameters
        ----------
        block : str
            Lines that stand together, some thousand characters.
        """
        return replace(self, patterns=tuple(each for each in self.patterns if each.needs in block))

    def _take(self, pattern: LogPattern, match: re.Match[str], number: int, record: LogRecord) -> None:
        figures = dict(self._figures(match, for_event=bool(pattern.event)))
        for name, value in figures.items():
            if not name.startswith("_"):
                record.put(name, value, pattern.keep)
        if pattern.read is not None:
            pattern.read(match, record)
        if pattern.event:
            code = pattern.event_serving if record.serving and pattern.event_serving else pattern.event
            record.happened(code, record.kept(figures, pattern.keep), number, quoted(match), keep=pattern.keep)
        if pattern.outcome is not None and not record.serving and _RANK[pattern.outcome] > _RANK[record.outcome]:
            record.outcome = pattern.outcome
        record.serving |= pattern.serves

    def _figures(self, match: re.Match[str], *, for_event: bool) -> Iterator[tuple[str, Any]]:
        """The groups that matched, as numbers or words; a name that starts with "_" belongs to the event, or to what reads the match, alone."""
        groups = match.groupdict()
        for name, printed in groups.items():
            if printed is None or name.endswith("__unit") or (name.startswith("_") and not for_event):
                continue
            if name.lstrip("_") in _WORDS or name in self.words:
                yield name, printed
                continue
            try:
                value = number_of(printed)
            except ValueError:  # "1.2.3", cut in the middle
                continue
            unit = groups.get(f"{name}__unit")
            if unit is not None:
                whole = GiB if "_gib" in name else MiB if "_mib" in name else 1
                value = bytes_in(value, unit) / whole
            yield name, value


_WORDS = frozenset(
    {"engine_version", "model", "gpu", "dtype", "quantization", "kv_cache_dtype", "other_flags"}
    | {"driver", "reason", "process", "name", "command", "unit", "method"}  # of events
)
