#!/usr/bin/env python3
"""What Transformers holds on one CUDA card, batch by batch, with random weights of given shapes in BF16.

    python scripts/measure/generate.py CONFIG... > rows.jsonl

``CONFIG`` is what ``AutoConfig.from_pretrained`` takes: a folder or a ``config.json``. Prints lines of JSON as in
``tests/data/transformers_h200.jsonl``. Needs torch, transformers and nvidia-ml-py, and a card that nobody else uses.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from card import Card, say

NEW_TOKENS = 17
BATCHES = ((1, 128), (1, 512), (1, 2048), (1, 8192), (4, 2048), (8, 1024), (1, 16384), (1, 32768))


@dataclass(frozen=True)
class Batch:
    """Requests of equal length; ``padded`` ones begin with a padding token in the first request."""

    requests: int
    tokens: int
    padded: bool


def batches() -> Iterator[Batch]:
    """Every batch, and those of several requests with padding as well."""
    for requests, tokens in BATCHES:
        yield Batch(requests, tokens, padded=False)
        if requests > 1:
            yield Batch(requests, tokens, padded=True)


def leave_weights_alone() -> None:
    """Initialisers of torch that change nothing: weights are drawn afterwards, on the card."""

    def untouched(tensor: Any, *_: Any, **__: Any) -> Any:
        return tensor

    for name in dir(torch.nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(torch.nn.init, name, untouched)


def build(config: str) -> Any:
    """A causal model of this shape with random weights."""
    shape = transformers.AutoConfig.from_pretrained(config)
    shape = getattr(shape, "text_config", shape)
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(shape, dtype=torch.bfloat16).eval()
    for parameter in model.parameters():
        if parameter.dtype.is_floating_point:
            parameter.data.uniform_(-0.02, 0.02)
    return model


def fresh_peak() -> None:
    """Unused blocks go back to the card, and peaks start from here."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def measured(card: Card, model: Any, batch: Batch) -> dict[str, object]:
    """One batch: a forward pass over the prompt, then prompt and steps."""
    seen = torch.ones(batch.requests, batch.tokens, device="cuda", dtype=torch.int64)
    before = torch.cuda.memory_allocated()
    ids = torch.randint(1, 1000, (batch.requests, batch.tokens), device="cuda")  # 0 pads: generate() would mask it
    if batch.padded:
        ids[0, 0] = seen[0, 0] = 0
    with torch.inference_mode():
        fresh_peak()
        begun = time.perf_counter()
        out = model(ids, attention_mask=seen, use_cache=True, logits_to_keep=1)
        torch.cuda.synchronize()
        prompt_s = time.perf_counter() - begun
        prompt_peak, held = torch.cuda.max_memory_allocated() - before, torch.cuda.memory_allocated() - before
        del out
        fresh_peak()
        begun = time.perf_counter()
        model.generate(ids, attention_mask=seen, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0)
        torch.cuda.synchronize()
    return {
        "prompt_peak_bytes": prompt_peak,
        "prompt_held_bytes": held,
        "generate_peak_bytes": torch.cuda.max_memory_allocated() - before,
        "reserved_idle_bytes": torch.cuda.max_memory_reserved() - torch.cuda.max_memory_allocated(),
        "context_bytes": card.used_bytes() - torch.cuda.memory_reserved(),
        "prompt_s": round(prompt_s, 4),
        "generate_s": round(time.perf_counter() - begun, 4),
    }


def measure(card: Card, config: str) -> None:
    """All batches of one shape, up to the first that does not fit."""
    name = Path(config).stem if config.endswith(".json") else Path(config).name
    model = build(config)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    say(kind="model", model=name, parameters=parameters, attention=model.config._attn_implementation)
    for batch in batches():
        row = {"kind": "batch", "model": name, "requests": batch.requests, "tokens": batch.tokens, "padded": batch.padded}
        try:
            say(**row, **measured(card, model, batch))
        except torch.OutOfMemoryError:
            say(**row, failed="out of memory")
            break


def main() -> None:
    """Every shape that was named, one after another in one process."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    card = Card()
    say(**card.set_up(transformers=transformers.__version__))
    say(**card.memory())
    for row in card.contexts():
        say(**row)
    leave_weights_alone()
    for config in sys.argv[1:]:
        measure(card, config)
        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
