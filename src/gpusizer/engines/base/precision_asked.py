"""The precision that ``--quantization`` and ``--dtype`` ask for: neither changes a checkpoint that is already stored so, or quantised."""

from __future__ import annotations

from gpusizer.architecture.storage.formats import plain_dtype
from gpusizer.errors import UnknownIdError

__all__ = ["precision_asked"]

# Methods that say how a checkpoint was made, not into what a plain one is turned.
_AS_STORED = frozenset(
    ["auto", "none", "modelopt", "modelopt-mixed", "compressed-tensors", "quark", "torchao", "gguf", "humming", "inc", "experts-int8"]
)


def precision_asked(model: str, precision: str, quantization: str | None = None, dtype: str | None = None) -> str:
    """The precision of the weights that a start asks for.

    Parameters
    ----------
    model : str
        An id, an alias or a path.
    precision : str
        What was asked for outright; anything but "checkpoint" decides.
    quantization, dtype : str or None
        Words of the engine's flags.

    Returns
    -------
    str
        "checkpoint" where the weights stay as they are stored.

    Examples
    --------
    >>> [precision_asked("qwen3-8b", "checkpoint", *words) for words in (("fp8", None), (None, "half"), (None, "bfloat16"))]
    ['fp8', 'fp16', 'checkpoint']
    >>> precision_asked("deepseek-v3", "checkpoint", "fp8", "half"), precision_asked("deepseek-v3", "checkpoint", "ascend")
    ('checkpoint', 'int8')
    """
    if precision != "checkpoint" or (quantization is None and dtype is None):
        return precision
    from gpusizer.architecture.load import load_architecture
    from gpusizer.architecture.precision.precision_words import precision_of_words
    from gpusizer.engines.base.device_support import weight_formats

    stored = load_architecture(model)
    formats = weight_formats(stored)
    quantised = [name for name in formats if plain_dtype(name) is None]
    if quantization is not None and quantization.lower() == "ascend":  # files of msModelSlim: W8A8 where the model's own name says no other
        return "checkpoint" if any(name.startswith("int") for name in quantised) else "int8"
    if quantization is not None and quantization.lower().replace("_", "-") not in _AS_STORED:
        found, _ = precision_of_words(quantization)
        if found is None:
            raise UnknownIdError("unknown-precision", id=quantization, nearest=[])
        return "checkpoint" if found in quantised[:1] else found
    wish = plain_dtype(dtype)
    return wish if wish is not None and not quantised and wish not in formats else "checkpoint"
