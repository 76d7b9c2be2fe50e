"""What ``text-embeddings-router`` takes: huggingface/text-embeddings-inference, docs/source/en/cli_arguments.md."""

from __future__ import annotations

from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_TOKENS, Effect, Flag, passed_over

__all__ = ["FLAGS", "settle"]

FLAGS: tuple[Flag, ...] = (
    Flag("--max-batch-tokens", "tokens", "max_num_batched_tokens", low=1, high=MAX_TOKENS),
    Flag("--max-batch-requests", "count", "max_num_seqs", low=1, high=1 << 20),
    Flag("--dtype", "word"),
    Flag("--model-id", "word", "model", effect=Effect.NOTHING),
    *passed_over(
        switches="--auto-truncate --json-output --disable-spans",
        values="--revision --tokenization-workers --served-model-name --pooling --max-concurrent-requests --max-client-batch-size "
        "--default-prompt-name --default-prompt --hf-token --hostname --port --uds-path --huggingface-hub-cache --payload-limit --api-key "
        "--dense-path --otlp-endpoint --otlp-service-name --prometheus-port --cors-allow-origin",
    ),
)
"""Every argument that is known, those that change memory first."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Nothing else to bring together: one process, one GPU."""
    return ()
