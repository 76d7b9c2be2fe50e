"""Models that the catalogue lacks, read from a hub: the only module that opens a connection, and only where somebody asks with ``--hub``.

Read are config.json, the index, and the headers of safetensors files, each of bounded size; never code, never weights. Hugging Face is read through
``huggingface_hub`` (the extra ``hub``), which keeps its own cache and heeds HF_ENDPOINT, HF_HUB_OFFLINE and a stored token; ModelScope through its
public address of files (MODELSCOPE_DOMAIN, MODELSCOPE_URL_SCHEME).
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from gpusizer.architecture.failures import named_failures
from gpusizer.architecture.files.headers import TensorHeader, with_headers
from gpusizer.architecture.files.safetensors import parse_header, parse_index
from gpusizer.architecture.load import remember, remembered
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError, UnknownIdError
from gpusizer.facts.model_words import model_meant, repository_of

__all__ = ["HUBS", "look_up"]

HUBS = ("huggingface", "modelscope")
"""Where a model may be looked up, the usual one first."""

_MAX_CONFIG_BYTES = 8 << 20
_MAX_INDEX_BYTES = 64 << 20
_MAX_HEADER_BYTES = 16 << 20
_MAX_FILES = 512
_FIRST_BYTES = 100_000  # most headers are shorter
_AT_ONCE = 8  # requests
_TIMEOUT_S = 20.0
_CONFIG, _ONE_FILE, _INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"


class _MissingError(Exception):
    """A file that the repository does not have."""


class _Source(Protocol):
    """A hub: whole small files, and the beginnings of large ones."""

    def whole(self, repository: str, name: str, limit: int) -> bytes: ...

    def part(self, repository: str, name: str, first: int, last: int) -> bytes: ...


def look_up(name: str, hub: str = "huggingface") -> str:
    """Read a model from a hub where the catalogue has no entry for exactly this name, and keep it for this process.

    Parameters
    ----------
    name : str
        As typed: a path and an id of the catalogue are left alone; else owner and name, or the address of its page.
    hub : str
        One of :data:`HUBS`.

    Returns
    -------
    str
        The name under which :func:`gpusizer.architecture.load.load_architecture` knows the model from now on.

    Raises
    ------
    InputError
        ``hub-...``: not installed, not reachable, not found, gated, without a configuration, too large.
    """
    if _is_here(name):
        return name
    repository = repository_of(name)
    if repository is None:
        raise InputError("hub-name", id=name[:200])
    if remembered(repository) is not None:
        return repository
    source: _Source = _HuggingFace() if hub == HUBS[0] else _ModelScope()
    with named_failures(repository):
        config = _object(_config_of(source, repository), repository)
        config.pop("gpusizer", None)  # our own words stand in entries of the catalogue alone
        model = read_config(config, id=repository.rpartition("/")[2].lower(), name=repository.rpartition("/")[2])
        headers = _headers_of(source, repository)
        found = (
            with_headers(model, headers) if headers else replace(model, warnings=(*model.warnings, Notice("hub-without-headers", {"id": repository})))
        )
        _ = found.parameters
    remember(repository, replace(found, warnings=(*found.warnings, Notice("hub-read", {"id": repository, "hub": hub}))))
    return repository


def _is_here(name: str) -> bool:
    try:
        if Path(name).exists():
            return True
        return model_meant(name).exact
    except UnknownIdError:
        return False
    except (OSError, ValueError):
        return False


def _config_of(source: _Source, repository: str) -> bytes:
    try:
        return source.whole(repository, _CONFIG, _MAX_CONFIG_BYTES)
    except _MissingError:
        raise InputError("hub-no-config", id=repository) from None


def _object(text: bytes, repository: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("hub-no-config", id=repository) from error
    if not isinstance(found, dict):
        raise InputError("hub-no-config", id=repository)
    return found


def _headers_of(source: _Source, repository: str) -> list[TensorHeader]:
    """Every tensor that the files list; none where there are no safetensors."""
    try:
        names: Sequence[str] = parse_index(source.whole(repository, _INDEX, _MAX_INDEX_BYTES), Path(_INDEX))
    except _MissingError:
        names = (_ONE_FILE,)
    if len(names) > _MAX_FILES:
        raise InputError("hub-too-large", id=repository, file=_INDEX, limit=_MAX_FILES)
    read: Callable[[str], list[TensorHeader]] = lambda name: _header(source, repository, name)  # noqa: E731
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            lists = list(pool.map(read, names))
    except _MissingError:
        return []
    return list({header.name: header for each in lists for header in each}.values())


def _header(source: _Source, repository: str, name: str) -> list[TensorHeader]:
    start = source.part(repository, name, 0, _FIRST_BYTES - 1)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 or not 2 <= length <= _MAX_HEADER_BYTES:
        raise InputError("hub-too-large", id=repository, file=name, limit=_MAX_HEADER_BYTES)
    text = start[8 : 8 + length]
    if len(text) < length:
        text += source.part(repository, name, 8 + len(text), 7 + length)
    return parse_header(text[:length], Path(PurePosixPath(repository) / name))[0]


class _HuggingFace:
    """Hugging Face, or a mirror of it, through its own library."""

    def __init__(self) -> None:
        try:
            import huggingface_hub
            from huggingface_hub.utils import disable_progress_bars
        except ImportError as error:
            raise InputError("hub-not-installed", extra="hub", package="huggingface_hub") from error
        disable_progress_bars()
        self._library = huggingface_hub

    def whole(self, repository: str, name: str, limit: int) -> bytes:
        """A small file, from the cache of the library where it lies there."""
        from huggingface_hub import errors

        def read() -> bytes:
            cached = self._library.try_to_load_from_cache(repository, name)
            if not isinstance(cached, str):
                size = self._library.get_hf_file_metadata(self._library.hf_hub_url(repository, name), timeout=_TIMEOUT_S).size
                if size is not None and size > limit:
                    raise InputError("hub-too-large", id=repository, file=name, limit=limit)
            try:
                found = Path(self._library.hf_hub_download(repository, name, etag_timeout=_TIMEOUT_S))
            except (errors.LocalEntryNotFoundError, errors.FileMetadataError):  # not reachable, or a mirror that leaves out the library's headers
                return self._bounded(repository, name, limit, {})
            if found.stat().st_size > limit:
                raise InputError("hub-too-large", id=repository, file=name, limit=limit)
            return found.read_bytes()

        return self._told(repository, read)

    def part(self, repository: str, name: str, first: int, last: int) -> bytes:
        """Some bytes of a large file."""
        ranges = {"Range": f"bytes={first}-{last}"}
        return self._told(repository, lambda: self._bounded(repository, name, last + 1 - first, ranges, cut=True))

    def _bounded(self, repository: str, name: str, limit: int, more: dict[str, str], *, cut: bool = False) -> bytes:
        """The body of an answer, read no further than the limit."""
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = self._library.hf_hub_url(repository, name)
        with get_session().stream("GET", url, headers={**build_hf_headers(), **more}, timeout=_TIMEOUT_S, follow_redirects=True) as answer:
            hf_raise_for_status(answer)
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) >= limit:
                    break
        if len(body) > limit and not cut:
            raise InputError("hub-too-large", id=repository, file=name, limit=limit)
        return bytes(body[:limit])

    def _told(self, repository: str, read: Callable[[], bytes]) -> bytes:
        """What was read; the library's errors in our words."""
        try:
            return read()
        except InputError:
            raise
        except Exception as error:  # the library's transport has errors of its own kind in each of its versions
            raise self._met(repository, error) from error

    @staticmethod
    def _met(repository: str, error: Exception) -> Exception:
        from huggingface_hub import constants, errors

        if isinstance(error, errors.GatedRepoError):
            return InputError("hub-gated", id=repository)
        if isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError | errors.HFValidationError):
            return InputError("hub-not-found", id=repository, hub="Hugging Face")
        if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
            return _MissingError(str(error)[:200])
        if isinstance(error, errors.HfHubHTTPError):
            status = getattr(getattr(error, "response", None), "status_code", 0)
            return InputError("hub-refused", id=repository, status=status, address=constants.ENDPOINT)
        if constants.HF_HUB_OFFLINE:
            return InputError("hub-offline", id=repository)
        return InputError("hub-unreachable", id=repository, address=constants.ENDPOINT)


class _ModelScope:
    """ModelScope, by the public address of a repository's files."""

    def __init__(self) -> None:
        scheme = os.environ.get("MODELSCOPE_URL_SCHEME", "https://")
        self._address = scheme + os.environ.get("MODELSCOPE_DOMAIN", "www.modelscope.cn")
        if not self._address.startswith(("https://", "http://")):
            raise InputError("hub-unreachable", id="MODELSCOPE_URL_SCHEME", address=self._address[:200])

    def whole(self, repository: str, name: str, limit: int) -> bytes:
        """A small file."""
        body = self._read(repository, name, limit + 1, {})
        if len(body) > limit:
            raise InputError("hub-too-large", id=repository, file=name, limit=limit)
        return body

    def part(self, repository: str, name: str, first: int, last: int) -> bytes:
        """Some bytes of a large file."""
        return self._read(repository, name, last + 1 - first, {"Range": f"bytes={first}-{last}"})

    def _read(self, repository: str, name: str, limit: int, headers: dict[str, str]) -> bytes:
        query = urllib.parse.urlencode({"Revision": "master", "FilePath": name})
        url = f"{self._address}/api/v1/models/{urllib.parse.quote(repository)}/repo?{query}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S) as answer:
                if "Range" in headers and answer.status != 206 and not headers["Range"].startswith("bytes=0-"):
                    raise InputError("hub-refused", id=repository, status=answer.status, address=self._address)
                body: bytes = answer.read(limit)
                return body
        except urllib.error.HTTPError as error:
            if error.code == 404:
                if name != _CONFIG:
                    raise _MissingError from error
                raise InputError("hub-not-found", id=repository, hub="ModelScope") from error
            if error.code in (401, 403):
                raise InputError("hub-gated", id=repository) from error
            raise InputError("hub-refused", id=repository, status=error.code, address=self._address) from error
        except (OSError, ValueError) as error:  # no route, no name, a time-out, or an answer that is no HTTP
            raise InputError("hub-unreachable", id=repository, address=self._address) from error
