"""What a workbook can count of a request."""

from __future__ import annotations

from dataclasses import replace

from gpusizer.engines import declaration
from gpusizer.planning.drafts import AUTO, OFF
from gpusizer.planning.request import Request, alternatives

__all__ = ["workbook_request"]


def workbook_request(request: Request) -> Request:
    """The same request without what nobody asked for and no cell counts: drafts, and settings where an engine's cells take none.

    >>> found = workbook_request(Request(model="qwen3-8b", engine="sglang"))
    >>> found.tuning, found.speculative, workbook_request(Request(model="qwen3-8b", speculative="mtp")).speculative
    ('off', 'off', 'mtp:1')
    """
    settings = all(declaration(each).sheet_takes_settings for each in alternatives(request.engine))
    speculative = OFF if request.speculative == AUTO else request.speculative
    return replace(request, speculative=speculative, tuning=request.tuning if settings else OFF)
