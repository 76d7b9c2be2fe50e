"""Codes of the core as sentences: ids of devices and engines become the names that people know them by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpusizer.architecture.types import Notice
from gpusizer.engines import engine_name
from gpusizer.errors import UnknownIdError
from gpusizer.facts.catalog import accelerator
from gpusizer.i18n import LANGUAGES, has, text
from gpusizer.rendering.devices import device_name
from gpusizer.rendering.document import Lines, Paragraph

__all__ = ["field_words", "notice_data", "notice_words", "warning_lines", "warning_paragraphs", "warning_words"]


def notice_words(notice: Notice, group: str, language: str) -> str:
    """The sentence for a notice.

    Parameters
    ----------
    notice : Notice
        A code with its parameters.
    group : str
        "warning" or "reason".
    language : str
        "en" or "zh".

    Examples
    --------
    >>> notice_words(Notice("engine-partial-on-device", {"gpu": "h20-sxm-96gb", "engine": "vllm"}), "warning", "en")
    'H20 96GB: vLLM supports it in part'
    """
    named = dict(notice.parameters)
    if isinstance(gpu := named.get("gpu"), str):
        named["gpu"] = _gpu_name(gpu, language)
    if isinstance(engine := named.get("engine"), str):
        named["engine"] = engine_name(engine)
    if isinstance(fields := named.get("fields"), list):
        named["fields"] = [field_words(field, language) for field in fields]
    if isinstance(status := named.get("status"), str) and has("ui", f"status-{status}", language):
        named["status"] = text("ui", f"status-{status}", language)
    return text(group, notice.code, language, **named)


def field_words(name: str, language: str) -> str:
    """The words of a fact of a device; of one peak with its number format."""
    field, _, form = name.partition(".")
    words = text("ui", f"field-{field}", language) if has("ui", f"field-{field}", language) else field
    return f"{words} {form.upper()}".strip()


def notice_data(notice: Notice, group: str) -> dict[str, Any]:
    """A notice as JSON: code, parameters (ids as they are), and the sentence in both languages."""
    return {
        "code": notice.code,
        "parameters": dict(notice.parameters),
        "sentence": {language: notice_words(notice, group, language) for language in LANGUAGES},
    }


def warning_paragraphs(notices: Iterable[Notice], language: str) -> list[Paragraph]:
    """One paragraph a warning."""
    return [Paragraph(warning_words(each, language)) for each in notices]


def warning_lines(notices: Iterable[Notice], language: str) -> list[Lines]:
    """Warnings together, each once; nothing where there are none."""
    lines = [warning_words(each, language) for each in notices]
    return [Lines(list(dict.fromkeys(lines)))] if lines else []


def warning_words(notice: Notice, language: str) -> str:
    """One warning as a sentence that says it is one."""
    return text("ui", "warning-line", language, sentence=notice_words(notice, "warning", language))


def _gpu_name(id: str, language: str) -> str:
    try:
        return device_name(accelerator(id).name, language)
    except UnknownIdError:
        return id
