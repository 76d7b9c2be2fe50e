"""What a deployment costs, from the prices of its accelerator: rent of the GPUs that work, purchase of the GPUs that must be ordered."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from gpusizer.errors import UnreadableFileError
from gpusizer.facts.catalog import accelerator as find_accelerator
from gpusizer.facts.types import Accelerator, Price
from gpusizer.formulas.load import deployment_cost
from gpusizer.planning.types import Cost

__all__ = ["purchase_of", "rent_of", "with_prices"]

_CURRENCIES = ("USD", "CNY", "EUR")  # the first that is known: amounts of different currencies are never added or compared
_KINDS = ("own", "on-demand", "list-or-street", "market-index", "spot", "rent-3-years", "owner-cost")  # what a new customer pays comes first


def _best(prices: Iterable[Price]) -> Price | None:
    """The price of the first kind that is known, in the first currency, the newest."""

    def place(price: Price) -> tuple[int, int]:
        currency = _CURRENCIES.index(price.currency) if price.currency in _CURRENCIES else len(_CURRENCIES)
        return currency, _KINDS.index(price.kind) if price.kind in _KINDS else len(_KINDS)

    newest_first = sorted(prices, key=lambda price: price.date, reverse=True)
    return min(newest_first, key=place, default=None)


def rent_of(accelerator: Accelerator, gpus: int) -> Cost | None:
    """Rent of so many GPUs for an hour; None where no price is known."""
    price = _best(price for price in accelerator.prices if price.per == "hour")
    return None if price is None else _cost(price, gpus, "hour")


def purchase_of(accelerator: Accelerator, gpus: int) -> Cost | None:
    """Price of so many GPUs; None where none is known."""
    price = _best(price for price in accelerator.prices if price.per == "device")
    return None if price is None else _cost(price, gpus, "deployment")


def _cost(price: Price, gpus: int, per: str) -> Cost:
    low, high = (deployment_cost(gpus=gpus, price=each) for each in (price.low, price.high))
    return Cost(low, high, price.currency, per, price.kind, price.date, price.source)


LARGEST_FILE = 1 << 20  # bytes of a price file
HIGHEST = Decimal(10**9)


def with_prices(accelerator: Accelerator, path: str | None) -> Accelerator:
    """The accelerator with the user's own prices before those of the catalogue.

    A price file is TOML, one table a device under its id or any usual name::

        currency = "CNY"
        date = "2026-11-20"
        [h20-sxm-96gb]
        hour = 7.5
        device = 110000

    Parameters
    ----------
    accelerator : Accelerator
        The device.
    path : str or None
        The file.

    Returns
    -------
    Accelerator
        Unchanged where the file says nothing of it.
    """
    if path is None:
        return accelerator
    own = _own_prices(path).get(accelerator.id, ())
    return replace(accelerator, prices=(*own, *accelerator.prices)) if own else accelerator


@lru_cache(maxsize=4)
def _own_prices(path: str) -> Mapping[str, tuple[Price, ...]]:
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise UnreadableFileError("file-missing", path=path) from error
    if len(content) > LARGEST_FILE:
        raise UnreadableFileError("prices-unreadable", path=path, detail=f"> {LARGEST_FILE}")
    try:
        tables = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UnreadableFileError("prices-unreadable", path=path, detail=str(error)[:100]) from error
    currency, date = str(tables.pop("currency", "USD"))[:8], str(tables.pop("date", ""))[:20]
    found: dict[str, tuple[Price, ...]] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UnreadableFileError("prices-unreadable", path=path, detail=f"[{name}]"[:60])
        device = find_accelerator(name)
        own = [_own(path, name, per, table[per], str(table.get("currency", currency))[:8], date) for per in ("hour", "device") if per in table]
        found[device.id] = tuple(own)
    return found


def _own(path: str, name: str, per: str, value: Any, currency: str, date: str) -> Price:
    try:
        amount = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and 0 <= amount <= HIGHEST):
        raise UnreadableFileError("prices-unreadable", path=path, detail=f"[{name}] {per} = {value}"[:100])
    return Price(amount, amount, currency, per, "own", date, Path(path).name)
