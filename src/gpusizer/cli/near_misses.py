"""Options as people call them elsewhere, and what they are called here."""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["nearest_options"]

# By what is meant: the first of each line is ours, and of a start (``fit``) the engines' own.
_MEANT = (
    ("--context-tokens", "--max-model-len", "--context", "--model-len", "--context-length", "--context-len", "--ctx-size", "--ctx", "--max-seq-len"),
    ("--concurrency", "--max-num-seqs", "--batch", "--batch-size", "--parallel", "--max-running-requests", "--max-concurrency", "--requests"),
    ("--input-tokens", "--input", "--input-len", "--prompt-tokens", "--isl", "--prompt"),
    ("--output-tokens", "--output-len", "--osl", "--max-tokens", "--answer-tokens"),
    ("--request-rate", "--rate", "--qps", "--rps", "--throughput"),
    ("--precision", "--quantization", "--quant", "--dtype", "--weights"),
    ("--kv-precision", "--kv-cache-dtype", "--kv-dtype", "--cache-type-k"),
    ("--gpu", "--gpus", "--device", "--card", "--accelerator", "--hardware"),
    ("--max-gpus", "--gpu-count", "--num-gpus", "--n-gpus"),
    ("--engine", "--backend", "--framework", "--runtime"),
    ("--tp", "--tensor-parallel", "--tensor-parallel-size", "--tp-size"),
)
_MOST = 3


def nearest_options(option: str, known: Collection[str], spelled: Sequence[str]) -> list[str]:
    """What may have been meant: the same thing under its name here, then what is spelled alike.

    >>> nearest_options("--max-model-len", ("--context-tokens", "--concurrency"), ())
    ['--context-tokens']
    >>> nearest_options("--user", ("--users",), ("--users", "--sort"))
    ['--users', '--sort']
    """
    meant = [name for names in _MEANT if option.lower() in names for name in names if name in known and name != option]
    return list(dict.fromkeys([*meant[:1], *spelled]))[:_MOST]
