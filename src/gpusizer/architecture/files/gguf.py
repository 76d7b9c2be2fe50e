"""GGUF files (versions 2 and 3, either byte order): metadata and the list of tensors, without loading one.

Every count and length is checked against what is left of the file before anything is read, so a lying header is refused at once.
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

_MAX_STRING_BYTES = 16 << 20
_MAX_KEPT_ELEMENTS = 16_384  # longer arrays (vocabularies) keep their length alone
_MAX_KEYS = 65_536
_MAX_TENSORS = 1_000_000
_MAX_ARRAY = 16_000_000
_MAX_HEADER_BYTES = 512 << 20
_CHUNK_BYTES = 8 << 20
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
        Values by key; a long array is the number of its elements, as an ``int`` under ``<key>.length``.
    tensors : tuple of TensorHeader
        Every tensor, its type in lower case, its shape with the row last (as other checkpoints write it).
    bytes : int
        Size of all parts together.
    """

    metadata: dict[str, Any]
    tensors: tuple[TensorHeader, ...]
    bytes: int


class _Cursor:
    """Reads forward through the start of a file, in growing pieces, never past its end."""

    def __init__(self, file: BinaryIO, size: int, path: Path) -> None:
        self._file, self.size, self._path = file, size, path
        self._data = file.read(min(size, _CHUNK_BYTES))
        self.position = 0
        self.order = "<"

    def refuse(self, code: str, **parameters: Any) -> UnreadableFileError:
        return UnreadableFileError(code, path=str(self._path), **parameters)

    def need(self, length: int) -> int:
        """Where the next ``length`` bytes begin; moves past them."""
        start = self.position
        end = start + length
        if end > self.size:
            raise self.refuse("file-truncated", expected_bytes=end, found_bytes=self.size)
        if end > _MAX_HEADER_BYTES:
            raise self.refuse("header-too-large", found_bytes=end, limit_bytes=_MAX_HEADER_BYTES)
        while end > len(self._data):
            more = self._file.read(max(_CHUNK_BYTES, end - len(self._data)))
            if not more:
                raise self.refuse("file-truncated", expected_bytes=end, found_bytes=len(self._data))
            self._data += more
        self.position = end
        return start

    def number(self, code: str) -> Any:
        form = self.order + code
        return struct.unpack_from(form, self._data, self.need(struct.calcsize(form)))[0]

    def length(self, what: str, limit: int, least_bytes: int) -> int:
        """A count that the rest of the file can hold."""
        count = int(self.number("Q"))
        if count > limit or count * least_bytes > self.size - self.position:
            raise self.refuse("count-too-large", field=what, found=count)
        return count

    def string(self) -> str:
        length = self.length("string", _MAX_STRING_BYTES, 1)
        start = self.need(length)
        return self._data[start : start + length].decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        length_of = struct.Struct(self.order + "Q").unpack_from
        for _ in range(count):
            self.need(length_of(self._data, self.need(8))[0])

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
        if count > _MAX_KEPT_ELEMENTS or (kind == _STRING and count > 64):
            if kind == _STRING:
                self.skip_strings(count)
            else:
                self.need(count * width)
            return _Long(count)
        if kind == _STRING:
            return [self.string() for _ in range(count)]
        return list(struct.unpack_from(f"{self.order}{count}{_SCALARS[kind]}", self._data, self.need(count * width)))


class _Long(int):
    """Length of an array that was not kept."""


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
    start = bytes(cursor.number("B") for _ in range(4)) if cursor.size >= 4 else b""
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
        key = cursor.string()
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
    name = cursor.string()
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
