"""``gpusizer plan MODEL``: the main job, from a need to hardware."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import deliver, deliver_bytes, format_option, output_option
from gpusizer.cli.request_options import request_parameters
from gpusizer.errors import FlagError
from gpusizer.i18n import text

__all__ = ["build"]


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(form: str, output: str | None, **values: Any) -> int:
        from gpusizer.engines import declaration
        from gpusizer.planning.drafts import AUTO, OFF
        from gpusizer.planning.pipeline import make_plan
        from gpusizer.planning.request import alternatives, from_mapping
        from gpusizer.rendering.plan import PlanDocument
        from gpusizer.rendering.render import render

        if form == "xlsx" and output is None:
            raise FlagError("workbook-needs-output")
        request = from_mapping(values)
        if form == "xlsx":  # no cell counts drafts, and few engines' cells take settings: nothing is done that nobody asked for
            request = replace(
                request,
                speculative=OFF if request.speculative == AUTO else request.speculative,
                tuning=request.tuning if all(declaration(each).sheet_takes_settings for each in alternatives(request.engine)) else OFF,
            )
        plan = make_plan(request)
        if form == "xlsx":
            from gpusizer.rendering.workbook import plan_workbook

            deliver_bytes(lambda: plan_workbook(plan, language), output)
            return 0 if plan.options else 3
        deliver(render(PlanDocument(plan, language), form), output)
        return 0 if plan.options else 3

    return Command(
        "plan",
        language,
        callback=run,
        params=[*request_parameters(language), format_option(language, "xlsx"), output_option(language)],
        help=text("command", "plan", language),
        examples=(
            "gpusizer plan deepseek-v3 --users 1000",
            "gpusizer plan qwen3-32b --concurrency 32 --input-tokens 8k --output-tokens 1k",
            "gpusizer plan deepseek-v3 --concurrency 64 --tpot 20ms --speculative mtp --acceptance 70%",
            "gpusizer plan deepseek-v3 --users 1000 --format xlsx --output plan.xlsx",
            "gpusizer plan ./config.json --gpu h20-96gb --max-gpus 16 --format json --output plan.json",
        ),
    )
