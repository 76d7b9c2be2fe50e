"""Speculative decoding as it is asked for: ``auto``, ``off``, a number of tokens, ``mtp:N``, or a draft with a checkpoint of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from gpusizer.errors import FlagError

if TYPE_CHECKING:
    from gpusizer.architecture.model import Architecture
    from gpusizer.architecture.types import Notice
    from gpusizer.engines.base.engine import Engine
    from gpusizer.engines.base.types import Deployment

__all__ = ["AUTO", "OFF", "ON", "Drafts", "asked_drafts", "draft_flags", "own_drafts", "read_drafts"]

AUTO, OFF, ON = "auto", "off", "on"
MOST_DRAFTS = 64
OWN = "mtp"
_METHOD = r"(?P<method>mtp|eagle3?)(?::(?P<count>\d{1,3}))?(?::(?P<model>[\w./@+-]{1,200}))?"
_GRAMMAR = re.compile(rf"{_METHOD}|(?P<tokens>\d{{1,3}})", re.ASCII | re.IGNORECASE)


class Drafts(NamedTuple):
    """What each step drafts.

    Parameters
    ----------
    method : str
        "mtp" for the checkpoint's own prediction layers; "eagle", "eagle3" for a head with a checkpoint of its own.
    tokens : int
        Draft tokens of a step. [tokens]
    model : str
        The checkpoint of a head.
    """

    method: str
    tokens: int
    model: str = ""

    @property
    def words(self) -> str:
        """As it is typed."""
        return ":".join(filter(None, (self.method, str(self.tokens), self.model)))


def read_drafts(words: str, option: str) -> str:
    """Check what was typed and write it in one way.

    >>> read_drafts("MTP", "--speculative"), read_drafts("2", "--speculative"), read_drafts("eagle3:3:org/head", "--speculative")
    ('mtp:1', 'mtp:2', 'eagle3:3:org/head')
    """
    plain = words.strip()
    if plain.lower() in (AUTO, OFF):
        return plain.lower()
    found = _drafts_of(plain)
    if found is None or (found.method == OWN) != (not found.model) or not 1 <= found.tokens <= MOST_DRAFTS:
        raise FlagError("bad-drafts", option=option, found=words[:40], most=MOST_DRAFTS)
    return found.words


def _drafts_of(words: str) -> Drafts | None:
    found = _GRAMMAR.fullmatch(words)
    if found is None:
        return None
    method = (found["method"] or OWN).lower()
    return Drafts(method, int(found["count"] or found["tokens"] or 1), found["model"] or "")


def asked_drafts(words: str, engine: Engine, bare: Deployment, architecture: Architecture) -> Drafts | Notice | None:
    """What is drafted by request whatever comes of it: None for ``auto`` and ``off``, a reason where this engine does not do so.

    Parameters
    ----------
    words : str
        As :func:`read_drafts` gives them.
    engine : Engine
        Who serves.
    bare : Deployment
        A start with the version that is asked for.
    architecture : Architecture
        The model.

    Raises
    ------
    FlagError
        The checkpoint has no layers that predict further tokens.
    """
    from gpusizer.architecture.types import Notice

    found = _drafts_of(words)
    if found is None:
        return None
    if found.method == OWN and not architecture.mtp:
        raise FlagError("no-draft-layers", model=architecture.name)
    runs = engine.own_draft(bare, architecture) is not None if found.method == OWN else found.method in engine.draft_heads
    version = bare.engine_version or ".".join(map(str, engine.newest))
    return found if runs else Notice("drafts-not-run", {"engine": engine.declared.label, "version": version, "method": found.method})


def own_drafts(words: str, engine: Engine, bare: Deployment, architecture: Architecture) -> Drafts | None:
    """What is worth a try by itself: one token of the checkpoint's own layer, where it has one and the engine runs it."""
    return Drafts(OWN, 1) if words == AUTO and engine.own_draft(bare, architecture) is not None else None


def draft_flags(drafts: Drafts, engine: Engine, bare: Deployment, architecture: Architecture) -> Mapping[str, str]:
    """What a start says beside the number of drafts: nothing where the engine takes its usual method."""
    if drafts.method != OWN:
        return {"speculative_method": drafts.method, "speculative_model": drafts.model}
    word = engine.own_draft(bare, architecture)
    return {"speculative_method": word} if word else {}
