"""GGUF files (versions 2 and 3, either byte order): metadata and the list of tensors, without loading one.

Every count and length is checked against what is left of the file before anything is read, so a lying header is refused at once. Of the header a
window is held, never the whole; vocabularies are stepped over.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from gpusizer.architecture.files.headers import TensorHeader, open_checked
from gpusizer.errors import UnreadableFileError
from gpusizer.facts.number_formats import GGUF_BLOCKS

__all__ = ["GGUFFile", "read_gguf"]

_MAX_NAME_BYTES = 65_535  # the format's own bound for keys
_MAX_STRING_BYTES = 16 << 20
_MAX_KEPT_BYTES = 256 << 10  # longer texts (templates beyond reason) keep their length alone
_MAX_KEPT_ELEMENTS = 16_384  # longer arrays (vocabularies) keep their length alone
_MAX_KEPT_STRINGS = 64
_MAX_KEPT_IN_ALL = 1_000_000  # elements of all kept arrays together
_MAX_KEYS = 65_536
_MAX_TENSORS = 200_000
_MAX_ARRAY = 4_000_000
_MAX_HEADER_BYTES = 64 << 20  # vocabularies of 262,144 tokens with their merges take 12 MiB
_CHUNK_BYTES = 1 << 20
_MAX_SPLITS = 4096
_SPLIT = re.compile(r"^(.*)-(\d{5})-of-(\d{5})\.gguf$")
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_TYPES = {number: (name, elements, size) for name, (number, elements, size) in GGUF_BLOCKS.items()}


@dataclass(frozen=True)
class GGUFFile:
    """What a GGUF file (with all its parts) says of itself.

    Parameters
    ----------
    metadata : dict
        Values by key; of a long array or text only the length, as an ``int`` under ``<key>.length``.
    tensors : tuple of TensorHeader
        Every tensor, its type in lower case, its shape with the row last (as other checkpoints write it).
    bytes : int
        Size of all parts together.
    """

    metadata: dict[str, Any]
    tensors: tuple[TensorHeader, ...]
    bytes: int


class _Cursor:
    """Reads forward through the start of a file through a window that forgets what was read, never past the file's end."""

    def __init__(self, file: BinaryIO, size: int, path: Path) -> None:
        self._file, self.size, self._path = file, size, path
        self._data = b""
        self._next = 0  # where in the window the next byte stands
        self._before = 0  # bytes of the file before the window
        self._kept = 0
        self.order = "<"

    @property
    def position(self) -> int:
        """Bytes of the file that were read or passed over."""
        return self._before + self._next

    def refuse(self, code: str, **parameters: Any) -> UnreadableFileError:
        return UnreadableFileError(code, path=str(self._path), **parameters)

    def _check(self, length: int) -> None:
        end = self.position + length
        if end > self.size:
            raise self.refuse("file-truncated", expected_bytes=end, found_bytes=self.size)
        if end > _MAX_HEADER_BYTES:
            raise self.refuse("header-too-large", found_bytes=end, limit_bytes=_MAX_HEADER_BYTES)

    def _hold(self, length: int) -> None:
        """Have the next ``length`` bytes in the window."""
        self._check(length)
        lacking = length - (len(self._data) - self._next)
        if lacking <= 0:
            return
        rest = self._data[self._next :]
        self._before, self._next = self.position, 0
        self._data = rest + self._file.read(max(_CHUNK_BYTES, lacking))
        if len(self._data) < length:  # the file shrank while it was read
            raise self.refuse("file-truncated", expected_bytes=self.position + length, found_bytes=self._before + len(self._data))

    def skip(self, length: int) -> None:
        """Pass over bytes that nobody asks for."""
        self._check(length)
        beyond = length - (len(self._data) - self._next)
        if beyond <= 0:
            self._next += length
            return
        self._before, self._next, self._data = self.position + length, 0, b""
        self._file.seek(self._before)

    def take(self, length: int) -> bytes:
        """The next bytes."""
        self._hold(length)
        start, self._next = self._next, self._next + length
        return self._data[start : self._next]

    def number(self, code: str) -> Any:
        form = self.order + code
        width = struct.calcsize(form)
        self._hold(width)  # first: the window moves
        self._next += width
        return struct.unpack_from(form, self._data, self._next - width)[0]

    def length(self, what: str, limit: int, least_bytes: int) -> int:
        """A count that the rest of the file can hold."""
        count = int(self.number("Q"))
        if count > limit or count * least_bytes > self.size - self.position:
            raise self.refuse("count-too-large", field=what, found=count)
        return count

    def name(self) -> str:
        """The name of a key or of a tensor."""
        return self.take(self.length("name", _MAX_NAME_BYTES, 1)).decode("utf-8", "replace")

    def string(self) -> str | _Long:
        """A text, or the length of one that is too long to be kept."""
        length = self.length("string", _MAX_STRING_BYTES, 1)
        if length > _MAX_KEPT_BYTES:
            self.skip(length)
            return _Long(length)
        return self.take(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """Pass over texts; those that lie whole in the window without a call for each."""
        length_of = struct.Struct(self.order + "Q").unpack_from
        while count:
            self._hold(8)
            data, offset, last = self._data, self._next, len(self._data) - 8
            while count and offset <= last:
                offset += 8 + length_of(data, offset)[0]
                count -= 1
            beyond, self._next = max(offset - len(data), 0), min(offset, len(data))
            self.skip(beyond)

    def value(self, kind: int, key: str) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array(key)
        raise self.refuse("header-contradiction", name=key[:80], field=f"type {kind}")

    def array(self, key: str) -> Any:
        kind = self.number("I")
        width = struct.calcsize(self.order + _SCALARS[kind]) if kind in _SCALARS else 8
        if kind not in _SCALARS and kind != _STRING:  # arrays of arrays are in the specification; no model has them
            raise self.refuse("header-contradiction", name=key[:80], field=f"array of type {kind}")
        count = self.length(key[:80], _MAX_ARRAY, width)
        short = count <= (_MAX_KEPT_STRINGS if kind == _STRING else _MAX_KEPT_ELEMENTS)
        self._kept += count if short else 0
        if not short or self._kept > _MAX_KEPT_IN_ALL:
            if kind == _STRING:
                self.skip_strings(count)
            else:
                self.skip(count * width)
            return _Long(count)
        if kind == _STRING:
            return [self.string() for _ in range(count)]
        return list(struct.unpack(f"{self.order}{count}{_SCALARS[kind]}", self.take(count * width)))


class _Long(int):
    """Length of an array or a text that was not kept."""


def read_gguf(path: Path) -> GGUFFile:
    """Metadata and tensors of a GGUF file; the other parts of a split file are read with it.

    Parameters
    ----------
    path : Path
        A .gguf file; of a split one, any part.

    Returns
    -------
    GGUFFile
        What the file says, checked against its size.
    """
    split = _SPLIT.match(path.name)
    if split is None:
        return _read_one(path)
    count = int(split.group(3))
    if not 0 < count <= _MAX_SPLITS:
        raise UnreadableFileError("too-many-files", path=str(path), found=count, limit=_MAX_SPLITS)
    metadata: dict[str, Any] = {}
    tensors: dict[str, TensorHeader] = {}
    size = 0
    for part in range(1, count + 1):
        file = path.with_name(f"{split.group(1)}-{part:05d}-of-{count:05d}.gguf")
        if not file.is_file():
            raise UnreadableFileError("shard-missing", path=str(file), expected=count)
        one = _read_one(file)
        metadata = {**one.metadata, **metadata}
        tensors.update((tensor.name, tensor) for tensor in one.tensors)
        size += one.bytes
    return GGUFFile(metadata, tuple(tensors.values()), size)


def _read_one(path: Path) -> GGUFFile:
    size = open_checked(path)
    try:
        with path.open("rb") as file:
            return _read(_Cursor(file, size, path))
    except OSError as error:
        raise UnreadableFileError("file-missing", path=str(path)) from error


def _read(cursor: _Cursor) -> GGUFFile:
    start = cursor.take(4) if cursor.size >= 4 else b""
    if start == b"vers":
        raise cursor.refuse("lfs-pointer")
    if start != b"GGUF":
        raise cursor.refuse("not-gguf")
    version = int(cursor.number("I"))
    if version & 0xFFFF == 0:  # written in the other byte order
        cursor.order = ">"
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in (2, 3):
        raise cursor.refuse("unknown-version", found=version, expected="2, 3")
    tensor_count = cursor.length("tensor_count", _MAX_TENSORS, 24)
    key_count = cursor.length("metadata_kv_count", _MAX_KEYS, 12)
    metadata: dict[str, Any] = {}
    for _ in range(key_count):
        key = cursor.name()
        value = cursor.value(int(cursor.number("I")), key)
        if isinstance(value, _Long):
            metadata[key + ".length"] = int(value)
        else:
            metadata[key] = value
    tensors = [_tensor(cursor) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if isinstance(alignment, bool) or not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise cursor.refuse("header-contradiction", name="general.alignment", field="value")
    data = -(-cursor.position // alignment) * alignment
    end = 0
    for offset, tensor in sorted(tensors, key=lambda pair: pair[0]):
        if offset < end:
            raise cursor.refuse("header-contradiction", name=tensor.name[:80], field="offset")
        end = offset + tensor.bytes
    if tensors and data + end > cursor.size:
        raise cursor.refuse("file-truncated", expected_bytes=data + end, found_bytes=cursor.size)
    return GGUFFile(metadata, tuple(tensor for _, tensor in tensors), cursor.size)


def _tensor(cursor: _Cursor) -> tuple[int, TensorHeader]:
    name = cursor.name()
    rank = int(cursor.number("I"))
    if not 0 < rank <= 4:
        raise cursor.refuse("header-contradiction", name=name[:80], field="n_dimensions")
    sides = tuple(int(cursor.number("Q")) for _ in range(rank))
    kind, offset = int(cursor.number("I")), int(cursor.number("Q"))
    if kind not in _TYPES:
        raise cursor.refuse("unknown-tensor-type", name=name[:80], found=kind)
    type_name, elements, block_bytes = _TYPES[kind]
    if 0 in sides or sides[0] % elements:
        raise cursor.refuse("header-contradiction", name=name[:80], field="dimensions")
    return offset, TensorHeader(name, type_name, sides[::-1], prod(sides) // elements * block_bytes)
