"""How many drafts are accepted where nobody measured it: what measured runs suggest, between the least and the most that was published."""

from __future__ import annotations

from typing import NamedTuple

from gpusizer.performance.constants import Constants, speed_constants

__all__ = ["MOST_ACCEPTED", "Acceptance", "assumed_acceptance"]

MOST_ACCEPTED = 0.999  # the sum over drafts has no closed form at 1

# The first of three drafts of GLM-5.1 on random tokens: 0.366 (log of a published run). DeepSeek-V3 technical report (arXiv 2412.19437), 5.4.3:
# "between 85% and 90% across various generation topics".
LEAST_SEEN, MOST_SEEN = 0.366, 0.90


class Acceptance(NamedTuple):
    """Probability that a draft is accepted after those before it were: a value, and the ends of what was seen."""

    value: float
    low: float
    high: float


def assumed_acceptance(drafts: float, constants: Constants | None = None) -> Acceptance:
    """Mean over so many drafts of a step; later ones build on earlier guesses and are accepted less often.

    Parameters
    ----------
    drafts : float
        Draft tokens of a step. [tokens]
    constants : Constants, optional
        Others than those in use, for the calibration.

    Returns
    -------
    Acceptance
        Shares.
    """
    constants = constants or speed_constants()
    fade = constants.of("acceptance_fade", "all") ** max(drafts - 1, 0)
    value = constants.of("acceptance", "all") * fade
    return Acceptance(value, min(LEAST_SEEN, value), max(MOST_SEEN * fade, value))
