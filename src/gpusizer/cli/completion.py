"""``gpusizer completion bash|zsh|fish``: the script that makes a shell complete commands, options, models, accelerators and engines."""

from __future__ import annotations

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import deliver
from gpusizer.errors import FlagError
from gpusizer.i18n import text

__all__ = ["COMPLETE_VARIABLE", "build"]

COMPLETE_VARIABLE = "_GPUSIZER_COMPLETE"
"""What a shell sets while somebody types."""

_SHELLS = ("bash", "zsh", "fish")


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(shell: str) -> None:
        from click.shell_completion import ShellComplete, get_completion_class

        from gpusizer.cli.group import build as whole

        found = get_completion_class(shell) if shell in _SHELLS else None
        if found is None:
            raise FlagError("bad-choice", option="SHELL", expected=list(_SHELLS), found=shell[:40])
        script = ShellComplete.source(found(whole(language), {}, "gpusizer", COMPLETE_VARIABLE))  # bash's own asks which bash is there
        deliver(script.strip("\n"), None)

    return Command(
        "completion",
        language,
        callback=run,
        params=[click.Argument(["shell"], metavar="bash|zsh|fish")],
        help=text("command", "completion", language),
        examples=(
            "gpusizer completion bash > ~/.local/share/bash-completion/completions/gpusizer",
            "gpusizer completion zsh > ~/.zfunc/_gpusizer",
            "gpusizer completion fish > ~/.config/fish/completions/gpusizer.fish",
        ),
    )
