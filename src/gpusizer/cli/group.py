"""The top of the command line: commands are imported when they are called, help speaks the chosen language."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from gpusizer.errors import FlagError, UnknownIdError
from gpusizer.i18n import LANGUAGES, has, table, text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["BARE", "COMMANDS", "HELP", "Command", "Group", "build", "language_option", "wished_language", "with_usual_values"]

COMMANDS = (
    "plan",
    "fit",
    "deploy",
    "simulate",
    "run-on",
    "largest-context",
    "diagnose",
    "validate",
    "measure",
    "models",
    "accelerators",
    "engines",
    "scenarios",
    "explain",
    "workbook",
    "serve",
    "mcp",
    "completion",
)
"""Each is a module of this package with ``build(language)``."""

HELP = {"help_option_names": ["-h", "--help"]}

BARE = {"--hub": ("huggingface", "modelscope"), "--offline": ("on", "off")}
"""Options that may stand without a value: a word behind that is none of these values is no value of theirs, and the first stands for none."""


def wished_language(arguments: Sequence[str]) -> str | None:
    """The value of ``--language`` anywhere in a command line: help and errors need it before the rest is understood.

    >>> wished_language(["plan", "--language", "zh"]), wished_language(["--language=en"]), wished_language([])
    ('zh', 'en', None)
    """
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--language":
            return following
        if argument.startswith("--language="):
            return argument.partition("=")[2]
    return None


class _Spoken(click.Command):
    """Help in the language of the command; ``examples`` are command lines shown below the options."""

    language: str = "en"
    examples: tuple[str, ...] = ()

    def _word(self, code: str) -> str:
        return text("command", code, self.language)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """``Usage:`` in the language of the command."""
        formatter.write_usage(
            ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), prefix=self._word("usage") + ("" if self.language == "zh" else " ")
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options, then the sub-commands of a group."""
        records = [record for parameter in self.get_params(ctx) if (record := parameter.get_help_record(ctx)) is not None]
        if records:
            self.section(formatter, self._word("options"), records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def section(self, formatter: click.HelpFormatter, title: str, records: Sequence[tuple[str, str]]) -> None:
        """A heading and two columns that count a Chinese character as two cells."""
        from gpusizer.rendering.forms.text import cell_len, fold

        first = min(max(cell_len(name) for name, _ in records), 32)
        room = max(formatter.width - first - 4, 20)
        formatter.write(f"\n{title}{'：' if self.language == 'zh' else ':'}\n")
        for name, words in records:
            if not words and has("option", f"argument-{name.lower()}", self.language):
                words = text("option", f"argument-{name.lower()}", self.language)
            lines = fold(" ".join(words.replace("[required]", self._word("required")).split()), room)
            gap = " " * (first - cell_len(name) + 2)
            formatter.write(f"  {name}{gap}{lines.pop(0)}".rstrip() + "\n" if cell_len(name) <= first else f"  {name}\n")
            for line in lines:
                formatter.write(" " * (first + 4) + line + "\n")

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        if self.examples:
            formatter.write(f"\n{self._word('examples')}{'：' if self.language == 'zh' else ':'}\n")
            for example in self.examples:
                formatter.write(f"  {example}\n")

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """``--help``, described in the language of the command."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = self._word("help")
        return option


class Command(_Spoken):
    """A command of one language."""

    def __init__(self, name: str, language: str, *, examples: Sequence[str] = (), **settings: Any) -> None:
        self.language = language
        self.examples = tuple(examples)
        settings["params"] = [*settings.get("params", ()), language_option(language)]
        settings["context_settings"] = HELP
        super().__init__(name, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options that may stand alone get their usual value, so that MODEL behind them stays MODEL."""
        return super().parse_args(ctx, with_usual_values(args))


def with_usual_values(args: Sequence[str]) -> list[str]:
    """Arguments in which no option of :data:`BARE` stands without a value.

    >>> with_usual_values(["--hub", "org/model"]), with_usual_values(["org/model", "--hub", "modelscope"])
    (['--hub=huggingface', 'org/model'], ['org/model', '--hub', 'modelscope'])
    """
    found: list[str] = []
    for word, value in zip(args, [*args[1:], ""], strict=False):
        found.append(f"{word}={BARE[word][0]}" if word in BARE and value.lower() not in BARE[word] else word)
    return found


class Group(_Spoken, click.Group):
    """A group whose sub-commands are built when they are needed.

    Parameters
    ----------
    makers : mapping of str to callable
        Sub-command -> function that builds it. Their one-line helps are the texts ``command.<prefix><name>``, so listing them builds nothing.
    """

    def __init__(self, name: str, language: str, *, prefix: str, makers: dict[str, Callable[[str], click.Command]], **settings: Any) -> None:
        self.language = language
        self.prefix = prefix
        self.makers = makers
        settings["params"] = [*settings.get("params", ()), language_option(language)]
        settings["context_settings"] = HELP
        # Called whether a sub-command follows or not: without one it is asked for help, and that is no mistake.
        super().__init__(name, no_args_is_help=False, invoke_without_command=True, callback=_help_where_nothing_follows, **settings)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the job, not of the alphabet."""
        return list(self.makers)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Build the one that was called; an unknown name is refused with the nearest ones."""
        maker = self.makers.get(cmd_name)
        if maker is None and ctx.resilient_parsing:  # somebody is still typing
            return None
        if maker is None:
            raise UnknownIdError("unknown-command", id=cmd_name, nearest=difflib.get_close_matches(cmd_name, self.makers, 3) or list(self.makers))
        return maker(self.language)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The sub-commands with their one-line helps, then options; nothing is built for it."""
        from click.shell_completion import CompletionItem

        texts = table("command", self.language)
        found = [CompletionItem(name, help=texts[f"{self.prefix}{name}"]) for name in self.makers if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sub-commands with one line each."""
        texts = table("command", self.language)
        self.section(formatter, self._word("commands"), [(name, texts[f"{self.prefix}{name}"]) for name in self.makers])


@click.pass_context
def _help_where_nothing_follows(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def language_option(language: str) -> click.Option:
    """``--language``; it was read before anything else, here it is checked and documented."""

    def check(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value is not None and value not in LANGUAGES:
            raise FlagError("bad-choice", option="--language", expected=list(LANGUAGES), found=value)

    return click.Option(
        ["--language"], expose_value=False, callback=check, is_eager=True, metavar="|".join(LANGUAGES), help=text("option", "language", language)
    )


def _lazily(module: str) -> Callable[[str], click.Command]:
    def make(language: str) -> click.Command:
        command: click.Command = import_module(f"gpusizer.cli.{module.replace('-', '_')}").build(language)
        return command

    return make


def _version(language: str) -> click.Option:
    def show(ctx: click.Context, parameter: click.Parameter, value: object) -> None:
        if value:
            from importlib.metadata import version

            click.echo(f"gpusizer {version('gpusizer')}")
            ctx.exit()

    return click.Option(["--version"], is_flag=True, expose_value=False, is_eager=True, callback=show, help=text("option", "version", language))


def build(language: str) -> Group:
    """The ``gpusizer`` command of one language."""
    return Group(
        "gpusizer",
        language,
        prefix="",
        makers={name: _lazily(name) for name in COMMANDS},
        help=text("command", "gpusizer", language),
        params=[_version(language)],
    )
