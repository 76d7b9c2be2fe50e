"""``gpusizer measure ADDRESS | FILE``: cases from a running server of one's own, or from the file of a load generator."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from gpusizer.cli import completions
from gpusizer.cli.deployment import DeploymentCommand, Typed, deployment_parameters
from gpusizer.cli.output import deliver, show
from gpusizer.errors import FlagError, InputError
from gpusizer.i18n import text
from gpusizer.rendering.render import form_names

if TYPE_CHECKING:
    from gpusizer.architecture.types import Notice
    from gpusizer.measuring.load import LoadAsked
    from gpusizer.measuring.run import MeasuredRun
    from gpusizer.planning.measured_set_up import ToldSetUp

__all__ = ["build"]

KEY_VARIABLE = "GPUSIZER_API_KEY"
INTERRUPTED = 130
_NAMED = ("engine", "engine_version", "precision", "checkpoint_bytes", "kv_precision")
_INPUT_TOKENS, _OUTPUT_TOKENS, _CONCURRENCY = 1024, 128, (1, 8, 32)
_TIMEOUT_S = 300.0


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(source: str, form: str | None, output: str | None, **values: Any) -> int:
        from gpusizer.measuring.address import is_address
        from gpusizer.planning.measured_set_up import devices_here

        told = devices_here(_told(values))
        measured = _from_server(source, told, values, language) if is_address(source) else _from_file(source, values)
        runs, code = [], 0
        failure: InputError | None = None
        try:
            for each in measured:
                runs.append(each)
        except KeyboardInterrupt:
            if not runs:
                raise
            code = INTERRUPTED
        except InputError as error:
            if not runs:
                raise
            failure = error
        _deliver(runs, told, values["model"], form, output, language)
        if failure is not None:
            raise failure
        return code

    return DeploymentCommand(
        "measure",
        language,
        callback=run,
        params=[click.Argument(["source"], metavar="ADDRESS|FILE"), *_load_options(language), *_set_up_options(language), *_shown_options(language)],
        help=text("command", "measure", language),
        examples=(
            "gpusizer measure http://127.0.0.1:8000/v1 --gpu here --concurrency 1,8,32 --output cases.jsonl",
            "gpusizer measure http://127.0.0.1:8000 --gpu l40s -- vllm serve Qwen/Qwen3-32B-FP8 --tensor-parallel-size 2",
            "gpusizer measure bench.json --model qwen3-32b --gpu h100 --tp 2 --output cases.jsonl",
            "gpusizer plan qwen3-32b --gpu l40s --calibrate cases.jsonl",
        ),
    )


def _load_options(language: str) -> list[click.Parameter]:
    """What is sent to a server; what a file does not hold."""
    from gpusizer.cli.request_options import field_parameter
    from gpusizer.planning.request import Field

    fields = (
        Field("model", "word", "--model"),
        Field("served_name", "word", "--served-name"),
        Field("levels", "count", "--concurrency", many=True),
        Field("input_tokens", "tokens", "--input-tokens"),
        Field("output_tokens", "tokens", "--output-tokens"),
        Field("level_requests", "count", "--requests"),
        Field("duration_s", "seconds", "--duration"),
        Field("timeout_s", "seconds", "--timeout"),
    )
    key = click.Option(["--api-key"], metavar="KEY", envvar=KEY_VARIABLE, help=text("option", "api-key", language, variable=KEY_VARIABLE))
    return [*(field_parameter(each, language) for each in fields), key]


def _set_up_options(language: str) -> list[click.Parameter]:
    """Device, engine, precision; flags of the engine, and what is told of the host, come by themselves."""
    named = [each for each in deployment_parameters(language) if each.name in _NAMED]
    words = text("option", "measure-gpu", language)
    return [click.Option(["--gpu"], multiple=True, metavar="ID|here", help=words, shell_complete=completions.accelerators), *named]


def _shown_options(language: str) -> list[click.Parameter]:
    """``--output`` takes the cases; ``--format`` what is said of them."""
    form = click.Option(["--format", "form"], type=click.Choice(form_names()), help=text("option", "measure-format", language))
    return [form, click.Option(["--output"], metavar="FILE", help=text("option", "measure-output", language))]


def _told(values: dict[str, Any]) -> ToldSetUp:
    from gpusizer.planning.measured_set_up import ToldSetUp

    typed: Typed = click.get_current_context().obj
    named = {name: value for name in _NAMED if (value := values[name]) is not None}
    return ToldSetUp(values["gpu"], tuple(typed.command), named, typed.flags)


def _from_file(path: str, values: dict[str, Any]) -> Sequence[MeasuredRun]:
    from gpusizer.measuring.files import read_runs
    from gpusizer.measuring.formats.told import ToldLoad

    levels: tuple[int, ...] = values["levels"] or ()
    return read_runs(path, ToldLoad(values["input_tokens"], values["output_tokens"], levels[0] if len(levels) == 1 else None))


def _from_server(words: str, told: ToldSetUp, values: dict[str, Any], language: str) -> Any:
    """Runs one by one; the set-up is read before anything is sent that takes long."""
    from gpusizer.measuring.address import parse_address
    from gpusizer.measuring.load import MOST_CONCURRENCY, LoadAsked, measure, reach
    from gpusizer.planning.measured_set_up import measured_set_up

    levels = values["levels"] or _CONCURRENCY
    if max(levels) > MOST_CONCURRENCY:
        raise FlagError("out-of-bounds", option="--concurrency", low=1, high=MOST_CONCURRENCY, found=max(levels))
    tokens_in, tokens_out = values["input_tokens"] or _INPUT_TOKENS, values["output_tokens"] or _OUTPUT_TOKENS
    asked = LoadAsked(tuple(levels), tokens_in, tokens_out, values["level_requests"], values["duration_s"])
    address = parse_address(words, key=values["api_key"] or "", timeout_s=values["timeout_s"] or _TIMEOUT_S)
    server = reach(address, values["served_name"] or values["model"], asked)
    measured_set_up(values["model"] or server.model, told)
    return measure(server, asked, _progress(asked, language))


def _progress(asked: LoadAsked, language: str) -> Callable[[int, int, int], None] | None:
    """A line on stderr; None where nobody looks at it."""
    if not sys.stderr.isatty():
        return None

    def shown(concurrency: int, done: int, whole: int) -> None:
        words = text("measure", "progress", language, concurrency=concurrency, done=done, whole=whole)
        click.echo(f"\r{words}\x1b[K" + ("\r\x1b[K" if done >= whole else ""), nl=False, err=True)

    return shown


def _deliver(runs: Sequence[MeasuredRun], told: ToldSetUp, model: str | None, form: str | None, output: str | None, language: str) -> None:
    """Cases to the file, or to stdout where nothing else goes there; what is said of them beside."""
    from gpusizer.planning.measured_set_up import measured_set_up
    from gpusizer.rendering.measure import measured_document
    from gpusizer.rendering.render import render
    from gpusizer.validation.own_runs import case_of, lacking
    from gpusizer.validation.validate import validate

    today = date.today().isoformat()
    cases: list[dict[str, Any]] = []
    notices: list[Notice] = []
    for each in runs:
        set_up, said = measured_set_up(model or each.model, told, each.engine, each.precision)
        cases.append(case_of(each, set_up, today))
        notices += [*each.notices, *said, *_lack(lacking(cases[-1]))]
    document = measured_document(cases, validate(cases).cases, notices, language)
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in cases)
    if output is not None:
        deliver(lines, output)
    elif form is None:
        deliver(lines, None)
        click.echo(render(document, form_names()[0]), nl=False, err=True)
        return
    show(document, form or form_names()[0], None)


def _lack(fields: Sequence[str]) -> list[Notice]:
    from gpusizer.architecture.types import Notice

    return [Notice("case-lacks", {"missing": list(fields)})] if fields else []
