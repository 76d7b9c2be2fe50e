"""The accelerators that a request allows."""

from __future__ import annotations

from gpusizer.errors import FlagError, UnknownIdError
from gpusizer.facts.catalog import accelerator, accelerators
from gpusizer.facts.types import Accelerator
from gpusizer.facts.vendors import find_vendors
from gpusizer.planning.own_cases import with_cases
from gpusizer.planning.owned import owned
from gpusizer.planning.prices import in_market, with_prices
from gpusizer.planning.request import Request

__all__ = ["devices_of", "most_of"]


def devices_of(request: Request) -> list[Accelerator]:
    """The accelerators to consider, with the prices of whoever asks, in the currency that is asked for, and with what own cases say of them.

    A name is always considered. A vendor opens every class of its parts but those that people have at home. Without either, plans look at what is
    sold for data centres, workstations and games, at further classes where they are asked for, and in a market at what can be bought there.

    Parameters
    ----------
    request : Request
        Names, vendor, classes, market, prices and cases.

    Returns
    -------
    list of Accelerator
        In the order of the request, else of the catalogue.

    Raises
    ------
    UnknownIdError
        No such accelerator or vendor.
    FlagError
        An accelerator that is named is none of those that are there.
    """
    makers = None if request.vendor is None else _makers(request.vendor)
    there = most_of(request)
    if request.gpus or there:
        named = {each.id: each for each in map(accelerator, request.gpus or there)}
        absent = [id for id in named if there and id not in there]
        if absent:
            raise FlagError("gpu-not-owned", found=absent, expected=list(there))
        found = [each for each in named.values() if makers is None or each.vendor in makers]
    elif makers is None:
        found = [each for each in accelerators() if (each.considered or each.sold_as in request.include) and _can_be_bought(each, request)]
    else:
        theirs = [each for each in accelerators() if each.vendor in makers and (each.usual or each.sold_as in request.include)]
        if not theirs:
            raise UnknownIdError("vendor-without-parts", id=request.vendor, nearest=sorted({each.vendor for each in accelerators()}))
        found = [each for each in theirs if _can_be_bought(each, request)] or theirs
    money, own_too = request.money, request.currency is not None
    priced = (in_market(with_prices(each, request.prices), request.country, money, own_too=own_too) for each in found)
    return [with_cases(each, request.calibrate) for each in priced]


def most_of(request: Request) -> dict[str, int]:
    """How many there are of each accelerator that somebody has, by id; empty where nobody said. [GPUs]

    >>> most_of(Request(model="qwen3-8b", owned=("l40s:4", "2 x L40S")))
    {'l40s-48gb': 6}
    """
    found: dict[str, int] = {}
    for name, count in map(owned, request.owned):
        device = accelerator(name).id
        found[device] = found.get(device, 0) + count
    return found


def _makers(word: str) -> tuple[str, ...]:
    """Makers by a name of the catalogue, or by any word for one."""
    exact = {each.vendor for each in accelerators() if each.vendor.lower() == word.lower()}
    return tuple(exact) or find_vendors(word)


def _can_be_bought(device: Accelerator, request: Request) -> bool:
    """Whether the market of the request has it; of what nobody looked up, only classes that are asked for."""
    available = device.china["available"]
    return request.country != "cn" or available in ("yes", "special") or (available == "unknown" and device.sold_as in request.include)
