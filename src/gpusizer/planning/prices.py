"""What a deployment costs, from the prices of its accelerator: rent of the GPUs that work, purchase of the GPUs that must be ordered."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from pathlib import Path
from statistics import median

from gpusizer.architecture.types import Notice
from gpusizer.errors import UnreadableFileError
from gpusizer.facts.catalog import accelerator as find_accelerator
from gpusizer.facts.catalog import accelerators
from gpusizer.facts.rates import read_rates
from gpusizer.facts.types import Accelerator, Converted, Price
from gpusizer.formulas.load import deployment_cost, servers_needed
from gpusizer.given_files import WITHOUT_MARK, read_given, state_of
from gpusizer.planning.types import Cost, Option

__all__ = [
    "ALIKE",
    "COMPARED",
    "converted_warnings",
    "in_dollars",
    "in_market",
    "own_currency",
    "placed_rent",
    "purchase_of",
    "rent_of",
    "with_prices",
]

COMPARED = ("own", "on-demand", "market-index")
"""Kinds of rent that stand beside each other: what a new customer pays for an hour, without a contract."""

_CURRENCIES = ("USD", "CNY", "EUR")  # the first that is known, where nobody said which: amounts of different currencies are never added or compared
_KINDS = ("own", "on-demand", "list-or-street", "market-index", "server", "server-1-year", "spot", "rent-3-years", "owner-cost")
_WHOLE = ("own", "server", *_KINDS[1:])  # of parts that are sold in servers alone
ALIKE = (*COMPARED, "server-1-year")
"""Kinds of rent that an order goes by: in China an hour of a server under a contract of a year costs what an hour of a card does on demand."""

_BY_SERVER = "server-1-year"  # what is let as a whole server under a contract


def _best(prices: Iterable[Price], kinds: tuple[str, ...] = _KINDS) -> Price | None:
    """The user's own price; else one that holds everywhere, in the first currency, of the first kind that is known, the newest."""

    def place(price: Price) -> tuple[bool, bool, int, int]:
        currency = _CURRENCIES.index(price.currency) if price.currency in _CURRENCIES else len(_CURRENCIES)
        return price.kind != "own", price.market is not None, currency, kinds.index(price.kind) if price.kind in kinds else len(kinds)

    newest_first = sorted(prices, key=lambda price: price.date, reverse=True)
    return min(newest_first, key=place, default=None)


def rent_of(accelerator: Accelerator, gpus: int, *, by_card: bool = False) -> Cost | None:
    """Rent of so many GPUs for an hour; None where no price is known. Clouds let cards; whole servers only where they let nothing less.

    With ``by_card`` a server's price is shared out, as a list of prices does.
    """
    price = _best(price for price in accelerator.prices if price.per == "hour")
    if price is None:
        return None
    node = accelerator.node_size
    whole = not by_card and (price.kind == _BY_SERVER or (accelerator.rented_whole and price.kind != "own"))
    return _cost(price, int(servers_needed(gpus=gpus, devices_per_node=node)) * node if whole else gpus, "hour")


def purchase_of(accelerator: Accelerator, gpus: int) -> Cost | None:
    """Price of so many GPUs; None where none is known."""
    price = _best((price for price in accelerator.prices if price.per == "device"), _WHOLE if accelerator.whole_nodes else _KINDS)
    return None if price is None else _cost(price, gpus, "deployment")


def _cost(price: Price, gpus: int, per: str) -> Cost:
    low, high = (deployment_cost(gpus=gpus, price=each) for each in (price.low, price.high))
    old = price.converted
    if old is not None:
        old = replace(old, low=deployment_cost(gpus=gpus, price=old.low), high=deployment_cost(gpus=gpus, price=old.high))
    return Cost(low, high, price.currency, per, price.kind, price.date, price.source, old, price.market)


@lru_cache(maxsize=1024)  # a catalogue in a few markets: what is known of a device holds from one request to the next
def in_market(accelerator: Accelerator, market: str, currency: str, *, own_too: bool = False) -> Accelerator:
    """The accelerator with the prices that hold in a market, all in one currency.

    Parameters
    ----------
    accelerator : Accelerator
        The device.
    market : str
        "cn": what is paid in China; else what is paid anywhere, and last what is paid in China.
    currency : str
        A currency that has a rate.
    own_too : bool
        Whether the user's own prices are converted as well: where a currency was asked for.

    Returns
    -------
    Accelerator
        Prices in a currency without a rate stay as they are.
    """
    held = [price for price in accelerator.prices if market != "cn" or price.market == "cn" or price.kind == "own"]
    return replace(accelerator, prices=tuple(price if price.kind == "own" and not own_too else _converted(price, currency) for price in held))


def _converted(price: Price, currency: str) -> Price:
    rates = read_rates()
    rate = rates.between(price.currency, currency)
    if rate is None or price.currency == currency:
        return price
    old = Converted(price.low, price.high, price.currency, rate.quantize(_DIGITS), rates.date, rates.source)
    low, high = ((each * rate).quantize(_CENT) for each in (price.low, price.high))
    return replace(price, low=low, high=high, currency=currency, converted=old)


def converted_warnings(options: Iterable[Option]) -> tuple[Notice, ...]:
    """That prices were converted: one notice for each currency, with the rate, its date and its source."""
    costs = [cost for option in options for cost in (option.cost, option.purchase) if cost is not None]
    rates = {(old.currency, cost.currency): old for cost in costs if (old := cost.converted) is not None}
    return tuple(
        Notice("prices-converted", {"old": old, "new": new, "rate": f"{each.rate:.4g}", "date": each.date, "source": each.source})
        for (old, new), each in sorted(rates.items())
    )


_CENT, _DIGITS = Decimal("0.0001"), Decimal("0.000001")


def placed_rent(accelerator: Accelerator, gpus: int) -> float | None:
    """Where an option stands among rents: its rent for an hour, else what parts with both prices let one expect of the price that is known. [USD]

    Used for the order alone and printed nowhere. None where no price is known.

    >>> from gpusizer.facts.catalog import accelerator
    >>> placed_rent(accelerator("a40"), 2)
    0.88
    """
    rent = rent_of(accelerator, gpus)
    if rent is not None and rent.kind in ALIKE:
        return in_dollars(rent)
    for cost in (rent, purchase_of(accelerator, gpus)):
        share = None if cost is None else _shares().get((cost.per, "list-or-street" if cost.kind == "own" else cost.kind))
        dollars = None if cost is None else in_dollars(cost)
        if dollars is not None and share is not None:
            return dollars * share
    return None


def in_dollars(cost: Cost) -> float | None:
    """An amount to compare with others; None in a currency without a rate. [USD]"""
    rate = read_rates().between(cost.currency, "USD")
    return None if rate is None else float(cost.amount * rate)


@cache
def _shares() -> Mapping[tuple[str, str], float]:
    """By period and kind of price: an hour's rent on demand over that price, the middle of the parts that have both in one currency."""
    ratios: dict[tuple[str, str], list[float]] = {}
    for device in accelerators():
        for market in (None, "cn"):
            prices = [price for price in device.prices if price.market == market and price.currency == ("USD" if market is None else "CNY")]
            rent = _best(price for price in prices if price.per == "hour" and price.kind in COMPARED)
            for price in prices:
                if rent is not None and price.low:
                    ratios.setdefault(("hour" if price.per == "hour" else "deployment", price.kind), []).append(float(rent.low / price.low))
    return {kind: median(found) for kind, found in ratios.items()}


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


def own_currency(path: str) -> str | None:
    """The one currency of a price file that has a rate; None where it has several."""
    found = {price.currency for prices in _own_prices(path, state_of(path)).values() for price in prices}
    return found.pop() if len(found) == 1 and found <= set(read_rates().per_usd) else None


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
