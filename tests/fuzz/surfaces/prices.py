"""Files of one's own prices."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from hypothesis import strategies as st

from fuzz.given import file
from fuzz.mutate import ODD_WORDS, changed_bytes, changed_lines, mixed, one_of
from fuzz.surface import Surface
from gpusizer.facts.catalog import accelerator
from gpusizer.planning.prices import HIGHEST, own_currency, purchase_of, rent_of, with_prices

_DEVICES = ("h100-sxm-80gb", "rtx4090-24gb", "h20-sxm-96gb")
_NAMES = (*_DEVICES, "H100", "'RTX 4090'", "'昇腾 910B3'", "nobody", "", "a.b")
_KEYS = ("hour", "device", "currency", "date", "hours", "x")
_VALUES = ["7.5", "110000", "0", "-1", "1e400", "nan", "inf", "1_000", "0x10", '"CNY"', '"usd"', '"EURO"', '"JPY"', "2026-11-20", '"2026-11-20"']
_VALUES += ["[]", "{}", "true", "9" * 5000, '"12.5"', '"1e9"', "1e10", '"٣"', "07:32:00", '"""x"""']
_WORDS = [f'"{word.strip()}"'.encode(errors="replace") for word in ODD_WORDS if "\n" not in word]


@st.composite
def _line(draw: st.DrawFn) -> bytes:
    """A table, or a value under a name."""
    if draw(st.booleans()):
        return f"[{one_of(draw, _NAMES)}]".encode()
    return f"{one_of(draw, _KEYS)} = {one_of(draw, _VALUES)}".encode()


def _seeds() -> list[bytes]:
    return [
        b"[h100-sxm-80gb]\nhour = 2.5\n",
        b'currency = "CNY"\ndate = "2026-11-20"\n[h20-sxm-96gb]\nhour = 7.5\ndevice = 110000\n[rtx4090-24gb]\ncurrency = "usd"\nhour = "0.4"\n',
    ]


def _changed(known: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    return mixed((1, changed_bytes(known, _WORDS)), (2, changed_lines(known, _line())))


def _answer(content: bytes) -> Hashable:
    path = file("prices.toml", content)
    found = []
    for id in _DEVICES:
        device = accelerator(id)
        own = with_prices(device, path)
        told = [price for price in own.prices if price.kind == "own"]
        assert own.prices[len(told) :] == device.prices, "what the catalogue says is gone"
        for cost, per in ((rent_of(own, 3), "hour"), (purchase_of(own, 3), "device")):
            mine = [price for price in told if price.per == per]
            assert not mine or (cost is not None and cost.kind == "own" and cost.currency == mine[0].currency), "one's own price does not come first"
            assert cost is None or 0 <= cost.amount <= 3 * HIGHEST
        found.append(frozenset((price.per, price.currency) for price in told))
    return own_currency(path), tuple(found)


SURFACE = Surface("prices", _seeds, _changed, _answer, weight=8)
