"""What file headers tell: exact bytes by tensor; how they are joined with a configuration, and what is said when the two disagree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat, plain_format
from gpusizer.architecture.storage.module_patterns import one_spelling
from gpusizer.architecture.tensors import checkpoint_bytes, stored_tensors
from gpusizer.architecture.types import Notice
from gpusizer.errors import UnreadableFileError
from gpusizer.given_files import stands_here

__all__ = ["TensorHeader", "open_checked", "with_headers"]

_TOLERATED = 0.001  # small tensors of a converter's own: rotary frequencies, scales of inputs
_PLAIN = {"F32": "fp32", "F16": "fp16", "BF16": "bf16", "F64": "fp64"}


@dataclass(frozen=True, slots=True)
class TensorHeader:
    """One tensor as a file's header lists it: the name and number format of the file, its shape and its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


def open_checked(path: Path) -> int:
    """Size of a readable regular file; refused with a code otherwise.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    int
        Its size. [bytes]
    """
    try:
        if not (stands_here(str(path)) and path.is_file()):
            raise UnreadableFileError("file-missing", path=str(path))
        return path.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UnreadableFileError("file-missing", path=str(path)) from error


def with_headers(architecture: Architecture, headers: Iterable[TensorHeader], formats: Mapping[str, StorageFormat] | None = None) -> Architecture:
    """The model with the exact bytes of its files, and a warning where they contradict its configuration.

    Parameters
    ----------
    architecture : Architecture
        The model as its configuration tells it.
    headers : iterable of TensorHeader
        Every tensor of the files.
    formats : mapping of str to StorageFormat or None
        Formats by path of the model's tensors; None compares the names of the files with the model's paths.

    Returns
    -------
    Architecture
        With ``header_bytes``, formats as stored, and the warnings ``headers-differ`` and ``tensors-not-found`` where they apply.
    """
    listed = tuple(headers)
    sizes = {header.name: header.bytes for header in listed}
    exact = _stored_formats(architecture, listed) if formats is None else dict(formats)
    quantization = replace(architecture.quantization, exact={**architecture.quantization.exact, **exact}, _seen={})
    model = replace(architecture, quantization=quantization, header_bytes=None)
    found = sum(sizes.values())
    expected = {checkpoint_bytes(model, mtp=mtp) for mtp in (False, True)}
    notices = list(architecture.warnings)
    nearest = min(expected, key=lambda value: abs(value - found))
    if abs(nearest - found) > _TOLERATED * found:
        notices.append(Notice("headers-differ", {"expected_bytes": nearest, "found_bytes": found}))
    return replace(model, header_bytes=sizes, warnings=tuple(notices))


def _stored_formats(architecture: Architecture, headers: tuple[TensorHeader, ...]) -> dict[str, StorageFormat]:
    """Formats where a file stores a tensor in another plain type than the configuration says (an F32 router, for one)."""
    types: dict[str, str] = {}
    for header in headers:
        types.setdefault(one_spelling(header.name), header.dtype)
    exact: dict[str, StorageFormat] = {}
    for _, path, _, form in stored_tensors(architecture, mtp=True):
        stored = _PLAIN.get(types.get(one_spelling(path), ""))
        if stored and (form.quantised or form.bits != plain_format(stored).bits):
            exact[path] = plain_format(stored)
    return exact
