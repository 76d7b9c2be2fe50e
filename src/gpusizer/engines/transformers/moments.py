"""The widest moment of a batch of ``generate()`` on one GPU: tensors counted as the modelling code names them, by the shapes of the layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import (
    Attention,
    CompressedAttention,
    DenseMLP,
    EncoderAttention,
    FeedForward,
    LatentAttention,
    Layer,
    Mixer,
    MixtureOfExperts,
    RelativeAttention,
    StateMixer,
)
from gpusizer.engines.base.weights import once_per_architecture
from gpusizer.engines.transformers.memory import Batch, StageCache
from gpusizer.formulas.memory.transformers import (
    expanded_latent_step_bytes,
    generate_peak_bytes,
    last_logits_bytes,
    regrown_layer_bytes,
    selected_experts_bytes,
)
from gpusizer.formulas.memory.transformers_prompt import (
    eager_scores_bytes,
    expert_block_elements,
    mask_bytes,
    prompt_attention_bytes,
    prompt_block_bytes,
)

__all__ = ["EAGER", "SDPA", "Moments", "Setting", "Work", "default_attention", "moments_of", "work_of"]

EAGER, SDPA = "eager", "sdpa"
# Tensors of the inner width on the way into routed experts: twice gate and up; with biases those of the chosen experts, and gate and up are
# clamped before they meet (gpt_oss, GptOssExperts._apply_gate).
_GATED_COPIES, _BIASED_COPIES, _PLAIN_COPIES = 4, 9, 2


@dataclass(frozen=True, slots=True)
class Setting:
    """What does not change from batch to batch.

    Parameters
    ----------
    tp, element_bytes : int
        Ranks; bytes of the model's own type.
    attention : str
        ``eager``, ``sdpa``, or the name of a kernel that needs no mask.
    latents : bool
        Latents are cached, and expanded in every step.
    grouped : bool
        Experts work in grouped products (from 5.0), not one after another.
    gathers : bool
        A step copies the weights of the experts that its tokens chose.
    chunk : int
        ``prefill_chunk_size``, 0 for the whole prompt. [tokens]
    last : bool
        The GPU holds the head.
    """

    tp: int
    element_bytes: int
    attention: str = SDPA
    latents: bool = True
    grouped: bool = True
    gathers: bool = False
    chunk: int = 0
    last: bool = True


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of one GPU, by the names of the formula ``memory.transformers.peak``. [bytes]"""

    block_bytes: int
    attention_bytes: int
    mask_bytes: int
    whole_prompt_bytes: int
    step_bytes: int
    logits_bytes: int

    @property
    def inputs(self) -> dict[str, int]:
        """By the names of the formula."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def peak_bytes(self) -> int:
        """The widest. [bytes]"""
        return int(generate_peak_bytes(**self.inputs))


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What is read at once, and the masks that it needs.

    A batch of several requests is padded, so that each has masks of its own; one alone needs none for full attention over a whole prompt.
    """

    setting: Setting
    requests: int
    rows: int
    keys: int

    @property
    def tokens(self) -> int:
        """Of all requests together. [tokens]"""
        return self.requests * self.rows

    def seen(self, window: int) -> int:
        """Keys that a mask of a layer spans; ``window`` 0 sees all. [tokens]"""
        return min(self.keys, window - 1 + self.rows) if window else self.keys

    def masked(self, window: int) -> bool:
        """Whether a layer is given a mask."""
        if self.setting.attention == EAGER:
            return True
        padded = self.requests > 1 or self.rows < self.keys
        return self.setting.attention == SDPA and (padded or 0 < window <= self.keys)

    def mask_bytes(self, window: int) -> int:
        """The mask that all layers with this window share. [bytes]"""
        if not self.masked(window):
            return 0
        size = self.setting.element_bytes if self.setting.attention == EAGER else 1
        return int(mask_bytes(rows=self.requests, queries=self.rows, keys=self.seen(window), element_bytes=size))

    def scores_bytes(self, heads: int, window: int, *, sinks: bool) -> int:
        """Scores that eager attention writes, or the mask as a fused kernel takes it: in the model's own type. [bytes]"""
        own = self.setting.element_bytes
        if self.setting.attention == EAGER:
            size = 3 * own if sinks else 2 * own + 4
            return int(eager_scores_bytes(requests=self.requests, heads=heads, queries=self.rows, keys=self.seen(window), score_bytes=size))
        return int(mask_bytes(rows=self.requests, queries=self.rows, keys=self.seen(window), element_bytes=own)) if self.masked(window) else 0


@once_per_architecture
def default_attention(architecture: Architecture) -> str:
    """What runs unless it is said otherwise: eager where heads have sinks or scores know distances, which PyTorch's fused kernels do not.

    >>> from gpusizer.architecture.load import load_architecture
    >>> default_attention(load_architecture("gpt-oss-20b")), default_attention(load_architecture("qwen3-8b"))
    ('eager', 'sdpa')
    """
    written = (_sinks(mixer) or isinstance(mixer, RelativeAttention) for layer in architecture.layers for mixer in layer.mixers)
    return EAGER if any(written) else SDPA


@dataclass(frozen=True, slots=True)
class _Heads:
    """One kind of attention on one rank.

    Parameters
    ----------
    heads : int
        Query heads of the rank.
    query, value : int
        Width of one head's query and of its result. [elements]
    expanded, repeated : int
        Keys and values of one head that are made from a latent; that are repeated for a kernel that is given a mask. [elements]
    window : int
        Tokens that it sees, 0 for all.
    sinks : bool
        It has sinks.
    """

    heads: int
    query: int
    value: int
    expanded: int
    repeated: int
    window: int
    sinks: bool


@dataclass(frozen=True, slots=True)
class Work:
    """What the layers of one GPU do with a token, whatever the batch.

    Parameters
    ----------
    setting : Setting
        How they run.
    hidden, inner_elements, rotary_elements, vocabulary : int
        Residual stream; inside the widest block; cosines and sines; the head, 0 where it is elsewhere. [elements]
    attention : tuple of _Heads
        Kinds of attention.
    latent_bytes : int
        Keys and values of one token made from its latent in a step. [bytes]
    chosen_bytes : int
        Weights of the experts that one token chose. [bytes]
    """

    setting: Setting
    hidden: int
    inner_elements: int
    rotary_elements: int
    vocabulary: int
    attention: tuple[_Heads, ...]
    latent_bytes: int
    chosen_bytes: int


def work_of(architecture: Architecture, layers: Iterable[Layer], setting: Setting) -> Work:
    """The work of the layers of one GPU.

    Parameters
    ----------
    architecture : Architecture
        The model.
    layers : iterable of Layer
        Layers of the GPU, each kind once.
    setting : Setting
        How they run.

    Returns
    -------
    Work
        The work.
    """
    held = tuple(layers)
    hidden = architecture.hidden_size * architecture.residual_streams
    mixers = [mixer for layer in held for mixer in layer.mixers if mixer.query_heads]
    kinds = {bool(_window(mixer)): mixer.rotary_width for mixer in mixers}  # layers with a window may turn at another pace
    latents = [latent for layer in held for latent in layer.mixers_of(LatentAttention)] if setting.latents else []
    experts = [block for layer in held for block in layer.experts] if setting.gathers else []
    return Work(
        setting=setting,
        hidden=hidden,
        inner_elements=max((_inner_elements(block, hidden, setting) for layer in held for block in layer.feed_forwards), default=0),
        rotary_elements=sum(2 * width for width in kinds.values()),
        vocabulary=architecture.vocab_size if setting.last and not architecture.pooled else 0,
        attention=tuple(dict.fromkeys(_heads(mixer, setting) for mixer in mixers)),
        latent_bytes=max((_latent_bytes(latent, setting) for latent in latents), default=0),
        chosen_bytes=max((_chosen_bytes(block, setting) for block in experts), default=0),
    )


def moments_of(work: Work, cache: StageCache, batch: Batch) -> Moments:
    """The moments of one batch on one GPU.

    Parameters
    ----------
    work : Work
        What its layers do.
    cache : StageCache
        Their cache.
    batch : Batch
        The batch.

    Returns
    -------
    Moments
        The moments.
    """
    setting, requests, tokens = work.setting, batch.requests, batch.tokens
    rows = min(setting.chunk or tokens, tokens)
    prompt = _Prompt(setting, requests, rows, tokens)
    block = prompt_block_bytes(
        tokens=prompt.tokens,
        positions=rows,
        hidden=work.hidden,
        inner_elements=work.inner_elements,
        rotary_elements=work.rotary_elements,
        element_bytes=setting.element_bytes,
    )
    regrown = int(regrown_layer_bytes(requests=requests, tokens=tokens, tensor_bytes=cache.widest_tensor_bytes))
    logits = last_logits_bytes(requests=requests, vocabulary=work.vocabulary, element_bytes=setting.element_bytes)
    return Moments(
        block_bytes=int(block),
        attention_bytes=max((_attention_bytes(heads, work.hidden, prompt) for heads in work.attention), default=0),
        mask_bytes=sum(prompt.mask_bytes(window) for window in {heads.window for heads in work.attention}),
        whole_prompt_bytes=cache.whole_prompt_bytes(batch, rows),
        step_bytes=regrown + max(requests * tokens * work.latent_bytes, requests * work.chosen_bytes),
        logits_bytes=int(logits),
    )


def _attention_bytes(kind: _Heads, hidden: int, prompt: _Prompt) -> int:
    """Attention of one kind over the prompt. [bytes]"""
    results = 0 if prompt.setting.attention == EAGER else kind.value  # they come when two copies of the scores are gone
    repeated = kind.repeated if prompt.masked(kind.window) else 0
    return int(
        prompt_attention_bytes(
            tokens=prompt.tokens,
            hidden=hidden,
            head_elements=kind.heads * (kind.query + results + kind.expanded + repeated),
            element_bytes=prompt.setting.element_bytes,
            scores_bytes=prompt.scores_bytes(kind.heads, kind.window, sinks=kind.sinks),
        )
    )


def _heads(mixer: Mixer, setting: Setting) -> _Heads:
    query = value = expanded = repeated = 0
    match mixer:
        case EncoderAttention():  # keys and values are in no cache, they live beside the queries
            query, value = mixer.head_dim, mixer.v_head_dim
            expanded = query + value
        case Attention():
            query, value = mixer.head_dim, mixer.v_head_dim
            repeated = query + value if mixer.kv_heads < mixer.heads else 0
        case LatentAttention():
            query, value = mixer.key_dim, mixer.v_head_dim
            expanded = mixer.key_dim + mixer.qk_nope_head_dim + mixer.v_head_dim
        case CompressedAttention() | StateMixer():
            pass
        case _:
            assert_never(mixer)
    return _Heads(-(-mixer.query_heads // setting.tp), query, value, expanded, repeated, _window(mixer), _sinks(mixer))


def _latent_bytes(latent: LatentAttention, setting: Setting) -> int:
    """Keys and values of one token, made from its latent. [bytes]"""
    made = latent.qk_nope_head_dim + latent.v_head_dim
    heads = -(-latent.heads // setting.tp)
    size = expanded_latent_step_bytes(
        requests=1, tokens=1, heads=heads, key_dim=latent.key_dim, head_elements=made, element_bytes=setting.element_bytes
    )
    return int(size)


def _chosen_bytes(block: MixtureOfExperts, setting: Setting) -> int:
    """Weights of the experts that one token chose. [bytes]"""
    matrices = 3 if block.gated else 2
    size = matrices * -(-block.expert_width // setting.tp) * block.expert_hidden * setting.element_bytes
    return int(selected_experts_bytes(requests=1, top_k=block.top_k, expert_bytes=size))


def _inner_elements(block: FeedForward, hidden: int, setting: Setting) -> int:
    """Of one token inside a block on one rank, the residual stream aside. [elements]"""
    match block:
        case DenseMLP():
            return (3 if block.gated else 2) * -(-block.width // setting.tp)
        case MixtureOfExperts():
            shared = hidden + (3 if block.gated else 2) * -(-block.shared_width // setting.tp) if block.shared_width else 0
            return max(shared, _routed_elements(block, setting))
        case _:
            assert_never(block)


def _routed_elements(block: MixtureOfExperts, setting: Setting) -> int:
    """Of one token in routed experts. [elements]"""
    if not setting.grouped:  # one expert after another: the sum of their results, and a table of choices in 64 bits
        return block.expert_hidden + 8 * block.top_k * block.experts // setting.element_bytes
    biased = any("experts" in tensor.name and "bias" in tensor.name and tensor.group == "routed_experts" for tensor in block.tensors)
    weighted = 4 / setting.element_bytes if _weighs_in_fp32(block) else 1
    return int(
        expert_block_elements(
            top_k=block.top_k,
            inner=-(-block.expert_width // setting.tp),
            outer=block.expert_hidden,
            inner_copies=(_BIASED_COPIES if biased else _GATED_COPIES) if block.gated else _PLAIN_COPIES,
            outer_copies=2 + 2 * weighted,
        )
    )


def _weighs_in_fp32(block: MixtureOfExperts) -> bool:
    """Whether routing weights stay in FP32, so that weighted results do too: with a bias that corrects choices, or shared experts without a gate.

    Modelling code decides it, no key does; these shapes tell the routers that were read apart, and the band covers the others.
    """
    names = [tensor.name for tensor in block.tensors]
    return any("correction" in name for name in names) or (block.shared_width > 0 and not any("shared_expert_gate" in name for name in names))


def _sinks(mixer: Mixer) -> bool:
    return any("sink" in tensor.name for tensor in mixer.tensors)


def _window(mixer: Mixer) -> int:
    """Tokens of its window, 0 where it sees all. [tokens]"""
    return mixer.seen_tokens if isinstance(mixer, Attention) else 0
