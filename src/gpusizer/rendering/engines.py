"""Engines for readers: which version is predicted, and which flags ``fit`` knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpusizer.engines import engine_name, get_engine
from gpusizer.engines.base.flags import flag_table
from gpusizer.i18n import text
from gpusizer.rendering.catalog import columns
from gpusizer.rendering.document import Block, Document, Heading, Paragraph, Table

__all__ = ["engine_document", "engines_document"]


def _engine_data(id: str) -> dict[str, Any]:
    engine = get_engine(id)
    flags = [flag.spelling for flag in flag_table(id).counted]
    return {
        "id": id,
        "name": engine_name(id),
        "newest_version": ".".join(str(part) for part in engine.newest),
        "flags": flags,
        "sources": list(engine.weight_sources),
    }


def engines_document(ids: Sequence[str], language: str) -> Document:
    """All engines, the default first."""
    data = [_engine_data(id) for id in ids]
    rows = [[each["id"], each["name"], each["newest_version"], str(len(each["flags"])), each["flags"]] for each in data]
    heading = columns(language, "id", "name", "newest-version", "flags", numbers=("flags",))
    shown: list[Block] = [Table(heading, [row[:4] for row in rows]), Paragraph(text("ui", "flags-note", language))]
    table = Table(columns(language, "id", "name", "newest-version", "flags"), [[*row[:3], " ".join(row[4])] for row in rows])
    return Document({"schema": "gpusizer.engines/1", "engines": data}, shown, csv=table)


def engine_document(id: str, language: str) -> Document:
    """One engine."""
    data = _engine_data(id)
    kinds = {flag.kind: text("option", f"kind-{flag.kind}", language) for flag in flag_table(id).counted}
    rows = [[", ".join(flag.spellings), kinds[flag.kind], text("flag", flag.target, language)] for flag in flag_table(id).counted]
    blocks: list[Block] = [
        Heading(f"{data['name']} {data['newest_version']}"),
        Table(columns(language, "flags", "value", "meaning"), rows),
        *(Paragraph(text("ui", "source-line", language, source=source)) for source in data["sources"]),
    ]
    return Document({"schema": "gpusizer.engine/1", **data}, blocks)
