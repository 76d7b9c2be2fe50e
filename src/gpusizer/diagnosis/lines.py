"""A log as blocks of whole lines, whatever wrote it, and a line as plain text. A log is a stranger's: nothing of it is trusted."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator

from gpusizer.errors import UnreadableFileError

__all__ = ["LONGEST_LINE", "blocks_of", "plain_lines"]

LONGEST_LINE = 1 << 16
"""Bytes of a line that are read; the rest of it is passed over."""

_PACKED = {b"\x1f\x8b": "gunzip -c", b"BZh": "bunzip2 -c", b"\xfd7zXZ": "unxz -c", b"(\xb5/\xfd": "unzstd -c", b"PK\x03\x04": "unzip -p"}
_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# Colours and cursor movements (CSI), titles and links (OSC, up to their end), and other short sequences of a terminal.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_WRAPPED = ('"log"', '"message"', '"msg"')  # docker and Kubernetes, and loggers that write JSON


def blocks_of(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The same bytes as UTF-8 in blocks of whole lines; a line beyond the bound is cut.

    Parameters
    ----------
    chunks : iterable of bytes
        As they come.
    name : str
        Of the file, for errors.

    Yields
    ------
    bytes
        One or more lines, each with its end but perhaps the last.

    Raises
    ------
    UnreadableFileError
        The file is packed.

    Examples
    --------
    >>> list(blocks_of([b"a\\nb", b"c\\nd"], "x"))
    [b'a\\n', b'bc\\n', b'd']
    """
    rest, passing = b"", False
    for chunk in _as_utf8(chunks, name):
        if passing:  # the rest of a line that is too long
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk, passing = chunk[end:], False
        block = rest + chunk
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if end:
            yield block[:end]
        if len(rest) > LONGEST_LINE:
            mark = rest.rfind(b"\r") + 1  # a progress bar writes its line anew
            passing = not mark
            yield rest[: mark or LONGEST_LINE]
            rest = rest[mark:][-LONGEST_LINE:] if mark else b""
    if rest:
        yield rest


def _as_utf8(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    decoder: codecs.IncrementalDecoder | None = None
    first = True
    for chunk in chunks:
        if first and chunk:
            first = False
            tool = next((tool for mark, tool in _PACKED.items() if chunk.startswith(mark)), None)
            if tool is not None:
                raise UnreadableFileError("log-packed", path=name, tool=tool)
            wide = next((form for mark, form in _WIDE.items() if chunk.startswith(mark)), None)
            decoder = None if wide is None else codecs.getincrementaldecoder(wide)("replace")
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
        yield chunk if decoder is None else decoder.decode(chunk).encode("utf-8", "replace")


def plain_lines(line: bytes) -> list[str]:
    """A line as people see it: without colours and control characters, and taken out of the JSON that a container puts around it.

    Parameters
    ----------
    line : bytes
        One line of a file; a progress bar may have written several in it.

    Returns
    -------
    list of str
        Its texts, none of them empty.

    Examples
    --------
    >>> plain_lines(b'\\x1b[36m(Worker pid=1)\\x1b[0m INFO ok\\r\\n'), plain_lines(b'{"log":"INFO ok\\\\n","stream":"stderr"}')
    (['(Worker pid=1) INFO ok'], ['INFO ok'])
    """
    text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip("\r\n")
    if text.startswith("{") and any(mark in text for mark in _WRAPPED):
        text = _unwrapped(text)
    if text.isprintable():
        return [text] if text else []
    parts = re.split(r"[\r\n\u0085]", _ESCAPES.sub("", text))
    return [part for part in (_CONTROLS.sub("", each).replace("\t", " ") for each in parts) if part.strip()]


def _unwrapped(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(found, dict):
        return next((value for name in ("log", "message", "msg") if isinstance(value := found.get(name), str)), text)
    return text
