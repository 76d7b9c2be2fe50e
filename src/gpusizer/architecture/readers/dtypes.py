"""The main number format of a checkpoint: what ``dtype`` or ``torch_dtype`` says, and what an engine computes in then."""

from __future__ import annotations

from gpusizer.architecture.readers.context import ModelContext

__all__ = ["main_formats"]

_DTYPES = {
    **dict.fromkeys(("bfloat16", "bf16"), "bf16"),
    **dict.fromkeys(("float16", "fp16", "half"), "fp16"),
    **dict.fromkeys(("float32", "fp32", "float"), "fp32"),
    **dict.fromkeys(("float64", "fp64", "double"), "fp64"),
    **dict.fromkeys(("int8", "uint8"), "int8"),
    **dict.fromkeys(("fp8", *(f"float8_{kind}" for kind in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e4m3"))), "fp8"),
}
# Weights of other widths are computed, and their cache is kept, in one of the formats that engines know.
_COMPUTED = {"fp64": "fp32", "fp8": "bf16", "int8": "bf16"}


def main_formats(model: ModelContext, *, quantised: bool) -> tuple[str, str]:
    """The format that engines compute in, and the one in which what is not quantised is stored.

    Parameters
    ----------
    model : ModelContext
        The configuration; a word that is not known is said and counted as BF16, one that engines do not compute in is said.
    quantised : bool
        Whether there are settings of quantisation: then an 8-bit word is that of the quantised weights, which those settings tell better.

    Returns
    -------
    str, str
        Such as ("bf16", "bf16"), or ("fp32", "fp64").
    """
    found = model.keys.raw("dtype", "torch_dtype")
    if found is None:
        return "bf16", "bf16"
    stored = _DTYPES.get(found.removeprefix("torch.").lower()) if isinstance(found, str) else None
    if stored is None:
        model.notice("unknown-dtype", found=str(found)[:40], assumed="bf16")
        return "bf16", "bf16"
    computed = _COMPUTED.get(stored, stored)
    if computed == stored or (quantised and stored in ("fp8", "int8")):
        return computed, computed
    model.notice("stored-dtype", found=found[:40], computed=computed)
    return computed, stored
