"""Kernels of one layer and its quantised products, by kind of block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, assert_never

from gpusizer.architecture.storage.formats import StorageFormat
from gpusizer.architecture.types import DenseMLP, Layer, MixtureOfExperts, Split
from gpusizer.performance.constants import Constants, speed_constants

__all__ = ["Kernels", "Product", "layer_kernels", "storage_class"]

_NARROW = ("8", "fp4")
_LOOKED_UP = ("iq1", "iq2", "iq3")  # blocks whose weights stand in a table


class Kernels(NamedTuple):
    """Kernels of a step by the kind of block that launches them: kinds have prices of their own.

    Parameters
    ----------
    plain : number
        Attention, dense and shared blocks.
    latent, indexed : number
        Attention over latents; an index that picks what it attends to.
    linear : number
        Linear attention and state spaces.
    experts : number
        Routing and routed experts.
    """

    plain: Any = 0.0
    latent: Any = 0.0
    indexed: Any = 0.0
    linear: Any = 0.0
    experts: Any = 0.0

    def times(self, number: float) -> Kernels:
        """Those of so many equal layers."""
        return Kernels(*(each * number for each in self))

    def plus(self, other: Kernels) -> Kernels:
        """Those of two blocks."""
        return Kernels(*(one + another for one, another in zip(self, other, strict=True)))

    @property
    def all(self) -> Any:
        """How many there are."""
        return self.plain + self.latent + self.indexed + self.linear + self.experts


_PRICED_AS = {"attention": "plain", "latent": "latent", "compressed": "latent", "linear": "linear", "state_space": "linear"}


def storage_class(form: StorageFormat) -> str:
    """Which kind of kernel a stored format needs: 16-bit, 8-bit, 4-bit floats, small integers, or blocks of GGUF, plain or looked up in a table.

    >>> storage_class(StorageFormat("fp8", 8)), storage_class(StorageFormat("nvfp4", 4, 1, 16, scale_bits=8))
    ('8', 'fp4')
    """
    if form.block_elements:
        return "blocks_table" if form.id.startswith(_LOOKED_UP) else "blocks"
    if form.bits >= 16:
        return "16"
    if form.bits > 4:
        return "8"
    return "fp4" if "fp4" in form.id else "int4"


class Product(NamedTuple):
    """Equal matrices of a layer.

    Parameters
    ----------
    params, bytes : int
        All of them together.
    storage : str
        By :func:`storage_class`.
    split : Split
        How tensor parallelism cuts them.
    units : int
        Indivisible units in the dimension that is cut.
    routed : bool
        Matrices of routed experts.
    """

    params: int
    bytes: int
    storage: str
    split: Split
    units: int
    routed: bool


def layer_kernels(layer: Layer, products: Sequence[Product]) -> tuple[Kernels, float]:
    """(kernels, quantised products) of one layer."""
    constants = speed_constants()
    small = constants.of("small_matrix", "parameters")
    dense = any(not product.routed and product.storage in _NARROW and product.params > small for product in products)
    routed = any(product.routed and product.storage in _NARROW for product in products)
    attention = dense and not _mixers_whole(products)
    kernels, quantised = Kernels(), 0.0
    for mixer in layer.mixers:
        kernels = kernels.plus(Kernels(**{_PRICED_AS[mixer.timed_as]: constants.of("kernels", mixer.timed_as)}))
        quantised += constants.of("quantised_products", mixer.timed_as) if attention else 0.0
        if mixer.picks is not None and mixer.picks.caches:
            kernels = kernels.plus(Kernels(indexed=constants.of("kernels", "indexer")))
    for block in layer.feed_forwards:
        more, further = _block_kernels(block, constants, dense=dense, routed=routed)
        kernels, quantised = kernels.plus(more), quantised + further
    return kernels, quantised


def _block_kernels(block: DenseMLP | MixtureOfExperts, constants: Constants, *, dense: bool, routed: bool) -> tuple[Kernels, float]:
    whole = constants.of("quantised_products", "block") if dense else 0.0
    match block:
        case MixtureOfExperts():
            shared = bool(block.shared_width)
            # between the products of experts quantisation is fused
            experts = constants.of("quantised_products", "experts") if routed else 0.0
            return (
                Kernels(plain=constants.of("kernels", "shared") if shared else 0.0, experts=constants.of("kernels", "experts")),
                experts + (whole if shared else 0.0),
            )
        case DenseMLP():
            return Kernels(plain=constants.of("kernels", "dense")), whole
        case _:
            assert_never(block)


def _mixers_whole(products: Sequence[Product]) -> bool:
    """Whether the larger projections of the mixers keep 16 bits while feed-forward blocks are quantised."""
    plain = sum(product.params for product in products if not product.routed and product.storage == "16")
    small = sum(product.params for product in products if not product.routed and product.storage in _NARROW)
    return plain > small / 2
