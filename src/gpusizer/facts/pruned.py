"""Names of models whose experts were pruned: "GLM-4.6-REAP-218B-A32B" is GLM-4.6 with as many experts as 218 billion parameters leave."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpusizer.units import GB

__all__ = ["Pruned", "pruned_name"]

_ENDING = r"(?:-(?:instruct|it|chat|thinking))?"
_SIZED = re.compile(rf"(?P<base>.+?)(?:-reap)?-(?P<size>\d{{1,4}}(?:\.\d)?)b(?:-a\d{{1,3}}(?:\.\d)?b)?(?:-reap)?{_ENDING}")
_SHARED = re.compile(rf"(?P<base>.+?)-reap-(?P<percent>[1-9]\d)p?{_ENDING}")
LEAST_UNSAID, MOST = 0.4, 0.97  # of the whole model: smaller ones that do not say how they were made are distilled, larger ones are the model itself


class Pruned(NamedTuple):
    """A pruned model: the model that it was made of, and its own parameters or, where these are 0, what part of the experts is gone. [percent]"""

    base: str
    total_params: int
    percent: int = 0

    @property
    def ending(self) -> str:
        """What its name adds to the name of the whole model."""
        return f"-REAP-{self.percent}" if self.percent else f"-REAP-{self.total_params / GB:g}B"


def pruned_name(key: str, names: Mapping[str, str], total_of: Callable[[str], int]) -> Pruned | None:
    """What a key of a name says of pruned experts.

    Parameters
    ----------
    key : str
        A name as :func:`gpusizer.facts.model_names.name_key` writes it, without the precision of its weights.
    names : mapping of str to str
        Ids by key.
    total_of : callable
        Published parameters of an id, 0 where nobody says. [parameters]

    Returns
    -------
    Pruned or None
        None where the name says nothing of the kind.

    Examples
    --------
    >>> names = {"glm-4.6": "glm-4.6", "qwen3-coder-30b-a3b": "q30", "qwen3-coder-480b-a35b": "q480"}
    >>> totals = {"glm-4.6": 355 * GB, "q30": 30 * GB, "q480": 480 * GB}
    >>> keys = ("glm-4.6-reap-218b-a32b", "glm-4.6-reap-40", "qwen3-coder-reap-246b-a35b", "glm-4.6-32b", "qwen3-coder-480b-a35b")
    >>> [found and found.base + found.ending for found in (pruned_name(key, names, totals.__getitem__) for key in keys)]
    ['glm-4.6-REAP-218B', 'glm-4.6-REAP-40', 'q480-REAP-246B', None, None]
    """
    if (found := _SHARED.fullmatch(key)) is not None:
        return Pruned(names[found["base"]], 0, int(found["percent"])) if found["base"] in names else None
    if (found := _SIZED.fullmatch(key)) is None:
        return None
    size, base, said = float(found["size"]) * GB, found["base"], "-reap" in key
    if base in names:
        ids = [names[base]]
    else:  # the size that was replaced stood in the name
        whole = re.compile(rf"{re.escape(base)}-\d{{1,4}}b(?:-a\d{{1,3}}b)?{_ENDING}")
        ids = [each for name, each in names.items() if said and whole.fullmatch(name)]
    larger = {each: total for each in ids if (total := total_of(each)) * MOST > size > (0 if said else LEAST_UNSAID * total)}
    return Pruned(min(larger, key=lambda each: (larger[each], each)), round(size)) if larger else None
