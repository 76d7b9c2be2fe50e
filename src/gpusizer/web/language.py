"""The language of an answer: what the address says, else what the browser prefers."""

from __future__ import annotations

from gpusizer.i18n import LANGUAGES

__all__ = ["preferred_language"]


def preferred_language(header: str) -> str:
    """The first of our languages in an Accept-Language header, the most wanted first; English without any.

    >>> preferred_language("zh-CN,zh;q=0.9,en;q=0.8"), preferred_language("de, en;q=0.5, zh;q=0.9"), preferred_language("fr")
    ('zh', 'zh', 'en')
    """
    wishes = []
    for place, entry in enumerate(header[:500].split(",")):
        name, _, quality = entry.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), place, name.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    return next((name for quality, _, name in sorted(wishes) if name in LANGUAGES and quality < 0), "en")
