"""What runs of a kind leave unsaid: rules about engines and clients as data, applied where a case is read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["CorpusRule", "corpus_rules", "with_unsaid"]


@dataclass(frozen=True, slots=True)
class CorpusRule:
    """One rule.

    Parameters
    ----------
    name, why, origin : str
        What it is about, its reason, and where that can be read.
    where : mapping of str to re.Pattern
        Field of a case -> what must be found in it.
    fill : mapping
        Fields that it sets.
    """

    name: str
    why: str
    origin: str
    where: Mapping[str, re.Pattern[str]]
    fill: Mapping[str, Any]

    def applies_to(self, row: Mapping[str, Any]) -> bool:
        """Whether every pattern is found in its field."""
        return all(pattern.search(_text(row.get(field))) for field, pattern in self.where.items())


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:2000]


@cache
def corpus_rules() -> tuple[CorpusRule, ...]:
    """Every rule, in the order in which they apply."""
    table = tomllib.loads((Path(__file__).parent / "corpora.toml").read_text(encoding="utf-8"))
    return tuple(
        CorpusRule(rule["name"], rule["why"], rule["from"], {field: re.compile(words) for field, words in rule["where"].items()}, rule["fill"])
        for rule in table["rule"]
    )


def with_unsaid(row: Mapping[str, Any]) -> dict[str, Any]:
    """A case with what runs of its kind leave unsaid.

    Parameters
    ----------
    row : mapping
        The fields of a case that a prediction may read.

    Returns
    -------
    dict
        The same with further fields.

    Examples
    --------
    >>> with_unsaid({"engine": "DeepSeek in-house", "parallelism": "tp8"})
    {'engine': 'SGLang', 'parallelism': 'tp8'}
    """
    found = dict(row)
    for rule in corpus_rules():
        if rule.applies_to(found):
            found.update(rule.fill)
    return found
