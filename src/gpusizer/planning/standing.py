"""What stands before any figure in the order of options: how sure one is, who runs such a layout, what a part is sold as, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log2

from gpusizer.architecture.types import Notice
from gpusizer.facts.market import CLASSES
from gpusizer.facts.types import Accelerator
from gpusizer.formulas.load import servers_needed
from gpusizer.planning.prices import ALIKE, placed_rent
from gpusizer.planning.types import FITS, Option, Rejected

__all__ = [
    "DEAR",
    "MOST_SERVERS",
    "RARE",
    "Worth",
    "beyond_fabric",
    "certainty",
    "class_place",
    "elsewhere",
    "joins_servers",
    "less_known",
    "own_servers",
    "part_of_server",
    "rare_and_replaced",
    "somebody_runs",
    "squeezed",
    "time_per_token",
    "trust",
    "usualness",
]

PLAIN, USUAL, RARE = 0, 1, 2
COMFORTABLE_S = 0.05  # seconds a token, quicker than which nobody reads
WORTH = 2.0  # prices of one part differ by as much between clouds: options within it are worth the same
DEAR = 2  # times that the worth doubles, from which an option stands behind cheaper classes
MOST_SERVERS = 2  # of one replica, where no fabric joins them
SPRAWL = 4  # times the GPUs of the leanest option
MOST_OVER_PCIE = 4
MOST_SINGLE = 2  # GPUs of a server that clouds let without the rest
_HARMLESS = ("sequences",)
_LESS_KNOWN = ("engine-unknown-on-device", "engine-partial-on-device", "precision-unknown-on-device")


def trust(option: Option) -> tuple[bool, ...]:
    """What comes before everything: that it holds the load on the safe side of the estimate, and that the part exists."""
    return option.verdict != FITS, option.accelerator.status == "announced"


def own_servers(option: Option) -> int:
    """Servers that one replica spans."""
    return int(servers_needed(gpus=option.layout.gpus, devices_per_node=option.accelerator.node_size))


def joins_servers(device: Accelerator) -> bool:
    """Whether its servers are built to work as one: whole ones and modules, not cards and boxes."""
    return device.whole_nodes or "OAM" in (device.form_factor or "")


def usualness(option: Option, leanest: int) -> int:
    """Who runs such a layout: everybody inside one server, many over servers that are built for it, few over cards and boxes.

    Parameters
    ----------
    option : Option
        One option.
    leanest : int
        The fewest GPUs that do.

    Returns
    -------
    int
        0, 1 or 2; 2 also for several servers with many times the GPUs of the leanest option.
    """
    device = option.accelerator
    crosses = option.layout.gpus > (device.reach or option.layout.gpus)
    if (crosses and not joins_servers(device)) or (option.nodes > 1 and option.gpus > SPRAWL * leanest):
        return RARE
    return USUAL if crosses else PLAIN


def somebody_runs(options: Sequence[Option]) -> bool:
    """Whether one of them is a layout that people run, on a part that a plan looks at by itself."""
    return any(option.accelerator.considered and usualness(option, option.gpus) < RARE for option in options)


def rare_and_replaced(options: Sequence[Option], named: Sequence[str]) -> dict[int, Rejected]:
    """Options that nobody would run where others do: one replica over many machines that no fabric joins.

    Parameters
    ----------
    options : sequence of Option
        All of them.
    named : sequence of str
        Parts or vendors that were named: those stay.

    Returns
    -------
    dict of int to Rejected
        By place among the options, why each is left out.
    """
    if named or not somebody_runs(options):
        return {}
    leanest = min(option.gpus for option in options if option.accelerator.considered)
    found: dict[int, Rejected] = {}
    for place, option in enumerate(options):
        if own_servers(option) > MOST_SERVERS and usualness(option, option.gpus) == RARE:
            found[place] = Rejected(option.accelerator, option.layout, Notice("nobody-runs-it", {"nodes": own_servers(option)}))
        elif option.nodes > MOST_SERVERS and option.gpus > 2 * SPRAWL * leanest:
            found[place] = Rejected(option.accelerator, option.layout, Notice("sprawls", {"gpus": option.gpus, "leanest": leanest}))
    return found


def class_place(option: Option) -> int:
    """Place of the class that a part is sold in; a single gaming card stands beside workstation cards."""
    sold_as = option.accelerator.sold_as
    return CLASSES.index("workstation" if sold_as == "gaming" and option.gpus == 1 else sold_as)


def elsewhere(option: Option, country: str) -> bool:
    """Whether it is sold only where the request does not buy; in China, what is let in by licence and was not made for it."""
    device = option.accelerator
    if country == "cn":
        return device.sold_in is None and device.china["available"] == "special"
    return device.sold_in is not None


def less_known(option: Option) -> Notice | None:
    """The first thing about engine and number format that is not known of this part."""
    return next((notice for notice in option.notices if notice.code in _LESS_KNOWN), None)


def part_of_server(option: Option) -> bool:
    """Whether it takes some GPUs of a server or rack that is sold whole: clouds let one, two or all of them."""
    return MOST_SINGLE < option.gpus < option.gpus_to_order


def squeezed(option: Option) -> bool:
    """Whether it holds the load only with settings that leave little room, or a cache of fewer bits."""
    return any(knob.code not in _HARMLESS for knob in option.knobs)


def beyond_fabric(option: Option) -> bool:
    """Whether tensor-parallel ranks reach each other over PCIe, more of them than one does so without regret."""
    return option.layout.tp > max(option.accelerator.fabric_devices or 1, MOST_OVER_PCIE)


def certainty(option: Option, country: str) -> int:
    """How its price is known: 0 where it can be rented by the hour where one buys, 1 by another price, 2 not at all."""
    if option.cost is not None and option.cost.kind in ALIKE and option.cost.market in (None, country):
        return 0
    return 1 if placed_rent(option.accelerator, option.gpus) is not None else 2


def time_per_token(option: Option) -> float:
    """At the load that is asked for; endless where no speed is known. [s]"""
    return option.performance.tpot_s.value if option.performance is not None else inf


class Worth:
    """What options cost for what they do, in steps of a factor that prices of one part differ by.

    An hour's rent times the time per token, where quicker than one reads counts no further. An option without any price stands behind all of its
    class that take no more GPUs.

    Parameters
    ----------
    options : sequence of Option
        All of them.
    leanest : int
        The fewest GPUs that do.
    """

    def __init__(self, options: Sequence[Option], leanest: int) -> None:
        self._cost: Mapping[int, float] = {id(option): _cost(option) for option in options}
        sure = [option for option in options if not any(trust(option)) and usualness(option, leanest) == PLAIN]
        usual = [option for option in sure if option.accelerator.sold_as == CLASSES[0] and option.accelerator.sold_in is None]
        easy = [option for option in usual if certainty(option, "") == 0 and not squeezed(option)]
        self._least = min((self._cost[id(option)] for option in (easy or usual or sure or options)), default=inf)
        self._priced = [(class_place(option), option.gpus, self._steps(self._cost[id(option)])) for option in options if self._cost[id(option)] < inf]

    def cost(self, option: Option) -> float:
        """Rent times time; endless where either is unknown."""
        return self._cost[id(option)]

    def steps(self, option: Option) -> int:
        """Times that it is twice as dear as the cheapest data-centre part that has room and a rent by the hour."""
        cost = self._cost[id(option)]
        if cost < inf:
            return self._steps(cost)
        place = class_place(option)
        return max((steps for other, gpus, steps in self._priced if other == place and gpus <= option.gpus), default=0)

    def _steps(self, cost: float) -> int:
        return 0 if not 0 < self._least < inf or cost <= self._least else int(log2(cost / self._least) / log2(WORTH))


def _cost(option: Option) -> float:
    rent, time = placed_rent(option.accelerator, option.gpus), time_per_token(option)
    doubt = 1 if option.cost is not None and option.cost.kind in ALIKE else WORTH  # placed by another price: a step behind one that is known
    return inf if rent is None or time == inf else float(f"{doubt * rent * max(time, COMFORTABLE_S):.3g}")  # no order by the cents of a conversion
