"""``gpusizer simulate MODEL --gpu ID --request-rate R/s``: what requests see when they come at random, all at once, or as a trace says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from gpusizer.cli.deployment import DeploymentCommand, deployment_parameters, launch_of
from gpusizer.cli.output import deliver, format_option, output_option, show
from gpusizer.errors import FlagError
from gpusizer.i18n import text

__all__ = ["build"]

LONG_WORK = 20_000  # requests from which progress is shown on a terminal
WIDTH = 40  # of the bar


def build(language: str) -> click.Command:
    """The command in one language."""
    from gpusizer.cli.request_options import field_parameter
    from gpusizer.planning.simulate import FIELDS

    def run(model: str | None, gpu: tuple[str, ...], form: str, output: str | None, **values: Any) -> int:
        from gpusizer.planning.simulate import make_simulations, requests_from
        from gpusizer.rendering.charts.queue_chart import queue_chart
        from gpusizer.rendering.simulate import simulations_document

        launched = launch_of(model, gpu, values)
        runs = requests_from(launched.deployment, values)
        if form == "svg" and len(runs) > 1:
            raise FlagError("one-run-a-picture", found=len(runs))
        shown = _progress(language)
        backend, jobs = values["backend"] or "loky", values["jobs"] or 1
        found = make_simulations(runs, notices=launched.notices, backend=backend, jobs=jobs, progress=shown)
        if shown is not None:
            click.echo("\r" + " " * (WIDTH + 12) + "\r", nl=False, err=True)
        first = found[0]
        if form == "svg":
            deliver(queue_chart(() if first.summary is None else first.summary.queue, language) + "\n", output)
        else:
            show(simulations_document(found, language), form, output)
        return 0 if all(each.verdict.fit.fits for each in found) else 3

    return DeploymentCommand(
        "simulate",
        language,
        callback=run,
        params=[
            *deployment_parameters(language),
            *(field_parameter(field, language) for field in FIELDS),
            format_option(language, "svg"),
            output_option(language),
        ],
        help=text("command", "simulate", language),
        examples=(
            "gpusizer simulate qwen3-32b --gpu h200-sxm-141gb --request-rate 4/s --input-tokens 1k --output-tokens 200",
            "gpusizer simulate qwen3-32b --gpu h200-sxm-141gb --trace requests.jsonl --replicas 2,3,4 --jobs 3 --ttft 2s --tpot 50ms",
            "gpusizer simulate deepseek-v3 --gpu h200-sxm-141gb --tp 8 --engine sglang --concurrency 64 --format json",
            "gpusizer simulate --gpu h100-sxm-80gb --burst 100 -- vllm serve Qwen/Qwen3-8B",
        ),
    )


def _progress(language: str) -> Callable[[int, int], None] | None:
    """A bar on stderr; None where nobody looks at it."""
    if not sys.stderr.isatty():
        return None
    shown = -1

    def show(done: int, whole: int) -> None:
        nonlocal shown
        share = done * 100 // max(whole, 1)
        if whole < LONG_WORK or share == shown:
            return
        shown = share
        filled = share * WIDTH // 100
        click.echo(f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {share:3}%", nl=False, err=True)

    return show
