"""Lines for hardware that was named, and the nearest that does where nothing within the limits will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpusizer.i18n import text
from gpusizer.planning.request import FIELDS
from gpusizer.rendering.devices import device_name, device_unit
from gpusizer.rendering.document import Block, Paragraph, Points
from gpusizer.rendering.launch import command_line, layout_words
from gpusizer.rendering.notices import notice_data, notice_words

if TYPE_CHECKING:
    from gpusizer.facts.types import Accelerator
    from gpusizer.planning.named import NamedLine
    from gpusizer.planning.types import Plan

__all__ = ["named_blocks", "named_data", "nearest_blocks", "nearest_data"]


def named_blocks(plan: Plan, language: str) -> list[Block]:
    """One line for each single card and single server that was named."""
    return [Points([_words(each, language) for each in plan.named])] if plan.named else []


def named_data(plan: Plan) -> list[dict[str, Any]]:
    """The same lines as data."""
    return [
        {
            "gpu": each.accelerator.id,
            "gpus": each.gpus,
            "verdict": each.verdict,
            "max_concurrency": each.held,
            "max_concurrency_low": each.held_low,
            "flags": [notice_data(knob, "knob") for knob in each.knobs],
            "reason": None if each.reason is None else notice_data(each.reason, "reason"),
            "remedy": None if each.remedy is None else {"change": each.remedy.code, "parameters": each.remedy.parameters},
            "command": None if each.launch is None else command_line(each.launch),
        }
        for each in plan.named
    ]


def _words(line: NamedLine, language: str) -> str:
    said = {"gpus": line.gpus, **_device(line.accelerator, language), "held": line.held, "low": line.held_low}
    settings = [notice_words(each, "knob", language) for each in line.knobs]
    with_settings = text("ui", "named-settings", language, settings=settings) if settings else ""
    if line.reason is None:
        return text("ui", f"named-{line.verdict}", language, **said) + with_settings
    words = text("ui", "named-no", language, **said, reason=notice_words(line.reason, "reason", language))
    if line.remedy is None:
        return words + with_settings
    change = text("remedy", line.remedy.code, language, layout=layout_words(line.remedy.launch.layout), **line.remedy.parameters)
    return words + text("ui", "named-remedy", language, change=change)


def nearest_blocks(plan: Plan, language: str) -> list[Block]:
    """The nearest that does, with the option that must be lifted; nothing where there are options."""
    found = plan.nearest
    if found is None:
        return []
    option = found.option
    words = {"gpus": option.gpus, **_device(option.accelerator, language), "held": option.held_requests_low, "options": _options(found.lifted)}
    return [Paragraph(text("ui", "plan-nearest", language, **words))]


def nearest_data(plan: Plan) -> dict[str, Any] | None:
    """The same as data."""
    found = plan.nearest
    if found is None:
        return None
    option = found.option
    return {"gpu": option.accelerator.id, "gpus": option.gpus, "verdict": option.verdict, "lifted": list(found.lifted)}


def _device(accelerator: Accelerator, language: str) -> dict[str, str]:
    """A device with the word that counts it."""
    return {"unit": device_unit(accelerator, language), "gpu": device_name(accelerator.name, language)}


def _options(names: tuple[str, ...]) -> list[str]:
    """Fields of a request as options of the command line."""
    return [field.option for field in FIELDS if field.name in names]
