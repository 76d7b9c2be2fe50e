"""The files of the pages: read once, named in a closed table, packed, kept by browsers until they change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fastapi import Request, Response

from gpusizer.errors import InputError
from gpusizer.rendering import charts
from gpusizer.web.asking import refused, response_of, unchanged
from gpusizer.web.job import Reply
from gpusizer.web.worker import packed

__all__ = ["static_file"]

_STYLES = "gpusizer.css"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def static_file(request: Request) -> Response:
    """The file that an address names."""
    found = _files().get(request.path_params["name"])
    if found is None:
        return refused(InputError("no-such-page"), request.scope)
    tag = f'W/"{hashlib.sha256(found.body).hexdigest()[:32]}"'
    return unchanged(request.headers, tag) or response_of(found, request.headers, tag)


@cache
def _files() -> Mapping[str, Reply]:
    folder = Path(__file__).parent / "static"
    found = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in _TYPES}
    found[_STYLES] += charts.stylesheet().encode()  # a page asks for one stylesheet
    return {name: packed(Reply(200, _TYPES[Path(name).suffix], content)) for name, content in found.items()}
