"""Names of keys that change neither weights nor caches; every other key that nobody read is said by name.

``harmless_keys.txt`` holds what published configurations carry, what every class of the library has for training and generation, and what
toolkits add. A name that is not there may be harmless as well: it is said all the same, since the other error is a wrong size without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gpusizer.architecture.parts import OUTER_PARTS, PARTS, text_part
from gpusizer.architecture.readers.context import ModelContext
from gpusizer.architecture.readers.towers import names_tower

__all__ = ["harmless", "say_unknown", "unknown"]

_LISTED = 48  # so many names are said one by one
_OFF: tuple[Any, ...] = (None, False, 0, "", [], {})
# Endings of numbers that are used in a formula, whatever they belong to.
_ENDINGS = re.compile(
    r"(_token_id|_token_ids|_token_index|_dropout|_dropout_prob|_pdrop|_eps|_epsilon|_loss_coef|_loss_coeff|_loss_weight|_theta|_softcap"
    r"|_softcapping|_init_std|_initializer_range)$"
)


@cache
def _names() -> frozenset[str]:
    """The names of ``harmless_keys.txt``, one a line."""
    text = (Path(__file__).parent / "harmless_keys.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def harmless(name: str) -> bool:
    """Whether a key of this name is known to change no size.

    >>> harmless("rope_theta"), harmless("kv_sharing_factor")
    (True, False)
    """
    return name in _names() or _ENDINGS.search(name) is not None


def unknown(names: Iterable[str]) -> list[str]:
    """Those names that are not known to be harmless, as they may be printed.

    >>> unknown(["bos_token_id", "attention_dropout", "ring_attention_slots", "transformers_version", "hidden_act"])
    ['ring_attention_slots']
    """
    return [name[:80] for name in names if not harmless(name.rpartition(".")[2])]


def say_unknown(model: ModelContext, config: Mapping[str, Any]) -> None:
    """Say which keys nobody read, those that are switched off left out.

    Parameters
    ----------
    model : ModelContext
        The configuration once read; one notice is added to it.
    config : mapping
        The whole as it was given: parts beside the text model's are said too, unless they are those of towers, which are read elsewhere.
    """
    parts = [name for name, value in config.items() if isinstance(value, Mapping) and value and not names_tower(name)]
    beside = parts if text_part(config) else []
    names = [name for name in model.keys.unread() if name not in model.assumed and model.keys.values.get(name, True) not in _OFF]
    # A tower inside the text model's own part is not looked for there, unless the part is that of a model that also speaks.
    read = PARTS if any(name in config for name in OUTER_PARTS) else PARTS - {"vision_config", "audio_config"}
    found = unknown(sorted({*(name for name in names if name not in read), *(name for name in beside if name not in PARTS)}))
    if found:
        more = ["..."] if len(found) > _LISTED else []
        model.notice("unknown-key", keys=found[:_LISTED] + more)
