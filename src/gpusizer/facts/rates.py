"""Exchange rates: one dated table in ``data/rates.toml``, nothing from a network."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

__all__ = ["Rates", "read_rates"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Units of each currency for one US dollar, all of one date."""

    per_usd: Mapping[str, Decimal]
    date: str
    source: str

    def between(self, old: str, new: str) -> Decimal | None:
        """What one unit of the old currency is in the new one; None where either has no rate.

        >>> read_rates().between("USD", "USD")
        Decimal('1')
        """
        if old not in self.per_usd or new not in self.per_usd:
            return None
        return self.per_usd[new] / self.per_usd[old]


@cache
def read_rates() -> Rates:
    """The table.

    >>> read_rates().per_usd["USD"]
    Decimal('1')
    """
    with (Path(__file__).parent / "data" / "rates.toml").open("rb") as stream:
        table = tomllib.load(stream)
    return Rates({code: Decimal(rate) for code, rate in table["per_usd"].items()}, table["date"], table["source"])
