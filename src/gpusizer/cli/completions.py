"""What a shell offers while somebody types: models, accelerators, engines and whatever else the catalogue names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import click
from click.shell_completion import CompletionItem

__all__ = ["Complete", "accelerators", "complete_field", "engines", "models", "scenarios", "uses", "vendors"]

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_PATH = ("/", ".", "~")  # how a path begins


def models(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Models of the catalogue; files where a path was begun."""
    from gpusizer.facts.catalog import model_ids

    if begun.startswith(_PATH) or "/" in begun:
        return [CompletionItem(begun, type="file")]
    return _items(model_ids(), begun)


def accelerators(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Accelerators by id, with the name that people know them by."""
    from gpusizer.facts.catalog import accelerators as all_of_them

    return [CompletionItem(each.id, help=each.name) for each in all_of_them() if each.id.startswith(begun.lower())]


def engines(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Engines; after a comma the next one."""
    from gpusizer.engines import engine_ids

    return _next(engine_ids(), begun)


def scenarios(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Scenarios."""
    from gpusizer.facts.catalog import scenarios as all_of_them

    return _items([each.id for each in all_of_them()], begun)


def uses(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What models are for."""
    from gpusizer.facts.types import USES

    return _items(USES, begun)


def vendors(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Makers of accelerators, one word each."""
    from gpusizer.facts.catalog import accelerators as all_of_them

    return _items(dict.fromkeys(each.vendor.lower() for each in all_of_them() if " " not in each.vendor), begun)


def complete_field(name: str, choices: Sequence[str] = ()) -> Complete | None:
    """What completes a field of a request; None where nothing does."""
    if choices:
        return lambda ctx, parameter, begun: _items(choices, begun)
    return _BY_FIELD.get(name)


def _items(words: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(begun.lower())]


def _next(words: Iterable[str], begun: str) -> list[CompletionItem]:
    """The last word of a list with commas."""
    before, comma, last = begun.rpartition(",")
    return [CompletionItem(f"{before}{comma}{item.value}") for item in _items(words, last)]


_BY_FIELD: dict[str, Complete] = {
    "model": models,
    "gpu": accelerators,
    "gpus": accelerators,
    "engine": engines,
    "scenario": scenarios,
    "vendor": vendors,
    "with_models": models,
}
