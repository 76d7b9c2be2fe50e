"""What one layer caches on one rank: bytes of a token, and fixed states of a request."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import ceil_div, formula

__all__ = [
    "attention_token_bytes",
    "compressed_row_bytes",
    "compressed_state_bytes",
    "convolution_state_bytes",
    "indexer_token_bytes",
    "latent_packed_token_bytes",
    "latent_scaled_token_bytes",
    "latent_token_bytes",
    "recurrent_state_bytes",
]


@formula(
    "memory.kv_cache.attention",
    unit="bytes per token and layer",
    symbols={"kv_heads": "heads", "head_dim": "elements", "v_head_dim": "elements", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/kv_cache_interface.py, FullAttentionSpec",
    example={"kv_heads": 8, "head_dim": 128, "v_head_dim": 128, "element_bytes": 2},
)
def attention_token_bytes(*, kv_heads: Any, head_dim: Any, v_head_dim: Any, element_bytes: Any) -> Any:
    """Keys and values of one token in one layer on one rank.

    Parameters
    ----------
    kv_heads : int
        Key/value heads of this rank. [heads]
    head_dim, v_head_dim : int
        Width of a key head and of a value head. [elements]
    element_bytes : float
        Bytes of one element, scales included. [bytes per element]

    Returns
    -------
    float
        Bytes of a token. [bytes]

    Examples
    --------
    Llama-3.1-8B: 4,096 bytes a layer, 131,072 over 32 layers.

    >>> attention_token_bytes(kv_heads=8, head_dim=128, v_head_dim=128, element_bytes=2)
    4096
    """
    return kv_heads * (head_dim + v_head_dim) * element_bytes


@formula(
    "memory.kv_cache.latent",
    unit="bytes per token and layer",
    symbols={"kv_lora_rank": "elements", "rope_dim": "elements", "element_bytes": "bytes per element"},
    reference="DeepSeek-V2 report, arXiv:2405.04434, section 2.1; vllm-project/vllm@4ba787ec9: vllm/v1/kv_cache_interface.py, MLAAttentionSpec",
    example={"kv_lora_rank": 512, "rope_dim": 64, "element_bytes": 2},
)
def latent_token_bytes(*, kv_lora_rank: Any, rope_dim: Any, element_bytes: Any) -> Any:
    """Latent and rotary key of one token in one layer; every tensor-parallel rank holds it whole.

    Parameters
    ----------
    kv_lora_rank, rope_dim : int
        Width of the latent and of the rotary key. [elements]
    element_bytes : float
        Bytes of one element. [bytes per element]

    Returns
    -------
    float
        Bytes of a token. [bytes]

    Examples
    --------
    DeepSeek-V3: 1,152 bytes a layer, 70,272 over 61 layers.

    >>> 61 * latent_token_bytes(kv_lora_rank=512, rope_dim=64, element_bytes=2)
    70272
    """
    return (kv_lora_rank + rope_dim) * element_bytes


@formula(
    "memory.kv_cache.latent_scaled",
    unit="bytes per token and layer",
    symbols={"kv_lora_rank": "elements", "rope_dim": "elements", "scale_group": "elements"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/kv_cache_interface.py, cache type fp8_ds_mla",
    example={"kv_lora_rank": 512, "rope_dim": 64, "scale_group": 128},
)
def latent_scaled_token_bytes(*, kv_lora_rank: Any, rope_dim: Any, scale_group: Any) -> Any:
    """Latent in FP8 with an FP32 scale per group and the rotary key in 16 bits, as sparse latent kernels read it.

    Parameters
    ----------
    kv_lora_rank, rope_dim : int
        Width of the latent and of the rotary key. [elements]
    scale_group : int
        Elements that share a scale. [elements]

    Returns
    -------
    int
        Bytes of a token. [bytes]

    Examples
    --------
    >>> latent_scaled_token_bytes(kv_lora_rank=512, rope_dim=64, scale_group=128)
    656
    """
    return kv_lora_rank + ceil_div(kv_lora_rank, scale_group) * 4 + rope_dim * 2


@formula(
    "memory.kv_cache.latent_packed",
    unit="bytes per token and layer",
    symbols={"kv_lora_rank": "elements", "rope_dim": "elements", "scale_group": "elements"},
    reference="forks of vLLM, cache type nvfp4_ds_mla: 400 bytes a token (ajclark/GLM-5.3-DCP4-DFlash2-NVMe-KV-Offload-4x-DGX-Spark)",
    example={"kv_lora_rank": 512, "rope_dim": 64, "scale_group": 32},
)
def latent_packed_token_bytes(*, kv_lora_rank: Any, rope_dim: Any, scale_group: Any) -> Any:
    """Latent in 4 bits with a one-byte scale per group and the rotary key in 16 bits.

    Parameters
    ----------
    kv_lora_rank, rope_dim : int
        Width of the latent and of the rotary key. [elements]
    scale_group : int
        Elements that share a scale. [elements]

    Returns
    -------
    int
        Bytes of a token. [bytes]

    Examples
    --------
    >>> latent_packed_token_bytes(kv_lora_rank=512, rope_dim=64, scale_group=32)
    400
    """
    return ceil_div(kv_lora_rank, 2) + ceil_div(kv_lora_rank, scale_group) + rope_dim * 2


@formula(
    "memory.kv_cache.indexer",
    unit="bytes per token and layer",
    symbols={"head_dim": "elements", "element_bytes": "bytes per element", "scale_bytes": "bytes per key"},
    reference="vllm-project/vllm@4ba787ec9: vllm/v1/attention/backends/mla/indexer.py; FP8 key and one FP32 scale",
    example={"head_dim": 128, "element_bytes": 1, "scale_bytes": 4},
)
def indexer_token_bytes(*, head_dim: Any, element_bytes: Any, scale_bytes: Any) -> Any:
    """Index key of one token in one layer of sparse attention.

    Parameters
    ----------
    head_dim : int
        Width of the key. [elements]
    element_bytes : float
        Bytes of one element. [bytes per element]
    scale_bytes : int
        Scale of one key. [bytes]

    Returns
    -------
    float
        Bytes of a token. [bytes]

    Examples
    --------
    With the latent of 656 bytes this makes the 788 bytes a layer of GLM-5 and DeepSeek-V3.2.

    >>> indexer_token_bytes(head_dim=128, element_bytes=1, scale_bytes=4) + 656
    788
    """
    return head_dim * element_bytes + scale_bytes


@formula(
    "memory.kv_cache.compressed_row",
    unit="bytes per row and layer",
    symbols={"head_dim": "elements", "rope_head_dim": "elements", "scale_group": "elements", "padding_bytes": "bytes"},
    reference="vllm-project/vllm@4ba787ec9: vllm/models/deepseek_v4/attention.py, fp8_ds_mla record",
    example={"head_dim": 512, "rope_head_dim": 64, "scale_group": 64, "padding_bytes": 1},
)
def compressed_row_bytes(*, head_dim: Any, rope_head_dim: Any, scale_group: Any, padding_bytes: Any) -> Any:
    """One pooled entry (keys and values are one vector): FP8 with a one-byte scale per group, the rotary part in 16 bits.

    Parameters
    ----------
    head_dim, rope_head_dim : int
        Width of the entry and of its rotary part. [elements]
    scale_group : int
        Elements that share a scale. [elements]
    padding_bytes : int
        Bytes that fill the scales up. [bytes]

    Returns
    -------
    int
        Bytes of one entry. [bytes]

    Examples
    --------
    DeepSeek-V4: 448 + 128 + 8.

    >>> compressed_row_bytes(head_dim=512, rope_head_dim=64, scale_group=64, padding_bytes=1)
    584
    """
    return head_dim - rope_head_dim + rope_head_dim * 2 + ceil_div(head_dim - rope_head_dim, scale_group) + padding_bytes


@formula(
    "memory.kv_cache.compressed_state",
    unit="bytes per token and layer",
    symbols={"head_dim": "elements", "vectors": "vectors", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/models/deepseek_v4/compressor.py, CompressorStateCache",
    example={"head_dim": 512, "vectors": 4, "element_bytes": 4},
)
def compressed_state_bytes(*, head_dim: Any, vectors: Any, element_bytes: Any) -> Any:
    """State that a compressor keeps of one token until its entry is complete.

    Parameters
    ----------
    head_dim : int
        Width of the entry. [elements]
    vectors : int
        Vectors of one token: content and weight, twice where entries overlap. [vectors]
    element_bytes : int
        Bytes of one element. [bytes per element]

    Returns
    -------
    int
        Bytes of one token. [bytes]

    Examples
    --------
    >>> compressed_state_bytes(head_dim=512, vectors=4, element_bytes=4)
    8192
    """
    return head_dim * vectors * element_bytes


@formula(
    "memory.kv_cache.recurrent_state",
    unit="bytes per request and layer",
    symbols={"heads": "heads", "key_dim": "elements", "value_dim": "elements", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/mamba/mamba_utils.py, MambaStateShapeCalculator",
    example={"heads": 32, "key_dim": 128, "value_dim": 128, "element_bytes": 4},
)
def recurrent_state_bytes(*, heads: Any, key_dim: Any, value_dim: Any, element_bytes: Any) -> Any:
    """State of a linear or state-space layer for one request, however long its context.

    Parameters
    ----------
    heads : int
        Value heads of this rank. [heads]
    key_dim, value_dim : int
        Width of a key and of a value head; state and head width in Mamba. [elements]
    element_bytes : int
        Bytes of one element. [bytes per element]

    Returns
    -------
    int
        Bytes of a request. [bytes]

    Examples
    --------
    >>> recurrent_state_bytes(heads=32, key_dim=128, value_dim=128, element_bytes=4)
    2097152
    """
    return heads * key_dim * value_dim * element_bytes


@formula(
    "memory.kv_cache.convolution_state",
    unit="bytes per request and layer",
    symbols={"channels": "channels", "kernel": "tokens", "speculative_tokens": "tokens", "element_bytes": "bytes per element"},
    reference="vllm-project/vllm@4ba787ec9: vllm/model_executor/layers/mamba/mamba_utils.py, MambaStateShapeCalculator",
    example={"channels": 8192, "kernel": 4, "speculative_tokens": 0, "element_bytes": 2},
)
def convolution_state_bytes(*, channels: Any, kernel: Any, speculative_tokens: Any, element_bytes: Any) -> Any:
    """Last columns that a short convolution keeps for one request.

    Parameters
    ----------
    channels : int
        Channels of this rank. [channels]
    kernel : int
        Width of the convolution. [tokens]
    speculative_tokens : int
        Draft tokens of one step. [tokens]
    element_bytes : int
        Bytes of one element. [bytes per element]

    Returns
    -------
    int
        Bytes of a request. [bytes]

    Examples
    --------
    >>> convolution_state_bytes(channels=8192, kernel=4, speculative_tokens=0, element_bytes=2)
    49152
    """
    return channels * (kernel - 1 + speculative_tokens) * element_bytes
