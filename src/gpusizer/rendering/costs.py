"""Costs as data, and what sets one apart from the rent that anybody pays by the hour."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gpusizer.i18n import JOIN, text
from gpusizer.planning.prices import COMPARED
from gpusizer.planning.types import Cost
from gpusizer.rendering.devices import date_words

__all__ = ["cost_data", "price_origin", "price_remark"]


def cost_data(cost: Cost | None) -> dict[str, Any] | None:
    """A cost as the contract's JSON; ``converted`` is what it was in the currency of its source, with the rate."""
    if cost is None:
        return None
    names = ("amount", "high", "currency", "per", "kind", "date", "source", "market")
    return {**{name: getattr(cost, name) for name in names}, "converted": None if cost.converted is None else asdict(cost.converted)}


def price_remark(cost: Cost, language: str) -> str:
    """In brackets behind the amount: the kind of price, and that it holds in China only."""
    said = [] if cost.kind in COMPARED else [text("ui", f"kind-of-price-{cost.kind}", language)]
    said += [text("ui", "price-in-china", language)] if cost.market == "cn" and cost.currency != "CNY" else []
    return f" ({JOIN[language].join(said)})" if said else ""


def price_origin(cost: Cost, language: str) -> str:
    """The kind of price with its date; who states an own price need not date it."""
    kind = price_remark(cost, language).strip(" ()") or text("ui", f"kind-of-price-{cost.kind}", language)
    return text("ui", "price-dated", language, kind=kind, date=date_words(cost.date, language)) if cost.date else kind
