"""A log as a stream: the start that it tells of, by the grammar of the engine that wrote it.

The first part is read line by line. Beyond it a log of gigabytes holds requests: there only a few words are looked for, those with which a start
begins again and those that tell of its end; what follows the last such beginning is read line by line as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from gpusizer.diagnosis.lines import blocks_of, plain_lines
from gpusizer.engines import declarations
from gpusizer.engines.base.log import LogGrammar, LogRecord

__all__ = ["Reading", "Told", "grammars", "read_log"]

WHOLE_BYTES = 12 << 20
"""So much of a log is read line by line from its beginning."""
CAPTURED_BYTES = 2 << 20
"""So much is read line by line after a start that begins later."""
MOST_LATER_LINES = 2_000
_SURE = 6  # findings of one engine's own, and none of another's, after which the others are no longer asked
_TOGETHER = 200  # lines that are looked at together
_OF_THE_MACHINE = ("engine_version", "gpu", "gpu_count")  # said once above several starts


@dataclass
class Told:
    """One start as a log tells of it.

    Parameters
    ----------
    records : dict of str to LogRecord
        What each engine's grammar found; that of the engine which wrote the log has most.
    first_line, last_line : int
        Where it stands.
    """

    records: dict[str, LogRecord]
    first_line: int = 1
    last_line: int = 1

    @property
    def engine(self) -> str | None:
        """The engine whose own lines were most; None where there is none."""
        best = max(self.records, key=lambda name: self.records[name].matched, default=None)
        return best if best is not None and self.records[best].matched else None

    @property
    def record(self) -> LogRecord:
        """What its grammar found; where no engine is known, the record that says most."""
        if self.engine is not None:
            return self.records[self.engine]
        return max(self.records.values(), key=lambda each: (len(each.events), len(each.measured)), default=LogRecord())

    @property
    def ended(self) -> bool:
        """Whether it says what became of it."""
        return any(record.outcome != "unknown" for record in self._counted())

    @property
    def moved(self) -> bool:
        """Whether it came as far as to measure something."""
        return self.ended or any(record.measured or record.events for record in self._counted())

    def _counted(self) -> list[LogRecord]:
        return [self.record] if self.engine is not None else list(self.records.values())


@dataclass(frozen=True)
class Reading:
    """What was read of a log.

    Parameters
    ----------
    told : Told
        The last start that says what became of it; the last one where none does.
    starts : int
        How many there are.
    lines : int
        Lines of the log.
    size_bytes : int
        Its size.
    is_whole : bool
        Every line was read; beyond the bound only those that hold certain words.
    """

    told: Told
    starts: int
    lines: int
    size_bytes: int
    is_whole: bool


@cache
def grammars() -> tuple[LogGrammar, ...]:
    """The grammar of every engine whose log can be read."""
    return tuple(import_module(each.log).LOG for each in declarations() if each.log)


def read_log(chunks: Iterable[bytes], name: str = "-") -> Reading:
    """Read a log in one pass and in constant memory.

    Parameters
    ----------
    chunks : iterable of bytes
        The log as it comes.
    name : str
        Of the file, for errors.

    Returns
    -------
    Reading
        The start that counts.

    Raises
    ------
    UnreadableFileError
        The file is packed.
    """
    reader = _Reader()
    for block in blocks_of(chunks, name):
        reader.take(block)
    return reader.reading()


@dataclass
class _Capture:
    """What follows the beginning of a start, as it stands in the log."""

    first_line: int
    content: bytearray

    @property
    def is_full(self) -> bool:
        return len(self.content) >= CAPTURED_BYTES


@dataclass
class _Reader:
    """Where reading stands."""

    starts: _Starts = field(default_factory=lambda: _Starts())
    size_bytes: int = 0
    lines: int = 0
    captures: list[_Capture] = field(default_factory=list)  # the last two
    later: list[tuple[int, bytes]] = field(default_factory=list)
    begun: dict[bytes, int] = field(default_factory=dict)

    def take(self, block: bytes) -> None:
        """The next lines."""
        if self.size_bytes < WHOLE_BYTES:
            self.starts.read(block, self.lines + 1)
        else:
            self._search(block)
        self.size_bytes += len(block)
        self.lines += block.count(b"\n") + (not block.endswith(b"\n"))

    def _search(self, block: bytes) -> None:
        """Beyond what is read line by line: beginnings and ends."""
        begins = [(place, word) for word in self._begin_words() if (place := block.find(word)) >= 0]
        for _, word in begins:
            self.begun[word] = self.begun.get(word, 0) + block.count(word)
        if self.captures and not self.captures[-1].is_full:
            self.captures[-1].content += block
        elif begins:
            place = block.rfind(b"\n", 0, min(begins)[0]) + 1
            self._read_later()
            self.captures = [*self.captures[-1:], _Capture(self.lines + 1 + block.count(b"\n", 0, place), bytearray(block[place:]))]
        elif len(self.later) < MOST_LATER_LINES:
            self.later += _lines_with(self._later_words(), block, self.lines + 1, MOST_LATER_LINES - len(self.later))

    def _begin_words(self) -> list[bytes]:
        return [word.encode() for each in self.starts.asked for word in each.begins]

    def _later_words(self) -> list[bytes]:
        return [word.encode() for each in self.starts.asked for word in each.later if word not in each.begins]

    def _read_later(self) -> None:
        for number, line in self.later:
            self.starts.read(line, number)
        self.later = []

    def reading(self) -> Reading:
        """The end of the log."""
        before = self.starts.count if self.starts.now.moved else self.starts.count - 1
        for capture in self.captures:
            self.starts.read(bytes(capture.content), capture.first_line)
        self._read_later()
        told = self.starts.chosen()
        again = max([self.starts.count - before, *self.begun.values()])
        return Reading(told, before + again, self.lines, self.size_bytes, self.size_bytes <= WHOLE_BYTES)


def _lines_with(words: Iterable[bytes], block: bytes, first_line: int, most: int) -> list[tuple[int, bytes]]:
    """Lines of a block that hold one of several words, with their numbers."""
    places: set[int] = set()
    for word in words:
        at = block.find(word)
        while at >= 0 and len(places) < most:
            places.add(block.rfind(b"\n", 0, at) + 1)
            end = block.find(b"\n", at)
            at = block.find(word, end) if end >= 0 else -1
    found, number, before = [], first_line, 0
    for place in sorted(places):
        number += block.count(b"\n", before, place)
        before = place
        end = block.find(b"\n", place)
        found.append((number, block[place : end + 1 if end >= 0 else len(block)]))
    return found


class _Starts:
    """The starts of a log, one after the other."""

    def __init__(self) -> None:
        self.count = 1
        self.last_ended: Told | None = None
        self.asked = grammars()
        self.machine: dict[str, dict[str, Any]] = {}  # by engine, what an earlier start told of where it runs
        self.now = self._begun(1)

    def _begun(self, line: int) -> Told:
        return Told({each.engine: LogRecord() for each in grammars()}, line, line)

    def read(self, block: bytes, number: int) -> None:
        """Read the lines of a block; ``number`` is that of the first."""
        lines = block.split(b"\n")
        for first in range(0, len(lines), _TOGETHER):
            together = enumerate(lines[first : first + _TOGETHER], number + first)
            self._read([(at, text) for at, line in together for text in plain_lines(line)])

    def _read(self, texts: Sequence[tuple[int, str]]) -> None:
        """Some lines; of each grammar only the patterns that may match in any of them are tried."""
        whole = "\n".join(text for _, text in texts)
        begins = [(word, each.engine) for each in grammars() for word in each.begins if word in whole]
        if any(engine not in {each.engine for each in self.asked} for _, engine in begins):
            self.asked = grammars()
        few = [each.within(whole) for each in self.asked]
        for number, text in texts:
            if begins and any(word in text for word, _ in begins):
                self._begin(number)
            for grammar in few:
                grammar.read(text, number, self.now.records[grammar.engine])
            self.now.last_line = number
        self._narrow()

    def _begin(self, number: int) -> None:
        """A line with which a start begins: the first, another one behind a start that got somewhere, or one of several of the same."""
        if self.now.moved:
            self._close()
            self.count += 1
            self.now = self._begun(number)
        elif not any(record.matched for record in self.now.records.values()):
            self.now.first_line = number

    def _narrow(self) -> None:
        """Where one engine's own lines are many and another's none, the others are no longer asked."""
        matched = {name: record.matched for name, record in self.now.records.items() if record.matched}
        if len(matched) == 1 and sum(matched.values()) >= _SURE:
            self.asked = tuple(each for each in self.asked if each.engine in matched)

    def _close(self) -> None:
        for grammar in grammars():
            record = self.now.records[grammar.engine]
            if grammar.finish is not None:
                grammar.finish(record)
            if record.matched:
                self._carry_machine(grammar.engine, record)
        if self.now.ended:
            self.last_ended = self.now

    def _carry_machine(self, engine: str, record: LogRecord) -> None:
        """What stands once above several starts of one server holds for all of them."""
        known = self.machine.get(engine, {})
        for name, value in known.items():
            if name != "gpu_count" or "gpu" not in record.launch or record.launch["gpu"] == known.get("gpu"):
                record.launch.setdefault(name, value)
        self.machine[engine] = {name: record.launch[name] for name in _OF_THE_MACHINE if name in record.launch}

    def chosen(self) -> Told:
        """The last start that says what became of it, else the last."""
        self._close()
        return self.last_ended or self.now
