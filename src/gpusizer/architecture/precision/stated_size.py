"""A quantised copy whose files have a known size: what it keeps in more bits is solved from what quantisers do, so that the sum is that size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.config import read_quantization
from gpusizer.architecture.precision.listed import FAMILIES, FORMATS, QUANTISED_GROUPS, ListedFormats, listed
from gpusizer.architecture.storage.formats import StorageFormat, plain_format
from gpusizer.architecture.tensors import checkpoint_bytes, stored_tensors
from gpusizer.architecture.types import Notice
from gpusizer.errors import InputError

__all__ = ["of_size"]

_AS_SAID = 0.004  # share of a size by which a list that is usual may differ from it: sizes are stated with three figures
_EXACT = 0.001
_BEYOND = 0.03  # share by which a size may lie outside the lightest and the heaviest that a format gives
# Groups that quantisers leave in more bits together, from nothing to all but routed experts.
_KEPT = (
    (),
    ("linear_attention",),
    ("linear_attention", "shared_experts"),
    ("shared_experts",),
    ("dense_mlp",),
    ("dense_mlp", "shared_experts"),
    ("attention",),
    ("attention", "linear_attention"),
    ("attention", "linear_attention", "shared_experts"),
    ("attention", "linear_attention", "shared_experts", "dense_mlp", "indexer", "latent_projection"),
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One way to store a model, and the bytes of its files."""

    precision: str
    form: StorageFormat
    groups: Mapping[str, StorageFormat | None]
    bytes: int


def of_size(model: Architecture, size_bytes: int) -> Architecture:
    """A model whose files have a size.

    Parameters
    ----------
    model : Architecture
        As its configuration, its name or its publisher's usual list tells it.
    size_bytes : int
        Size of all its files together. [bytes]

    Returns
    -------
    Architecture
        Formats whose sum is the size. A model whose files' headers were read, one with a list of its own, and one that is not quantised at all
        stay as they are.

    Raises
    ------
    InputError
        ``checkpoint-size-beyond``: no format that the name allows gives such a size.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> sized = of_size(load_architecture("cyankiwi/gemma-4-31B-it-AWQ-INT4"), 20_900_000_000)
    >>> sized.quantization.linear.id, round(checkpoint_bytes(sized) / 1e9, 1)
    ('int4_g32', 20.9)
    """
    if model.header_bytes is not None:
        return model
    quantised = model.quantization.method is not None
    assumed = isinstance(model.quantization, ListedFormats) or bool(model.quantization.ends)
    totals = [checkpoint_bytes(model, mtp=mtp) for mtp in (True, False)]
    nearest = min(totals, key=lambda total: abs(total - size_bytes))
    off = abs(nearest - size_bytes) / nearest
    if off <= (_AS_SAID if quantised else _BEYOND) and not model.quantization.ends:
        return model
    if quantised and not assumed and read_quantization(model.config, model.dtype)[0].method == model.quantization.method:
        return replace(model, warnings=(*model.warnings, Notice("size-differs", {"expected_bytes": nearest, "found_bytes": size_bytes})))
    families = [model.quantization.method] if model.quantization.method in FAMILIES else list(FAMILIES)
    candidates = [each for family in families for each in _candidates(model, str(family))]
    low, high = min(each.bytes for each in candidates), max(each.bytes for each in candidates)
    if not low * (1 - _BEYOND) <= size_bytes <= high * (1 + _BEYOND):
        raise InputError("checkpoint-size-beyond", found_bytes=size_bytes, low_bytes=low, high_bytes=high)
    chosen = min(candidates, key=lambda each: abs(each.bytes - size_bytes))
    said = Notice("size-solved", {"size_bytes": size_bytes, "precision": chosen.form.id, "kept": _names(chosen)})
    warnings = (*(each for each in model.warnings if each.code not in ("recipe-guessed", "usual-list")), said)
    return replace(model, quantization=_scaled(model, chosen, size_bytes), header_bytes=None, warnings=warnings)


def _names(chosen: _Candidate) -> list[str]:
    return sorted(chosen.groups)


def _candidates(model: Architecture, family: str) -> Iterator[_Candidate]:
    """What quantisers make of a model in a family of formats, the usual first; layers of multi-token prediction in 16 bits or left out."""
    plain = plain_format(model.dtype if model.dtype in ("bf16", "fp16") else "bf16")
    others: tuple[StorageFormat | None, ...] = (None, FORMATS["fp8"]) if family in ("nvfp4", "mxfp4") else (None,)
    words = FAMILIES[family]
    forms = {plain, *(FORMATS[word] for word in words), *(each for each in others if each)}
    sizes, rest, drafts = _tallied(model, forms, plain)
    seen: set[tuple[object, ...]] = set()
    for word in words:
        for kept in _KEPT:
            for other in others:
                groups = {group: other for group in kept if group in sizes}
                if (word, *groups.items()) in seen:
                    continue
                seen.add((word, *groups.items()))
                total = rest + sum(by_form[(groups[group] or plain) if group in groups else FORMATS[word]] for group, by_form in sizes.items())
                for with_drafts in (drafts, 0) if drafts else (0,):
                    yield _Candidate(family, FORMATS[word], groups, total + with_drafts)


def _tallied(model: Architecture, forms: set[StorageFormat], plain: StorageFormat) -> tuple[dict[str, dict[StorageFormat, int]], int, int]:
    """Bytes of each group of linear matrices in each format, of everything else, and of multi-token prediction in the main format."""
    everything = listed(model, "", plain, {})
    bare = replace(model, quantization=everything, header_bytes=None)
    marked = listed(model, "", FORMATS["fp8"], {})
    sizes: dict[str, dict[StorageFormat, int]] = {}
    rest = 0
    for _, path, tensor, form in stored_tensors(bare):
        if tensor.group in QUANTISED_GROUPS and marked.format_of(path, tensor).quantised:
            by_form = sizes.setdefault(tensor.group, dict.fromkeys(forms, 0))
            for each in forms:
                by_form[each] += each.bytes_of(tensor.shape, tensor.copies)
        else:
            rest += form.bytes_of(tensor.shape, tensor.copies)
    return sizes, rest, checkpoint_bytes(bare) - checkpoint_bytes(bare, mtp=False)


def _scaled(model: Architecture, chosen: _Candidate, size_bytes: int) -> ListedFormats:
    """The formats of a candidate; what is left of the size is shared out over the scales of its largest group."""
    formats = listed(model, chosen.precision, chosen.form, chosen.groups)
    missing = size_bytes - chosen.bytes
    if abs(missing) <= _EXACT * size_bytes:
        return formats
    params: dict[str, int] = {}
    sides: dict[str, int] = {}
    for _, _, tensor, form in stored_tensors(replace(model, quantization=formats, header_bytes=None)):
        if form == chosen.form:
            params[tensor.group] = params.get(tensor.group, 0) + tensor.params
            sides[tensor.group] = form.columns or tensor.shape[-1]
    if not params:
        return formats
    largest = max(params, key=lambda group: params[group])
    extra = round(missing * 8 * sides[largest] / params[largest])  # bits of each scale
    form = replace(chosen.form, scale_bits=max(chosen.form.scale_bits + extra, 0))
    return replace(formats, groups={**formats.groups, largest: form})
