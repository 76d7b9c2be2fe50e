"""What a deployment costs, from the prices of its accelerator: rent of the GPUs that work, purchase of the GPUs that must be ordered."""

from __future__ import annotations

from collections.abc import Iterable

from gpusizer.facts.types import Accelerator, Price
from gpusizer.formulas.load import deployment_cost
from gpusizer.planning.types import Cost

__all__ = ["purchase_of", "rent_of"]

_CURRENCIES = ("USD", "CNY", "EUR")  # the first that is known: amounts of different currencies are never added or compared


def _best(prices: Iterable[Price]) -> Price | None:
    """The newest price in the first currency that is known."""
    known = list(prices)
    for currency in _CURRENCIES:
        found = [price for price in known if price.currency == currency]
        if found:
            return max(found, key=lambda price: price.date)
    return max(known, key=lambda price: price.date) if known else None


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
    return Cost(low, high, price.currency, per, price.date, price.source)
