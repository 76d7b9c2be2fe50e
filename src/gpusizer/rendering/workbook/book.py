"""The workbook as a whole: its styles, its words in one language, its defined names."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from gpusizer.i18n import text
from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.live import Live

__all__ = ["Book"]

_FONT = {"en": "Calibri", "zh": "Microsoft YaHei"}
_INK, _PAPER, _INPUT, _HEAD, _FAINT = "#1F2933", "#FFFFFF", "#FFF4D6", "#1D4E89", "#6B7785"

_HEAD_STYLE = {"bold": True, "font_color": _PAPER, "bg_color": _HEAD, "text_wrap": True}
_SECTION = {"bold": True, "font_size": 12, "font_color": _HEAD, "bottom": 1, "bottom_color": _HEAD}
_STYLES: dict[str, dict[str, Any]] = {
    "text": {},
    "wrap": {"text_wrap": True},
    "faint": {"font_color": _FAINT, "text_wrap": True},
    "title": {"bold": True, "font_size": 16, "font_color": _HEAD},
    "section": _SECTION,
    "section-right": {**_SECTION, "align": "right"},
    "head": _HEAD_STYLE,
    "head-right": {**_HEAD_STYLE, "align": "right"},
    "head-inside": {**_HEAD_STYLE, "indent": 1},
    "small-head": {"bold": True},
    "answer": {"bold": True, "font_size": 14, "text_wrap": True, "bg_color": "#E8F1FA", "border": 1, "border_color": _HEAD},
    "big": {"bold": True, "font_size": 20, "num_format": "#,##0", "align": "right", "font_color": _HEAD},
    "label": {"text_wrap": True},
    "fitted": {"shrink": True},
    "bold": {"bold": True},
    "bold-one": {"num_format": "#,##0.0", "bold": True, "top": 1, "align": "right"},
    "verdict": {"bold": True, "align": "right", "font_size": 12},
    "bold-giga": {"num_format": '#,##0.000,,," GB"', "bold": True, "top": 1, "align": "right"},
    "right": {"align": "right"},
    "inside": {"indent": 1},
    "inside-wrap": {"indent": 1, "text_wrap": True},
    **{
        name: {"bg_color": _INPUT, "border": 1, "border_color": "#C9A227", "locked": False, "align": "left", "num_format": form}
        for name, form in (("input", "#,##0"), ("input-share", "0.0%"), ("input-money", "#,##0.00"), ("input-date", "yyyy-mm-dd"))
    },
    "input-title": {"bold": True, "font_size": 16, "font_color": _HEAD, "locked": False, "bottom": 1, "bottom_color": "#C9A227"},
    "used": {"num_format": "#,##0", "align": "left", "font_color": _FAINT, "shrink": True},
    "used-share": {"num_format": "0.0%", "align": "left", "font_color": _FAINT},
    "formula": {"font_name": "Consolas", "text_wrap": True, "font_size": 9},
    "small": {"font_size": 9, "text_wrap": True},
}

_UNITS = {  # numbers that carry their unit in the format, so that a cell is still a number
    "number": "#,##0", "one": "#,##0.0", "two": "#,##0.00", "percent": "0.0%", "general": "General",
    "giga": '#,##0.000,,," GB"', "gib": '#,##0.0" GiB"', "gb": '#,##0.0" GB"', "kib": '#,##0.0" KiB"', "billions": '#,##0.0,,," B"',
    "seconds": '#,##0.00" s"', "milliseconds": '#,##0.0" ms"', "rate": '#,##0" tok/s"', "rate-one": '#,##0.0" tok/s"',
    "pace": '0.0000" s"', "kilowatts": '#,##0.0" kW"', "kilowatt-hours": '#,##0.00" kWh"',
}  # fmt: skip
_AMOUNTS = {"money": "#,##0.00", "coin": "#,##0"}


class Book:
    """An XlsxWriter workbook that is written to memory.

    Parameters
    ----------
    language : str
        "en" or "zh".
    """

    def __init__(self, language: str) -> None:
        import xlsxwriter
        from xlsxwriter.worksheet import CellNumberTuple, Worksheet

        class Plain(Worksheet):  # type: ignore[misc]
            """A sheet whose formulas hold no newer functions: a search for thirty of them in each would take longer than all else."""

            def _prepare_formula(self, formula: str, *_: Any) -> str:
                return formula.removeprefix("=")

            def fill(self, row: int, values: Sequence[Any]) -> None:
                """Constants side by side, without a style: there are a hundred thousand, so they go straight into the table."""
                self._check_dimensions(row, len(values) - 1)
                cells = self.table[row]
                for column, value in enumerate(values):
                    if type(value) is int or type(value) is float:
                        cells[column] = CellNumberTuple(value, None)
                    elif value is not None and value != "":
                        self.write(row, column, value)

        self._sheet_class = Plain
        self.language = language
        self._bytes = io.BytesIO()
        self.workbook = xlsxwriter.Workbook(self._bytes, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
        self.workbook.set_calc_mode("auto")
        self._styles: dict[str, Any] = {}
        self.grids: dict[str, Grid] = {}
        self.heading = ""
        font = _FONT[language]
        self.workbook.formats[0].set_font_name(font)
        self.workbook.formats[0].set_font_size(10)

    def say(self, code: str, **parameters: Any) -> str:
        """Words of the workbook in its language."""
        return text("workbook", code, self.language, **parameters)

    def add(self, code: str, *, technical: bool = False) -> Grid:
        """Add a sheet; technical ones have the same name in both languages and are hidden."""
        name = code if technical else self.say(f"sheet-{code}")
        grid = Grid(self, name, self._sheet_class)
        self.grids[code] = grid
        if technical:
            grid.sheet.hide()
        else:
            grid.sheet.hide_gridlines(2)
        return grid

    def style(self, name: str) -> Any:
        """A format by name, made when first asked for."""
        if name not in self._styles:
            settings = {"font_name": _FONT[self.language], "font_size": 10, "font_color": _INK, "valign": "vcenter", **self._style_of(name)}
            self._styles[name] = self.workbook.add_format(settings)
        return self._styles[name]

    def _style_of(self, name: str) -> dict[str, Any]:
        """Settings of a format; ``yes-no`` shows 1 and 0 as words, ``money:USD`` and ``coin:USD`` an amount with its currency."""
        aligned = {"align": "right"}
        if name == "yes-no":
            return {"num_format": f'"{self.say("yes")}";;"{self.say("no")}"', **aligned}
        kind, _, currency = name.partition(":")
        if kind in _AMOUNTS:
            quoted = currency.replace('"', "")
            return {"num_format": f'{_AMOUNTS[kind]}" {quoted}"' if quoted else _AMOUNTS[kind], **aligned}
        return {"num_format": _UNITS[name], **aligned} if name in _UNITS else _STYLES[name]

    def describe(self, title: str, **properties: Any) -> None:
        """What the file says about itself; the title stands below every printed page as well."""
        self.heading = title
        self.workbook.set_properties({"title": title, **properties})

    def name(self, name: str, live: Live) -> Live:
        """Give a cell a defined name; from then on formulas use the name."""
        self.workbook.define_name(name, "=" + live.text)
        return Live(name, live.value)

    def close(self) -> bytes:
        """The finished file."""
        self.workbook.close()
        return self._bytes.getvalue()
