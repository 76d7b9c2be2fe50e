"""Headers of safetensors files: names, types, shapes and bytes of every tensor, without loading one.

A file is eight bytes (the length of the header, little-endian), the header in JSON, then the tensors. A header is checked before it is used: its
length against the file, counts and texts against bounds (before it is parsed: a parsed header takes several times its bytes), offsets against each
other and against shapes.
"""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import Any

from gpusizer.architecture.files.headers import TensorHeader, open_checked
from gpusizer.errors import UnreadableFileError
from gpusizer.facts.number_formats import SAFETENSORS_BITS

__all__ = ["index_total_bytes", "parse_header", "parse_index", "read_safetensors", "read_safetensors_folder"]

_MAX_HEADER_BYTES = 32 << 20  # the library takes 100 MB; the largest published ones are below 1 MB a file
_MAX_WIDE_BYTES = 8 << 20  # a header beyond ASCII takes four bytes a character once it is parsed
_MAX_STRING_BYTES = 1 << 20
_MAX_TENSORS = 100_000  # of one file
_MAX_TENSORS_IN_ALL = 250_000  # of a folder, and of its index; the largest published ones have 210,000
_MAX_FILES = 10_000
_MAX_TOTAL_BYTES = 10**15
_MAX_RANK = 16
_INDEX = "model.safetensors.index.json"
_LONG_STRING = re.compile(rb'"[^"]{%d}' % _MAX_STRING_BYTES)
_SHARD = re.compile(r"-(\d{5,6})-of-(\d{5,6})\.safetensors$")


def read_safetensors(path: Path) -> list[TensorHeader]:
    """Every tensor that one file lists.

    Parameters
    ----------
    path : Path
        A .safetensors file.

    Returns
    -------
    list of TensorHeader
        In the order of their data.
    """
    size = open_checked(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start.startswith(b"version "):
                raise UnreadableFileError("lfs-pointer", path=str(path))
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length < 2:
                raise UnreadableFileError("not-safetensors", path=str(path))
            if length > size - 8:
                raise UnreadableFileError("file-truncated", path=str(path), expected_bytes=length + 8, found_bytes=size)
            if length > _MAX_HEADER_BYTES:
                raise UnreadableFileError("header-too-large", path=str(path), found_bytes=length, limit_bytes=_MAX_HEADER_BYTES)
            text = file.read(length)
    except OSError as error:
        raise UnreadableFileError("file-missing", path=str(path)) from error
    headers, end = parse_header(text, path)
    if 8 + length + end > size:
        raise UnreadableFileError("file-truncated", path=str(path), expected_bytes=8 + length + end, found_bytes=size)
    return headers


def parse_header(text: bytes, path: Path) -> tuple[list[TensorHeader], int]:
    """Every tensor that a header lists, and where their data end after it.

    Parameters
    ----------
    text : bytes
        The header in JSON.
    path : Path
        What an error calls the file.

    Returns
    -------
    list of TensorHeader, int
        In the order of their data; the end of the last. [bytes]
    """
    entries = _parse(text, path, _MAX_TENSORS)
    entries.pop("__metadata__", None)
    tensors = sorted((_tensor(name, entry, path) for name, entry in entries.items()), key=lambda pair: pair[0])
    end = 0
    for (first, last), header in tensors:
        if first < end:
            raise UnreadableFileError("header-contradiction", path=str(path), name=header.name[:80], field="data_offsets")
        end = max(end, last)
    return [header for _, header in tensors], end


def _parse(text: bytes, path: Path, most: int) -> dict[str, Any]:
    """JSON of bounded size and depth, an object at its top, with at most so many entries."""
    found = max(text.count(b"{") - 2, text.count(b"[") // 2, text.count(b",") // 8)
    if found > most:
        raise UnreadableFileError("too-many-tensors", path=str(path), found=found, limit=most)
    if _holds_long_text(text):
        raise UnreadableFileError("header-too-large", path=str(path), found_bytes=len(text), limit_bytes=_MAX_STRING_BYTES)
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, not UTF-8, or an endless number
        raise UnreadableFileError("not-safetensors", path=str(path)) from error
    if not isinstance(entries, dict):
        raise UnreadableFileError("not-safetensors", path=str(path))
    return entries


def _holds_long_text(text: bytes) -> bool:
    """Whether one string, or all text beyond ASCII, is longer than any header has."""
    if len(text) <= _MAX_STRING_BYTES:
        return False
    if len(text) > _MAX_WIDE_BYTES and not text.isascii():
        return True
    plain = text.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in text else text  # only quotation marks that end a string stay
    return _LONG_STRING.search(plain) is not None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _tensor(name: str, entry: Any, path: Path) -> tuple[tuple[int, int], TensorHeader]:
    def refuse(field: str) -> UnreadableFileError:
        return UnreadableFileError("header-contradiction", path=str(path), name=name[:80], field=field)

    if not isinstance(entry, dict):
        raise refuse("tensor")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in SAFETENSORS_BITS:
        raise refuse("dtype")
    if not isinstance(shape, list) or len(shape) > _MAX_RANK or not all(_whole(side) for side in shape):
        raise refuse("shape")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_whole(offset) for offset in offsets):
        raise refuse("data_offsets")
    first, last = offsets
    if (last - first) * 8 != prod(shape) * SAFETENSORS_BITS[dtype]:
        raise refuse("data_offsets")
    return (first, last), TensorHeader(name, dtype, tuple(shape), last - first)


def read_safetensors_folder(folder: Path) -> list[TensorHeader]:
    """Every tensor of a checkpoint folder: the files that its index names, or all that lie there.

    Parameters
    ----------
    folder : Path
        A folder with ``*.safetensors`` and perhaps an index.

    Returns
    -------
    list of TensorHeader
        Empty where the folder holds no safetensors, the index alone among them.
    """
    files = _files(folder)
    headers: dict[str, TensorHeader] = {}
    for path in files:
        for header in read_safetensors(path):
            if header.name in headers:
                raise UnreadableFileError("header-contradiction", path=str(path), name=header.name[:80], field="tensor")
            headers[header.name] = header
        if len(headers) > _MAX_TENSORS_IN_ALL:
            raise UnreadableFileError("too-many-tensors", path=str(folder), found=len(headers), limit=_MAX_TENSORS_IN_ALL)
    return list(headers.values())


def _files(folder: Path) -> list[Path]:
    try:
        present = sorted(path.name for path in folder.glob("*.safetensors"))
        index = folder / _INDEX if (folder / _INDEX).is_file() else None
    except (OSError, ValueError) as error:
        raise UnreadableFileError("file-missing", path=str(folder)) from error
    if index is not None:
        names = _index_names(index) if present else []  # configuration and index alone: the index tells the size
    else:
        names = [name for name in present if not name.startswith("consolidated")] or present  # a second copy in the maker's own names
        for name in names:
            shard = _SHARD.search(name)
            if shard and sum(other.endswith(f"-of-{shard.group(2)}.safetensors") for other in names) < int(shard.group(2)):
                raise UnreadableFileError("shard-missing", path=str(folder / name), expected=int(shard.group(2)))
    if len(names) > _MAX_FILES:
        raise UnreadableFileError("too-many-files", path=str(folder), found=len(names), limit=_MAX_FILES)
    return [folder / name for name in names]


def index_total_bytes(folder: Path) -> int | None:
    """Size of all tensors as the index of a folder states it; None where there is no index, or it states none. [bytes]"""
    index = folder / _INDEX
    if not index.is_file():
        return None
    metadata = _parse(_index_text(index), index, _MAX_TENSORS_IN_ALL).get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    if isinstance(total, bool) or not isinstance(total, int | float) or not 0 < total <= _MAX_TOTAL_BYTES:
        return None
    return round(total)  # some tools write 66970000000.0


def _index_names(index: Path) -> list[str]:
    return parse_index(_index_text(index), index)


def _index_text(index: Path) -> bytes:
    size = open_checked(index)
    if size > _MAX_HEADER_BYTES:
        raise UnreadableFileError("header-too-large", path=str(index), found_bytes=size, limit_bytes=_MAX_HEADER_BYTES)
    try:
        return index.read_bytes()
    except OSError as error:
        raise UnreadableFileError("file-missing", path=str(index)) from error


def parse_index(text: bytes, index: Path) -> list[str]:
    """Names of the files that an index lists, none of them outside its folder.

    Parameters
    ----------
    text : bytes
        The index in JSON.
    index : Path
        What an error calls it.

    Returns
    -------
    list of str
        Sorted, each once.
    """
    weight_map = _parse(text, index, _MAX_TENSORS_IN_ALL).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise UnreadableFileError("header-contradiction", path=str(index), name="weight_map", field="weight_map")
    names = sorted(set(weight_map.values()))
    for name in names:
        if not name.endswith(".safetensors") or "/" in name or "\\" in name or "\0" in name or len(name) > 255:  # nothing outside the folder
            raise UnreadableFileError("header-contradiction", path=str(index), name=name[:80], field="weight_map")
    return names
