"""``gpusizer deploy MODEL``: the files that start an option of a plan, or one start as ``fit`` takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gpusizer.cli import completions
from gpusizer.cli.deployment import DeploymentCommand, Typed
from gpusizer.cli.output import deliver, format_option, output_option, show
from gpusizer.cli.request_options import field_parameter, request_parameters
from gpusizer.errors import FlagError
from gpusizer.i18n import text

if TYPE_CHECKING:
    from gpusizer.planning.deploy import ToRun

__all__ = ["build"]

ENDINGS = (".yaml", ".yml", ".sh")


def build(language: str) -> click.Command:
    """The command in one language."""
    from gpusizer.planning.deploy import FIELDS

    def run(form: str, output: str | None, **values: Any) -> int:
        from gpusizer.planning.deploy import wishes_of
        from gpusizer.rendering.deployment.document import deploy_document, deployed

        wishes = wishes_of({each.name: values.pop(each.name) for each in FIELDS})
        found = _to_run(values, wishes.option)
        if form == "text":
            deliver(deployed(found, wishes, language), output)
        else:
            show(deploy_document(found, wishes, language), form, output)
        return 0

    return DeploymentCommand(
        "deploy",
        language,
        callback=run,
        params=[
            click.Argument(["model"], metavar="MODEL", required=False, shell_complete=completions.models),
            *(field_parameter(field, language) for field in FIELDS),
            *request_parameters(language, skip=("model",)),
            format_option(language, of_text=ENDINGS),
            output_option(language),
        ],
        help=text("command", "deploy", language),
        examples=(
            "gpusizer deploy deepseek-v3 --users 1000",
            "gpusizer deploy deepseek-v3 --users 1000 --target kubernetes --output deepseek-v3.yaml",
            "gpusizer deploy qwen3-32b --users 200 --target compose --option 2 --registry registry.example:5000/mirror --offline",
            "gpusizer deploy qwen3-8b --gpu rtx-4090 --tp 2 --target compose",
            "gpusizer deploy --gpu h200 --target kubernetes -- vllm serve deepseek-ai/DeepSeek-V3 --tensor-parallel-size 8",
        ),
    )


def _to_run(values: dict[str, Any], rank: int | None) -> ToRun:
    """One start where flags of an engine or a launch command were typed, else an option of a plan."""
    from gpusizer.planning.asked_deploy import start_to_run
    from gpusizer.planning.deploy import of_plan
    from gpusizer.planning.pipeline import make_plan
    from gpusizer.planning.request import from_mapping

    typed: Typed = click.get_current_context().obj
    if typed.flags or typed.command:
        if rank is not None:
            raise FlagError("deploy-need-and-start", option="--option", flags=[*typed.flags] or ["--"])
        return start_to_run(values, typed.flags, typed.command)
    return of_plan(make_plan(from_mapping(values)), rank)
