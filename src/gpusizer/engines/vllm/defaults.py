"""What vLLM chooses where the operator says nothing: budget, batch limits, cache format, block size, graphs; by version and device."""

from __future__ import annotations

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import element_bytes, plain_dtype
from gpusizer.architecture.types import CompressedAttention, LatentAttention
from gpusizer.engines.base.cache import asks_for_fp8
from gpusizer.engines.base.types import Deployment
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.memory.steps import batch_requests, batch_tokens
from gpusizer.formulas.memory.steps import in_flight_tokens as flight_tokens
from gpusizer.units import GiB

__all__ = [
    "NEWEST",
    "complete",
    "in_flight_tokens",
    "mixer_kinds",
    "profile_rows",
]

NEWEST = (0, 33, 0)

# First versions of a behaviour.
HIGHER_FRACTION = (0, 20)  # 0.92 instead of 0.90
FLASH_ATTENTION_LATENT = (0, 12)  # latent attention with blocks of 16 on Hopper
LARGER_STEPS = (0, 28)  # 16,384 tokens on cards of 160 GiB
LONG_CONTEXT = 32768  # [tokens]
CHUNKED_STEPS = (0, 8)  # before, a step holds a whole prompt unless the context is long and the card is of NVIDIA
SEQUENCES_EVERYWHERE = (0, 8), (0, 8, 4)  # 1,024 requests on every card of the new engine, taken back by vllm-project/vllm#16158
MANY_SEQUENCES = (0, 8, 5)  # 1,024 requests on large cards
NEW_ENGINE_FROM = 8.0  # compute capability that the new engine asked for then
BATCHES_IN_FLIGHT = (0, 26)  # windows are kept for every batch in flight


@once_per_architecture
def mixer_kinds(architecture: Architecture) -> frozenset[str]:
    """Kinds of mixers in the model; "sparse" beside "latent" where an indexer picks tokens."""
    kinds = set()
    for layer in architecture.layers:
        for mixer in layer.mixers:
            kinds.add(mixer.kind)
            if isinstance(mixer, LatentAttention | CompressedAttention) and mixer.indexer is not None:
                kinds.add("sparse")
    return frozenset(kinds)


def batched_tokens(accelerator: Accelerator, version: tuple[int, ...]) -> int:
    """Default of ``--max-num-batched-tokens`` for a server: by device memory."""
    gib = accelerator.memory_bytes / GiB
    if gib >= 160 and version >= LARGER_STEPS:
        return 16384
    if gib >= 70 and not _a100(accelerator) and not accelerator.unified_memory:
        return 8192
    return 2048


def sequences(accelerator: Accelerator, version: tuple[int, ...]) -> int:
    """Default of ``--max-num-seqs`` for a server."""
    first, last = SEQUENCES_EVERYWHERE
    if first <= version < last and accelerator.capability >= NEW_ENGINE_FROM:
        return 1024
    large = accelerator.memory_bytes / GiB >= 70 and not _a100(accelerator) and not accelerator.unified_memory
    return 1024 if large and version >= MANY_SEQUENCES else 256


def _a100(accelerator: Accelerator) -> bool:
    """The engine asks the driver for the card's name."""
    return "a100" in f"{accelerator.id} {accelerator.name}".lower()


def complete(deployment: Deployment, architecture: Architecture, accelerator: Accelerator, version: tuple[int, ...]) -> Deployment:
    """Fill in every default that the operator left open."""
    context = deployment.max_model_len or architecture.max_position_embeddings or 4096
    tokens = deployment.max_num_batched_tokens or batched_tokens(accelerator, version)
    whole = context <= LONG_CONTEXT or accelerator.vendor == "AMD"
    if version < CHUNKED_STEPS and deployment.max_num_batched_tokens is None and whole:
        tokens = max(context, 2048)  # vllm-project/vllm 0.6 to 0.9: vllm/config.py, SchedulerConfig; arg_utils.py, _set_default_args_v0
    if deployment.max_num_batched_tokens is None and architecture.reads_only:
        tokens = max(context, tokens)  # a text that is read whole is no longer than a step
    requests = deployment.max_num_seqs or sequences(accelerator, version)
    if deployment.max_num_batched_tokens is None:
        tokens = int(batch_tokens(default_tokens=tokens, default_requests=requests, context_tokens=context))
    fraction = deployment.memory_fraction
    if fraction is None:
        fraction = 0.9 if version < HIGHER_FRACTION else 0.92
    return deployment.changed(
        engine="vllm",
        max_model_len=context,
        max_num_seqs=int(batch_requests(default_requests=requests, step_tokens=tokens)),
        max_num_batched_tokens=tokens,
        memory_fraction=fraction,
        block_size=deployment.block_size or block_size(architecture, accelerator, version),
        kv_precision=cache_dtype(deployment, architecture, accelerator),
    )


def block_size(architecture: Architecture, accelerator: Accelerator, version: tuple[int, ...]) -> int:
    """Tokens of a block where the operator asks for none: what the attention kernel of the model and the device needs. [tokens]"""
    kinds, capability = mixer_kinds(architecture), accelerator.capability
    if accelerator.vendor == "Huawei":
        return 128  # vllm-project/vllm-ascend@v0.10.2rc1: vllm_ascend/platform.py, check_and_update_config
    if "compressed" in kinds:
        return 256
    if "sparse" in kinds:
        return 64
    if "latent" in kinds and (10 <= capability < 11 or (9 <= capability < 10 and version < FLASH_ATTENTION_LATENT)):
        return 64
    return 16


def cache_dtype(deployment: Deployment, architecture: Architecture, accelerator: Accelerator) -> str:
    """Format of the cache: what a checkpoint asks for under "auto", and the record that sparse kernels read instead of plain FP8."""
    name, kinds, capability = deployment.kv_precision.lower(), mixer_kinds(architecture), accelerator.capability
    if name == "auto" and deployment.precision == "checkpoint" and asks_for_fp8(architecture):
        name = "fp8"
    if "compressed" in kinds and (name == "auto" or name.startswith("fp8")):
        return "fp8_ds_mla"
    if "sparse" in kinds and "latent" in kinds:
        if name.startswith("fp8") and not 10 <= capability < 11:
            return "fp8_ds_mla"
        if name == "auto" and 12 <= capability < 13:
            return "fp8_ds_mla"
    return name


def state_bytes(deployment: Deployment) -> int | None:
    """Bytes of one element of a recurrent state where the operator chose its format. [bytes]"""
    chosen = str(deployment.flags.get("mamba_ssm_cache_dtype", deployment.flags.get("mamba_cache_dtype", "auto"))).lower()
    return None if plain_dtype(chosen) is None else element_bytes(chosen)


def in_flight_tokens(deployment: Deployment, version: tuple[int, ...]) -> int:
    """Tokens that may be scheduled before a window cache gives blocks back. [tokens]"""
    tokens = deployment.max_num_batched_tokens or 1
    if version < BATCHES_IN_FLIGHT:
        return tokens
    return int(flight_tokens(step_tokens=tokens, pp=deployment.pp))


def profile_rows(deployment: Deployment) -> int:
    """Requests that the profile run samples. [rows]"""
    return min(deployment.max_num_seqs or 1, deployment.max_num_batched_tokens or 1)
