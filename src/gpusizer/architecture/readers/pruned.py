"""A model whose experts were pruned: as many are left as its parameters tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from gpusizer.architecture.model import Architecture
from gpusizer.architecture.readers import read_config
from gpusizer.architecture.types import Notice
from gpusizer.errors import UnknownIdError

__all__ = ["Left", "with_fewer_experts"]

_COUNTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")


class Left(NamedTuple):
    """What pruning left: so many parameters, layers of multi-token prediction aside, or all experts but a part of them. [parameters, percent]"""

    total_params: int
    percent: int = 0


def with_fewer_experts(config: Mapping[str, Any], *, id: str, name: str, left: Left) -> Architecture:
    """The model of a configuration with fewer experts: as many as its parameters tell.

    Parameters
    ----------
    config : mapping
        Of the whole model.
    id, name : str
        Of the pruned one.
    left : Left
        Parameters or part of the experts.

    Returns
    -------
    Architecture
        Its experts are a multiple of the groups that the router picks from; a warning says how many are left.
    """
    whole = read_config(config, id=id, name=name)
    inner = config.get("text_config")
    section: Mapping[str, Any] = inner if isinstance(inner, Mapping) else config
    count = next((key for key in _COUNTS if isinstance(section.get(key), int)), None)
    routed = whole.parameters.groups.get("routed_experts", 0)
    if count is None or not routed:
        raise UnknownIdError("unknown-model", id=name, nearest=[])
    experts, groups = section[count], section.get("n_group") or 1
    fewer = experts * left.percent // 100 if left.percent else (whole.parameters.total - left.total_params) * experts / routed
    kept = groups * round((experts - fewer) / groups)
    if not max(section.get("num_experts_per_tok") or 1, groups) <= kept <= experts:
        raise UnknownIdError("unknown-model", id=name, nearest=[])
    changed = {**section, count: kept}
    model = read_config({**config, "text_config": changed} if section is inner else changed, id=id, name=name)
    said = Notice("experts-pruned", {"model": name, "kept": kept, "experts": experts})
    return replace(model, warnings=(*model.warnings, said))
