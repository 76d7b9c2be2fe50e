"""What somebody's own measurements leave open of the speed of a device: variances of logarithms of measured over predicted."""

from __future__ import annotations

from typing import Any

from gpusizer.formulas.core import formula, minimum

__all__ = ["case_variance", "kept_width"]


@formula(
    "calibration.case_variance",
    unit="log^2",
    symbols={"prior_variance": "log^2", "scatter_variance": "log^2", "cases": "cases", "prior_cases": "cases"},
    reference="a variance that is known beforehand counts as so many cases (scaled inverse chi-squared prior)",
    example={"prior_variance": 0.04, "scatter_variance": 0.01, "cases": 10, "prior_cases": 2},
)
def case_variance(*, prior_variance: Any, scatter_variance: Any, cases: Any, prior_cases: Any) -> Any:
    """Variance of a single case around what is common to all of a device: the one known beforehand, and the one that the cases show.

    Parameters
    ----------
    prior_variance : float
        Of runs on one device, as published runs show it. [log^2]
    scatter_variance : float
        Of the cases around their middle. [log^2]
    cases : int
        Cases that were measured. [cases]
    prior_cases : float
        As how many cases the known variance counts. [cases]

    Returns
    -------
    float
        Variance of one case. [log^2]

    Examples
    --------
    One case shows no scatter; many that agree make it small.

    >>> found = [case_variance(prior_variance=0.04, scatter_variance=0.0, cases=cases, prior_cases=2) for cases in (1, 3, 39)]
    >>> [round(each, 4) for each in found]
    [0.04, 0.02, 0.002]
    """
    return (prior_cases * prior_variance + (cases - 1) * scatter_variance) / (prior_cases + cases - 1)


@formula(
    "calibration.kept_width",
    unit="share",
    symbols={"common_variance": "log^2", "prior_variance": "log^2", "case_variance": "log^2", "left_variance": "log^2"},
    reference="a run that is to come differs by the scatter of one case and by what of the common part is still open",
    example={"common_variance": 0.02, "prior_variance": 0.04, "case_variance": 0.02, "left_variance": 0.002},
)
def kept_width(*, common_variance: Any, prior_variance: Any, case_variance: Any, left_variance: Any) -> Any:
    """How much of a band's width, as a logarithm, is left after cases; never more than all.

    Parameters
    ----------
    common_variance : float
        Of what is common to all runs on a device. [log^2]
    prior_variance : float
        Of one run around that, before there were cases. [log^2]
    case_variance : float
        The same with the cases. [log^2]
    left_variance : float
        Of what is common to this device, with the cases. [log^2]

    Returns
    -------
    float
        Exponent of the ends of the band. [share]

    Examples
    --------
    >>> kept_width(common_variance=0.02, prior_variance=0.04, case_variance=0.04, left_variance=0.02)
    1.0
    >>> round(kept_width(common_variance=0.02, prior_variance=0.04, case_variance=0.005, left_variance=0.0), 2)
    0.29
    """
    return minimum((case_variance + left_variance) / (prior_variance + common_variance), 1.0) ** 0.5
