"""A card that the catalogue lacks, described in a line: ``48GB,864GB/s,362TFLOPS``, or in a TOML file.

The parts of a line stand in any order between commas or semicolons: a memory (``48GB``, 10^9 bytes; ``48GiB``, 2^30), a memory bandwidth
(``864GB/s``), a dense 16-bit peak (``362TFLOPS``), and further figures by name (``fp8=733TFLOPS``, ``vendor=NVIDIA``, ``compute-capability=8.9``).
Only the memory must be told; what is not told is unknown. The id of such a card is its line with semicolons: it says all and can be read again.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from gpusizer.errors import FlagError, UnreadableFileError
from gpusizer.facts.accelerators import read_accelerators
from gpusizer.facts.hardware_words import hardware_words, maker_of
from gpusizer.facts.types import Accelerator, Price
from gpusizer.given_files import WITHOUT_MARK, read_given
from gpusizer.units import GB, TB, GiB, TiB

__all__ = ["given_card", "is_own_card", "own_card", "split_gpus"]

LONGEST_LINE = 600
LARGEST_FILE = 1 << 16  # bytes
_STATED = "as stated by who asks"

_BYTES = {"gb": GB, "gib": GiB, "tb": TB, "tib": TiB}
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
_MEMORY = re.compile(_NUMBER + r"\s?(gb|gib|tb|tib)")
_BANDWIDTH = re.compile(_NUMBER + r"\s?(gb|gib|tb|tib)/s")
_PEAK = re.compile(_NUMBER + r"\s?([tp])(?:flops|flop/s|ops|op/s)")
_FORMATS = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4", "int4")
_WORD = re.compile(r"[^;,=\x00-\x1f]{1,60}")
_BOUNDS = {  # lowest and highest of what a card may have
    "memory": (GB, 16 * TB),
    "bandwidth": (GB, 1000 * TB),
    "peak": (0.01 * TB, 1e6 * TB),
    "devices-per-node": (1, 1024),
    "tdp": (1, 20000),
    "price": (0, 10**9),
}


def is_own_card(words: str) -> bool:
    """Whether a word describes a card instead of naming one: a memory and at least one further figure.

    >>> is_own_card("48GB,864GB/s"), is_own_card("48GB"), is_own_card("RTX 4090 48GB")
    (True, False, False)
    """
    parts = _parts(words) if len(words) <= LONGEST_LINE else []
    if len(parts) == 1:
        return _is_part(parts[0]) and _kind(parts[0]) != "memory"
    return bool(parts) and (_kind(parts[0]) == "memory" or all(map(_is_part, parts)))


def split_gpus(words: str) -> list[str]:
    """The names of a list with commas; the parts of one card that is described stay together, with semicolons between them.

    >>> split_gpus("h200, 48GB, 864GB/s,362TFLOPS,rtx 4090")
    ['h200', '48GB;864GB/s;362TFLOPS', 'rtx 4090']
    """
    found: list[str] = []
    card: list[str] = []
    for part in [*words.split(","), ""]:
        again = any(_kind(each) == _kind(part) for each in card)
        if card and (again or not _is_part(part)):
            found.append(";".join(card))
            card = []
        if _is_part(part):
            card.append(part.strip())
        elif part.strip():
            found.append(part.strip())
    return found


def given_card(words: str) -> str:
    """A word of ``--gpu`` with the description in place of a TOML file that holds it; any other word unchanged.

    Raises
    ------
    UnreadableFileError, FlagError
        The file cannot be read, or does not describe a card.
    """
    if words.lower().endswith(".toml"):
        return own_card(_line_of(words)).id
    return own_card(words).id if is_own_card(words) else words


@lru_cache(maxsize=64)
def own_card(words: str) -> Accelerator:
    """The card that a line describes.

    Parameters
    ----------
    words : str
        The line.

    Returns
    -------
    Accelerator
        With what was told; engines run on it as on devices of the catalogue that share its maker and its compute capability, else it is unknown.

    Raises
    ------
    FlagError
        A part that cannot be read, is told twice or out of bounds; no memory.

    Examples
    --------
    >>> card = own_card("48GB,864GB/s,362TFLOPS")
    >>> card.memory_bytes, card.bandwidth_bytes_per_s, card.peak_flops["bf16"], card.id
    (48000000000, 864000000000.0, 362000000000000.0, '48GB;864GB/s;362TFLOPS')
    """
    told: dict[str, Any] = {}
    for part in _parts(words):
        name, value = _read(part)
        if name in told:
            raise FlagError("own-card-twice", option="--gpu", found=part[:60])
        told[name] = value
    if "memory" not in told:
        raise FlagError("own-card-without-memory", option="--gpu", found=words[:60])
    return _accelerator(told, ";".join(each.strip() for each in _parts(words)))


def _parts(words: str) -> list[str]:
    return [part.strip() for part in re.split("[,;]", words[: LONGEST_LINE + 1]) if part.strip()]


def _kind(part: str) -> str:
    name, equals, _ = part.partition("=")
    if equals:
        return _key(name)
    plain = part.strip().lower()
    return next((kind for kind, pattern in _BARE.items() if pattern.fullmatch(plain)), "")


_BARE = {"memory": _MEMORY, "bandwidth": _BANDWIDTH, "peak": _PEAK}


def _is_part(part: str) -> bool:
    name, equals, _ = part.partition("=")
    return _kind(part) != "" and (not equals or bool(re.fullmatch(r"\s*[a-zA-Z][\w -]{1,30}\s*", name)))


def _key(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def _read(part: str) -> tuple[str, Any]:
    """Name and value of one part."""
    name, equals, value = part.partition("=")
    if not equals:
        kind = _kind(part)
        if not kind:
            raise FlagError("own-card-part", option="--gpu", found=part[:60])
        return kind, _READERS[kind](kind, part)
    key = _key(name)
    if key not in _READERS:
        raise FlagError("own-card-key", option="--gpu", found=name.strip()[:40], nearest=get_close_matches(key, _READERS, 3, 0.3) or list(_READERS))
    return key, _READERS[key](key, value)


def _sized(pattern: re.Pattern[str], kind: str) -> Callable[[str, str], float]:
    def read(key: str, words: str) -> float:
        match = pattern.fullmatch(words.strip().lower())
        if match is None:
            raise FlagError("own-card-value", option="--gpu", name=key, found=words.strip()[:40], expected=_EXAMPLES[kind])
        return _bounded(kind, key, float(match[1]) * ({"t": TB, "p": 1000 * TB} | _BYTES)[match[2]], words)

    return read


_EXAMPLES = {"memory": "48GB", "bandwidth": "864GB/s", "peak": "362TFLOPS", "devices-per-node": "8", "tdp": "350W", "price": "2.5USD/hour"}


def _bounded(kind: str, key: str, value: float, words: str) -> float:
    low, high = _BOUNDS[kind]
    if not low <= value <= high:
        raise FlagError("own-card-bounds", option="--gpu", name=key, found=words.strip()[:40])
    return value


def _number(unit: str, kind: str) -> Callable[[str, str], float]:
    def read(key: str, words: str) -> float:
        match = re.fullmatch(_NUMBER + unit, words.strip().lower())
        if match is None:
            raise FlagError("own-card-value", option="--gpu", name=key, found=words.strip()[:40], expected=_EXAMPLES[kind])
        return _bounded(kind, key, float(match[1]), words)

    return read


def _word(key: str, words: str) -> str:
    if _WORD.fullmatch(words.strip()) is None or not words.strip().isprintable():
        raise FlagError("own-card-value", option="--gpu", name=key, found=words.strip()[:40], expected="NAME")
    return words.strip()


def _capability(key: str, words: str) -> str:
    if re.fullmatch(r"\d{1,2}\.\d|gfx\d{1,3}[0-9a-f]{1,2}|apple\d{1,2}", words.strip().lower()) is None:
        raise FlagError("own-card-value", option="--gpu", name=key, found=words.strip()[:40], expected="8.9")
    return words.strip().lower()


def _price(key: str, words: str) -> tuple[Decimal, str, str]:
    match = re.fullmatch(_NUMBER + r"\s?([a-z]{3})/(hour|device)", words.strip().lower())
    if match is None:
        raise FlagError("own-card-value", option="--gpu", name=key, found=words.strip()[:40], expected=_EXAMPLES["price"])
    _bounded("price", key, float(match[1]), words)
    return Decimal(match[1]), match[2].upper(), match[3]


_READERS: Mapping[str, Callable[[str, str], Any]] = {
    "memory": _sized(_MEMORY, "memory"),
    "bandwidth": _sized(_BANDWIDTH, "bandwidth"),
    "peak": _sized(_PEAK, "peak"),
    **{name: _sized(_PEAK, "peak") for name in _FORMATS},
    "name": _word,
    "vendor": _word,
    "compute-capability": _capability,
    "interconnect": _sized(_BANDWIDTH, "bandwidth"),
    "devices-per-node": _number("", "devices-per-node"),
    "tdp": _number(r"\s?w", "tdp"),
    "hour": lambda key, words: _price(key, f"{words}/hour"),
    "device": lambda key, words: _price(key, f"{words}/device"),
}


def _accelerator(told: Mapping[str, Any], id: str) -> Accelerator:
    vendor = _vendor(told.get("vendor", ""))
    capability, link, node = told.get("compute-capability"), told.get("interconnect"), told.get("devices-per-node")
    peaks = dict.fromkeys(("bf16", "fp16"), told["peak"]) if "peak" in told else {}
    return Accelerator(
        id=id,
        vendor=vendor or "unknown",
        name=told.get("name", id),
        aliases=(),
        status="shipping",
        architecture=None,
        compute_capability=capability,
        form_factor=None,
        memory_bytes=round(told["memory"]),
        memory_evidence="assumed",
        marketing_memory_gb=told["memory"] / GB,
        torch_total_bytes=None,
        memory_type=None,
        unified_memory=False,
        bandwidth_bytes_per_s=told.get("bandwidth"),
        peak_flops=peaks | {name: told[name] for name in _FORMATS if name in told},
        interconnect=None if link is None else _STATED,
        interconnect_bytes_per_s=link,
        fabric_devices=None if link is None or node is None else int(node),
        pcie=None,
        devices_per_node=None if node is None else int(node),
        devices_per_card=1,
        whole_nodes=False,
        tdp_w=told.get("tdp"),
        release_year=None,
        prices=tuple(_priced(*told[per]) for per in ("hour", "device") if per in told),
        engines=_engines(vendor, capability),
        china={"available": "unknown", "sources": ()},
        measured=(),
        notes=(),
        unverified=(),
        sources={"memory_bytes": (_STATED,)},
        own=True,
    )


def _priced(amount: Decimal, currency: str, per: str) -> Price:
    return Price(amount, amount, currency, per, "own", "", _STATED)


def _vendor(words: str) -> str:
    """A maker by the name of the catalogue, where it is one of its."""
    known = {each.lower(): each for each in hardware_words()["makers"]}
    return known.get(words.lower()) or maker_of(words) or words


def _engines(vendor: str, capability: str | None) -> dict[str, str]:
    """What all devices of the catalogue with this maker and compute capability say of each engine; where they differ, or none is alike, unknown."""
    alike = [each for each in read_accelerators() if each.vendor == vendor and (capability is None or each.compute_capability == capability)]
    answers: dict[str, set[str]] = {}
    for device in alike:
        for engine, answer in device.engines.items():
            answers.setdefault(engine, set()).add(answer)
    return {engine: next(iter(found)) for engine, found in answers.items() if len(found) == 1}


_TABLE_KEYS = {"memory": "memory", "bandwidth": "bandwidth", "interconnect": "interconnect", "tdp": "tdp", "name": "name", "vendor": "vendor"}
_TABLE_KEYS |= {"compute_capability": "compute-capability", "devices_per_node": "devices-per-node", "tflops": "peak"}
_TABLE_KEYS |= {f"{name}_tflops": name for name in _FORMATS} | {"price_hour": "hour", "price_device": "device"}


def _line_of(path: str) -> str:
    """The line of a TOML file: the same figures under names with underscores; peaks in TFLOPS and watts as plain numbers."""
    content = read_given(path, most_bytes=LARGEST_FILE, missing="file-missing")
    if len(content) > LARGEST_FILE:
        raise UnreadableFileError("own-card-file", path=path, detail=f"> {LARGEST_FILE}")
    try:
        table = tomllib.loads(content.decode(WITHOUT_MARK))
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not TOML, or an endless number
        raise UnreadableFileError("own-card-file", path=path, detail=str(error)[:100]) from error
    return ";".join(_told(table))


def _told(table: Mapping[str, Any]) -> Iterable[str]:
    currency = table.get("currency", "USD")
    for key, value in table.items():
        if key == "currency":
            continue
        if key not in _TABLE_KEYS:
            raise FlagError("own-card-key", option="--gpu", found=key[:40], nearest=get_close_matches(key, _TABLE_KEYS, 3, 0.3) or list(_TABLE_KEYS))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise FlagError("own-card-value", option="--gpu", name=key, found=str(value)[:40], expected=_EXAMPLES.get(key, "NAME"))
        words = _unscientific(value)
        if key.endswith("tflops"):
            words += "TFLOPS"
        elif key == "tdp":
            words += "" if isinstance(value, str) else "W"
        elif key.startswith("price"):
            words += str(currency)
        name = _TABLE_KEYS[key]
        yield words if name in ("memory", "bandwidth") else f"{name}={words}"


def _unscientific(value: str | float) -> str:
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)
