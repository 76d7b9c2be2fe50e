"""What a script with Transformers says: huggingface/transformers 5.23, arguments of ``from_pretrained`` and ``generate``, as flags."""

from __future__ import annotations

from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines.base.flag import MAX_RANKS, MAX_TOKENS, Effect, Flag, passed_over

__all__ = ["FLAGS", "settle"]

FLAGS: tuple[Flag, ...] = (
    Flag("--tp", "count", "tp", low=1, high=MAX_RANKS),
    Flag("--max-model-len", "tokens", "max_model_len", ("--max-length",), 1, MAX_TOKENS, case=("context_len", "max_model_len")),
    Flag("--max-num-seqs", "count", "max_num_seqs", ("--batch-size",), 1, 1 << 20),
    Flag("--attn-implementation", "word"),
    Flag("--prefill-chunk-size", "count"),
    Flag("--torch-dtype", "word", also=("--dtype",)),
    Flag("--quantization", "word"),
    Flag("--trust-remote-code", "setting"),
    Flag("--dequantize", "setting"),
    Flag("--tp-plan", "word"),
    Flag("--device-map", "word", effect=Effect.NOTHING),
    Flag("--model", "word", also=("--pretrained-model-name-or-path",), effect=Effect.NOTHING),
    Flag("--cache-implementation", "word", effect=Effect.UNCOUNTED, caveat="not-counted-buffers"),
    Flag("--assistant-model", "word", effect=Effect.UNCOUNTED, caveat="not-counted-draft"),
    *passed_over(
        switches="--low-cpu-mem-usage --use-safetensors --use-cache --do-sample",
        values="--revision --token --cache-dir --max-new-tokens --temperature --top-p --top-k --host --port --force-model --seed",
    ),
)
"""Every argument that is known, those that change memory first."""


def settle(values: dict[str, Any]) -> tuple[Notice, ...]:
    """Bring what was typed to fields: a plan cuts over all GPUs that are seen, ``device_map`` shares layers over them.

    Parameters
    ----------
    values : dict
        Values by field or flag; changed in place.

    Returns
    -------
    tuple of Notice
        Nothing: what is not counted is said flag by flag.
    """
    plan, count = values.pop("tp_plan", None), values.pop("visible_gpus", 0)
    if count and not {"gpus", "tp", "pp"} & values.keys():
        values["tp" if plan else "pp"] = count
    if "torch_dtype" in values:
        values["dtype"] = values["torch_dtype"]
    return ()
