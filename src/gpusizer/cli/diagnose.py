"""``gpusizer diagnose LOG``: what an engine's start-up log says, beside what was to be expected, why it ended so, and what would help."""

from __future__ import annotations

from collections.abc import Sequence

import click

from gpusizer.cli import completions
from gpusizer.cli.deployment import DeploymentCommand, Typed, value_of
from gpusizer.cli.output import deliver, format_option, output_option, show
from gpusizer.i18n import text

__all__ = ["build"]

_CASE = "jsonl"
_NAMED = ("engine", "engine_version")


class _DiagnoseCommand(DeploymentCommand):
    """The log says which engine it was, after its flags were typed."""

    def engines(self, args: Sequence[str], command: Sequence[str]) -> list[str]:
        """The one that is named, else every engine whose log can be read."""
        from gpusizer.engines import declarations

        if command or value_of("--engine", args) is not None:
            return super().engines(args, command)
        return [each.id for each in declarations() if each.log]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(log: str, model: str | None, gpu: tuple[str, ...], form: str, output: str | None, **named: str | None) -> int:
        from gpusizer.diagnosis.diagnose import diagnose
        from gpusizer.diagnosis.row import Given
        from gpusizer.given_files import stream_given
        from gpusizer.rendering.diagnose import diagnosis_document
        from gpusizer.rendering.forms.json import to_line

        typed: Typed = click.get_current_context().obj
        given = Given(model, gpu, flags=typed.flags, command=tuple(typed.command), **named)
        found = diagnose(stream_given(log, missing="log-missing"), given, log)
        if form == _CASE:
            deliver(to_line(found.row), output)
        else:
            show(diagnosis_document(found, language), form, output)
        return 3 if found.failed else 0

    return _DiagnoseCommand(
        "diagnose",
        language,
        callback=run,
        params=[
            click.Argument(["log"], metavar="LOG"),
            click.Option(["--model"], metavar="MODEL", help=text("option", "diagnose-model", language), shell_complete=completions.models),
            click.Option(
                ["--gpu"], multiple=True, metavar="ID", help=text("option", "diagnose-gpu", language), shell_complete=completions.accelerators
            ),
            *(
                click.Option(
                    ["--" + name.replace("_", "-"), name],
                    metavar=text("option", "kind-word", language),
                    help=text("option", name, language),
                    shell_complete=completions.complete_field(name),
                )
                for name in _NAMED
            ),
            format_option(language, _CASE),
            output_option(language),
        ],
        help=text("command", "diagnose", language),
        examples=(
            "gpusizer diagnose vllm.log --gpu l40s",
            "docker logs vllm 2>&1 | gpusizer diagnose - --gpu h100 --model Qwen/Qwen3-32B",
            "gpusizer diagnose server.log --format jsonl >> cases.jsonl",
            "gpusizer diagnose vllm.log --gpu h200 -- vllm serve deepseek-ai/DeepSeek-V3 --tensor-parallel-size 8",
        ),
    )
