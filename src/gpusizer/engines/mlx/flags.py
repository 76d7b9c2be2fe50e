"""What ``mlx_lm.server`` and ``mlx_lm.generate`` take: ml-explore/mlx-lm@d78bf58e2 (0.32.0), mlx_lm/server.py and mlx_lm/generate.py."""

from __future__ import annotations

from typing import Any

from gpusizer.architecture.precision.mlx_formats import MLX_BITS
from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_TOKENS, Effect, Flag, passed_over
from gpusizer.errors import FlagError

__all__ = ["FLAGS", "MAX_BYTES", "settle"]

MAX_BYTES = 1 << 50

FLAGS: tuple[Flag, ...] = (
    Flag("--max-model-len", "tokens", "max_model_len", low=1, high=MAX_TOKENS, case=("context_len", "max_model_len")),
    Flag("--decode-concurrency", "count", "max_num_seqs", ("--max-num-seqs",), 1, 1 << 16),
    Flag("--prompt-concurrency", "count", low=1, high=1 << 16),
    Flag("--prefill-step-size", "tokens", "max_num_batched_tokens", low=1, high=MAX_TOKENS),
    Flag("--prompt-cache-size", "count", high=1 << 20),
    Flag("--prompt-cache-bytes", "bytes", high=MAX_BYTES),
    Flag("--kv-bits", "count", low=2, high=8),
    Flag("--kv-group-size", "count", low=32, high=128),
    Flag("--quantized-kv-start", "tokens", high=MAX_TOKENS),
    Flag("--max-kv-size", "tokens", low=1, high=MAX_TOKENS),
    Flag("--model", "word", "model", effect=Effect.NOTHING),
    Flag("--adapter-path", "word", effect=Effect.UNCOUNTED, caveat="not-counted-adapters"),
    Flag("--draft-model", "word", effect=Effect.UNCOUNTED, caveat="not-counted-draft"),
    Flag("--pipeline", "switch", effect=Effect.UNCOUNTED, caveat="not-counted-layout"),
    *passed_over(
        switches="--trust-remote-code --use-default-chat-template --ignore-chat-template --quantize-activations|-qa",
        values="--host --port --allowed-origins --num-draft-tokens --log-level --chat-template --temp --top-p --top-k --min-p --max-tokens|-m "
        "--chat-template-args --chat-template-config --prompt|-p --system-prompt --prefill-response --xtc-probability --xtc-threshold "
        "--min-tokens-to-keep --seed --verbose --prompt-cache-file",
        lists="--extra-eos-token",
    ),
)
"""Every argument that is known, those that change memory first."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Bits of the cache become its format.

    Parameters
    ----------
    values : dict
        Values by field or flag; changed in place.

    Returns
    -------
    tuple of Notice
        Nothing: what is not counted is said flag by flag.
    """
    bits = values.pop("kv_bits", None)
    if bits is not None:
        if bits not in MLX_BITS:
            raise FlagError("bad-flag-value", flag="--kv-bits", found=str(bits))
        values["kv_precision"] = f"mlx_{bits}bit"
    return ()
