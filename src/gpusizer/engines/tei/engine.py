"""Text Embeddings Inference: weights in FP16, one batch of so many tokens, no cache.

A batch is packed without padding and read by flash attention; a warm-up reads the largest one, so that a server that is up has had its peak
(huggingface/text-embeddings-inference: backends/candle/src/models/flash_bert.rs, flash_qwen3.rs; backends/src/lib.rs, warmup).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.architecture.storage.formats import element_bytes
from gpusizer.architecture.types import Attention, DenseMLP, Notice
from gpusizer.engines.base.band import Band, Basis, Spread
from gpusizer.engines.base.device import driver_reserved, models_beside
from gpusizer.engines.base.engine import Stage, Start
from gpusizer.engines.base.launch_words import TORCH_NAMES, printed_values, words_for
from gpusizer.engines.base.ledger import banded, combined, computed, free_line
from gpusizer.engines.base.placed import PlacedEngine
from gpusizer.engines.base.types import Account, Deployment, Evidence, Fit, Inputs, Item, KVCache, Quantity, Rank, Section
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.transformers import generate_peak_bytes
from gpusizer.formulas.memory.transformers_prompt import prompt_attention_bytes, prompt_block_bytes
from gpusizer.units import MiB

__all__ = ["ENGINE", "Tei"]

_SOURCE = "huggingface/text-embeddings-inference: "
BATCH_TOKENS = 16384  # --max-batch-tokens: docs/source/en/cli_arguments.md
# What nvidia-smi shows beside weights and batch: 210 and 370 MiB of two small models together with them, and "about 1.5G" of bge-reranker-v2-m3
# (huggingface/text-embeddings-inference#280), whose weights and batch are 1.40 GB.
_CONTEXT = Band(180 * MiB, 80 * MiB, 250 * MiB, Basis("tei.context", 2, 100, 250, "MiB"))
_PEAK_SPREAD = Spread(0.3, 0.5)


class Tei(PlacedEngine):
    """Text Embeddings Inference 1.x on one CUDA card."""

    id: ClassVar[str] = "tei"
    newest: ClassVar[tuple[int, ...]] = (1, 9, 0)
    mixers: ClassVar[frozenset[str] | None] = frozenset({"encoder", "relative encoder", "attention"})
    most_devices: ClassVar[int | None] = 1
    weight_sources: ClassVar[tuple[str, ...]] = (_SOURCE + "backends/candle/src/lib.rs, CandleBackend::new",)

    def complete(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Deployment:
        """A batch of 16,384 tokens unless it was said otherwise; no text is longer than a batch."""
        tokens = deployment.max_num_batched_tokens or BATCH_TOKENS
        longest = min(deployment.max_model_len or architecture.max_position_embeddings or tokens, tokens)
        together = max(tokens // longest, 1)
        return replace(
            deployment, max_num_batched_tokens=tokens, max_model_len=longest, max_num_seqs=min(deployment.max_num_seqs or together, together)
        )

    def start(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Start:
        """One start with every default filled in, of the model in FP16 unless another type is asked for."""
        if deployment.precision == "checkpoint" and architecture.quantization.method is None and architecture.dtype != "fp16":
            architecture = with_precision(architecture, "fp16")
        return super().start(deployment, architecture, accelerator)

    def problem(self, start: Start) -> Notice | None:
        """One card; models that are pooled."""
        if start.layout.gpus > 1:
            return Notice("one-gpu-only", {"gpus": start.layout.gpus})
        if not start.architecture.pooled:
            return Notice("pools-only")
        return super().problem(start)

    def for_requests(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator, requests: int) -> Deployment:
        """The start as it is: further texts wait for the next batch."""
        return deployment

    def fit(self, deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> Fit:
        """Does the largest batch run?

        Parameters
        ----------
        deployment : Deployment
            ``max_num_batched_tokens`` of a batch.
        architecture : Architecture
            The model in the precision of the deployment.
        accelerator : Accelerator
            The device.

        Returns
        -------
        Fit
            Ledger of the GPU, texts of full length in a batch, verdict.
        """
        start = self.start(deployment, architecture, accelerator)
        problem = self.problem(start)
        if problem is not None:
            return self.refused(start, problem)
        stage = self.stages(start)[0]
        lines = (
            *self.weights(start, stage),
            *driver_reserved(accelerator),
            banded("device_context", _CONTEXT, section=Section.OUTSIDE),
            *models_beside(deployment),
            self.peak(start, stage),
        )
        rank = Rank(0, 0, (*lines, free_line(lines, start.device_total_bytes)))
        left, together = rank.items[-1].bytes, float(start.deployment.max_num_seqs or 1)
        return Fit(
            deployment=start.deployment,
            fits=left >= 0,
            reason=Notice("out-of-memory", {"bytes": -left, "pp_rank": 0}) if left < 0 else None,
            worst=0,
            kv_cache=KVCache(0, 0, 0, 0, 0),
            max_concurrency=together if left >= 0 else 0.0,
            low_concurrency=together if left >= 0 else 0.0,
            free_bytes=left,
            budget_bytes=start.visible_bytes,
            account=Account(lambda: (rank,), lambda: _figures(lines), lambda: self.warnings(start)),
        )

    def peak(self, start: Start, stage: Stage) -> Item:
        """The widest moment of a batch: names live to the end of a block's function, as Rust drops them."""
        architecture, tokens = start.architecture, start.deployment.max_num_batched_tokens or 1
        size = element_bytes(architecture.dtype)
        mixers = architecture.mixers_of(Attention)
        blocks = [block for layer in architecture.layers for block in layer.feed_forwards if isinstance(block, DenseMLP)]
        rotated = max((mixer.rotary_width for mixer in mixers), default=0)
        block = prompt_block_bytes(
            tokens=tokens,
            positions=tokens,
            hidden=architecture.hidden_size,
            inner_elements=max(((3 if each.gated else 1) * each.width for each in blocks), default=0),
            rotary_elements=2 * rotated,
            element_bytes=size,
        )
        attention = prompt_attention_bytes(
            tokens=tokens,
            hidden=architecture.hidden_size,
            head_elements=max((2 * (mixer.heads + mixer.kv_heads) * mixer.head_dim for mixer in mixers), default=0),
            element_bytes=size,
            scores_bytes=0,
        )
        moments: Inputs = {"mask_bytes": 0, "whole_prompt_bytes": 0, "step_bytes": 0, "logits_bytes": 0}
        moments |= {"block_bytes": int(block), "attention_bytes": int(attention)}
        sources = (_SOURCE + "backends/candle/src/models/flash_bert.rs",)
        spread, kind = _PEAK_SPREAD, Evidence.ASSUMED
        return computed("activation_peak", generate_peak_bytes, section=Section.ACTIVATION, band=spread, evidence=kind, sources=sources, **moments)

    def command(self, deployment: Deployment) -> list[str]:
        """Launch command, argument by argument."""
        values = {name: value for name, value in printed_values(deployment).items() if name not in ("max_model_len", "tp")}
        if deployment.precision in TORCH_NAMES:
            values["dtype"] = TORCH_NAMES[deployment.precision]
        environment, words = words_for(values, self.id)
        return [*(["env", *environment] if environment else []), "text-embeddings-router", "--model-id", deployment.model, *words]


def _figures(lines: Sequence[Item]) -> dict[str, Quantity]:
    return {
        "weights_bytes": combined(line for line in lines if line.id.startswith("weights")),
        "activation_peak_bytes": combined(line for line in lines if line.id == "activation_peak"),
    }


ENGINE = Tei()
