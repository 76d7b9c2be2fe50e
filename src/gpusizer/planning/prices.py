"""What a deployment costs, from the prices of its accelerator: rent of the GPUs that work, purchase of the GPUs that must be ordered."""

from __future__ import annotations

from collections.abc import Iterable

from gpusizer.facts.types import Accelerator, Price
from gpusizer.formulas.load import deployment_cost
from gpusizer.planning.types import Cost

__all__ = ["purchase_of", "rent_of"]

_CURRENCIES = ("USD", "CNY", "EUR")  # the first that is known: amounts of different currencies are never added or compared
_KINDS = ("on-demand", "list-or-street", "market-index", "spot", "rent-3-years", "owner-cost")  # what a new customer pays comes first


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
