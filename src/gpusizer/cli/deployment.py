"""A deployment on the command line: a model, a device, the flags of its engine, or a launch command behind ``--``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click

from gpusizer.cli import completions
from gpusizer.cli.group import BARE, HELP, Command, with_usual_values
from gpusizer.cli.near_misses import nearest_options
from gpusizer.errors import FlagError
from gpusizer.i18n import text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gpusizer.engines.base.flag import Flag
    from gpusizer.engines.base.flags import Launch

__all__ = ["DeploymentCommand", "Typed", "deployment_parameters", "launch_of", "value_of"]

_NAMED = ("engine", "engine_version", "precision", "checkpoint_bytes", "kv_precision", "hub")
_SPELLED = {"checkpoint_bytes": ("--checkpoint-size", "kind-bytes")}  # where the option is not the name, or takes no name
_FLAGS = ("--max-model-len", "--max-num-seqs", "--tp")  # what the engines call what a plan calls otherwise
_LONGEST_INPUT = 1 << 17  # bytes of the standard input that are read


@dataclass
class Typed:
    """What was typed beside the options of the command itself."""

    flags: dict[str, Any] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)


class DeploymentCommand(Command):
    """A command whose further options are the flags of the engine that was asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the engine's flags and a pasted command out; the rest is read as usual."""
        own, command = list(args), []
        if "--" in args:
            own, command = args[: args.index("--")], args[args.index("--") + 1 :]
            command = [sys.stdin.read(_LONGEST_INPUT)] if command == ["-"] else command
        own = with_usual_values(own)
        options = self._options(ctx)
        try:
            rest, flags = self._read(own, options, command)
        except FlagError as error:
            if not ctx.resilient_parsing:
                raise _with_options(error, options) from None
            rest, flags = own, {}  # somebody is still typing
        ctx.obj = Typed(flags, command)
        return super().parse_args(ctx, rest)

    def engines(self, args: Sequence[str], command: Sequence[str]) -> list[str]:
        """The engines whose flags may stand in a command line, the likeliest first: the one that it names, or the usual one."""
        from gpusizer.engines import declaration
        from gpusizer.engines.base.pasted import engine_of

        engine = value_of("--engine", args)
        return [engine_of(command) if engine is None and command else declaration((engine or "vllm").partition(",")[0]).id]

    def _read(self, args: list[str], options: Mapping[str, bool], command: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """The command's own words, and the flags of the first engine that has all the others."""
        first, *others = self.engines(args, command)
        try:
            return _own_and_flags(args, options, first)
        except FlagError:
            for each in others:
                with suppress(FlagError):
                    return _own_and_flags(args, options, each)
            raise

    def _options(self, ctx: click.Context) -> dict[str, bool]:
        """The command's own options, and whether a value follows."""
        found: dict[str, bool] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option):
                found |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), not parameter.is_flag)
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Options, and the flags of the engine that was typed."""
        found = super().shell_complete(ctx, incomplete)
        if not incomplete.startswith("-"):
            return found
        from click.shell_completion import CompletionItem

        from gpusizer.engines import find_declaration
        from gpusizer.engines.base.flags import flag_table

        engine = find_declaration(ctx.params.get("engine") or "vllm")
        flags = () if engine is None else flag_table(engine.id).counted
        named = (flag for flag in flags if flag.spelling.startswith(incomplete))
        return [*found, *(CompletionItem(flag.spelling, help=text("flag", flag.target, self.language)) for flag in named)]

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


def _own_and_flags(args: Sequence[str], own: Mapping[str, bool], engine: str) -> tuple[list[str], dict[str, Any]]:
    """Part the options of the command from the flags of the engine; MODEL stays with the former."""
    from gpusizer.engines.base.arguments import is_flag, read_arguments
    from gpusizer.engines.base.flags import flag_table

    table = flag_table(engine)
    rest: list[str] = []
    theirs: list[str] = []
    index = 0
    while index < len(args):
        word = args[index]
        spelling, equals, _ = word.partition("=")
        if not is_flag(word) or spelling in own or spelling in HELP["help_option_names"]:
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
    spelled = [*get_close_matches(option, options, 2, 0.7), *near]
    return FlagError(error.code, option=option, nearest=nearest_options(option, {*options, *_FLAGS}, spelled))


def value_of(option: str, args: Sequence[str]) -> str | None:
    """What stands behind an option in a command line that is not read yet; None without it."""
    for word, following in zip(args, [*args[1:], None], strict=False):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def deployment_parameters(language: str) -> list[click.Parameter]:
    """The argument MODEL, ``--gpu``, and what of a deployment is no flag of its engine."""
    return [
        click.Argument(["model"], metavar="MODEL", required=False, shell_complete=completions.models),
        click.Option(["--gpu"], multiple=True, metavar="ID", help=text("option", "gpu", language), shell_complete=completions.accelerators),
        *(
            click.Option(
                [_spelled(name)[0], name],
                metavar=text("option", _spelled(name)[1], language),
                help=text("option", name, language),
                shell_complete=completions.complete_field(name),
            )
            for name in _NAMED
            if "--" + name not in BARE
        ),
        *(_bare(name, values, language) for name, values in BARE.items()),
    ]


def _spelled(name: str) -> tuple[str, str]:
    """The option of a field, and what kind of word it takes."""
    return _SPELLED.get(name, ("--" + name.replace("_", "-"), "kind-word"))


def _bare(name: str, values: tuple[str, ...], language: str) -> click.Option:
    """An option that may stand without a value."""
    words = text("option", name[2:], language)
    return click.Option([name], is_flag=False, flag_value=values[0], type=click.Choice(values), metavar="|".join(values), help=words)


def launch_of(model: str | None, gpus: tuple[str, ...], values: dict[str, Any]) -> Launch:
    """The start that was typed, with or without a pasted command; what belongs to it leaves ``values``."""
    from gpusizer.planning.asked_start import asked_start

    typed: Typed = click.get_current_context().obj
    named = {name: value for name in _NAMED if (value := values.pop(name)) is not None}
    return asked_start(model, gpus, command=typed.command, named=named, flags=typed.flags)
