"""``gpusizer fit MODEL --gpu ID``: does exactly this start, and what will its log say?"""

from __future__ import annotations

from typing import Any

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import deliver, format_option, output_option
from gpusizer.engines.base.flags import FLAGS, LaunchFlag
from gpusizer.i18n import text

__all__ = ["build"]

_NAMED = ("engine", "engine_version", "precision", "kv_precision")


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(model: str, gpu: str, form: str, output: str | None, **values: Any) -> int:
        from gpusizer.engines.base.flags import deployment_from_flags
        from gpusizer.planning.remedies import remedies_for
        from gpusizer.planning.request import Request
        from gpusizer.planning.verdict import make_fit
        from gpusizer.rendering.fit import fit_document
        from gpusizer.rendering.render import render

        Request(model=model)  # the same bounds as everywhere
        named = {name: value for name in _NAMED if (value := values.pop(name)) is not None}
        launch = deployment_from_flags(model=model, gpu=gpu, flags=values, **named)
        verdict = make_fit(launch)
        remedies = remedies_for(verdict.fit, launch, verdict.architecture, verdict.accelerator)
        deliver(render(fit_document(verdict.fit, launch, verdict.model.name, verdict.accelerator, remedies, language), form), output)
        return 0 if verdict.fit.fits else 3

    named = [
        click.Option(["--" + name.replace("_", "-"), name], metavar=text("option", "kind-word", language), help=text("option", name, language))
        for name in _NAMED
    ]
    return Command(
        "fit",
        language,
        callback=run,
        params=[
            click.Argument(["model"], metavar="MODEL"),
            click.Option(["--gpu"], required=True, metavar="ID", help=text("option", "gpu", language)),
            *named,
            *(_option(flag, language) for flag in FLAGS),
            format_option(language),
            output_option(language),
        ],
        help=text("command", "fit", language),
        examples=(
            "gpusizer fit deepseek-v3 --gpu h200-sxm-141gb --tp 8 --max-model-len 32k",
            "gpusizer fit qwen3-32b --gpu rtx-4090-24gb --gpus 4 --engine sglang --mem-fraction-static 0.85",
            "gpusizer fit model.gguf --gpu rtx-4090-24gb --engine llama.cpp --ctx-size 32k --cache-type-k q8_0",
        ),
    )


def _option(flag: LaunchFlag, language: str) -> click.Option:
    engines = ", ".join(flag.engines)
    words = text("option", "flag-of", language, engines=engines) if engines else text("option", f"flag-{flag.name}", language)
    if flag.kind == "switch":
        return click.Option([flag.option, flag.name], is_flag=True, default=None, help=words)
    return click.Option([flag.option, flag.name], metavar=text("option", f"kind-{flag.kind}", language), help=words)
