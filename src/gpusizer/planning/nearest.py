"""Where nothing within the limits will do: the nearest that does, and which limit it breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gpusizer.planning.types import Option, Plan

__all__ = ["Nearest", "nearest_of"]


class Nearest(NamedTuple):
    """An option beyond the limits.

    Parameters
    ----------
    option : Option
        The first that holds the need.
    lifted : tuple of str
        Fields of the request that were lifted for it.
    """

    option: Option
    lifted: tuple[str, ...]


_LIMITS: tuple[tuple[str, Any], ...] = (("max_gpus", None), ("gpus", ()), ("vendor", None), ("owned", ()))


def nearest_of(plan: Plan) -> Nearest | None:
    """The first option once a limit is lifted, one after the other; None where there are options, or nothing helps.

    Parameters
    ----------
    plan : Plan
        An answer without options.

    Returns
    -------
    Nearest or None
        The option, and the limits that it breaks.
    """
    if plan.options:
        return None
    from gpusizer.planning.pipeline import make_plan  # here: most plans need none

    request, lifted = plan.request, []
    for name, free in _LIMITS:
        if getattr(request, name) == free:
            continue
        lifted.append(name)
        request = replace(request, **{name: free})
        found = make_plan(request)
        if found.options:
            return Nearest(found.options[0], tuple(lifted))
    return None
