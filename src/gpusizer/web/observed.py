"""The outermost layer: headers that every response has, what is counted, and one line in the log, which holds nothing of whoever asked."""

from __future__ import annotations

import logging
import sys
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpusizer.rendering.failures import defect_of
from gpusizer.web.asking import refused
from gpusizer.web.headers import EVERYWHERE, content_policy
from gpusizer.web.metrics import Metrics

__all__ = ["ROUTE", "Observed", "write_log"]

_LOG = logging.getLogger("gpusizer.access")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
ROUTE = "gpusizer.route"
"""Where an address says in the scope by which path it was found."""

_POLICY = b"content-security-policy"


class Observed:
    """Counts and logs requests by the route that answers them, and completes their headers.

    Parameters
    ----------
    app : callable
        What answers.
    metrics : Metrics
        Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, size = perf_counter(), 0, 0

        async def seen(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": _completed(list(message["headers"]))}
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception as error:
            logging.getLogger("uvicorn.error").exception("defect")
            if status:  # too late to say it
                raise
            await refused(defect_of(error), scope)(scope, receive, seen)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = scope.get(ROUTE, "other")
            self._metrics.requests.labels(route, method, status).inc()
            _LOG.info("%s %s %d %.1f ms %d B", method, route, status, 1000 * (perf_counter() - begun), size)


def _completed(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    own = [] if any(name == _POLICY for name, _ in headers) else [(_POLICY, content_policy())]
    return [*headers, *own, *EVERYWHERE]


def write_log() -> None:
    """Write the log to stderr: a line for each request, and what goes wrong; not what a stranger's bytes make uvicorn remark."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    for name, level in (("gpusizer.access", logging.INFO), ("uvicorn.error", logging.ERROR), ("asyncio", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = False
        logger.handlers[:] = [handler]
