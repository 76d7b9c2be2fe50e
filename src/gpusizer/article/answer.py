"""The article's figures for a model, item by item, and where the truth differs from them.

What its reader would put in:

* Activated parameters: the published figure where the catalogue has one (37e9 for DeepSeek-V3), else our count; a dense model counts whole.
* Layers with experts and without, as they are; hybrids with states are layers like any other to the article.
* Activated experts: the routed ones of a token; the shared expert is not counted (8 for DeepSeek-V3).
* Compressed dimension: the width of the latent (``kv_lora_rank``; DeepSeek-V4's pooled entries). A mixture of experts without a latent compresses
  nothing, so it is the hidden size, and a notice says so.
* Number format: what was asked for; the article knows no stored formats, so "checkpoint" is its FP16. A format between its own (Q5_K) takes its
  nominal bits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from gpusizer.architecture.tensors import checkpoint_bytes
from gpusizer.architecture.types import (
    Layer,
    Notice,
)
from gpusizer.article.model_figures import GROWING
from gpusizer.engines.base.cache import cache_format, layer_caches
from gpusizer.formulas.article import (
    article_activation_dense_bytes,
    article_activation_experts_bytes,
    article_cards,
    article_kv_cache_dense_bytes,
    article_kv_cache_experts_bytes,
    article_total_bytes,
    article_user_bytes,
    article_weights_bytes,
)
from gpusizer.formulas.core import ceil_div
from gpusizer.once import once_per_object
from gpusizer.units import GB

if TYPE_CHECKING:
    from gpusizer.architecture.model import Architecture
    from gpusizer.facts.types import Accelerator, ModelEntry

__all__ = [
    "ArticleItem",
    "ArticleResult",
    "article_bytes_per_element",
    "article_gpus",
    "article_kinds",
    "article_of",
    "article_params",
    "cache_bytes_of_request",
]


@dataclass(frozen=True, slots=True)
class ArticleItem:
    """One line of the article's table.

    Parameters
    ----------
    id : str
        ``article_weights``, ``article_kv_cache_dense``, ``article_kv_cache_experts``, ``article_activation_dense``, ``article_activation_experts``.
    bytes : int
        Of the weights, or of one user. [bytes]
    formula : str
        Id of its formula.
    inputs : mapping
        What was put in.
    """

    id: str
    bytes: int
    formula: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArticleResult:
    """The article's answer, whole.

    Parameters
    ----------
    precision : str
        Number format that was put in ("fp16" where none was chosen).
    weights_bytes, kv_cache_bytes_per_user, activation_bytes_per_user, bytes_per_user, total_bytes : int
        As in its table. [bytes]
    concurrency, context_tokens : int
        What was asked for. [users, tokens]
    items : tuple of ArticleItem
        Lines with formula and inputs; their sum is weights and one user.
    notices : tuple of Notice
        What its reader would have to guess for this model (``article-no-latent``, ``article-no-states``), then where the truth differs, with both
        figures (``article-weights``, ``article-kv-cache``, ``article-activations``, ``article-overhead``).
    """

    precision: str
    weights_bytes: int
    kv_cache_bytes_per_user: int
    activation_bytes_per_user: int
    bytes_per_user: int
    total_bytes: int
    concurrency: int
    context_tokens: int
    items: tuple[ArticleItem, ...]
    notices: tuple[Notice, ...] = ()


# The article names FP32, FP16, BF16, INT8, FP8 and INT4.
_BYTES: Mapping[str, int | Fraction] = {
    "checkpoint": 2,
    "fp32": 4,
    "fp16": 2,
    "bf16": 2,
    "fp8": 1,
    "int8": 1,
    "mxfp8": 1,
    "int4": Fraction(1, 2),
    "mxfp4": Fraction(1, 2),
    "nvfp4": Fraction(1, 2),
    "mxfp4_moe": Fraction(1, 2),
}


def article_bytes_per_element(precision: str) -> int | Fraction | None:
    """Bytes of one parameter as the article counts them; None for a format whose bits its name does not tell.

    >>> article_bytes_per_element("bf16"), article_bytes_per_element("INT4"), article_bytes_per_element("q5_k_m"), article_bytes_per_element("?")
    (2, Fraction(1, 2), Fraction(5, 8), None)
    """
    name = precision.lower().replace("-", "_")
    if name in _BYTES:
        return _BYTES[name]
    bits = re.match(r"(?:i?q|tq)([1-8])_", name)
    return Fraction(int(bits[1]), 8) if bits else None


def article_of(architecture: Architecture, entry: ModelEntry | None, precision: str, concurrency: int, context_tokens: int) -> ArticleResult | None:
    """The article's figures for a model.

    Parameters
    ----------
    architecture : Architecture
        The model.
    entry : ModelEntry or None
        Its catalogue entry, for the published parameters.
    precision : str
        Of weights, cache and activations alike; "checkpoint" is FP16.
    concurrency : int
        Users at the same moment. [users]
    context_tokens : int
        Tokens of each. [tokens]

    Returns
    -------
    ArticleResult or None
        None where the method cannot read the model: no layers, or a number format without a size.

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> from gpusizer.facts.catalog import model_entry
    >>> result = article_of(load_architecture("deepseek-v3"), model_entry("deepseek-v3"), "fp16", 10, 2048)
    >>> result.weights_bytes, result.bytes_per_user, result.total_bytes
    (74000000000, 3183476736, 105834767360)
    """
    size = article_bytes_per_element(precision)
    if size is None or not architecture.layers:
        return None
    kinds = article_kinds(architecture.layers, architecture.hidden_size)
    experts = [kind for kind in kinds if kind[0]]
    weights = {"params": article_params(architecture, entry, with_experts=bool(experts)), "bytes_per_element": size}
    items = [ArticleItem("article_weights", _whole(article_weights_bytes(**weights)), "article.weights", weights)]
    items += _of_one_user(kinds, context_tokens, size)
    cache = sum(item.bytes for item in items if item.formula.startswith("article.kv_cache"))
    activation = sum(item.bytes for item in items if item.formula.startswith("article.activation"))
    user = article_user_bytes(kv_cache_bytes=cache, activation_bytes=activation)
    total = article_total_bytes(weights_bytes=items[0].bytes, user_bytes=user, concurrency=concurrency)
    name = "fp16" if precision.lower() == "checkpoint" else precision.lower()
    notices = [
        *_guesses(architecture, with_experts=bool(experts)),
        *_differences(architecture, items[0].bytes, cache, activation, context_tokens, with_experts=bool(experts)),
    ]
    return ArticleResult(name, items[0].bytes, cache, activation, user, total, concurrency, context_tokens, tuple(items), tuple(notices))


def cache_bytes_of_request(architecture: Architecture, context_tokens: int) -> int:
    """What one request of this context truly caches in 16 bits, whole model, no engine's padding.

    Parameters
    ----------
    architecture : Architecture
        The model.
    context_tokens : int
        Tokens of the request. [tokens]

    Returns
    -------
    int
        Keys and values, latents, pooled entries, windows and states. [bytes]

    Examples
    --------
    >>> from gpusizer.architecture.load import load_architecture
    >>> cache_bytes_of_request(load_architecture("deepseek-v3"), 2048)
    143917056
    """
    return sum(
        layers * row_bytes * _rows(kind, window, ratio, context_tokens)
        for (kind, window, ratio, row_bytes), layers in _cached_rows(architecture).items()
    )


@once_per_object
def _cached_rows(architecture: Architecture) -> Mapping[tuple[str, int | None, int, int], int]:
    """Kind, window, ratio and bytes of the rows that layers cache in 16 bits, and how many layers cache such."""
    form = cache_format("auto", architecture.dtype)
    caches = [] if form is None else [cache for layer in architecture.layers for cache in layer_caches(layer, form, tp=1)]
    return Counter((cache.kind, cache.window, cache.ratio, cache.row_bytes) for cache in caches)


def _rows(kind: str, window: int | None, ratio: int, context_tokens: int) -> int:
    if kind in GROWING:
        rows: int = ceil_div(context_tokens, ratio)
        return rows
    return min(window, context_tokens) if window else 1


def article_gpus(result: ArticleResult, devices: Sequence[Accelerator]) -> tuple[tuple[Accelerator, int], ...]:
    """How many of each card the article's reader would buy: total over the number on the box.

    >>> from gpusizer.facts.catalog import accelerator
    >>> result = ArticleResult("fp16", 74 * 10**9, 0, 0, 3183476736, 105834767360, 10, 2048, ())
    >>> [(card.id, number) for card, number in article_gpus(result, [accelerator("H100"), accelerator("H200")])]
    [('h100-sxm-80gb', 2), ('h200-sxm-141gb', 1)]
    """
    total = result.total_bytes
    return tuple((each, article_cards(total_bytes=total, card_bytes=round(each.marketing_memory_gb * GB))) for each in devices)


_Kind = tuple[int, int, int]  # activated experts (0 without), width of what is cached, layers


def article_kinds(layers: Sequence[Layer], hidden_size: int) -> list[_Kind]:
    """Layers of one kind together: without experts first."""
    latent = next((width for width in map(_latent, layers) if width), None)
    counts: dict[tuple[int, int], int] = {}
    for layer in layers:
        top_k = sum(block.top_k for block in layer.experts)
        width = (_latent(layer) or latent or hidden_size) if top_k else hidden_size
        counts[(top_k, width)] = counts.get((top_k, width), 0) + 1
    return sorted((top_k, width, number) for (top_k, width), number in counts.items())


def _latent(layer: Layer) -> int | None:
    """Width of the compressed vector of a layer, None where nothing is compressed."""
    return next((mixer.compressed_width for mixer in layer.mixers if mixer.compressed_width is not None), None)


def _of_one_user(kinds: Sequence[_Kind], context_tokens: int, size: int | Fraction) -> Iterator[ArticleItem]:
    """Cache of all kinds of layers, then activations, as in the article's table."""
    for part, dense, experts in (
        ("kv_cache", article_kv_cache_dense_bytes, article_kv_cache_experts_bytes),
        ("activation", article_activation_dense_bytes, article_activation_experts_bytes),
    ):
        for top_k, width, layers in kinds:
            inputs: dict[str, Any] = {"batch": 1, "sequence_tokens": context_tokens}
            inputs |= {"activated_experts": top_k, "compressed_dimension": width} if top_k else {"hidden_size": width}
            inputs |= {"bytes_per_element": size, "layers": layers}
            kind = "experts" if top_k else "dense"
            yield ArticleItem(f"article_{part}_{kind}", _whole((experts if top_k else dense)(**inputs)), f"article.{part}.{kind}", inputs)


def article_params(architecture: Architecture, entry: ModelEntry | None, *, with_experts: bool) -> int:
    """Parameters that its reader would put in: the published figure where there is one."""
    if with_experts:
        published = entry.published_activated_params if entry is not None else None
        return published or architecture.parameters.activated
    published = entry.published_total_params if entry is not None else None
    return published or architecture.parameters.total


def _guesses(architecture: Architecture, *, with_experts: bool) -> Iterator[Notice]:
    """What the article says nothing about."""
    if with_experts and not any(_latent(layer) for layer in architecture.layers):
        yield Notice("article-no-latent", {"hidden_size": architecture.hidden_size})
    if any(mixer.state is not None for mixer in architecture.mixers):
        yield Notice("article-no-states", {})


def _differences(
    architecture: Architecture, weights: int, cache: int, activation: int, context_tokens: int, *, with_experts: bool
) -> Iterator[Notice]:
    """Where the truth differs, one notice a point."""
    if with_experts:
        resident = checkpoint_bytes(architecture, mtp=False)
        yield Notice("article-weights", {"article_bytes": weights, "true_bytes": resident})
    true_cache = cache_bytes_of_request(architecture, context_tokens)
    if true_cache != cache:
        yield Notice("article-kv-cache", {"article_bytes": cache, "true_bytes": true_cache, "context_tokens": context_tokens})
    yield Notice("article-activations", {"article_bytes": activation})
    yield Notice("article-overhead", {})


def _whole(size: int | Fraction) -> int:
    """Bytes are whole: half a byte at the end is a byte."""
    return -(-size.numerator // size.denominator)
