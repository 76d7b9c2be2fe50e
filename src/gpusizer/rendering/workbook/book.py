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

_STYLES: dict[str, dict[str, Any]] = {
    "text": {},
    "wrap": {"text_wrap": True, "valign": "top"},
    "faint": {"font_color": _FAINT, "text_wrap": True, "valign": "top"},
    "title": {"bold": True, "font_size": 16, "font_color": _HEAD},
    "section": {"bold": True, "font_size": 12, "font_color": _HEAD, "bottom": 1, "bottom_color": _HEAD},
    "head": {"bold": True, "font_color": _PAPER, "bg_color": _HEAD, "text_wrap": True, "valign": "vcenter"},
    "small-head": {"bold": True},
    "answer": {"bold": True, "font_size": 14, "text_wrap": True, "valign": "vcenter", "bg_color": "#E8F1FA", "border": 1, "border_color": _HEAD},
    "big": {"bold": True, "font_size": 20, "num_format": "#,##0", "align": "right", "font_color": _HEAD},
    "label": {"text_wrap": True, "valign": "vcenter"},
    "bold": {"bold": True},
    "number": {"num_format": "#,##0", "align": "right"},
    "bold-number": {"num_format": "#,##0", "bold": True, "top": 1},
    "one": {"num_format": "#,##0.0", "align": "right"},
    "two": {"num_format": "#,##0.00", "align": "right"},
    "three": {"num_format": "#,##0.000", "align": "right"},
    "four": {"num_format": "0.0000"},
    "right": {"align": "right"},
    "inside": {"indent": 1},
    "percent": {"num_format": "0.0%", "align": "right"},
    "general": {"num_format": "General", "align": "right"},
    "input": {
        "bg_color": _INPUT,
        "border": 1,
        "border_color": "#C9A227",
        "locked": False,
        "align": "left",
        "valign": "vcenter",
        "num_format": "#,##0",
    },
    "input-share": {
        "bg_color": _INPUT,
        "border": 1,
        "border_color": "#C9A227",
        "locked": False,
        "align": "left",
        "valign": "vcenter",
        "num_format": "0.0%",
    },
    "input-money": {
        "bg_color": _INPUT,
        "border": 1,
        "border_color": "#C9A227",
        "locked": False,
        "align": "left",
        "valign": "vcenter",
        "num_format": "#,##0.00",
    },
    "used": {"num_format": "#,##0", "align": "left", "valign": "vcenter", "font_color": _FAINT},
    "used-share": {"num_format": "0.0%", "align": "left", "font_color": _FAINT},
    "used-money": {"num_format": "#,##0.00", "align": "left", "font_color": _FAINT},
    "formula": {"font_name": "Consolas", "text_wrap": True, "valign": "top", "font_size": 9},
    "top": {"valign": "top"},
    "top-number": {"num_format": "#,##0", "valign": "top"},
    "top-three": {"num_format": "#,##0.000", "valign": "top"},
}


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
            settings = {"font_name": _FONT[self.language], "font_size": 10, "font_color": _INK, **_STYLES[name]}
            self._styles[name] = self.workbook.add_format(settings)
        return self._styles[name]

    def name(self, name: str, live: Live) -> Live:
        """Give a cell a defined name; from then on formulas use the name."""
        self.workbook.define_name(name, "=" + live.text)
        return Live(name, live.value)

    def close(self) -> bytes:
        """The finished file."""
        self.workbook.close()
        return self._bytes.getvalue()
