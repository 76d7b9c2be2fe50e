"""The one path from configuration keys to an :class:`Architecture`: implied keys, kinds of layers, readers by shape, and what nobody understood."""

from __future__ import annotations

from gpusizer.architecture.readers.config import read_config

__all__ = ["read_config"]
