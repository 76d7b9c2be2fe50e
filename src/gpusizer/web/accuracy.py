"""How far predictions lie from measurements, over HTTP."""

from __future__ import annotations

from gpusizer.answers import accuracy_answer
from gpusizer.errors import GpusizerError
from gpusizer.facts.accuracy import measured_accuracy
from gpusizer.i18n import text
from gpusizer.rendering.accuracy import ERRORS, file_blocks, unseen
from gpusizer.rendering.devices import date_words
from gpusizer.rendering.document import Document
from gpusizer.web.job import Job
from gpusizer.web.listed import filters_of
from gpusizer.web.templating import link, rendered

__all__ = ["answer", "page"]

PATH = "/accuracy"


def answer(job: Job) -> Document:
    """What this release was held against."""
    filters_of(job)
    return accuracy_answer(job.language)


def page(job: Job, error: GpusizerError | None = None) -> str:
    """The same for readers, with what each column means."""
    measured, language = measured_accuracy(), job.language
    files = [(each.subject, file_blocks(each, language)) for each in measured.files]
    meaning = [(text("ui", code, language), text("site", f"column-{code}", language)) for code in ERRORS]
    forms = [(name, link(job, f"{PATH}.{ending}")) for name, ending in (("markdown", "md"), ("json", "json"))]
    left_out = unseen(language).words
    return rendered(
        "accuracy.html", job, PATH, files=files, unseen=left_out, date=date_words(measured.date, language), meaning=meaning, forms=forms, error=error
    )
