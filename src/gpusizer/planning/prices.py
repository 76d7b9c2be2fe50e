"""What a deployment costs, from the prices of its accelerator: rent of the GPUs that work, purchase of the GPUs that must be ordered."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path

from gpusizer.errors import UnreadableFileError
from gpusizer.facts.catalog import accelerator as find_accelerator
from gpusizer.facts.types import Accelerator, Price
from gpusizer.formulas.load import deployment_cost
from gpusizer.given_files import WITHOUT_MARK, read_given, state_of
from gpusizer.planning.types import Cost

__all__ = ["purchase_of", "rent_of", "with_prices"]

_CURRENCIES = ("USD", "CNY", "EUR")  # the first that is known: amounts of different currencies are never added or compared
_KINDS = ("own", "on-demand", "list-or-street", "market-index", "spot", "rent-3-years", "owner-cost")  # what a new customer pays comes first


def _best(prices: Iterable[Price]) -> Price | None:
    """The user's own price in whatever currency; else the first kind that is known, in the first currency, the newest."""

    def place(price: Price) -> tuple[bool, int, int]:
        currency = _CURRENCIES.index(price.currency) if price.currency in _CURRENCIES else len(_CURRENCIES)
        return price.kind != "own", currency, _KINDS.index(price.kind) if price.kind in _KINDS else len(_KINDS)

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
HIGHEST = 10**9
_PER = ("hour", "device")
_KEYS = (*_PER, "currency", "date")


def with_prices(accelerator: Accelerator, path: str | None) -> Accelerator:
    """The accelerator with the user's own prices before those of the catalogue.

    A price file is TOML, one table a device under its id or any usual name; a table may name a currency and a date of its own::

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
    own = _own_prices(path, state_of(path)).get(accelerator.id, ())
    return replace(accelerator, prices=(*own, *accelerator.prices)) if own else accelerator


@lru_cache(maxsize=4)
def _own_prices(path: str, state: tuple[int, ...]) -> Mapping[str, tuple[Price, ...]]:
    """Prices by device; kept until ``state`` says that the file was written anew."""
    tables = _tables(path)
    currency, day = _currency(tables.pop("currency", "USD"), path), _day(tables.pop("date", ""), path)
    found: dict[str, tuple[Price, ...]] = {}
    names: dict[str, str] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UnreadableFileError("prices-unknown-word", path=path, found=name)
        device = find_accelerator(name).id
        if device in names:
            raise UnreadableFileError("prices-device-twice", path=path, found=[names[device], name], id=device)
        names[device] = name
        found[device] = _of_device(path, name, table, currency, day)
    if not found:
        raise UnreadableFileError("prices-empty", path=path)
    return found


def _tables(path: str) -> dict[str, object]:
    content = read_given(path, most_bytes=LARGEST_FILE, missing="file-missing")
    if len(content) > LARGEST_FILE:
        raise UnreadableFileError("prices-unreadable", path=path, detail=f"> {LARGEST_FILE}")
    try:
        return tomllib.loads(content.decode(WITHOUT_MARK))
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not TOML, or an endless number
        raise UnreadableFileError("prices-unreadable", path=path, detail=str(error)[:100]) from error


def _of_device(path: str, name: str, table: Mapping[str, object], currency: str, day: str) -> tuple[Price, ...]:
    """The prices of one table: of an hour, of the device, or both."""
    for key in table:
        if key not in _KEYS:
            raise UnreadableFileError("prices-unknown-key", path=path, table=name, key=key, nearest=difflib.get_close_matches(key, _KEYS, 1) or _KEYS)
    own = _currency(table["currency"], path) if "currency" in table else currency
    since = _day(table["date"], path) if "date" in table else day
    prices = tuple(
        Price(amount, amount, own, per, "own", since, Path(path).name) for per in _PER if (amount := _amount(path, name, per, table)) is not None
    )
    if not prices:
        raise UnreadableFileError("prices-empty-table", path=path, table=name)
    return prices


def _amount(path: str, name: str, per: str, table: Mapping[str, object]) -> Decimal | None:
    value = table.get(per)
    if value is None:
        return None
    if isinstance(value, float | str) or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST):
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal("NaN")
        if amount.is_finite() and 0 <= amount <= HIGHEST:
            return amount
    raise UnreadableFileError("prices-bad-amount", path=path, table=name, key=per, most=HIGHEST)


def _currency(value: object, path: str) -> str:
    """Three letters, as ISO 4217 writes them."""
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z]{3}", value):
        raise UnreadableFileError("prices-bad-currency", path=path, found=value if isinstance(value, str) else type(value).__name__)
    return value.upper()


def _day(value: object, path: str) -> str:
    if not isinstance(value, str | date):
        raise UnreadableFileError("prices-unknown-word", path=path, found="date")
    return str(value)[:20]
