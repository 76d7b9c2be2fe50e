"""The method of the article that gpusizer grew out of, whole and to the byte; where it is wrong is told in ``article/answer.py``.

The article (DeepSeek部署需要多少GPU资源?一文搞懂如何计算MoE模型显存占用) computes weights, KV cache and activations for layers with and
without experts, and adds the last two up for every concurrent user. Everything is a whole number of bytes; its GB are 10^9 bytes.
"""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, formula

__all__ = [
    "article_activation_dense_bytes",
    "article_activation_experts_bytes",
    "article_cards",
    "article_kv_cache_dense_bytes",
    "article_kv_cache_experts_bytes",
    "article_total_bytes",
    "article_user_bytes",
    "article_weights_bytes",
]

_ARTICLE = "the article (DeepSeek部署需要多少GPU资源?), section "

_DENSE = {"batch": "requests", "sequence_tokens": "tokens", "hidden_size": "elements", "bytes_per_element": "bytes", "layers": "layers"}
_EXPERTS = {
    "batch": "requests",
    "sequence_tokens": "tokens",
    "activated_experts": "experts",
    "compressed_dimension": "elements",
    "bytes_per_element": "bytes",
    "layers": "layers",
}
_DENSE_EXAMPLE = {"batch": 1, "sequence_tokens": 2048, "hidden_size": 7168, "bytes_per_element": 2, "layers": 3}
_EXPERTS_EXAMPLE = {
    "batch": 1,
    "sequence_tokens": 2048,
    "activated_experts": 8,
    "compressed_dimension": 512,
    "bytes_per_element": 2,
    "layers": 58,
}


@formula(
    "article.weights",
    unit="bytes",
    symbols={"params": "parameters", "bytes_per_element": "bytes"},
    reference=_ARTICLE + "2.1 (activated parameters for a mixture of experts, all for a dense model)",
    example={"params": 37_000_000_000, "bytes_per_element": 2},
)
def article_weights_bytes(*, params: Any, bytes_per_element: Any) -> Any:
    """Weights in the article's way: parameters times their bytes.

    Parameters
    ----------
    params : int
        All parameters of a dense model; of a mixture of experts only those that a token activates, which is wrong: all must be resident.
        [parameters]
    bytes_per_element : int or Fraction
        FP32 4, FP16 and BF16 2, INT8 and FP8 1, INT4 1/2. [bytes]

    Returns
    -------
    int
        Weights. [bytes]

    Examples
    --------
    >>> article_weights_bytes(params=37_000_000_000, bytes_per_element=2), article_weights_bytes(params=37_000_000_000, bytes_per_element=1)
    (74000000000, 37000000000)
    """
    return params * bytes_per_element


@formula(
    "article.kv_cache.dense",
    unit="bytes",
    symbols=_DENSE,
    reference=_ARTICLE + "2.2, layers without experts",
    example=_DENSE_EXAMPLE,
)
def article_kv_cache_dense_bytes(*, batch: Any, sequence_tokens: Any, hidden_size: Any, bytes_per_element: Any, layers: Any) -> Any:
    """Keys and values of the layers without experts, as wide as the hidden state.

    Parameters
    ----------
    batch, sequence_tokens : int
        Requests in a batch and tokens of each. [requests, tokens]
    hidden_size : int
        Width of the hidden state. [elements]
    bytes_per_element : int or Fraction
        Bytes of one element. [bytes]
    layers : int
        Layers without experts. [layers]

    Returns
    -------
    int
        Cache of one user. [bytes]

    Examples
    --------
    >>> article_kv_cache_dense_bytes(batch=1, sequence_tokens=2048, hidden_size=7168, bytes_per_element=2, layers=3)
    176160768
    """
    return 2 * batch * sequence_tokens * hidden_size * bytes_per_element * layers


@formula(
    "article.kv_cache.experts",
    unit="bytes",
    symbols=_EXPERTS,
    reference=_ARTICLE + "2.2, layers with experts",
    example=_EXPERTS_EXAMPLE,
)
def article_kv_cache_experts_bytes(
    *, batch: Any, sequence_tokens: Any, activated_experts: Any, compressed_dimension: Any, bytes_per_element: Any, layers: Any
) -> Any:
    """Keys and values of the layers with experts, in the article's way: one compressed vector for each activated expert.

    Parameters
    ----------
    batch, sequence_tokens : int
        Requests in a batch and tokens of each. [requests, tokens]
    activated_experts : int
        Routed experts that a token activates. [experts]
    compressed_dimension : int
        Width of the compressed vector: in truth the latent of the attention. [elements]
    bytes_per_element : int or Fraction
        Bytes of one element. [bytes]
    layers : int
        Layers with experts. [layers]

    Returns
    -------
    int
        Cache of one user. [bytes]

    Examples
    --------
    >>> article_kv_cache_experts_bytes(batch=1, sequence_tokens=2048, activated_experts=8, compressed_dimension=512, bytes_per_element=2, layers=58)
    1946157056
    """
    return 2 * batch * sequence_tokens * activated_experts * compressed_dimension * bytes_per_element * layers


@formula(
    "article.activation.dense",
    unit="bytes",
    symbols=_DENSE,
    reference=_ARTICLE + "2.3, layers without experts",
    example=_DENSE_EXAMPLE,
)
def article_activation_dense_bytes(*, batch: Any, sequence_tokens: Any, hidden_size: Any, bytes_per_element: Any, layers: Any) -> Any:
    """Activations of the layers without experts, all layers kept at once.

    Parameters
    ----------
    batch, sequence_tokens : int
        Requests in a batch and tokens of each. [requests, tokens]
    hidden_size : int
        Width of the hidden state. [elements]
    bytes_per_element : int or Fraction
        Bytes of one element. [bytes]
    layers : int
        Layers without experts. [layers]

    Returns
    -------
    int
        Activations of one user. [bytes]

    Examples
    --------
    >>> article_activation_dense_bytes(batch=1, sequence_tokens=2048, hidden_size=7168, bytes_per_element=2, layers=3)
    88080384
    """
    return batch * sequence_tokens * hidden_size * layers * bytes_per_element


@formula(
    "article.activation.experts",
    unit="bytes",
    symbols=_EXPERTS,
    reference=_ARTICLE + "2.3, layers with experts",
    example=_EXPERTS_EXAMPLE,
)
def article_activation_experts_bytes(
    *, batch: Any, sequence_tokens: Any, activated_experts: Any, compressed_dimension: Any, bytes_per_element: Any, layers: Any
) -> Any:
    """Activations of the layers with experts, all layers kept at once.

    Parameters
    ----------
    batch, sequence_tokens : int
        Requests in a batch and tokens of each. [requests, tokens]
    activated_experts : int
        Routed experts that a token activates. [experts]
    compressed_dimension : int
        Width of the compressed vector. [elements]
    bytes_per_element : int or Fraction
        Bytes of one element. [bytes]
    layers : int
        Layers with experts. [layers]

    Returns
    -------
    int
        Activations of one user. [bytes]

    Examples
    --------
    >>> article_activation_experts_bytes(batch=1, sequence_tokens=2048, activated_experts=8, compressed_dimension=512, bytes_per_element=2, layers=58)
    973078528
    """
    return batch * sequence_tokens * activated_experts * compressed_dimension * layers * bytes_per_element


@formula(
    "article.user",
    unit="bytes",
    symbols={"kv_cache_bytes": "bytes", "activation_bytes": "bytes"},
    reference=_ARTICLE + "2.4",
    example={"kv_cache_bytes": 2_122_317_824, "activation_bytes": 1_061_158_912},
)
def article_user_bytes(*, kv_cache_bytes: Any, activation_bytes: Any) -> Any:
    """What one user adds: cache and activations.

    Parameters
    ----------
    kv_cache_bytes, activation_bytes : int
        Of all layers. [bytes]

    Returns
    -------
    int
        Of one user. [bytes]

    Examples
    --------
    >>> article_user_bytes(kv_cache_bytes=176_160_768 + 1_946_157_056, activation_bytes=88_080_384 + 973_078_528)
    3183476736
    """
    return kv_cache_bytes + activation_bytes


@formula(
    "article.total",
    unit="bytes",
    symbols={"weights_bytes": "bytes", "user_bytes": "bytes", "concurrency": "users"},
    reference=_ARTICLE + "2.4: weights are shared, cache and activations grow with the users",
    example={"weights_bytes": 74_000_000_000, "user_bytes": 3_183_476_736, "concurrency": 10},
)
def article_total_bytes(*, weights_bytes: Any, user_bytes: Any, concurrency: Any) -> Any:
    """The article's answer: weights once, and cache and activations for each concurrent user.

    Parameters
    ----------
    weights_bytes : int
        Weights. [bytes]
    user_bytes : int
        Cache and activations of one user. [bytes]
    concurrency : int
        Users at the same moment. [users]

    Returns
    -------
    int
        Weights, and cache and activations of all users. [bytes]

    Examples
    --------
    DeepSeek-V3 in FP16, ten users, 2,048 tokens:

    >>> article_total_bytes(weights_bytes=74_000_000_000, user_bytes=3_183_476_736, concurrency=10)
    105834767360
    """
    return weights_bytes + user_bytes * concurrency


@formula(
    "article.cards",
    unit="devices",
    symbols={"total_bytes": "bytes", "card_bytes": "bytes"},
    reference=_ARTICLE + "4: the fitting card is looked up in a table of NVIDIA GPUs",
    example={"total_bytes": 105_834_767_360, "card_bytes": 80_000_000_000},
)
def article_cards(*, total_bytes: Any, card_bytes: Any) -> Any:
    """Cards whose memory together reaches the total: no layout, no server, no overhead.

    Parameters
    ----------
    total_bytes : int
        The article's total. [bytes]
    card_bytes : int
        Memory of one card by the number on its box. [bytes]

    Returns
    -------
    int
        Cards. [devices]

    Examples
    --------
    >>> article_cards(total_bytes=105_834_767_360, card_bytes=80_000_000_000)
    2
    """
    return ceil_div(total_bytes, card_bytes)
