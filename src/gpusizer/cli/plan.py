"""``gpusizer plan MODEL``: the main job, from a need to hardware."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from gpusizer.cli.group import Command
from gpusizer.cli.output import deliver, deliver_bytes, format_option, output_option, show
from gpusizer.cli.request_options import request_parameters
from gpusizer.errors import FlagError
from gpusizer.i18n import text

if TYPE_CHECKING:
    from gpusizer.rendering.report.cover import Cover

__all__ = ["build"]

_FORMS_WITH_FIELDS = ("json", "csv")
_FORMS_WITH_ALL = ("xlsx", "html", "mail")
_ON_THE_COVER = ("title", "customer", "date")


def build(language: str) -> click.Command:
    """The command in one language."""

    def run(form: str, output: str | None, *, detail: bool, top: int | None, fields: tuple[str, ...], **values: Any) -> int:
        from gpusizer.planning.pipeline import make_plan
        from gpusizer.planning.request import from_mapping
        from gpusizer.rendering.plan_document import PlanDocument

        if form == "xlsx" and output is None:
            raise FlagError("workbook-needs-output")
        _refuse_what_the_form_lacks(form, top, fields)
        cover = _cover(form, {name: values.pop(name) for name in _ON_THE_COVER})
        request = from_mapping(values)
        if form == "xlsx":
            from gpusizer.rendering.workbook import plan_workbook
            from gpusizer.rendering.workbook.request import workbook_request

            plan = make_plan(workbook_request(request))
            deliver_bytes(lambda: plan_workbook(plan, language), output)
            return 0 if plan.options else 3
        plan = make_plan(request)
        if form == "mail":
            from gpusizer.rendering.mail import mail_words

            deliver(mail_words(plan, language), output)
        else:
            show(PlanDocument(plan, language, detail=detail, top=top, fields=fields, cover=cover), form, output)
        return 0 if plan.options else 3

    return Command(
        "plan",
        language,
        callback=run,
        params=[*request_parameters(language), *_shown_options(language), format_option(language, "xlsx", "mail"), output_option(language)],
        help=text("command", "plan", language),
        examples=(
            "gpusizer plan deepseek-v3 --users 1000",
            "gpusizer plan qwen3-32b --concurrency 32 --input-tokens 8k --output-tokens 1k --detail",
            "gpusizer plan deepseek-v3 --concurrency 64 --tpot 20ms --speculative mtp --acceptance 70%",
            "gpusizer plan deepseek-v3 --users 1000 --output plan.xlsx",
            'gpusizer plan deepseek-v3 --users 1000 --currency CNY --customer "Example Ltd" --output report.html',
            "gpusizer plan deepseek-v3 --users 1000 --format csv --top 5 --fields gpu,gpus,tp,ttft_s,rent_low",
            "gpusizer plan ./config.json --gpu h20-96gb --max-gpus 16 --format json --output plan.json",
        ),
    )


def _shown_options(language: str) -> list[click.Parameter]:
    """What of the answer is shown."""
    from gpusizer.planning.request import Field

    top = Field("top", "count", "--top")
    fields = Field("fields", "word", "--fields", many=True)

    def option(field: Field, kind: str, empty: Any) -> click.Option:
        def read(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
            return empty if value is None else field.read(value)

        return click.Option(
            [field.option], metavar=text("option", f"kind-{kind}", language), callback=read, help=text("option", field.name, language)
        )

    detail = click.Option(["--detail"], is_flag=True, help=text("option", "detail", language))
    kinds = {"title": "text", "customer": "text", "date": "date"}
    cover = [
        click.Option([f"--{name}"], metavar=text("option", f"kind-{kinds[name]}", language), help=text("option", name, language))
        for name in _ON_THE_COVER
    ]
    return [detail, option(top, "count", None), option(fields, "names", ()), *cover]


def _cover(form: str, said: Mapping[str, str | None]) -> Cover:
    """What is written on a report; its date is that of today where nobody says another."""
    from gpusizer.rendering.report.cover import read_cover

    named = next((name for name, words in said.items() if words), None)
    if named is not None and form != "html":
        raise FlagError("option-of-forms", option=f"--{named}", expected=["html"], form=form)
    return read_cover(said["title"], said["customer"], said["date"] or date.today().isoformat())


def _refuse_what_the_form_lacks(form: str, top: int | None, fields: tuple[str, ...]) -> None:
    """Fields are for programs; a workbook has all options, a report and a mail those that one compares."""
    if fields and form not in _FORMS_WITH_FIELDS:
        raise FlagError("option-of-forms", option="--fields", expected=list(_FORMS_WITH_FIELDS), form=form)
    if top is not None and form in _FORMS_WITH_ALL:
        raise FlagError("option-of-forms", option="--top", expected=["text", "markdown", *_FORMS_WITH_FIELDS], form=form)
