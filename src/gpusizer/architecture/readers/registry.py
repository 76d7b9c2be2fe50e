"""Where readers make themselves known: one for each kind of mixer and of feed-forward block, found in their folders by themselves.

A reader states by the shape of the keys whether it claims a layer; the first that claims it (lowest ``order``) reads it. A new architecture is one
module in ``readers/mixers`` or ``readers/feed_forwards`` that calls :func:`register_mixer` or :func:`register_feed_forward`; nothing else changes.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

from gpusizer.architecture.readers.context import LayerContext
from gpusizer.architecture.types import FeedForward, Mixer

__all__ = ["FeedForwardReader", "MixerReader", "feed_forward_of", "mixer_of", "register_feed_forward", "register_mixer", "unregister"]


@dataclass(frozen=True)
class MixerReader:
    """Reads the mixers of a layer.

    Parameters
    ----------
    name : str
        For error messages and for taking it back.
    claims : callable
        From the layer (its kind and keys) to whether this reader understands it.
    read : callable
        From the layer to its mixers.
    order : int
        Lower ones are asked first; plain attention is asked last, at 100.
    """

    name: str
    claims: Callable[[LayerContext], bool]
    read: Callable[[LayerContext], tuple[Mixer, ...]]
    order: int = 50


@dataclass(frozen=True)
class FeedForwardReader:
    """Reads the feed-forward blocks of a layer; fields as for :class:`MixerReader`."""

    name: str
    claims: Callable[[LayerContext], bool]
    read: Callable[[LayerContext], tuple[FeedForward, ...]]
    order: int = 50


_MIXERS: list[MixerReader] = []
_FEED_FORWARDS: list[FeedForwardReader] = []


def register_mixer(reader: MixerReader) -> MixerReader:
    """Make a mixer reader known; asked before those of the same order that came earlier."""
    _MIXERS.insert(0, reader)
    _MIXERS.sort(key=lambda one: one.order)
    return reader


def register_feed_forward(reader: FeedForwardReader) -> FeedForwardReader:
    """Make a feed-forward reader known; asked before those of the same order that came earlier."""
    _FEED_FORWARDS.insert(0, reader)
    _FEED_FORWARDS.sort(key=lambda one: one.order)
    return reader


def unregister(reader: MixerReader | FeedForwardReader) -> None:
    """Take a reader back (a test that adds a toy architecture cleans up with it)."""
    if isinstance(reader, MixerReader):
        _MIXERS.remove(reader)
    else:
        _FEED_FORWARDS.remove(reader)


@lru_cache(maxsize=1)
def _discover() -> None:
    for folder in ("mixers", "feed_forwards"):
        package = import_module(f"gpusizer.architecture.readers.{folder}")
        for module in pkgutil.iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")


def mixer_of(layer: LayerContext) -> tuple[Mixer, ...] | None:
    """The mixers of a layer, None where no reader claims it."""
    _discover()
    for reader in _MIXERS:
        if reader.claims(layer):
            return reader.read(layer)
    return None


def feed_forward_of(layer: LayerContext) -> tuple[FeedForward, ...] | None:
    """The feed-forward blocks of a layer, None where no reader claims it."""
    _discover()
    for reader in _FEED_FORWARDS:
        if reader.claims(layer):
            return reader.read(layer)
    return None
