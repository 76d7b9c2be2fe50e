"""``gpusizer fit MODEL --gpu ID`` and ``gpusizer fit --gpu ID -- COMMAND``: does exactly this start, and what will its log say?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import deliver, format_option, output_option
from gpusizer.errors import FlagError
from gpusizer.i18n import text

if TYPE_CHECKING:
    from gpusizer.engines.base.flag import Flag
    from gpusizer.engines.base.flags import Launch

__all__ = ["build"]

_NAMED = ("engine", "engine_version", "precision", "kv_precision")
_LONGEST_INPUT = 1 << 17  # bytes of the standard input that are read


@dataclass
class _Typed:
    """What was typed beside the options of the command itself."""

    flags: dict[str, Any] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)


class _FitCommand(Command):
    """A command whose further options are the flags of the engine that was asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the engine's flags and a pasted command out; the rest is read as usual."""
        own, command = list(args), []
        if "--" in args:
            own, command = args[: args.index("--")], args[args.index("--") + 1 :]
            command = [sys.stdin.read(_LONGEST_INPUT)] if command == ["-"] else command
        options = self._options(ctx)
        try:
            rest, flags = _own_and_flags(own, options, command)
        except FlagError as error:
            raise _with_options(error, options) from None
        ctx.obj = _Typed(flags, command)
        return super().parse_args(ctx, rest)

    def _options(self, ctx: click.Context) -> dict[str, bool]:
        """The command's own options, and whether a value follows."""
        found: dict[str, bool] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option):
                found |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), not parameter.is_flag)
        return found

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Flags and a pasted command as well."""
        return [*super().collect_usage_pieces(ctx), "[FLAGS]", "[-- COMMAND]"]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, then the flags of every engine that change memory."""
        super().format_options(ctx, formatter)
        self.section(formatter, text("option", "pasted", self.language), [("-- COMMAND", text("option", "pasted-command", self.language))])
        from gpusizer.engines import declarations
        from gpusizer.engines.base.flags import COMMON, flag_table

        self.section(formatter, text("option", "flags-common", self.language), [_record(flag, self.language) for flag in COMMON])
        for engine in declarations():
            flags = [flag for flag in flag_table(engine.id).counted if flag not in COMMON]
            self.section(formatter, text("option", "flags-of", self.language, engine=engine.label), [_record(flag, self.language) for flag in flags])


def _record(flag: Flag, language: str) -> tuple[str, str]:
    short = min((each for each in flag.also if each.startswith("-") and len(each) < len(flag.spelling)), key=len, default="")
    value = "" if flag.kind == "switch" else text("option", f"kind-{flag.kind}", language)
    return " ".join(part for part in (", ".join(filter(None, (short, flag.spelling))), value) if part), text("flag", flag.target, language)


def _own_and_flags(args: Sequence[str], own: Mapping[str, bool], command: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Part the options of the command from the flags of the engine; MODEL stays with the former."""
    from gpusizer.engines import declaration
    from gpusizer.engines.base.arguments import is_flag, read_arguments
    from gpusizer.engines.base.flags import flag_table
    from gpusizer.engines.base.pasted import engine_of

    engine = _value_of("--engine", args)
    table = flag_table(engine_of(command) if engine is None and command else declaration(engine or "vllm").id)
    rest: list[str] = []
    theirs: list[str] = []
    index = 0
    while index < len(args):
        word = args[index]
        spelling, equals, _ = word.partition("=")
        if not is_flag(word) or spelling in own or spelling == "--help":
            taken = 2 if own.get(spelling) and not equals and is_flag(word) else 1
            rest += args[index : index + taken]
            index += taken
            continue
        following = index + 1
        while following < len(args) and not is_flag(args[following]):
            following += 1
        read = read_arguments(args[index:following], table)
        used = following - index - len(read.positionals)
        theirs += args[index : index + used]
        index += used
    return rest, read_arguments(theirs, table).values


def _with_options(error: FlagError, options: Mapping[str, bool]) -> FlagError:
    """An error about an unknown option with the command's own options among the nearest."""
    if error.code != "unknown-option":
        return error
    option, near = error.parameters["option"], error.parameters["nearest"]
    return FlagError(error.code, option=option, nearest=[*get_close_matches(option, options, 2, 0.7), *near][:3])


def _value_of(option: str, args: Sequence[str]) -> str | None:
    for word, following in zip(args, [*args[1:], None], strict=False):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(model: str | None, gpu: tuple[str, ...], form: str, output: str | None, **values: Any) -> int:
        from gpusizer.planning.remedies import remedies_for
        from gpusizer.planning.request import Request
        from gpusizer.planning.verdict import make_fit
        from gpusizer.rendering.fit import fit_document
        from gpusizer.rendering.render import render

        typed: _Typed = click.get_current_context().obj
        if model is not None:
            Request(model=model)  # the same bounds as everywhere
        named = {name: value for name in _NAMED if (value := values.pop(name)) is not None}
        launched = _launch(model, gpu, named, typed)
        verdict = make_fit(launched.deployment, launched.notices)
        remedies = remedies_for(verdict.fit, verdict.launch, verdict.architecture, verdict.accelerator)
        deliver(render(fit_document(verdict.fit, verdict.launch, verdict.model.name, verdict.accelerator, remedies, language), form), output)
        return 0 if verdict.fit.fits else 3

    named = [
        click.Option(["--" + name.replace("_", "-"), name], metavar=text("option", "kind-word", language), help=text("option", name, language))
        for name in _NAMED
    ]
    return _FitCommand(
        "fit",
        language,
        callback=run,
        params=[
            click.Argument(["model"], metavar="MODEL", required=False),
            click.Option(["--gpu"], multiple=True, metavar="ID", help=text("option", "gpu", language)),
            *named,
            format_option(language),
            output_option(language),
        ],
        help=text("command", "fit", language),
        examples=(
            "gpusizer fit deepseek-v3 --gpu h200-sxm-141gb --tp 8 --max-model-len 32k",
            "gpusizer fit qwen3-32b --gpu rtx-4090-24gb --gpus 4 --engine sglang --mem-fraction-static 0.85",
            "gpusizer fit model.gguf --gpu rtx-4090-24gb --engine llama.cpp --ctx-size 32k --cache-type-k q8_0",
            "gpusizer fit --gpu h200 -- vllm serve deepseek-ai/DeepSeek-V3 --tensor-parallel-size 8",
        ),
    )


def _launch(model: str | None, gpus: tuple[str, ...], named: dict[str, Any], typed: _Typed) -> Launch:
    """The start that was typed, with or without a pasted command."""
    from gpusizer.engines.base.flags import launch_from_flags
    from gpusizer.engines.base.pasted import engine_of
    from gpusizer.engines.base.types import Deployment
    from gpusizer.planning.pasted import launch_of_command

    if not gpus:
        raise FlagError("command-without-gpu") if typed.command else FlagError("missing-argument", name="--gpu")
    if typed.command:
        engine = named.pop("engine", None)
        flags = {**_several(gpus, engine or engine_of(typed.command)), **typed.flags}
        return launch_of_command(typed.command, gpu=gpus[0], model=model, engine=engine, given=named, flags=flags)
    if model is None:
        raise FlagError("missing-argument", name="MODEL")
    flags = {**_several(gpus, named.get("engine", "vllm")), **typed.flags}
    return launch_from_flags(replace(Deployment(model=model, gpu=gpus[0]), **named), flags)


def _several(gpus: tuple[str, ...], engine: str) -> dict[str, Any]:
    """Accelerators that were named one by one: so many of a kind, or unequal ones where the engine shares layers over them."""
    from gpusizer.engines import declaration
    from gpusizer.facts.catalog import accelerator

    ids = [accelerator(gpu).id for gpu in gpus]
    if len(ids) == 1:
        return {}
    if len(set(ids)) == 1:
        return {"--gpus": len(ids)}
    if not declaration(engine).layout_by_devices:
        raise FlagError("unequal-gpus", engine=declaration(engine).id, found=ids)
    return {"--devices": ",".join(ids)}
