"""Drafts that a model makes of its own: which engine runs the prediction layers of which checkpoint, and from which version on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gpusizer.architecture.model import Architecture

__all__ = ["OwnDraft", "own_method"]


class OwnDraft(NamedTuple):
    """That an engine drafts with the checkpoint's own layers for multi-token prediction.

    Parameters
    ----------
    since : tuple of int
        First version that is known to.
    method : str
        Its word for it; the engine's usual one where empty.
    """

    since: tuple[int, ...]
    method: str = ""


def own_method(table: Mapping[str, tuple[OwnDraft, ...]], architecture: Architecture, version: tuple[int, ...]) -> str | None:
    """The word by which a version of an engine takes a checkpoint's own draft layers, empty for its usual one; None where it does not run them.

    Parameters
    ----------
    table : mapping
        By ``model_type`` of the configuration: what runs it, the newest first.
    architecture : Architecture
        The model.
    version : tuple of int
        Of the engine.
    """
    config = architecture.config
    if not architecture.mtp or config.get("dspark_target_layer_ids"):  # blocks that draft together are another method
        return None
    known = table.get(str(config.get("model_type")), ())
    return next((each.method for each in known if version >= each.since), None)
