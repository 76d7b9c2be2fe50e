"""A workbook as tests read it: recalculated by an engine that is not ours, or cell by cell; and the library's verdict on a choice of its inputs."""

from __future__ import annotations

import html
import io
import random
import re
import zipfile
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ironcalc

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.article.answer import article_of
from gpusizer.article.model_figures import cache_figures
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import device_support
from gpusizer.engines.base.ledger import per_gpu
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator, model_entry, model_ids
from gpusizer.formulas.core import floor_div
from gpusizer.formulas.load import concurrent_requests, replicas_needed
from gpusizer.i18n import text
from gpusizer.planning.model import model_of
from gpusizer.planning.starts import held_range
from gpusizer.rendering.workbook import listed_devices
from gpusizer.rendering.workbook.cells.candidates import CANDIDATES
from gpusizer.rendering.workbook.tables.gather import KV_PRECISIONS, PRECISIONS

DASH = "–"


NAMES = {
    "in_model", "in_precision", "in_kv_precision", "in_users", "in_active_share", "in_concurrency", "in_input_tokens", "in_output_tokens", "in_gpu",
    "in_tp", "in_pp", "out_sentence", "out_concurrency", "out_total_params", "out_weights_bytes", "out_kv_cache_bytes_per_token",
    "out_kv_cache_tokens", "out_max_concurrency", "out_fits", "out_gpus", "out_article_total_bytes", "out_article_bytes_per_user",
}  # fmt: skip


ENGINE = get_engine("vllm")
Value = Any


class Sheet:
    """A workbook in ironcalc: inputs are set and results read by their defined names."""

    def __init__(self, content: bytes, path: Path) -> None:
        path.write_bytes(content)
        self.model = ironcalc.load_from_xlsx(str(path), "en", "UTC", "en")
        self.sheets = [each["name"] for each in self.model.get_worksheets_properties()]
        self.visible = [place for place, each in enumerate(self.model.get_worksheets_properties()) if each["state"] == "visible"]
        self.names = {each["name"]: self.place(each["formula"]) for each in self.model.get_defined_name_list() if each["name"][:3] in ("in_", "out")}

    def copy(self) -> Sheet:
        """Another one as this is now, in a third of the time that reading a file takes."""
        found = copy(self)
        found.model = ironcalc.load_from_bytes(self.model.to_bytes(), "en")
        return found

    def place(self, reference: str) -> tuple[int, int, int]:
        """Sheet, row and column of a reference."""
        sheet, _, cell = reference.lstrip("=").rpartition("!")
        _, letters, row = cell.split("$")
        column = 0
        for letter in letters:
            column = 26 * column + ord(letter) - 64
        return self.sheets.index(sheet.strip("'").replace("''", "'")), int(row), column

    def set(self, **inputs: Value) -> None:
        """Change inputs and recalculate."""
        for name, value in inputs.items():
            self.model.set_user_input(*self.names[name], "" if value is None else str(value))
        self.model.evaluate()

    def get(self, name: str) -> Value:
        """A result."""
        return self.model.get_cell_value(*self.names[name])

    def errors(self) -> list[tuple[int, int, int, str]]:
        """Cells of visible sheets that show an error."""
        found = []
        for place in self.visible:
            for row in range(1, 140 if place else 60):
                for column in range(1, 13):
                    value = self.model.get_cell_value(place, row, column)
                    if isinstance(value, str) and re.fullmatch(r"#(N/A|NAME\?|REF!|DIV/0!|VALUE!|NUM!|NULL!|ERROR!|CIRC!)", value):
                        found.append((place, row, column, value))
        return found


@dataclass(frozen=True)
class Case:
    """One choice of every drop-down."""

    model: str
    precision: str
    kv: str
    gpu: str
    tp: int
    pp: int
    whole: bool
    concurrency: int | None
    users: int
    share: float
    input_tokens: int
    output_tokens: int

    def inputs(self) -> dict[str, Value]:
        """As the sheet takes it."""
        return {
            "in_model": self.model,
            "in_precision": self.precision,
            "in_kv_precision": self.kv,
            "in_gpu": self.gpu,
            "in_tp": self.tp,
            "in_pp": self.pp,
            "in_whole_experts": "yes" if self.whole else "no",
            "in_concurrency": self.concurrency,
            "in_users": self.users,
            "in_active_share": self.share,
            "in_input_tokens": self.input_tokens,
            "in_output_tokens": self.output_tokens,
            "in_memory_fraction": None,
            "in_replicas": None,
        }


def verdict(case: Case, name: str = "vllm") -> tuple[Fit, Deployment, bool]:
    """The library's verdict, on the engine's share of the card or on the largest that is free; and whether model and layout are possible at all."""
    architecture, device = with_precision(load_architecture(case.model), case.precision), accelerator(case.gpu)
    context = case.input_tokens + case.output_tokens
    ep, engine = case.tp if case.whole else 1, get_engine(name)
    start = Deployment(
        case.model, case.gpu, case.tp, case.pp, ep=ep, precision=case.precision, kv_precision=case.kv, max_model_len=context, engine=name
    )
    fit = engine.fit(start, architecture, device)
    if fit.reason is not None and fit.reason.code == "budget-above-free":
        start = replace(start, memory_fraction=max(floor_div(100 * fit.reason.parameters["free_bytes"], device.memory_bytes) / 100, 0))
        fit = engine.fit(start, architecture, device)
    possible = engine.support(start, architecture, device).refusal is None and bool(fit.quantities)
    return fit, start, possible


def differs(found: Value, wanted: Value) -> bool:
    """Bytes and counts are equal, other numbers to nine digits."""
    if isinstance(wanted, str | bool) or isinstance(found, str | bool):
        return found is not wanted and found != wanted
    if isinstance(wanted, int):
        return bool(found != wanted)
    return bool(abs(found - wanted) > 1e-9 * abs(wanted))


def kinds_first() -> list[str]:
    """Models of the catalogue, first one of each kind of blocks, formats and sharing, then the others by chance."""
    chance, seen = random.Random(7), set()
    first: list[str] = []
    others: list[str] = []
    models = [id for id in model_ids() if not model_of(id).only_reads and get_engine("vllm").unknown_mixer(load_architecture(id)) is None]
    chance.shuffle(models)
    for id in models:
        architecture = load_architecture(id)
        blocks = {type(block).__name__ for layer in architecture.layers for block in (*layer.mixers, *layer.feed_forwards)}
        kind = (*sorted(blocks), architecture.dtype, architecture.quantization.method, bool(architecture.head), bool(architecture.mtp))
        (others if kind in seen else first).append(id)
        seen.add(kind)
    return first + others


def cases(count: int, seed: int) -> Iterator[Case]:
    """Random choices in which every kind of model and nearly every device appears."""
    chance = random.Random(seed)
    models, gpus = kinds_first(), [each.id for each in listed_devices()]
    chance.shuffle(gpus)
    for number in range(count):
        yield Case(
            models[number % len(models)],
            chance.choice(PRECISIONS),
            chance.choice(KV_PRECISIONS),
            gpus[number % len(gpus)],
            chance.choice((1, 2, 4, 8, 8, 8, 16)),
            chance.choice((1, 1, 1, 1, 2, 3, 4, 8, 13, 16)),
            chance.random() < 0.3,
            chance.choice((None, 1, 7, 64, 1000)),
            chance.choice((1, 50, 1000, 250000)),
            chance.choice((0.01, 0.02, 0.07, 1)),
            chance.choice((0, 1, 16, 700, 2048, 12035, 120000)),
            chance.choice((1, 28, 2000, 8192)),
        )


def expected(case: Case, engine: str = "vllm") -> dict[str, Value]:
    """Every result by the library."""
    architecture = with_precision(load_architecture(case.model), case.precision)
    context = case.input_tokens + case.output_tokens
    concurrency = case.concurrency or concurrent_requests(users=case.users, active_share=case.share)
    fit, _, possible = verdict(case, engine)
    _, low = held_range(fit) if possible else (0, 0)
    article = article_of(architecture, model_entry(case.model), case.precision, concurrency, context)
    assert article is not None
    found: dict[str, Value] = {
        "out_concurrency": concurrency,
        "out_total_params": load_architecture(case.model).parameters.total,
        "out_kv_cache_bytes_per_token": cache_figures(architecture, case.kv)[0],
        "out_article_total_bytes": article.total_bytes,
        "out_article_bytes_per_user": article.bytes_per_user,
        "out_fits": possible and fit.fits,
        "out_gpus": DASH,
        "out_replicas": DASH,
    }
    if not possible:
        return found | dict.fromkeys(("out_weights_bytes", "out_kv_cache_tokens", "out_max_concurrency", "out_held_requests"), DASH)
    if fit.fits and low >= 1:
        replicas = replicas_needed(concurrency=concurrency, held=low)
        found |= {"out_gpus": case.tp * case.pp * replicas, "out_replicas": replicas}
    return found | {
        "out_weights_bytes": per_gpu(fit.ranks[fit.worst].items)["weights_bytes"],
        "out_kv_cache_tokens": fit.kv_cache.tokens,
        "out_max_concurrency": fit.max_concurrency,
        "out_held_requests": low,
    }


def differences(sheet: Sheet, case: Case, engine: str = "vllm") -> list[str]:
    """Results of the sheet that the library does not give."""
    sheet.set(**case.inputs())
    return [
        f"{name}: {sheet.get(name)!r}, the library {wanted!r}, {engine} {case}"
        for name, wanted in expected(case, engine).items()
        if differs(sheet.get(name), wanted)
    ]


def smallest(case: Case, gpu: str, engine: str = "vllm") -> tuple[int, int] | None:
    """(GPUs, requests that one replica holds) of the best candidate on a device, by the library."""
    device = accelerator(gpu)
    found = []
    for tp, pp in CANDIDATES:
        if tp > (device.devices_per_node or 8):
            continue
        for whole in (False, True):
            fit, _, possible = verdict(replace(case, gpu=gpu, tp=tp, pp=pp, whole=whole), engine)
            if (
                device_support(engine, with_precision(load_architecture(case.model), case.precision), device, kv_precision=case.kv).refusal
                is not None
            ):
                return None
            if not possible:
                continue
            _, low = held_range(fit)
            if fit.fits and low >= 1:
                replicas = replicas_needed(concurrency=case.concurrency or 1, held=low)
                found.append((tp * pp * replicas, replicas, low))
            break
    return (min(found)[0], min(found)[2]) if found else None


def ledger(sheet: Sheet) -> dict[str, float]:
    """Lines of one GPU's memory by their words, without those that are 0."""
    place = sheet.sheets.index(text("workbook", "sheet-memory", "en"))
    found: dict[str, float] = {}
    for row in range(5, 60):
        words, size = str(sheet.model.get_cell_value(place, row, 1)), sheet.model.get_cell_value(place, row, 2)
        if words == text("workbook", "memory-total", "en"):
            break
        assert isinstance(size, float), words
        name = text("item", "weights_head", "en") if words == text("workbook", "memory-own-head", "en") else words
        found[name] = found.get(name, 0) + size
    return {name: size for name, size in found.items() if size}


def wrong_lines(sheet: Sheet, case: Case, engine: str) -> list[str]:
    """Lines of the ledger that the library does not give; the sheet is set to the case."""
    fit, _, possible = verdict(case, engine)
    if not possible:
        return []
    wanted: dict[str, int] = {}
    for line in fit.ranks[fit.worst].items:
        words = text("item", line.id, "en")
        wanted[words] = wanted.get(words, 0) + line.bytes
    found = ledger(sheet)
    names = dict.fromkeys([*wanted, *found])
    return [f"{name}: {found.get(name, 0)}, {wanted.get(name, 0)}, {case}" for name in names if found.get(name, 0) != wanted.get(name, 0)]


CELL = re.compile(r"<c ([^>]*?)(?:/>|>(.*?)</c>)", re.DOTALL)


def cells(content: bytes) -> Iterator[tuple[str, str, bool, Value]]:
    """(sheet, cell, whether it is a formula, stored value) of every cell that has one; another reader would take ten times as long."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    book, links = archive.read("xl/workbook.xml").decode(), archive.read("xl/_rels/workbook.xml.rels").decode()
    targets = {re.search(r'Id="(.*?)"', each)[1]: re.search(r'Target="(.*?)"', each)[1] for each in re.findall(r"<Relationship .*?/>", links)}  # type: ignore[index]
    strings: list[str] = []
    if "xl/sharedStrings.xml" in archive.namelist():
        for each in ElementTree.fromstring(archive.read("xl/sharedStrings.xml")):
            strings.append("".join(each.itertext()))
    for name, link in re.findall(r'<sheet name="(.*?)".*?r:id="(.*?)"', book):
        for attributes, inner in CELL.findall(archive.read("xl/" + targets[link].removeprefix("/xl/")).decode()):
            place, kind = re.search(r'r="(\w+)"', attributes)[1], re.search(r't="(\w+)"', attributes)  # type: ignore[index]
            value = re.search(r"<v[^>]*>(.*?)</v>", inner, re.DOTALL)
            if value is not None:
                yield html.unescape(name), place, "<f" in inner, _value(html.unescape(value[1]), kind[1] if kind else "n", strings)


def _value(words: str, kind: str, strings: list[str]) -> Value:
    match kind:
        case "s":
            return strings[int(words)]
        case "b":
            return words == "1"
        case "n":
            return float(words) if words else ""
    return words


def stored_values(content: bytes) -> dict[tuple[str, str], Value]:
    """What the file itself says that its formulas give."""
    return {(sheet, place): value for sheet, place, computed, value in cells(content) if computed}


def results(content: bytes) -> dict[str, Value]:
    """What the file itself says under each defined name, as whoever opens it without a recalculation sees it; a fifth of the time of a ``Sheet``."""
    book = zipfile.ZipFile(io.BytesIO(content)).read("xl/workbook.xml").decode()
    stored = {(sheet, place): value for sheet, place, _, value in cells(content)}
    named = re.findall(r'<definedName name="((?:in|out)_\w+)"[^>]*>(.*?)</definedName>', book)
    places = {name: html.unescape(reference).replace("$", "").rpartition("!") for name, reference in named}
    return {name: stored.get((sheet.strip("'").replace("''", "'"), place)) for name, (sheet, _, place) in places.items()}


def wrong_values(stored: dict[tuple[str, str], Value], found: dict[tuple[str, str], Value]) -> list[tuple[str, str, Value, Value]]:
    """Formulas whose stored value is not what a recalculation gives.

    On a technical sheet a width of a band may round by one byte. Between the rounds of a fixed point stand differences of nearly equal numbers: what
    comes of them is compared on the sheets that show it.
    """
    wrong = []
    for (name, cell), value in stored.items():
        if name == "Pace":
            continue
        other = found.get((name, cell), "")
        close = name == "Calc" and isinstance(value, int | float) and isinstance(other, int | float) and abs(other - value) <= 1
        if (value or 0) != (other or 0) and differs(other, value) and not close:
            wrong.append((name, cell, value, other))
    return wrong


def shown(sheet: Sheet, place: int = 0, rows: int = 70, columns: int = 14) -> list[list[str]]:
    """A sheet as people see it."""
    return [[sheet.model.get_formatted_cell_value(place, row, column) for column in range(1, columns)] for row in range(1, rows)]
