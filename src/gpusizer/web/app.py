"""The application: what answers each address, and what stands before all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gpusizer.errors import InputError
from gpusizer.i18n import LANGUAGES
from gpusizer.web.addresses import Address, addresses
from gpusizer.web.asking import answered, refused
from gpusizer.web.file_names import ENDINGS, parted
from gpusizer.web.guards import Guards
from gpusizer.web.job import PAGE, Job
from gpusizer.web.metrics import METRICS_TYPE, Metrics
from gpusizer.web.observed import ROUTE, Observed
from gpusizer.web.settings import Settings
from gpusizer.web.static_files import description, static_file
from gpusizer.web.work import Work

__all__ = ["create_app"]

Endpoint = Callable[[Request], Awaitable[Response]]

_NOT_FOUND = 404
_FRESH = {"Cache-Control": "no-store"}


def create_app(settings: Settings) -> FastAPI:
    """The application that a server runs.

    Parameters
    ----------
    settings : Settings
        Who may ask it, how much, and how long.
    """
    metrics = Metrics()
    work = Work(settings, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await work.warm([Job("plan", PAGE, language, root_path=settings.root_path) for language in LANGUAGES])
        yield

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan, redirect_slashes=False)
    app.state.work = work
    app.add_middleware(Guards, settings=settings)
    app.add_middleware(Observed, metrics=metrics)
    app.add_exception_handler(HTTPException, _http_problem)
    for address in addresses():
        _add(app, address.path, _answering(address), address.methods)
    _add_own(app, metrics)
    return app


def _add(app: FastAPI, path: str, endpoint: Endpoint, methods: Sequence[str]) -> None:
    async def noted(request: Request) -> Response:
        request.scope[ROUTE] = path
        return await endpoint(request)

    app.add_route(path, noted, methods=list(methods))


def _answering(address: Address) -> Endpoint:
    """What answers one address."""

    async def answer(request: Request) -> Response:
        form, name = address.form, ""
        if "id" in request.path_params:
            name, form = parted(request.path_params["id"], form or "")
        elif form is None:
            form = ENDINGS.get(request.path_params["ending"])
        if not form or not name.isprintable() or (not name and "id" in request.path_params):
            return refused(InputError("no-such-page"), request.scope)
        return await answered(request, address.kind, form, name, shown=address.shown)

    return answer


def _add_own(app: FastAPI, metrics: Metrics) -> None:
    """Addresses that ask nothing of a worker."""

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": version("gpusizer")}, headers=_FRESH)

    async def measured(request: Request) -> Response:
        return Response(metrics.text(), media_type=METRICS_TYPE, headers=_FRESH)

    async def described(request: Request) -> Response:
        return description(request)

    async def static(request: Request) -> Response:
        return static_file(request)

    for path, endpoint in (("/healthz", healthz), ("/metrics", measured), ("/openapi.json", described), ("/static/{name}", static)):
        _add(app, path, endpoint, ("GET", "HEAD"))


async def _http_problem(request: Request, error: Exception) -> Response:
    """No such address, or no such method of it."""
    assert isinstance(error, HTTPException)
    if error.status_code == _NOT_FOUND:
        return refused(InputError("no-such-page"), request.scope)
    allowed = sorted(dict(error.headers or {}).get("Allow", "").split(", "))
    response = refused(InputError("no-such-method", found=request.method[:20], expected=allowed), request.scope)
    response.headers["Allow"] = ", ".join(allowed)
    return response
