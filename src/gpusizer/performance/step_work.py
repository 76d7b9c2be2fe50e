"""What one step of one rank must do: weights to read, arithmetic per token, cached rows to visit, messages to send.

An architecture has many layers and few kinds of them. Each kind is tallied once; a layout then costs a few dozen multiplications. The result holds
plain numbers, which may be NumPy columns when many configurations are computed together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from typing import Any

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import (
    Attention,
    CompressedAttention,
    LatentAttention,
    Layer,
    LinearAttention,
    Mixer,
    MixtureOfExperts,
    Split,
    StateSpace,
)
from gpusizer.engines.base.weights import ROUTED, once_per_architecture

__all__ = ["STORAGE_CLASSES", "Attend", "Cut", "Experts", "Linear", "Work", "latent_layers", "step_work", "storage_class"]

STORAGE_CLASSES = ("16", "8", "fp4", "int4")
UNBOUNDED_ROWS = 1e12
_NOT_PRODUCTS = frozenset({"norms", "embedding", "vision", "per_layer_embedding"})


@dataclass(frozen=True, slots=True)
class Cut:
    """How a replica is cut: tensor-parallel ranks of attention, data-parallel ranks of attention, ranks of whole experts, pipeline stages."""

    tp: int = 1
    dp: int = 1
    ep: int = 1
    pp: int = 1

    @property
    def expert_tp(self) -> float:
        """Ranks that cut one expert."""
        return max(self.tp * self.dp / self.ep, 1)


@dataclass(frozen=True, slots=True)
class Linear:
    """Dense matrix products of one storage class on one rank, all layers together."""

    storage: str
    weight_bytes: Any  # read once a step
    flops_per_token: Any


@dataclass(frozen=True, slots=True)
class Experts:
    """Routed experts of equal layers: what one expert costs on one rank."""

    storage: str
    layers: Any
    experts: Any
    top_k: Any
    expert_bytes: Any  # one expert of one layer, as cut by tensor parallelism
    expert_flops: Any  # one row through one expert


@dataclass(frozen=True, slots=True)
class Attend:
    """Mixers of equal layers on one rank: rows that a new token visits, an index that it scans, a state that it updates."""

    kind: str
    layers: Any
    row_bytes: Any
    row_flops: Any
    pair_flops: Any  # of a prefill, per pair of query and row
    ratio: Any = 1.0
    cap_rows: Any = UNBOUNDED_ROWS
    scan_bytes: Any = 0.0  # per cached token
    scan_flops: Any = 0.0
    state_bytes: Any = 0.0  # read and written per sequence and step


@dataclass(frozen=True, slots=True)
class Work:
    """One step of one rank.

    Parameters
    ----------
    linears : tuple of Linear
        Dense products by storage class.
    head : Linear
        The output head: arithmetic per sequence, not per token.
    experts : tuple of Experts
        Routed experts.
    attends : tuple of Attend
        What mixers do.
    layers, expert_layers : number
        Decoder layers; those with routed experts.
    kernels, quantised_products : number
        Kernels of one step, counted by kind of block; products that quantise their input first.
    hidden_size : number
        Width of a token. [elements]
    draft_share : number
        Work of one draft step relative to a step of the model.
    """

    linears: tuple[Linear, ...]
    head: Linear
    experts: tuple[Experts, ...]
    attends: tuple[Attend, ...]
    layers: Any
    expert_layers: Any
    kernels: Any
    quantised_products: Any
    hidden_size: Any
    draft_share: Any


def storage_class(form: StorageFormat) -> str:
    """Which kind of kernel a stored format needs: 16-bit, 8-bit, 4-bit floats, or small integers.

    >>> storage_class(StorageFormat("fp8", 8)), storage_class(StorageFormat("nvfp4", 4, 1, 16, scale_bits=8))
    ('8', 'fp4')
    """
    if form.block_elements:
        return "int4" if form.block_bytes * 8 / form.block_elements < 7 else "8"
    if form.bits >= 16:
        return "16"
    if form.bits > 4:
        return "8"
    return "fp4" if "fp4" in form.id else "int4"


def latent_layers(work: Work) -> float:
    """Mixers that cache a latent: a prompt launches far more kernels for them than a decoding step does."""
    return float(sum(one.layers for one in work.attends if one.kind == "latent"))


@dataclass(frozen=True, slots=True)
class _Product:
    """Equal matrices of a layer."""

    params: int
    bytes: int
    storage: str
    split: Split
    units: int
    routed: bool


@dataclass(frozen=True)
class _Kind:
    """One kind of layer and how many there are."""

    layer: Layer
    count: int
    products: tuple[_Product, ...]


@dataclass(frozen=True)
class _Tally:
    kinds: tuple[_Kind, ...]
    head: tuple[_Product, ...]
    draft_layers: int


def _products(architecture: Architecture, prefix: str, tensors: Any) -> tuple[_Product, ...]:
    found: Counter[tuple[Any, ...]] = Counter()
    for tensor in tensors:
        if len(tensor.shape) != 2 or tensor.group in _NOT_PRODUCTS:
            continue
        form = architecture.quantization.format_of(prefix + tensor.name, tensor)
        routed = tensor.group == ROUTED
        found[(prod(tensor.shape), form.bytes_of(tensor.shape), storage_class(form), tensor.split, tensor.units, routed)] += tensor.copies
    return tuple(_Product(*key[:1], *key[1:]) if count == 1 else _times(key, count) for key, count in found.items())


def _times(key: tuple[Any, ...], count: int) -> _Product:
    params, size, storage, split, units, routed = key
    return _Product(params * count, size * count, storage, split, units, routed)


def _signature(architecture: Architecture, layer: Layer) -> tuple[Any, ...]:
    mixers = tuple((type(mixer).__name__, *(getattr(mixer, name) for name in mixer.__slots__ if name != "tensors")) for mixer in layer.mixers)
    blocks = tuple((type(block).__name__, *(getattr(block, name) for name in block.__slots__ if name != "tensors")) for block in layer.feed_forwards)
    return (mixers, blocks, _products(architecture, layer.prefix, layer.all_tensors()))


@once_per_architecture
def _tally(architecture: Architecture) -> _Tally:
    counts: dict[tuple[Any, ...], list[Any]] = {}
    for layer in architecture.layers:
        key = _signature(architecture, layer)
        counts.setdefault(key, [layer, 0])[1] += 1
    kinds = tuple(_Kind(layer, count, key[2]) for key, (layer, count) in counts.items())
    head_tensors = architecture.head or tuple(tensor for tensor in architecture.embedding if tensor.group == "embedding")
    head = []
    for tensor in head_tensors:
        if len(tensor.shape) == 2:
            form = architecture.quantization.format_of(tensor.name, tensor)
            head.append(_Product(prod(tensor.shape), form.bytes_of(tensor.shape), storage_class(form), Split.COLUMN, 0, False))
    return _Tally(kinds, tuple(head[:1]), len(architecture.mtp))


def _share(product: _Product, tp: float) -> float:
    if product.split is Split.REPLICATED:
        return 1.0
    if product.split is Split.KV_HEADS and product.units:
        return max(1.0, product.units / tp) / product.units
    return 1.0 / tp


# Kernels of one layer by kind of block, as a profile of a graph replay shows them (normalisations, positions, cache writes, routing and activation
# quantisation apart from the products); their price per engine is fitted, so only the proportions matter.
_MIXER_KERNELS = {"attention": 7.0, "latent": 14.0, "compressed": 22.0, "linear": 12.0, "state_space": 10.0}
_INDEXER_KERNELS = 8.0
_DENSE_KERNELS, _EXPERT_KERNELS, _SHARED_KERNELS = 4.0, 9.0, 3.0
# Quantised products of a block, each of which quantises its input first: fused projections count once.
_MIXER_PRODUCTS = {"attention": 2.0, "latent": 4.0, "compressed": 5.0, "linear": 3.0, "state_space": 2.0}
_BLOCK_PRODUCTS = 2.0


def _layer_kernels(layer: Layer, products: tuple[_Product, ...]) -> tuple[float, float]:
    """(kernels, quantised products) of one layer."""
    kernels, quantised = 0.0, 0.0
    dense = any(not product.routed and product.storage in ("8", "fp4") and product.params > _SMALL_PARAMS for product in products)
    routed = any(product.routed and product.storage in ("8", "fp4") for product in products)
    attention = dense and not _mixers_whole(products)
    for mixer in layer.mixers:
        kernels += _MIXER_KERNELS[mixer.kind]
        quantised += _MIXER_PRODUCTS[mixer.kind] if attention else 0.0
        indexer = getattr(mixer, "indexer", None)
        kernels += _INDEXER_KERNELS if indexer is not None and indexer.caches else 0
    for block in layer.feed_forwards:
        if isinstance(block, MixtureOfExperts):
            kernels += _EXPERT_KERNELS + (_SHARED_KERNELS if block.shared_width else 0)
            quantised += (1.0 if routed else 0.0) + (
                _BLOCK_PRODUCTS if dense and block.shared_width else 0.0
            )  # between experts' products it is fused
        else:
            kernels += _DENSE_KERNELS
            quantised += _BLOCK_PRODUCTS if dense else 0.0
    return kernels, quantised


_SMALL_PARAMS = 10_000_000  # a router or an indexer in another format decides nothing


def _mixers_whole(products: tuple[_Product, ...]) -> bool:
    """Whether the larger projections of the mixers keep 16 bits while feed-forward blocks are quantised."""
    plain = sum(product.params for product in products if not product.routed and product.storage == "16")
    small = sum(product.params for product in products if not product.routed and product.storage in ("8", "fp4"))
    return plain > small / 2


def _attends(mixer: Mixer, count: int, tp: float, element_bytes: float) -> list[Attend]:
    if isinstance(mixer, Attention):
        kv_heads, heads = max(1.0, mixer.kv_heads / tp), mixer.heads / tp
        width = mixer.head_dim + mixer.v_head_dim
        row = kv_heads * (width if mixer.stores_v else mixer.head_dim) * element_bytes
        cap = float(mixer.window or (mixer.chunk / 2 if mixer.chunk else UNBOUNDED_ROWS))
        flops = 2.0 * heads * width
        return [Attend("attention", float(count), row, flops, flops, cap_rows=cap)]
    if isinstance(mixer, LatentAttention):
        heads, latent = mixer.heads / tp, mixer.kv_lora_rank + mixer.qk_rope_head_dim
        pair = 2.0 * heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim + mixer.v_head_dim)
        absorbed = 2.0 * heads * (latent + mixer.kv_lora_rank)
        cap, scan_bytes, scan_flops = UNBOUNDED_ROWS, 0.0, 0.0
        if mixer.indexer is not None:
            cap = float(mixer.indexer.topk)
            if mixer.indexer.caches:
                scan_bytes, scan_flops = mixer.indexer.head_dim + 4.0, 2.0 * mixer.indexer.heads * mixer.indexer.head_dim
        return [Attend("latent", float(count), latent * element_bytes, absorbed, pair, 1.0, cap, scan_bytes, scan_flops)]
    if isinstance(mixer, CompressedAttention):
        heads, row, flops = mixer.heads / tp, mixer.head_dim * element_bytes, 4.0 * mixer.heads / tp * mixer.head_dim
        found = [Attend("latent", float(count), row, flops, flops, 1.0, float(mixer.window))]
        if mixer.ratio:
            indexer = mixer.indexer
            cap = float(indexer.topk) if indexer else UNBOUNDED_ROWS
            scan_bytes = (indexer.head_dim + 4.0) / mixer.ratio if indexer else 0.0
            scan_flops = 2.0 * indexer.heads * indexer.head_dim / mixer.ratio if indexer else 0.0
            found.append(Attend("latent", float(count), row, flops, flops, float(mixer.ratio), cap, scan_bytes, scan_flops))
        return found
    if isinstance(mixer, LinearAttention):
        state = mixer.value_heads * mixer.key_dim * mixer.value_dim / tp * _state_bytes(mixer.state_dtype)
    else:
        state = _space_elements(mixer) / tp * _state_bytes(mixer.state_dtype)
    return [Attend("state", float(count), 0.0, 0.0, 0.0, state_bytes=2.0 * state)]


def _space_elements(mixer: StateSpace) -> float:
    return float((mixer.heads * mixer.head_dim if mixer.heads else mixer.inner_dim) * mixer.state_dim)


def _state_bytes(dtype: str | None) -> float:
    return 2.0 if (dtype or "").lower() in ("bf16", "bfloat16", "fp16", "float16") else 4.0


def step_work(architecture: Architecture, cut: Cut, *, cache_element_bytes: float = 2.0) -> Work:
    """What one step of one rank must do, all pipeline stages together.

    Parameters
    ----------
    architecture : Architecture
        The model in the precision of the deployment.
    cut : Cut
        How a replica is cut.
    cache_element_bytes : float
        Bytes of one cached element. [bytes]

    Returns
    -------
    Work
        Bytes, arithmetic, rows and messages.
    """
    tally, tp = _tally(architecture), float(cut.tp)
    dense: dict[str, list[float]] = {}
    experts: list[Experts] = []
    attends: list[Attend] = []
    kernels, quantised, expert_layers = 0.0, 0.0, 0.0
    for kind in tally.kinds:
        each, small = _layer_kernels(kind.layer, kind.products)
        kernels += kind.count * each
        quantised += kind.count * small
        for product in kind.products:
            if not product.routed:
                share = _share(product, tp) * kind.count
                slot = dense.setdefault(product.storage, [0.0, 0.0])
                slot[0] += product.bytes * share
                slot[1] += 2.0 * product.params * share
        for block in kind.layer.feed_forwards:
            if isinstance(block, MixtureOfExperts) and block.experts:
                expert_layers += kind.count
                experts.append(_experts(block, kind, cut))
        for mixer in kind.layer.mixers:
            attends.extend(_attends(mixer, kind.count, tp, cache_element_bytes))
    linears = tuple(Linear(storage, *dense[storage]) for storage in STORAGE_CLASSES if storage in dense)
    head = Linear("16", 0.0, 0.0)
    for product in tally.head:
        head = Linear(product.storage, product.bytes / tp, 2.0 * product.params / tp)
    layers = float(len(architecture.layers))
    draft_share = tally.draft_layers and 1.0 / max(layers, 1.0)
    return Work(
        linears,
        head,
        _merged(experts),
        _joined(attends),
        layers,
        expert_layers,
        kernels,
        quantised,
        float(architecture.hidden_size),
        float(draft_share),
    )


def _experts(block: MixtureOfExperts, kind: _Kind, cut: Cut) -> Experts:
    routed = [product for product in kind.products if product.routed]
    size = sum(product.bytes for product in routed) / block.experts / cut.expert_tp
    flops = 2.0 * sum(product.params for product in routed) / block.experts / cut.expert_tp
    storage = routed[0].storage if routed else "16"
    return Experts(storage, float(kind.count), float(block.experts), float(min(block.top_k, block.experts)), size, flops)


def _merged(experts: list[Experts]) -> tuple[Experts, ...]:
    """Layers with equal experts together."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for one in experts:
        counts[(one.storage, one.experts, one.top_k, one.expert_bytes, one.expert_flops)] += one.layers
    return tuple(Experts(key[0], float(layers), *key[1:]) for key, layers in counts.items())


def _joined(attends: list[Attend]) -> tuple[Attend, ...]:
    """Layers with equal mixers together."""
    names = [name for name in Attend.__slots__ if name != "layers"]
    counts: Counter[tuple[Any, ...]] = Counter()
    for one in attends:
        counts[tuple(getattr(one, name) for name in names)] += one.layers
    return tuple(Attend(**{**dict(zip(names, key, strict=True)), "layers": float(layers)}) for key, layers in counts.items())
