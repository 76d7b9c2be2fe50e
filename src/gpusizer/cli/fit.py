"""``gpusizer fit MODEL --gpu ID`` and ``gpusizer fit --gpu ID -- COMMAND``: does exactly this start, and what will its log say?"""

from __future__ import annotations

from typing import Any

import click

from gpusizer.cli.deployment import DeploymentCommand, deployment_parameters, launch_of
from gpusizer.cli.output import format_option, output_option, show
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""
    from gpusizer.cli.request_options import field_parameter
    from gpusizer.planning.fields import CALIBRATE

    def run(model: str | None, gpu: tuple[str, ...], form: str, output: str | None, *, calibrate: str | None, **values: Any) -> int:
        from gpusizer.answers import fit_answer
        from gpusizer.planning.verdict import make_fit

        launched = launch_of(model, gpu, values)
        verdict = make_fit(launched.deployment, launched.notices, calibrate=calibrate)
        show(fit_answer(verdict, language), form, output)
        return 0 if verdict.fit.fits else 3

    return DeploymentCommand(
        "fit",
        language,
        callback=run,
        params=[
            *deployment_parameters(language),
            field_parameter(CALIBRATE, language),
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
