"""The index of the catalogue's models: their names, and of each what lists of all models need, so that a list opens no other file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from gpusizer.architecture.load import load_architecture
from gpusizer.architecture.model import Architecture
from gpusizer.facts.catalog import model_entry
from gpusizer.facts.licences import licence
from gpusizer.facts.model_cards import card
from gpusizer.facts.model_names import MODELS, name_key, reductions
from gpusizer.facts.types import ModelEntry

_ALONE = {"embedding", "rerank", "speech"}  # such a model answers nobody

Row = dict[str, Any]


def write_index() -> int:
    """Write ``facts/models/index.json``: every model with its line of the list, and every name with its id."""
    names: dict[str, str] = {}
    ids: list[str] = []
    for path in sorted(MODELS.glob("*.toml")):
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
        ids.append(path.stem)
        for name in (path.stem, entry["name"], *entry.get("aliases", ())):
            if names.setdefault(name_key(name), path.stem) != path.stem:
                raise SystemExit(f'"{name}" names both {names[name_key(name)]} and {path.stem}')
    _write({each: {} for each in ids}, names)  # what is read next finds its files by it
    _write(lines_of_models(ids, names), names)
    return len(ids)


def lines_of_models(ids: Iterable[str], names: Mapping[str, str]) -> dict[str, Row]:
    """The line of every model, by id."""
    rows: dict[str, Row] = {}
    originals = {each: _original(each, names) for each in ids}
    for each in sorted(originals, key=lambda one: originals[one] is not None):  # originals first: a copy is for what its original is for
        rows[each] = _row(each, originals[each], rows.get(originals[each] or "", {}))
    return {each: rows[each] for each in ids}


def _row(model_id: str, original: str | None, of_original: Row) -> Row:
    entry, architecture, told = model_entry(model_id), load_architecture(model_id), card(model_id)
    terms = licence(told.licence or entry.licence)
    row = {
        "name": entry.name,
        "uses": of_original.get("uses") or uses(entry, architecture, base=told.base),
        "base": told.base or of_original.get("base", False),
        "released": told.released or of_original.get("released"),
        "licence": terms.id if terms else of_original.get("licence"),
        "commercial": terms.commercial if terms else of_original.get("commercial"),
        "context_tokens": architecture.max_position_embeddings,
        "total_params": architecture.parameters.total,
        "activated_params": architecture.parameters.activated,
        "copy_of": original,
    }
    return {key: value for key, value in row.items() if value}


def uses(entry: ModelEntry, architecture: Architecture, *, base: bool) -> list[str]:
    """What a model is for: as its file says; else what its card says, and pictures where its configuration has a part that sees them."""
    told, noted = card(entry.id), _noted(entry.id)
    if _ALONE & set(noted):
        return noted
    held = {"chat": not base, "reasoning": told.reasoning or entry.reasoning_source, "code": told.code, "vision": sees(architecture)}
    return [use for use, holds in held.items() if holds]


def sees(architecture: Architecture) -> bool:
    """Whether the configuration has a part for pictures."""
    heard = ("audio", "embed_audio")
    return "vision_config" in architecture.config or any(not tensor.name.startswith(heard) for tensor in architecture.towers)


def _noted(model_id: str) -> list[str]:
    found: list[str] = tomllib.loads((MODELS / f"{model_id}.toml").read_text(encoding="utf-8")).get("uses", [])
    return found


def _original(model_id: str, names: Mapping[str, str]) -> str | None:
    """The model of which this one is a quantised copy: what its card says, or its name without the precision."""
    said = card(model_id).copy_of
    found = said or next((names[key] for key, precision in reductions(model_id) if precision and key in names), None)
    return found if found != model_id else None


def _write(rows: Mapping[str, Row], names: Mapping[str, str]) -> None:
    text = f'{{\n"models": {_lines(rows)},\n"names": {_lines(dict(sorted(names.items())))}\n}}\n'
    (MODELS / "index.json").write_text(text, encoding="utf-8")


def _lines(table: Mapping[str, Any]) -> str:
    """A JSON object with one line an entry, so that a change of one model is a change of one line."""
    return "{\n" + ",\n".join(f"{_json(key)}: {_json(value)}" for key, value in table.items()) + "\n}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
