"""Sentences of the library as cells: its own templates, cut at their placeholders."""

from __future__ import annotations

import string

from gpusizer.formulas.core import floor_div
from gpusizer.i18n import table
from gpusizer.rendering.workbook.live import Live, chosen, compared, constant, joined, printed, recorded, words
from gpusizer.units import GiB, KiB, MiB

__all__ = ["context_words", "layout_words", "templated"]


def templated(language: str, group: str, code: str, **parts: Live | str) -> Live:
    """A sentence of ``i18n`` with cells in its places; ``GiB``, ``count`` and ``percent`` print numbers as the library does.

    Parameters
    ----------
    language, group, code : str
        Which sentence.
    **parts : Live or str
        What stands in its places.
    """
    found: list[Live | str] = []
    for literal, name, form, _ in string.Formatter().parse(table(group, language)[code]):
        if literal:
            found.append(literal)
        if name:
            part = parts.get(name, "?")
            found.append(_formed(part, form or "") if isinstance(part, Live) else part)
    return joined(*found)


def _formed(part: Live, form: str) -> Live:
    if isinstance(part.value, str) and not form:
        return part
    if form == "GiB":
        return joined(printed(recorded(lambda *, size: size / GiB, size=part), "#,##0.0"), " GiB")
    if form == "percent":
        return joined(printed(recorded(lambda *, share: 100 * share, share=part), "#,##0.0"), "%")
    if form == "count":
        return printed(part, "#,##0")
    return part


def context_words(tokens: Live) -> Live:
    """Tokens as people write them: 128k, 1m, 2,000."""
    plain = printed(tokens, "#,##0")
    found = plain
    for size, letter in ((KiB, "k"), (MiB, "m")):
        whole = recorded(lambda *, tokens, size: floor_div(tokens, size), tokens=tokens, size=size)
        even = compared(recorded(lambda *, whole, size: whole * size, whole=whole, size=size), "=", tokens)
        there = chosen(compared(tokens, ">=", size), even, constant(value=False))
        found = chosen(there, joined(printed(whole, "#,##0"), letter), found)
    return found


def layout_words(tp: Live, pp: Live, whole: Live, replicas: Live, spare: int = 0) -> Live:
    """A layout as people write it: TP8 PP2, 3 x (TP8 EP8), 3+1 x TP8."""
    stages = chosen(compared(pp, ">", 1), joined(" PP", pp), words(""))
    shared = chosen(compared(whole, "=", 1), chosen(compared(tp, ">", 1), joined(" EP", tp), words("")), words(""))
    inner = joined("TP", tp, stages, shared)
    several = compared(joined(stages, shared), "<>", "")
    count = joined(replicas, f"+{spare}") if spare else replicas
    many = chosen(several, joined(count, " x (", inner, ")"), joined(count, " x ", inner))
    return many if spare else chosen(compared(replicas, "=", 1), inner, many)
