"""What is asked of one's own machines: one frozen request, and the table of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from gpusizer.errors import FlagError, InputError
from gpusizer.facts.hosts import host_bandwidth, parse_host_memory
from gpusizer.facts.types import USES
from gpusizer.planning.fields import WITH_MODELS, Field
from gpusizer.planning.run_on.machine import Machine, machine_of

__all__ = ["FIELDS", "RunOnRequest", "from_mapping"]

FIELDS: tuple[Field, ...] = (
    Field("machine", "owned", "", many=True),
    Field("host_memory", "word", "--host-memory"),
    Field("host_bandwidth", "word", "--host-bandwidth"),
    Field("disk_bytes", "bytes", "--disk"),
    Field("concurrency", "count", "--concurrency"),
    Field("users", "count", "--users"),
    Field("active_share", "share", "--active-share"),
    Field("input_tokens", "tokens", "--input-tokens"),
    Field("output_tokens", "tokens", "--output-tokens"),
    Field("context_tokens", "tokens", "--context-tokens"),
    Field("min_speed", "rate", "--min-speed"),
    Field("use", "choice", "--use", USES, many=True),
    Field("licence", "word", "--licence"),
    Field("engine", "word", "--engine"),
    Field("models", "word", "--model", many=True),
    WITH_MODELS,
    Field("per_use", "count", "--top"),
)
"""Every input of ``run-on``, in the order of the help."""

_BY_NAME = {field.name: field for field in FIELDS}


@dataclass(frozen=True, slots=True)
class RunOnRequest:
    """Machines that somebody has, and what they should do.

    Parameters
    ----------
    machine : tuple of str
        Devices with their numbers: "l40s:4", "8xA100 40GB".
    host_memory, host_bandwidth : str or None
        Memory of the host ("128GB") and its bandwidth ("90GB/s", "8xDDR5-4800", "2 x EPYC 9654").
    disk_bytes : int or None
        Room for the files of one model. [bytes]
    concurrency : int or None
        Requests served at the same moment; one without. [requests]
    users, active_share : int or None, float or None
        People who may use it, and the share of them with a request in flight. [people, share]
    input_tokens, output_tokens, context_tokens : int or None
        Of one request; the context is both together. [tokens]
    min_speed : float or None
        Slowest answer that is wanted, of one request. [tokens/s]
    use : tuple of str
        Only models for these uses.
    licence : str or None
        Only models under this licence: its short word or the beginning of it, "free", or "commercial".
    engine : str or None
        Only this engine.
    models : tuple of str
        Only these models, whatever their place.
    with_models : tuple of str
        Models that stand beside each of them on the same GPUs: what embeds, ranks or listens.
    per_use : int
        Models that are shown of each use.

    Examples
    --------
    >>> RunOnRequest(machine=("l40s:4",), context_tokens="16k").context_tokens
    16384
    """

    machine: tuple[str, ...] = ()
    host_memory: str | None = None
    host_bandwidth: str | None = None
    disk_bytes: int | None = None
    concurrency: int | None = None
    users: int | None = None
    active_share: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    context_tokens: int | None = None
    min_speed: float | None = None
    use: tuple[str, ...] = ()
    licence: str | None = None
    engine: str | None = None
    models: tuple[str, ...] = ()
    with_models: tuple[str, ...] = ()
    per_use: int = 6

    def __post_init__(self) -> None:
        for each in FIELDS:
            object.__setattr__(self, each.name, each.read(getattr(self, each.name)))
        if not self.machine:
            raise FlagError("missing-argument", name="NAME:COUNT")

    @property
    def machines(self) -> Machine:
        """The machines in the catalogue's terms."""
        return machine_of(
            self.machine,
            host_memory_bytes=None if self.host_memory is None else parse_host_memory(self.host_memory),
            host_bandwidth_bytes_per_s=None if self.host_bandwidth is None else host_bandwidth(self.host_bandwidth).bytes_per_s,
            disk_bytes=self.disk_bytes,
        )


def from_mapping(values: Mapping[str, Any]) -> RunOnRequest:
    """A request from options, JSON or a query; an unknown name is refused with the nearest.

    >>> from_mapping({"machine": ["rtx 4090"], "use": "code"}).use
    ('code',)
    """
    for name in values:
        if name not in _BY_NAME:
            raise InputError("unknown-field", id=str(name)[:40], nearest=get_close_matches(str(name), _BY_NAME, 3, 0.4))
    return RunOnRequest(**{name: value for name, value in values.items() if value not in (None, ())})


_DEFAULTS = {each.name: each.default for each in fields(RunOnRequest)}
