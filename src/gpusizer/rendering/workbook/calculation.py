"""The technical sheet of calculations: one line a figure, then the blocks of a recorded account."""

from __future__ import annotations

from dataclasses import dataclass

from gpusizer.rendering.workbook.grid import Grid
from gpusizer.rendering.workbook.live import Live

__all__ = ["Account"]


@dataclass
class Account:
    """A technical sheet that is filled downwards."""

    grid: Grid
    row: int = 0

    def line(self, label: str, live: Live) -> Live:
        """A figure with its name in the first column."""
        self.grid.plain(self.row, 0, label)
        cell = self.grid.bare(self.row, 1, live)
        self.row += 1
        return cell
