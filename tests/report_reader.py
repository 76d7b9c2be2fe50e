"""A report or another page as its reader sees it: what stands in which row, what it refers to, and the words outside of names and sources."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

VOID = ("meta", "link", "img", "br", "hr", "input")
ALIVE = ("script", "iframe", "object", "embed", "form", "base", "link", "img", "video", "audio")
"""Tags that run, load or send something."""


class Page(HTMLParser):
    """Tags with their attributes, links, and the words of each cell, by row and place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self.sections: dict[str, list[str]] = {}
        self.title = ""
        self._open: list[str] = []
        self._section = ""
        self.feed(html)
        self.close()
        assert self._open == [], self._open  # every tag is closed, in order

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.tags.append((tag, named))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self._section = named["id"]
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "title" in self._open and "svg" not in self._open:
            self.title += data
        if {"td", "th"} & set(self._open) and "sup" not in self._open:
            self.rows[-1][-1] += f" {data.strip()}"
        if not {"style", "sup", "code"} & set(self._open):
            self.sections.setdefault(self._section, []).append(data.strip())

    def row(self, name: str) -> list[str]:
        """The cells of the row with this name."""
        return next([" ".join(cell.split()) for cell in row[1:]] for row in self.rows if row and row[0].strip() == name)

    def words(self, *without: str) -> Iterator[str]:
        """Every piece of text outside of commands and footnote numbers; some sections left out."""
        return (words for section, found in self.sections.items() if section not in without for words in found if words)

    @property
    def alive(self) -> list[str]:
        """Tags that run, load or send something, and attributes that do."""
        found = [tag for tag, _ in self.tags if tag in ALIVE]
        return found + [name for _, named in self.tags for name in named if name.startswith("on") or name in ("src", "srcset", "style", "action")]

    @property
    def links(self) -> list[str]:
        """Where links lead."""
        return [named["href"] for tag, named in self.tags if tag == "a"]
