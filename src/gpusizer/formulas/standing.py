"""The place of a model in a list: how large it works, and how much denser younger models are."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula

__all__ = ["standing_params"]

DOUBLED_MONTHS = 7.0
"""Months after which half the parameters do the same. The densest open models took 3.5 from 2023 to 2025; not every model is among the densest, so
that age counts half as much here."""


@formula(
    "list.standing",
    unit="parameters",
    symbols={"total_params": "parameters", "activated_params": "parameters", "months_older": "months", "doubled_months": "months"},
    reference="densing law of LLMs, Nature Machine Intelligence 2025, s42256-025-01137-0: capability for each parameter doubles every 3.5 months",
    example={"total_params": 30_532_122_624, "activated_params": 3_345_328_128, "months_older": 7, "doubled_months": 7.0},
)
def standing_params(*, total_params: Any, activated_params: Any, months_older: Any, doubled_months: Any) -> Any:
    """Parameters of a dense model of the newest month that would stand at the same place.

    A mixture of experts counts as the geometric mean of what it holds and what a token passes through.

    Parameters
    ----------
    total_params, activated_params : float
        Of the model. [parameters]
    months_older : float
        Than the newest of the list. [months]
    doubled_months : float
        After which half the parameters do the same. [months]

    Returns
    -------
    float
        Only for the order of a list. [parameters]

    Examples
    --------
    >>> round(standing_params(total_params=32e9, activated_params=2e9, months_older=7, doubled_months=7.0) / 1e9)
    4
    """
    return (total_params * activated_params) ** 0.5 / 2 ** (months_older / doubled_months)
