"""A quantised copy of a model by its name: the publisher's usual list, a copy that is known, or the tool's list between physical ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.listed import FAMILIES, FORMATS, listed
from gpusizer.architecture.precision.publishers import usual_list
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.quantization import Quantization
from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import Notice
from gpusizer.facts.stored_copies import published_by_another, stored_copy_id

__all__ = ["copy_of", "ends_of"]

LONGEST_FOUND = 200
_FOUR_BITS_FLOATING = frozenset({"nvfp4", "mxfp4"})


def copy_of(model: Architecture, name: str, precision: str, entry: Callable[[str], Architecture], *, tool: str = "") -> Architecture:
    """A quantised copy of a model whose configuration nobody gave.

    Parameters
    ----------
    model : Architecture
        The model as its maker stores it.
    name : str
        The copy's name, with its owner where one is known.
    precision : str
        What the name says, one of :func:`gpusizer.architecture.precision.requantise.precision_ids`.
    entry : callable
        Reads a model of the catalogue by its id.
    tool : str
        What made the files, as an engine's option names it ("compressed-tensors", "modelopt"): a copy by another tool does not stand for them.

    Returns
    -------
    Architecture
        The publisher's usual list; else the list of another publisher's copy, or of the tool, with the lightest and the heaviest that the
        files may be. What was taken is a warning.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> copy = copy_of(load_architecture("qwen3-14b"), "Qwen/Qwen3-14B-AWQ", "int4", load_architecture)
    >>> copy.quantization.linear.id, copy.quantization.ends
    ('int4_g128', ())
    """
    plain = with_precision(model, precision)
    if precision not in FAMILIES or (plain is model and not published_by_another(model.id, name)):
        return plain
    usual = usual_list(name, model)
    found = {"found": name[:LONGEST_FOUND]}
    if usual is not None and not usual.guessed:
        said = Notice("usual-list", {**found, "source": usual.source})
        return replace(usual.copy(model, precision, FAMILIES[precision][0]), warnings=(*model.warnings, said))
    other = stored_copy_id(model.id, precision)
    alike = entry(other) if other != model.id or model.id.endswith(f"-{precision}") else None
    if alike is not None and (usual is None or not tool or _made_by(alike, tool)):
        stored = alike  # another publisher's copy: its list of what stays in 16 bits is a real one
    elif usual is not None:
        stored = usual.copy(model, precision, FAMILIES[precision][0])
    else:
        stored = plain
    ends = ends_of(model, precision)
    copy = replace(stored, quantization=replace(stored.quantization, ends=ends))
    low, high = (checkpoint_bytes(replace(model, quantization=end, header_bytes=None)) for end in ends)
    said = Notice("recipe-guessed", {**found, "low_bytes": low, "high_bytes": high})
    return replace(copy, warnings=(*model.warnings, said))


def _made_by(copy: Architecture, tool: str) -> bool:
    settings = copy.config.get("quantization_config")
    method = str(settings.get("quant_method", "")) if isinstance(settings, Mapping) else ""
    return method.replace("_", "-").startswith(tool.replace("_", "-").partition("-fp")[0])


def ends_of(model: Architecture, precision: str) -> tuple[Quantization, Quantization]:
    """The lightest and the heaviest that the files of a copy may be.

    Every linear matrix with the largest groups; or routed experts alone (of a dense model: all but linear attention, beside it and with floating
    formats of four bits all but attention of any kind) with the smallest groups and zero points.

    Parameters
    ----------
    model : Architecture
        The model.
    precision : str
        A key of ``FAMILIES``.

    Returns
    -------
    tuple of Quantization
        Lightest, heaviest.
    """
    words = [word for word in FAMILIES[precision] if word != "nf4"]
    groups = model.parameters.groups
    if groups.get("routed_experts"):
        kept = [group for group in groups if group != "routed_experts"]
    else:
        attention = bool(groups.get("linear_attention")) or precision in _FOUR_BITS_FLOATING
        kept = ["linear_attention", *(["attention"] if attention else [])]
    return listed(model, precision, FORMATS[words[0]], {}), listed(model, precision, FORMATS[words[-1]], dict.fromkeys(kept))
