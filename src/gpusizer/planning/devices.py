"""The accelerators that a request allows."""

from __future__ import annotations

from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.types import Accelerator
from gpusizer.planning.prices import with_prices
from gpusizer.planning.request import Request

__all__ = ["devices_of"]


def devices_of(request: Request) -> list[Accelerator]:
    """The accelerators to consider, with the prices of whoever asks; announced and unusual parts only where they are named.

    Parameters
    ----------
    request : Request
        Names, vendor and prices.

    Returns
    -------
    list of Accelerator
        In the order of the request, else of the catalogue.

    Raises
    ------
    UnknownIdError
        No such accelerator or vendor.
    """
    if request.gpus:
        named = {each.id: each for each in map(accelerator, request.gpus)}
        found = [each for each in named.values() if _of_vendor(each, request.vendor)]
    else:
        every = [each for each in accelerators() if each.considered]
        found = [each for each in every if _of_vendor(each, request.vendor)]
        if not found:
            raise UnknownIdError("unknown-vendor", id=request.vendor, nearest=sorted({each.vendor for each in every}))
    return [with_prices(each, request.prices) for each in found]


def _of_vendor(device: Accelerator, vendor: str | None) -> bool:
    return vendor is None or device.vendor.lower() == vendor.lower()
