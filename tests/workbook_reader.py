"""A workbook as tests read it: recalculated by an engine that is not ours, or cell by cell; and the library's verdict on a choice of its inputs."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ironcalc

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.precision.requantise import with_precision
from gpusizer.engines import get_engine
from gpusizer.engines.base.device_support import device_support
from gpusizer.engines.base.types import Deployment, Fit
from gpusizer.facts.catalog import accelerator
from gpusizer.formulas.core import floor_div

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
    possible = device_support(name, architecture, device).refusal is None and bool(fit.quantities)
    return fit, start, possible


def differs(found: Value, wanted: Value) -> bool:
    """Bytes and counts are equal, other numbers to nine digits."""
    if isinstance(wanted, str | bool) or isinstance(found, str | bool):
        return found is not wanted and found != wanted
    if isinstance(wanted, int):
        return bool(found != wanted)
    return bool(abs(found - wanted) > 1e-9 * abs(wanted))


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
