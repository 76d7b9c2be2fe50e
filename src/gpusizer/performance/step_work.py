"""What one step of one rank must do: weights to read, arithmetic per token, cached rows to visit, messages to send.

An architecture has many layers and few kinds of them. Each kind is tallied once; a layout then costs a few dozen multiplications. The result holds
plain numbers, which may be NumPy columns when many configurations are computed together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from functools import reduce
from math import prod
from typing import Any, NamedTuple, TypeVar, assert_never

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.types import Attention, CompressedAttention, LatentAttention, Layer, Mixer, MixtureOfExperts, Split, StateMixer, Tensor
from gpusizer.engines.base.types import NOTHING_ON_HOST, Layout, OnHost
from gpusizer.engines.base.weights import ROUTED, once_per_architecture
from gpusizer.once import Remembered
from gpusizer.performance.kernel_counts import Kernels, Product, layer_kernels, storage_class

__all__ = [
    "STORAGE_CLASSES",
    "UNBOUNDED_ROWS",
    "AttentionWork",
    "Experts",
    "Linear",
    "Parallelism",
    "StepWork",
    "bulk_storages",
    "latent_layers",
    "step_work",
]

STORAGE_CLASSES = ("16", "8", "fp4", "int4", "blocks", "blocks_table")
UNBOUNDED_ROWS = 1e12
INDEX_SCALE_BYTES = 4.0  # one FP32 scale beside each FP8 key of an index
_BULK = 0.3  # of the weights that a token reads
_NOT_PRODUCTS = frozenset({"norms", "embedding", "vision", "per_layer_embedding", "ngram_embedding"})


class Parallelism(NamedTuple):
    """How a replica is cut: tensor-parallel ranks of attention, data-parallel ranks of attention, ranks of whole experts, pipeline stages."""

    tp: int = 1
    dp: int = 1
    ep: int = 1
    pp: int = 1

    @classmethod
    def of(cls, layout: Layout) -> Parallelism:
        """That of a layout."""
        return cls(layout.tp, layout.dp, layout.ep, layout.pp)

    @property
    def expert_tp(self) -> float:
        """Ranks that cut one expert."""
        return max(self.tp * self.dp / self.ep, 1)


class Linear(NamedTuple):
    """Dense matrix products of one storage class on one rank, all layers together."""

    storage: str
    weight_bytes: Any  # read once a step
    flops_per_token: Any
    on_host: bool = False


class Experts(NamedTuple):
    """Routed experts of equal layers: what one expert costs on one rank."""

    storage: str
    layers: Any
    experts: Any
    top_k: Any
    expert_bytes: Any  # one expert of one layer, as cut by tensor parallelism
    expert_flops: Any  # one row through one expert
    on_host: bool = False


class AttentionWork(NamedTuple):
    """Mixers of equal layers on one rank: rows that a new token visits, an index that it scans, a state that it updates."""

    latent: Any  # whether rows are latents, which kernels of their own read
    layers: Any
    row_bytes: Any
    row_flops: Any
    pair_flops: Any  # of a prefill, per pair of query and row
    ratio: Any = 1.0
    cap_rows: Any = UNBOUNDED_ROWS
    scan_bytes: Any = 0.0  # per cached token
    scan_flops: Any = 0.0
    state_bytes: Any = 0.0  # read and written per sequence and step


class StepWork(NamedTuple):
    """One step of one rank.

    Parameters
    ----------
    linears : tuple of Linear
        Dense products by storage class.
    head : Linear
        The output head: arithmetic per sequence, not per token.
    experts : tuple of Experts
        Routed experts.
    attention : tuple of AttentionWork
        What mixers do.
    layers, expert_layers : number
        Decoder layers; those with routed experts.
    kernels : Kernels
        Of one step, by kind of block.
    quantised_products : number
        Products that quantise their input first.
    hidden_size : number
        Width of a token. [elements]
    draft_share : number
        Work of one draft step relative to a step of the model.
    handovers : number
        Times that a step goes to the processor and back.
    """

    linears: tuple[Linear, ...]
    head: Linear
    experts: tuple[Experts, ...]
    attention: tuple[AttentionWork, ...]
    layers: Any
    expert_layers: Any
    kernels: Kernels
    quantised_products: Any
    hidden_size: Any
    draft_share: Any
    handovers: Any = 0.0


Work = TypeVar("Work", Experts, AttentionWork)


def latent_layers(work: StepWork) -> float:
    """Mixers that cache a latent: a prompt launches far more kernels for them than a decoding step does."""
    return float(sum(one.layers for one in work.attention if one.latent))


def bulk_storages(work: StepWork) -> tuple[str, ...]:
    """Storage classes in which a good part of the weights lies; what is kept wider beside them decides little.

    >>> one = Linear("8", 9e9, 9e9), Linear("16", 1e9, 5e8)
    >>> bulk_storages(StepWork(one, one[1], (), (), 1.0, 0.0, Kernels(), 0.0, 1.0, 0.0))
    ('8',)
    """
    sizes: Counter[str] = Counter()
    for linear in work.linears:
        sizes[linear.storage] += linear.weight_bytes
    for block in work.experts:
        sizes[block.storage] += block.layers * block.top_k * block.expert_bytes
    return tuple(sorted(storage for storage, size in sizes.items() if size >= _BULK * sum(sizes.values())))


class _Kind(NamedTuple):
    """One kind of layer, how many there are, and what each launches."""

    layer: Layer
    number: int
    products: tuple[Product, ...]
    kernels: Kernels
    quantised: float


class _Tally(NamedTuple):
    kinds: tuple[_Kind, ...]
    head: Product | None
    draft_layers: int


def _products(architecture: Architecture, prefix: str, tensors: Iterable[Tensor]) -> tuple[Product, ...]:
    found: Counter[Product] = Counter()
    for tensor in tensors:
        if len(tensor.shape) == 2 and tensor.group not in _NOT_PRODUCTS:
            found[_product(architecture, prefix + tensor.name, tensor)] += tensor.copies
    return tuple(one._replace(params=one.params * count, bytes=one.bytes * count) for one, count in found.items())


def _product(architecture: Architecture, name: str, tensor: Tensor) -> Product:
    form = architecture.quantization.format_of(name, tensor)
    return Product(prod(tensor.shape), form.bytes_of(tensor.shape), storage_class(form), tensor.split, tensor.units, tensor.group == ROUTED)


def _without_tensors(block: Any) -> tuple[Hashable, ...]:
    return (type(block).__name__, *(getattr(block, name) for name in block.__slots__ if name != "tensors"))


@once_per_architecture
def _tally(architecture: Architecture) -> _Tally:
    counts: dict[Hashable, tuple[Layer, tuple[Product, ...]]] = {}
    numbers: Counter[Hashable] = Counter()
    for layer in architecture.layers:
        products = _products(architecture, layer.prefix, layer.all_tensors())
        key = (tuple(map(_without_tensors, layer.mixers)), tuple(map(_without_tensors, layer.feed_forwards)), products)
        counts.setdefault(key, (layer, products))
        numbers[key] += 1
    kinds = tuple(_Kind(layer, numbers[key], products, *layer_kernels(layer, products)) for key, (layer, products) in counts.items())
    tied = () if architecture.pooled else tuple(tensor for tensor in architecture.embedding if tensor.group == "embedding")
    head_tensors = architecture.head or tied
    head = next((_product(architecture, tensor.name, tensor) for tensor in head_tensors if len(tensor.shape) == 2), None)
    return _Tally(kinds, head, len(architecture.mtp))


def _share(product: Product, tp: float) -> float:
    match product.split:
        case Split.REPLICATED:
            return 1.0
        case Split.KV_HEADS if product.units:
            return max(1.0, product.units / tp) / product.units
        case _:
            return 1.0 / tp


def _attention_work(mixer: Mixer, count: int, tp: float, element_bytes: float) -> list[AttentionWork]:
    """What equal mixers do on one rank."""
    layers = float(count)
    match mixer:
        case Attention():
            return [_plain_work(mixer, layers, tp, element_bytes)]
        case LatentAttention():
            return [_latent_work(mixer, layers, tp, element_bytes)]
        case CompressedAttention():
            return _compressed_work(mixer, layers, tp, element_bytes)
        case StateMixer():
            state = mixer.state.elements / tp * _state_bytes(mixer.state.dtype)
        case _:
            assert_never(mixer)
    return [AttentionWork(latent=False, layers=layers, row_bytes=0.0, row_flops=0.0, pair_flops=0.0, state_bytes=2.0 * state)]


def _plain_work(mixer: Attention, layers: float, tp: float, element_bytes: float) -> AttentionWork:
    kv_heads, heads = max(1.0, mixer.kv_heads / tp), mixer.heads / tp
    width = mixer.head_dim + mixer.v_head_dim
    row = kv_heads * (width if mixer.stores_v else mixer.head_dim) * element_bytes
    cap = float(mixer.window or (mixer.chunk / 2 if mixer.chunk else UNBOUNDED_ROWS))
    flops = 2.0 * heads * width
    return AttentionWork(latent=False, layers=layers, row_bytes=row, row_flops=flops, pair_flops=flops, cap_rows=cap)


def _latent_work(mixer: LatentAttention, layers: float, tp: float, element_bytes: float) -> AttentionWork:
    heads, latent = mixer.heads / tp, mixer.kv_lora_rank + mixer.qk_rope_head_dim
    pair = 2.0 * heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim + mixer.v_head_dim)
    absorbed = 2.0 * heads * (latent + mixer.kv_lora_rank)
    cap, scan_bytes, scan_flops = UNBOUNDED_ROWS, 0.0, 0.0
    if mixer.indexer is not None:
        cap = float(mixer.indexer.topk)
        if mixer.indexer.caches:
            scan_bytes, scan_flops = mixer.indexer.head_dim + INDEX_SCALE_BYTES, 2.0 * mixer.indexer.heads * mixer.indexer.head_dim
    return AttentionWork(
        latent=True,
        layers=layers,
        row_bytes=latent * element_bytes,
        row_flops=absorbed,
        pair_flops=pair,
        cap_rows=cap,
        scan_bytes=scan_bytes,
        scan_flops=scan_flops,
    )


def _compressed_work(mixer: CompressedAttention, layers: float, tp: float, element_bytes: float) -> list[AttentionWork]:
    row, flops = mixer.head_dim * element_bytes, 4.0 * mixer.heads / tp * mixer.head_dim
    window = AttentionWork(latent=True, layers=layers, row_bytes=row, row_flops=flops, pair_flops=flops, cap_rows=float(mixer.window))
    found = [window]
    if mixer.ratio:
        indexer = mixer.indexer
        cap = float(indexer.topk) if indexer else UNBOUNDED_ROWS
        scan_bytes = (indexer.head_dim + INDEX_SCALE_BYTES) / mixer.ratio if indexer else 0.0
        scan_flops = 2.0 * indexer.heads * indexer.head_dim / mixer.ratio if indexer else 0.0
        found.append(window._replace(ratio=float(mixer.ratio), cap_rows=cap, scan_bytes=scan_bytes, scan_flops=scan_flops))
    return found


def _state_bytes(dtype: str | None) -> float:
    return 2.0 if (dtype or "").lower() in ("bf16", "bfloat16", "fp16", "float16") else 4.0


def step_work(architecture: Architecture, cut: Parallelism, *, cache_element_bytes: float = 2.0, on_host: OnHost = NOTHING_ON_HOST) -> StepWork:
    """What one step of one rank must do, all pipeline stages together.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of the deployment.
    cut : Parallelism
        How a replica is cut.
    cache_element_bytes : float
        Bytes of one cached element. [bytes]
    on_host : OnHost
        What the host holds, and computes.

    Returns
    -------
    StepWork
        Bytes, arithmetic, rows and messages.
    """
    key = (cut, cache_element_bytes, on_host)
    return _known_work(architecture).once(key, lambda: _shared_out(_work(architecture, cut, cache_element_bytes), on_host))


def _shared_out(work: StepWork, on_host: OnHost) -> StepWork:
    """The same work with what the host holds told apart."""
    if on_host == NOTHING_ON_HOST:
        return work
    layers, experts, size = on_host.layers, on_host.layers + (1 - on_host.layers) * on_host.experts, on_host.expert_size
    linears = tuple(
        one._replace(weight_bytes=one.weight_bytes * (1 - layers), flops_per_token=one.flops_per_token * (1 - layers)) for one in work.linears
    )
    moved = tuple(Linear(one.storage, one.weight_bytes * layers, one.flops_per_token * layers, on_host=True) for one in work.linears if layers)
    kept = tuple(one._replace(layers=one.layers * (1 - experts)) for one in work.experts)
    lent = tuple(one._replace(layers=one.layers * experts, expert_bytes=one.expert_bytes * size, on_host=True) for one in work.experts if experts)
    if on_host.whole:
        moved, lent = moved + tuple(map(_copied_whole, lent)), ()
    return work._replace(
        linears=linears + moved,
        head=work.head._replace(on_host=on_host.head),
        experts=kept + lent,
        handovers=float(on_host.handovers),
    )


def _copied_whole(block: Experts) -> Linear:
    """Experts that cross the link whether a token needs them or not."""
    of_token = block.layers * block.top_k * block.expert_flops
    return Linear(block.storage, block.layers * block.experts * block.expert_bytes, of_token, on_host=True)


@once_per_architecture
def _known_work(architecture: Architecture) -> Remembered[tuple[Parallelism, float, OnHost], StepWork]:
    """Work by layout: devices share it."""
    return Remembered(256)


def _work(architecture: Architecture, cut: Parallelism, cache_element_bytes: float) -> StepWork:
    tally, tp = _tally(architecture), float(cut.tp)
    experts: list[Experts] = []
    attention: list[AttentionWork] = []
    for kind in tally.kinds:
        for block in kind.layer.feed_forwards:
            if isinstance(block, MixtureOfExperts) and block.experts:
                experts.append(_experts(block, kind, cut))
        for mixer in kind.layer.mixers:
            attention.extend(_attention_work(mixer, kind.number, tp, cache_element_bytes))
    head = tally.head
    layers = float(len(architecture.layers))
    return StepWork(
        linears=_linears(tally, tp),
        head=Linear("16", 0.0, 0.0) if head is None else Linear(head.storage, head.bytes / tp, 2.0 * head.params / tp),
        experts=_joined(experts),
        attention=_joined(attention),
        layers=layers,
        expert_layers=float(sum(block.layers for block in experts)),
        kernels=reduce(Kernels.plus, (kind.kernels.times(kind.number) for kind in tally.kinds), Kernels()),
        quantised_products=sum(kind.number * kind.quantised for kind in tally.kinds),
        hidden_size=float(architecture.hidden_size),
        draft_share=1.0 / max(layers, 1.0) if tally.draft_layers else 0.0,
    )


def _linears(tally: _Tally, tp: float) -> tuple[Linear, ...]:
    sizes: dict[str, float] = {}
    flops: dict[str, float] = {}
    for kind in tally.kinds:
        for product in kind.products:
            if not product.routed:
                share = _share(product, tp) * kind.number
                sizes[product.storage] = sizes.get(product.storage, 0.0) + product.bytes * share
                flops[product.storage] = flops.get(product.storage, 0.0) + 2.0 * product.params * share
    return tuple(Linear(storage, sizes[storage], flops[storage]) for storage in STORAGE_CLASSES if storage in sizes)


def _experts(block: MixtureOfExperts, kind: _Kind, cut: Parallelism) -> Experts:
    routed = [product for product in kind.products if product.routed]
    size = sum(product.bytes for product in routed) / block.experts / cut.expert_tp
    flops = 2.0 * sum(product.params for product in routed) / block.experts / cut.expert_tp
    storage = routed[0].storage if routed else "16"
    return Experts(storage, float(kind.number), float(block.experts), float(min(block.top_k, block.experts)), size, flops)


def _joined(parts: Iterable[Work]) -> tuple[Work, ...]:
    """Layers with equal parts together."""
    layers: dict[Hashable, float] = {}
    first: dict[Hashable, Work] = {}
    for part in parts:
        key = part._replace(layers=0.0)
        layers[key] = layers.get(key, 0.0) + part.layers
        first.setdefault(key, part)
    return tuple(part._replace(layers=layers[key]) for key, part in first.items())
