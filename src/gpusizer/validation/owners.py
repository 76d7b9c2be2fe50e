"""Who speaks in a measured case: many rows of one owner are one voice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["owner_of", "owner_of_start"]

LONGEST_SOURCE, LONGEST_OWNER = 500, 200
_THREAD = re.compile(r"([\w.-]{1,100}/[\w.-]{1,100})/(?:issues|pull|discussions)/(\d{1,9})")
_REPOSITORY = re.compile(r"github(?:usercontent)?\.com/([\w.-]{1,100}/[\w.-]{1,100})")
_UNKNOWN = "log in a public repository"


def owner_of(source: object) -> str:
    """Who a source belongs to: its first word before "/" or "@", "?" where it names nobody.

    >>> owner_of("gpustack/gpustack@47277d7 docs"), owner_of("https://github.com/mlcommons/inference"), owner_of(None)
    ('gpustack', 'mlcommons', '?')
    """
    words = re.sub(r"^https?://[^/\s]{1,200}/", "", source[:LONGEST_SOURCE].strip()) if isinstance(source, str) else ""
    return re.split(r"[/@\s]", words, maxsplit=1)[0][:LONGEST_OWNER] or "?"


def owner_of_start(row: Mapping[str, Any]) -> str:
    """Who published a start: in threads somebody else asks each time, so that a thread speaks for itself; a repository is one voice.

    >>> owner_of_start({"source": "https://github.com/vllm-project/vllm/issues/13061"})
    'vllm-project/vllm#13061'
    >>> owner_of_start({"source": "https://github.com/kyuz0/amd-r9700-vllm-toolboxes/blob/main/README.md"})
    'kyuz0/amd-r9700-vllm-toolboxes'
    >>> owner_of_start({"source": "log in a public repository, not identified", "id": "vllm-log8096-b"})
    'vllm-log8096'
    """
    source = row.get("source")
    words = source[:LONGEST_SOURCE] if isinstance(source, str) else ""
    if words.startswith(_UNKNOWN):
        return re.sub(r"-[a-z]$", "", str(row.get("id"))[:LONGEST_SOURCE])
    if thread := _THREAD.search(words):
        return f"{thread[1]}#{thread[2]}"
    if repository := _REPOSITORY.search(words):
        return repository[1]
    return "/".join(re.sub(r"^https?://(?:www\.)?", "", words).split("/")[:2]).split("@")[0].strip() or "?"
