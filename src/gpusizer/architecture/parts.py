"""Where the parts of a configuration stand: the text model's own part, what stands around it, and the blocks of quantisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["OUTER_PARTS", "PARTS", "QUANTIZATION_BLOCKS", "TEXT_PARTS", "text_part"]

TEXT_PARTS = ("text_config", "llm_config", "language_config", "language_model_config")
OUTER_PARTS = ("thinker_config",)
QUANTIZATION_BLOCKS = ("quantization_config", "compression_config", "quantization")
PARTS = frozenset({*TEXT_PARTS, *OUTER_PARTS, *QUANTIZATION_BLOCKS, "vision_config", "audio_config"})


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part that describes the text model; empty where the configuration is not nested.

    Parameters
    ----------
    config : mapping
        A whole configuration.

    Returns
    -------
    mapping
        Keys of the text model, those of a model that also speaks from one level below.

    Examples
    --------
    >>> text_part({"language_model_config": {"hidden_size": 8}}), text_part({"hidden_size": 8})
    ({'hidden_size': 8}, {})
    """
    for name in OUTER_PARTS:
        inner = config.get(name)
        if isinstance(inner, Mapping):
            told = {"tie_word_embeddings": inner["tie_word_embeddings"]} if isinstance(inner.get("tie_word_embeddings"), bool) else {}
            return {**{key: value for key, value in inner.items() if key not in TEXT_PARTS}, **text_part(inner), **told}
    for name in TEXT_PARTS:
        inner = config.get(name)
        if isinstance(inner, Mapping):
            return inner
    return {}
