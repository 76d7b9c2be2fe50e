"""``gpusizer largest-context MODEL --gpu ID``: how long may a context be, for one request and for several?"""

from __future__ import annotations

from typing import Any

import click

from gpusizer.cli.deployment import DeploymentCommand, deployment_parameters, launch_of
from gpusizer.cli.output import format_option, output_option, show
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(model: str | None, gpu: tuple[str, ...], form: str, output: str | None, **values: Any) -> int:
        from gpusizer.planning.largest_context import longest_context
        from gpusizer.rendering.largest_context import longest_context_document

        launched = launch_of(model, gpu, values)
        answer = longest_context(launched.deployment, launched.notices)
        show(longest_context_document(answer, language), form, output)
        return 0 if answer.rows else 3

    return DeploymentCommand(
        "largest-context",
        language,
        callback=run,
        params=[*deployment_parameters(language), format_option(language), output_option(language)],
        help=text("command", "largest-context", language),
        examples=(
            "gpusizer largest-context qwen3-32b --gpu h100-sxm-80gb",
            "gpusizer largest-context gpt-oss-20b --gpu rtx-4090-24gb --engine llama.cpp --cache-type-k q8_0 --cache-type-v q8_0",
            "gpusizer largest-context deepseek-v3 --gpu h200-sxm-141gb --tp 8 --kv-precision fp8",
        ),
    )
