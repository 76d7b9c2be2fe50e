"""Plain facts with their sources: accelerators, number formats, scenarios, model entries. Unknown is None, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gpusizer.facts.market import ON_REQUEST

__all__ = ["EMBEDS", "USES", "USUAL_NODE", "Accelerator", "Converted", "ModelEntry", "NumberFormat", "Price", "Scenario", "SpeedShift", "is_source"]


def is_source(words: str) -> bool:
    """Whether it names something that a reader can look up, not somebody's memory.

    >>> is_source("data sheet"), is_source("unverified: from memory or from a choice of server")
    (True, False)
    """
    return "unverified" not in words and "from memory" not in words


USES = ("chat", "reasoning", "code", "vision", "embedding", "rerank", "speech")
"""What a model is for, as its publisher says."""
EMBEDS = ("embedding",)
"""The use of a model that gives vectors alone."""
USUAL_NODE = 8  # devices of a server where the catalogue does not say


@dataclass(frozen=True, slots=True)
class Converted:
    """What an amount was before it was converted, and the rate: units of the new currency for one of the old."""

    low: Decimal
    high: Decimal
    currency: str
    rate: Decimal
    date: str
    source: str


@dataclass(frozen=True, slots=True)
class Price:
    """What one device costs, as a range, with currency, date and source; ``per`` is "hour" (rent) or "device" (purchase).

    ``market`` is the only country that it holds in ("cn"), None for one that anybody pays.
    """

    low: Decimal
    high: Decimal
    currency: str
    per: str
    kind: str
    date: str
    source: str
    market: str | None = None
    converted: Converted | None = None

    @property
    def unverified(self) -> bool:
        """Whether nothing but a memory stands behind it."""
        return not is_source(self.source)


@dataclass(frozen=True, slots=True)
class SpeedShift:
    """By how much one family of engines is slower on a device than predicted, as somebody's own cases show.

    Parameters
    ----------
    family : str
        Of engines that the cases ran on.
    decode_factor, prefill_factor : float
        Longer times of what decoding waits for (reading memory, fixed costs of a step), and of what prompts wait for (arithmetic); below 1 shorter.
    decode_width, prefill_width : float
        What is left of the widths of their bands.
    cases : int
        How many there were. [cases]
    """

    family: str
    decode_factor: float
    prefill_factor: float
    decode_width: float = 1.0
    prefill_width: float = 1.0
    cases: int = 0


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device as the driver shows it (half a card where a card shows as two).

    Parameters
    ----------
    status : str
        "shipping", "new", "announced", or "discontinued": no longer made.
    architecture : str or None
        The chip generation as its maker calls it.
    compute_capability : str or None
        What says which kernels a chip runs: of NVIDIA the CUDA compute capability, of AMD the LLVM target ("gfx1100"), of Apple the Metal family
        ("apple9").
    memory_bytes : int
        What the driver reports in all (not the marketing number): the size to plan with.
    memory_evidence : str
        "measured" where a driver's print-out is the source, "assumed" where it follows from the marketing number.
    marketing_memory_gb : float
        The number on the box.
    torch_total_bytes : int or None
        What torch reports as total, where seen.
    bandwidth_bytes_per_s : float or None
        Memory bandwidth of the data sheet.
    peak_flops : mapping of str to float
        Dense peak by number format (fp32, tf32, fp16, bf16, fp8, int8, int4, fp4) in FLOP/s; absent means not native or not found.
    interconnect, interconnect_bytes_per_s : str or None, float or None
        Kind, and both directions added, per device.
    fabric_devices : int or None
        How many devices the fast interconnect joins: 2 for a bridge, 8 in an SXM server, 72 in an NVL72 rack; None without one.
    bridge_devices : int or None
        Where the fast interconnect is a bridge between neighbouring cards: how many one bridge joins. Others reach each other over PCIe.
    domain_devices : int or None
        Where it reaches beyond a server (a rack with switches of its own): how many it joins at full speed.
    pcie_generation : int or None
        Of the slot, from ``pcie`` ("5.0 x16").
    devices_per_node : int or None
        Devices in the usual server (the largest tensor-parallel group without a network).
    whole_nodes : bool
        Sold only as whole servers (SXM, OAM and the like).
    sold_as : str
        The class that it is sold in: "data-centre", "workstation", "gaming", "cloud-only", "edge", "hobby" or "announced".
    sold_in : str or None
        The only country that it is sold in.
    rented_whole : bool
        Clouds rent it by the server alone.
    old : bool
        Came out years before the newest part: clouds have it, new ones are remainders.
    domestic : bool
        Its maker is at home in China.
    usual : bool
        Whether plans look at it, and whether it may stand for a device of which only the maker and a size are told, without being named. Parts of
        desktops, notebooks and boards that people have at home are known by name alone.
    by_size : bool
        Meant only where its size is told: a memory mod, or a rarer edition of a device that is sold under the same name.
    own : bool
        Described by who asks, not a record of the catalogue.
    shifts : tuple of SpeedShift
        What own measurements say of its speed, one for each family of engines that was measured.
    """

    id: str
    vendor: str
    name: str
    aliases: tuple[str, ...]
    status: str
    architecture: str | None
    compute_capability: str | None
    form_factor: str | None
    memory_bytes: int
    memory_evidence: str
    marketing_memory_gb: float
    torch_total_bytes: int | None
    memory_type: str | None
    unified_memory: bool
    bandwidth_bytes_per_s: float | None
    peak_flops: Mapping[str, float]
    interconnect: str | None
    interconnect_bytes_per_s: float | None
    fabric_devices: int | None
    pcie: str | None
    devices_per_node: int | None
    devices_per_card: int
    whole_nodes: bool
    tdp_w: float | None
    release_year: int | None
    prices: tuple[Price, ...]
    engines: Mapping[str, str]  # engine -> "yes" | "partial" | "no" | "unknown"
    china: Mapping[str, Any]
    measured: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    unverified: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]  # field -> sources
    bridge_devices: int | None = None
    domain_devices: int | None = None
    pcie_generation: int | None = None
    usual: bool = True
    sold_as: str = "data-centre"
    sold_in: str | None = None
    rented_whole: bool = False
    old: bool = False
    domestic: bool = False
    by_size: bool = False
    own: bool = False
    shifts: tuple[SpeedShift, ...] = ()

    def __hash__(self) -> int:
        return hash(self.id)  # so that answers can be kept by device; those of one id with other prices are told apart by equality

    @property
    def capability(self) -> float:
        """CUDA compute capability as a number, 0 where there is none."""
        try:
            return float(self.compute_capability or 0)
        except ValueError:
            return 0.0

    @property
    def considered(self) -> bool:
        """Whether a plan looks at it without being told its name."""
        return self.usual and self.sold_as not in ON_REQUEST

    @property
    def is_machine(self) -> bool:
        """Whether one device is a whole computer, counted as such."""
        return self.sold_as == "edge"

    @property
    def reach(self) -> int | None:
        """Devices that one replica may have without a network between servers; None where nobody says."""
        return max((each for each in (self.devices_per_node, self.fabric_devices, self.domain_devices) if each is not None), default=None)

    def is_unverified(self, field: str) -> bool:
        """Whether a fact was not checked: it is marked so, or all its sources are somebody's memory.

        Parameters
        ----------
        field : str
            Name of the field; of one peak with its number format ("peak_flops.fp8").
        """
        known = self.sources.get(field, ())
        return field in self.unverified or (bool(known) and not any(map(is_source, known)))

    @property
    def node_size(self) -> int:
        """Devices in the usual server, eight where the catalogue does not say."""
        return self.devices_per_node or USUAL_NODE


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A number format: bits (scale overhead included in ``bits_with_scales``), range and what it is used for."""

    id: str
    name: str
    bits: float
    bits_with_scales: float
    sign_bits: int | None
    exponent_bits: int | None
    mantissa_bits: int | None
    maximum: float | None
    kind: str  # "float", "integer", "block"
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A use that people ask for: typical tokens and share of users at work at the same moment, with source."""

    id: str
    input_tokens: int
    output_tokens: int
    users: int
    active_share: float
    active_share_range: tuple[float, float]
    sources: tuple[str, ...]
    departments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceFloor:
    """Longest time to the first token and mean time per token that a person who waits calls usable, with sources; infinite where nothing is asked."""

    ttft_s: float
    tpot_s: float
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A catalogue entry: the configuration keys that matter, names, and published figures with their sources."""

    id: str
    name: str
    aliases: tuple[str, ...]
    config: Mapping[str, Any]
    licence: str | None = None
    published_total_params: int | None = None
    published_activated_params: int | None = None
    published_source: str | None = None
    checkpoint_bytes: int | None = None
    checkpoint_dtype: str | None = None
    checkpoint_source: str | None = None
    article: Mapping[str, Any] = field(default_factory=dict)
    config_source: str | None = None
    notes: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()  # of USES; empty of one that only continues texts
    uses_source: str | None = None
    reasoning_source: str | None = None  # who says that it thinks before it answers, None where nobody does
    released: str | None = None  # year and month ("2025-04") in which its weights came out
    pruned: bool = False  # the configuration is that of the whole model: as many experts are left as ``published_total_params`` tell,
    pruned_percent: int = 0  # or without this part of them
